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

import pytest
import yaml

import proxy
from proxy.config.settings import load
from tests.stories.fleet import Node, client, get, running
from tests.support import pictures
from tests.support.servers import ROOT, free_port

PACKAGING = ROOT / "packaging"
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
    run(sys.executable, "-m", "venv", home)
    [here] = (home / "lib").glob("python3*/site-packages")
    [there] = {path for path in map(Path, sys.path) if path.name == "site-packages"}
    run(home / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    # What stands in .pth files over there, the checkout, does not come along.
    (here / "dependencies.pth").write_text(str(there))
    environment = {"CALOTYPE_CACHE__DISK__PATH": str(tmp_path / "cache")}
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


def test_dockerfile_compose_and_kubernetes_files_are_valid() -> None:
    run(tool("hadolint"), PACKAGING / "Dockerfile")
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", PACKAGING / "compose.yaml")
    run(tool("kubernetes-validate"), "--strict", PACKAGING / "kubernetes/calotype.yaml")


def test_the_files_that_the_image_copies_exist() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in (PACKAGING / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}" in ignored or name.startswith("requirements"), name


def test_the_settings_of_the_manifests_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for document in yaml.safe_load_all((PACKAGING / "kubernetes/calotype.yaml").read_text()):
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
    documented_metrics = {name for name in named(pages) if name.startswith("calotype_")}
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
    assert f"calotype:{proxy.__version__}" in (PACKAGING / "kubernetes/calotype.yaml").read_text()
