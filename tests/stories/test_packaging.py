"""The packaging files: run if this machine can, otherwise checked by a tool of their format."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import proxy
from proxy.config.settings import load
from tests.stories.fleet import Node, client, get, running
from tests.support import pictures
from tests.support.servers import ROOT, free_port

PACKAGING = ROOT / "packaging"
CHART = PACKAGING / "helm/calotype"
SCRIPTS = Path(sys.executable).parent


def tool(name: str) -> str:
    """One of ours, or of the system."""
    found = shutil.which(str(SCRIPTS / name)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing; ./run test installs it, as root")
    return found


def run(*command: str | Path, **more: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **more}
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of the sdist, as for an index."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    assert len(list(out.glob("*.tar.gz"))) == 1
    [made] = out.glob("*.whl")
    return made


def test_the_wheel_has_all_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "proxy/shipped/demo.toml",
        "proxy/edge/admin/pages/status.html",
        "proxy/edge/admin/pages/status.js",
    } <= names
    nginx = {str(path.relative_to(ROOT)) for path in (ROOT / "nginx").rglob("*.conf")}
    assert {name.removeprefix("proxy/shipped/") for name in names if name.endswith(".conf")} == nginx
    assert not [name for name in names if not name.startswith(("proxy/", "calotype-"))]


def test_the_wheel_works_in_another_environment(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own that has the dependencies of this one, away from the checkout."""
    home = tmp_path / "home"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    [here] = (home / "lib").glob("python3*/site-packages")
    [there] = {path for path in map(Path, sys.path) if path.name == "site-packages"}
    run(sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", home, wheel)
    # What stands in .pth files over there, the checkout, does not come along.
    (here / "dependencies.pth").write_text(str(there))
    environment = {"CALOTYPE_CACHE__DISK__PATH": str(tmp_path / "cache"), "CALOTYPE_RENDER__TIMEOUT": "5m"}
    (tmp_path / "photo.png").write_bytes(pictures.quarters_as("png"))
    output = run(home / "bin/python", "-P", "-c", "import proxy; print(proxy.__file__)", **environment)
    assert output.startswith(str(home))
    command = home / "bin/calotype"
    assert "calotype" in run(command, "--version", **environment)
    out = tmp_path / "out.webp"
    run(command, "render", tmp_path / "photo.png", "w_20", "-o", out, **environment)
    assert pictures.size(out.read_bytes())[0] == 20
    with subprocess.Popen(
        [command, "serve", "--demo", "--port", str(free_port())],
        env={**os.environ, **environment, "CALOTYPE_ADMIN__PORT": str(free_port())},
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        try:
            url = next(
                found[0] for line in process.stdout if (found := re.search(r'http://[^\s"]+lake\.jpg', line))
            )
            assert pictures.size(subprocess.run(["curl", "-s", url], capture_output=True, check=True).stdout)
        finally:
            process.terminate()


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is there in the place of the node."""
    for path in (PACKAGING / "systemd").iterdir():
        text = path.read_text().replace("/opt/calotype/bin/calotype", "/bin/true")
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_systemd_accepts_the_units(units: Path) -> None:
    output = run(tool("systemd-analyze"), "verify", *units.iterdir())
    assert str(units) not in output, output


def test_systemd_rates_the_service_as_safe(units: Path) -> None:
    """At most 2.0 of 10; what is left is that a node has a network."""
    analyze = tool("systemd-analyze")
    run(analyze, "security", "--offline=true", "--threshold=20", units / "calotype.service")


def manifests(*values: str) -> list[dict[str, Any]]:
    """What the Helm chart makes with these values, as NAME=VALUE."""
    settings = (each for value in values for each in ("--set", value))
    command = [tool("helm"), "template", "calotype", str(CHART), *settings]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [each for each in yaml.safe_load_all(made) if each]


def test_dockerfile_and_compose_file_are_valid() -> None:
    run(tool("hadolint"), PACKAGING / "Dockerfile")
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", PACKAGING / "compose.yaml")


@pytest.mark.parametrize(
    "values",
    [
        (),
        (
            "ingress.enabled=true",
            "ingress.className=nginx",
            "ingress.tlsSecret=certificate",
            "ingress.annotations.a=b",
        ),
        (
            "affinity.nodeAffinity.x=y",
            "nodeSelector.disk=fast",
            "podAnnotations.a=b",
            "cache.storageClass=fast",
        ),
        (
            "env[0].name=A",
            "env[0].value=b",
            "image.pullSecrets[0]=registry",
            "tolerations[0].key=a",
            "replicas=5",
        ),
    ],
)
def test_the_helm_chart_makes_valid_manifests(tmp_path: Path, values: tuple[str, ...]) -> None:
    settings = [each for value in values for each in ("--set", value)]
    run(tool("helm"), "lint", "--strict", CHART, *settings)
    (tmp_path / "made.yaml").write_text(yaml.safe_dump_all(manifests(*values)))
    if "affinity" not in "".join(values):  # Kept as it is: any field.
        run(tool("kubernetes-validate"), "--strict", tmp_path / "made.yaml")
    stateful = next(each for each in manifests(*values) if each["kind"] == "StatefulSet")["spec"]
    assert stateful["replicas"] == (5 if "replicas=5" in values else 2)


def test_every_value_of_the_chart_is_used_and_explained() -> None:
    text = (CHART / "values.yaml").read_text()
    used = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for section, value in yaml.safe_load(text).items():
        names = (
            [f"{section}.{name}" for name in value]
            if isinstance(value, dict) and section != "resources"
            else []
        )
        for name in names or [section]:
            assert f".Values.{name}" in used, name
    before = ""
    for line in text.splitlines():
        if (
            line
            and not line.startswith((" ", "#"))
            and line not in ("podAnnotations: {}", "nodeSelector: {}", "tolerations: []")
        ):
            assert before.startswith("#") or line.endswith(":"), line
        before = line


def test_the_chart_monitors_the_job_that_the_alerts_name() -> None:
    made = {
        each["kind"]: each for each in manifests("monitoring.enabled=true", "monitoring.labels.release=p")
    }
    monitor, rules = made["ServiceMonitor"], made["PrometheusRule"]
    assert monitor["metadata"]["labels"]["release"] == "p"
    service = next(
        each
        for each in manifests()
        if each["kind"] == "Service" and each["metadata"]["name"] == "calotype-admin"
    )
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "calotype"
    assert rules["spec"] == yaml.safe_load((PACKAGING / "prometheus/calotype.yml").read_text())


def test_the_files_that_the_image_copies_exist() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (PACKAGING / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}" in ignored or name.startswith("requirements"), name


def test_the_settings_of_the_manifests_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for document in manifests():
        if document["kind"] == "ConfigMap":
            (tmp_path / "calotype.toml").write_text(document["data"]["calotype.toml"])
    monkeypatch.setenv("CALOTYPE_ADMIN__TOKEN", "t" * 32)
    assert load(tmp_path / "calotype.toml").server.processes == 2
    monkeypatch.delenv("CALOTYPE_ADMIN__TOKEN")
    compose = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
    for name, value in compose["services"]["node-a"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.sources.keys() == {"shop"}
    assert len(settings.server.trusted_proxies) == 2


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all metrics of a node of several processes that has had something to do."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "photo.png").write_bytes(pictures.quarters_as("png"))
    bucket = {"kind": "directory", "path": str(folder)}
    node = Node(
        folder / "node", processes=2, sources={"photos": {"path": str(folder)}}, cache={"bucket": bucket}
    )
    with running(node):

        async def ask() -> None:
            async with client() as session:
                for target in ("/w_20/photo.png", "/w_20/photo.png", "/w_20/nope.png", "/w_x/photo.png"):
                    await get(session, node.url + target)

        asyncio.run(ask())
        (folder / "node/cache/variants/cache.db").write_bytes(b"")  # So that a tier has a fault to tell of.
        lines = node.admin("/metrics").decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")} | {
        line.split()[2] for line in lines if line.startswith("# TYPE")
    }


def named(text: str) -> set[str]:
    return set(re.findall(r"\b(?:calotype|process)_[a-z_]+", text))


def test_every_used_or_documented_metric_exists(exposed: set[str]) -> None:
    dashboard = json.loads((PACKAGING / "grafana/calotype.json").read_text())
    rules = yaml.safe_load((PACKAGING / "prometheus/calotype.yml").read_text())
    used_metrics = named(json.dumps(dashboard["panels"])) | named(json.dumps(dashboard["templating"]))
    used_metrics |= {
        name for group in rules["groups"] for rule in group["rules"] for name in named(rule["expr"])
    }
    assert len(used_metrics) > 20
    families = {re.sub(r"_(?:total|bucket|count|sum)$", "", name) for name in exposed}
    assert {name for name in used_metrics if re.sub(r"_(?:total|bucket)$", "", name) not in families} == set()
    page = (ROOT / "proxy/edge/admin/pages/status.js").read_text()
    assert {
        name for name in named(page) if name.removesuffix("_total").rstrip("_") not in families | {"calotype"}
    } == set()
    pages = "".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    # calotype_urls is the package of the Python client.
    documented_metrics = {name for name in named(pages) if name.startswith("calotype_")} - {"calotype_urls"}
    assert {
        name for name in documented_metrics if re.sub(r"_(?:total|bucket)$", "", name) not in families
    } == set()


def test_the_metrics_of_the_contract_exist(exposed: set[str]) -> None:
    assert {
        "calotype_requests_total", "calotype_sent_bytes_total", "calotype_request_seconds_bucket", "calotype_render_seconds_bucket",
        "calotype_renders_total", "calotype_render_queue", "calotype_tier_bytes", "calotype_tier_entries",
        "calotype_source_fetches_total", "calotype_collapsed_total", "calotype_shed_total",
    } <= exposed  # fmt: skip
    assert "calotype_tier_errors" in {name.removesuffix("_total") for name in exposed}


def test_prometheus_accepts_the_rules_and_they_fire() -> None:
    promtool = tool("promtool")
    run(promtool, "check", "rules", PACKAGING / "prometheus/calotype.yml")
    run(promtool, "test", "rules", PACKAGING / "prometheus/calotype.test.yml")


def test_the_dashboard_panels_do_not_overlap() -> None:
    dashboard = json.loads((PACKAGING / "grafana/calotype.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_image_tag_and_package_have_the_same_version() -> None:
    stateful = next(each for each in manifests() if each["kind"] == "StatefulSet")
    [container] = stateful["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"calotype:{proxy.__version__}"
