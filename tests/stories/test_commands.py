"""The command line: output, written files and exit codes."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.core.url.signing import Restrictions, Signed, verify
from tests.support import commands, pictures
from tests.support.answers import opened
from tests.support.fakes import temporary_file
from tests.support.fonts import font_folder
from tests.support.waiting import LONGEST_S, eventually_sync

ROOT = Path(__file__).parent.parent.parent


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALOTYPE_")}
    return {**inherited, "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder), **more}


def calotype(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return commands.calotype_text(*words, env=environment(folder, **more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    temporary_file(tmp_path / "in", "photo.jpg", pictures.photo_as("jpeg"))
    temporary_file(tmp_path / "in", "deep/photo.png", pictures.quarters_as("png"))
    temporary_file(tmp_path / "in", "deep/photo.gif", pictures.film_as("gif"))
    temporary_file(tmp_path / "in", "notes.txt", b"no picture")
    return tmp_path


COMMANDS = (
    "check",
    "compare",
    "config",
    "explain",
    "gc",
    "import",
    "info",
    "purge",
    "render",
    "serve",
    "sign",
    "upload",
    "url",
    "warm",
)


@pytest.mark.parametrize("columns", ["40", "80"])
def test_help_lists_every_command(folder: Path, columns: str) -> None:
    done = calotype(folder, "--help", COLUMNS=columns)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: calotype [OPTIONS] COMMAND")
    assert "..." not in done.stdout.replace("[ARGS]...", ""), "no short help is cut"
    assert "0.1.0" in calotype(folder, "--version").stdout
    for word in COMMANDS:
        assert f"\n  {word} " in done.stdout


@pytest.mark.parametrize("word", COMMANDS)
def test_each_command_has_help_with_an_example(folder: Path, word: str) -> None:
    help_text = calotype(folder, word, "--help").stdout
    assert help_text.startswith(f"Usage: calotype {word} ")
    example = help_text.partition("Example:\n")[2].strip()
    assert example.startswith(f"calotype {word} ")
    assert "\n" not in example
    for flag in re.findall(r"--[a-z-]+", example):
        assert f"{flag} " in help_text.partition("Example:")[0]
    assert ("--json" in help_text) == (word != "serve")


def test_usage_names_the_program_calotype(folder: Path) -> None:
    for words in (("nonsense",), ("render",), ("render", "--nonsense"), ("purge", "x")):
        done = calotype(folder, *words)
        assert done.returncode == 2
        assert done.stderr.startswith("Usage: calotype ")
        assert "python" not in done.stderr
        assert "__main__" not in done.stderr


def test_render_writes_one_variant(folder: Path) -> None:
    out = folder / "out" / "card.webp"
    done = calotype(folder, "render", str(folder / "in/photo.jpg"), "w_100,h_100,c_fill", "-o", str(out))
    assert done.returncode == 0
    size = len(out.read_bytes())
    assert re.fullmatch(
        rf"{re.escape(str(out))}: 100x100 webp, {size} bytes, [0-9]+\.[0-9]{{2}} s\n", done.stderr
    )
    assert pictures.size(out.read_bytes()) == (100, 100)
    assert out.read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("in/photo.jpg", "w_x"), "bad-transform: parameter w must be"),
        (("in/photo.jpg", "w_1", "-o", "in"), "-o: is a directory"),
        (("in/notes.txt", "w_1"), "unsupported-format: "),
        (("in", "w_1", "-o", "in/photo.jpg"), "-o: must be a directory"),
        (("in", "w_1"), "-o: name a directory"),
        (("in", "w_1", "-o", "-"), "-o: must be a directory"),
        (("in", "w_1", "-o", "in"), "-o: must differ from INPUT"),
    ],
)
def test_render_reports_an_error_in_one_line(folder: Path, words: tuple[str, ...], says: str) -> None:
    done = calotype(folder, "render", *(str(folder / w) if w.startswith("in") else w for w in words))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "transform", "begins"),
    [
        ("a.png", "w_20", b"\x89PNG"),
        ("a.JPG", "w_20", b"\xff\xd8"),
        ("a.jpeg", "w_20,f_jpg", b"\xff\xd8"),
        ("a.gif", "w_20,f_auto", b"GIF8"),
        ("a.webp", "t_card", b"RIFF"),
        ("a.bin", "w_20,f_png", b"\x89PNG"),
        ("a", "w_20", b"\xff\xd8"),
        ("a", "w_20,f_webp", b"RIFF"),
        ("a.png", "w_20,f_jpg", None),
        ("a.jpeg", "w_20,f_webp", None),
        ("a.tiff", "w_20,f_webp", None),
        ("a.tiff", "w_20", None),
        ("a.heic", "w_20", None),
        ("a.txt", "w_20", None),
    ],
)
def test_the_suffix_of_the_output_selects_the_format(
    folder: Path, name: str, transform: str, begins: bytes | None
) -> None:
    out = folder / "made" / name
    words = ("render", str(folder / "in/photo.jpg"), transform, "-o", str(out))
    done = calotype(folder, *words, CALOTYPE_PRESETS__CARD="w_30,f_auto")
    if begins is None:
        assert (done.returncode, out.parent.exists()) == (1, False)
        assert done.stderr.startswith("Error: -o: ")
        assert done.stderr.count("\n") == 1
    else:
        assert (done.returncode, done.stdout) == (0, "")
        assert out.read_bytes().startswith(begins)


def test_render_draws_files_beside_the_input_and_texts_as_layers(folder: Path) -> None:
    out = folder / "made.png"
    layers = "l_deep:photo.png;w:20;h:20;c:scale;g:north_west,l_;t:A;f:Squares;s:20;co:00f;g:south_east"
    with font_folder("Squares") as fonts:
        fonts_setting = {"CALOTYPE_RENDER__FONTS": f'["{fonts}"]'}
        done = calotype(
            folder, "render", str(folder / "in/photo.jpg"), f"w_60,{layers}", "-o", str(out), **fonts_setting
        )
        assert done.returncode == 0, done.stderr
    made = out.read_bytes()
    assert pictures.pixel(made, 2, 2) == pictures.pixel(pictures.quarters_as("png"), 2, 2)
    assert pictures.pixel(made, -3, -3)[:3] == [0, 0, 255]
    missing = calotype(folder, "render", str(folder / "in/photo.jpg"), "w_60,l_gone.png", "-o", str(out))
    assert missing.stderr.startswith("Error: original-not-found")


def test_render_between_standard_input_and_output(folder: Path) -> None:
    at = folder / "empty"
    at.mkdir()

    def render(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return commands.calotype(
            "render", *words, env=environment(folder, PYTHONPATH=str(ROOT)), at=at, given=given
        )

    photo = (folder / "in/photo.jpg").read_bytes()
    for words in (
        ("-", "w_40,f_png", "-o", "-"),
        ("-", "w_40,f_png"),
        (str(folder / "in/photo.jpg"), "w_40,f_png"),
    ):
        done = render(*words, given=photo)
        assert done.returncode == 0
        assert pictures.size(done.stdout)[0] == 40
        assert done.stdout.startswith(b"\x89PNG")
        assert done.stderr.startswith(b"standard output: 40x")
        assert done.stderr.count(b"\n") == 1
    output = render("-", "w_40", given=photo)
    assert output.stdout.startswith(b"\xff\xd8")
    assert not list(at.iterdir())
    assert render("-", "w_40", "-o", "made.webp", given=photo).returncode == 0
    assert [path.name for path in at.iterdir()] == ["made.webp"]
    for given, says in (
        (b"", b"Error: "),
        (b"no picture", b"unsupported-format"),
        (photo[:-2000], b"undecodable"),
    ):
        done = render("-", "w_40", "-o", "other.webp", given=given)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
        assert says in done.stderr
    assert [path.name for path in at.iterdir()] == ["made.webp"]


def test_render_writes_a_variant_of_each_original_of_a_folder(folder: Path) -> None:
    temporary_file(folder / "in", "broken.jpg", pictures.photo_as("jpeg")[:-2000])
    done = calotype(folder, "render", str(folder / "in"), "w_50,f_webp", "-o", str(folder / "out"))
    assert done.returncode == 1
    made = sorted(path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*.*"))
    assert made == ["deep/photo.gif.webp", "deep/photo.png.webp", "photo.webp"]
    assert "broken.jpg: undecodable: the original is cut short" in done.stderr
    assert f"{folder}/out/photo.webp: 50x" in done.stderr
    assert re.search(r"deep/photo.gif.webp: 50x[0-9]+ webp, [0-9]+ frames, [0-9]+ bytes, ", done.stderr)
    assert "3 rendered" in done.stderr
    assert "1 failed" in done.stderr


def test_render_prints_json(folder: Path) -> None:
    out = folder / "small.png"
    done = calotype(folder, "render", str(folder / "in/photo.jpg"), "w_40", "-o", str(out), "--json")
    document = json.loads(done.stderr)
    assert document.pop("seconds") > 0
    assert document == {
        "output": str(out),
        "width": 40,
        "height": pictures.size(out.read_bytes())[1],
        "format": "png",
        "frames": 1,
        "bytes": len(out.read_bytes()),
    }


def test_url_prints_the_url_of_a_variant(folder: Path) -> None:
    done = calotype(folder, "url", "a b/é.jpg", "h_300,w_400,c_fill,f_auto")
    assert done.stdout == "http://127.0.0.1:8080/w_400,h_300,c_fill,f_auto/a%20b/%C3%A9.jpg\n"
    query = calotype(folder, "url", "a.jpg", "w_400,c_fill,h_2", "--query")
    assert query.stdout == "http://127.0.0.1:8080/thumbnail?url=a.jpg&w=400&h=2&fit=cover\n"
    document = json.loads(calotype(folder, "url", "a.jpg", "w_4", "--json").stdout)
    assert document == {"url": "http://127.0.0.1:8080/w_4/a.jpg"}
    assert calotype(folder, "url", "../a.jpg", "w_4").returncode == 1
    assert calotype(folder, "url", "a.jpg", "").returncode == 1


KEYS = {"CALOTYPE_SIGNING__KEYS__ONE": "1" * 32, "CALOTYPE_SIGNING__KEYS__TWO": "2" * 32}
SIGNING = KEYS | {
    "CALOTYPE_SOURCES__ALL__PATH": "in",
    "CALOTYPE_MOUNTS__ALL__SOURCE": "all",
    "CALOTYPE_MOUNTS__ALL__SIGNING": "required",
    "CALOTYPE_SIGNING__SESSION": "cookie:sid",
}


def test_sign_prints_a_signed_url(folder: Path) -> None:
    made = calotype(folder, "url", "photo.jpg", "w_101", "--sign", **SIGNING).stdout.strip()
    target = made.removeprefix("http://127.0.0.1:8080")
    assert verify(target, {"one": b"1" * 32}) == Signed(
        target="/w_101/photo.jpg", key_id="one", restrictions=Restrictions()
    )
    again = calotype(folder, "sign", "http://127.0.0.1:8080/w_101/photo.jpg", **SIGNING)
    assert again.stdout.strip() == made
    as_json = calotype(folder, "sign", "http://127.0.0.1:8080/w_101/photo.jpg", "--json", **SIGNING)
    assert json.loads(as_json.stdout) == {"url": made}
    more = ("--key", "two", "--expires", "1h", "--domain", "shop.example", "--session", "a b")
    scoped = calotype(folder, "sign", "/thumbnail?url=photo.jpg&w=5", *more, **SIGNING).stdout.strip()
    half = calotype(folder, "sign", "/w_1/a", "--session", "\udcff", **SIGNING)
    assert (half.returncode, "parameter ses" in half.stderr) == (1, True)
    found = verify(scoped, {"two": b"2" * 32})
    assert found is not None
    assert (found.key_id, found.restrictions.domain, found.restrictions.session) == (
        "two",
        "shop.example",
        "a b",
    )
    assert found.restrictions.until_s is not None
    assert 3500 < found.restrictions.until_s - time.time() < 3601
    words = ("explain", made, "--originals", str(folder / "in"), "--json")
    document = json.loads(
        calotype(folder, *words, **SIGNING | {"CALOTYPE_MOUNTS__ALL__SOURCE": "originals"}).stdout
    )
    assert (document["signature"], document["signed_by"]) == ("valid", "one")


def test_a_url_is_signed_with_the_key_of_its_mount(folder: Path) -> None:
    more = {
        "CALOTYPE_MOUNTS__ALL__KEYS": '["one"]',
        "CALOTYPE_MOUNTS__FEW": '{"source": "all", "prefix": "/few/", "signing": "required", "keys": ["two"]}',
    }
    for target, key_id, secret in (("/w_5/a.jpg", "one", "1"), ("/few/w_5/a.jpg", "two", "2")):
        made = calotype(folder, "sign", target, **SIGNING, **more).stdout.strip()
        assert verify(made, {key_id: secret.encode() * 32}) is not None
    named = calotype(
        folder, "url", "a.jpg", "w_5", "--sign", "--mount", "few", **SIGNING, **more
    ).stdout.strip()
    assert verify(named.removeprefix("http://127.0.0.1:8080"), {"two": b"2" * 32}) is not None
    assert (
        "--mount: must be given"
        in calotype(folder, "url", "a.jpg", "w_5", "--sign", **SIGNING, **more).stderr
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sign", "ftp://a/b"), "must be an http or https URL, or a path"),
        (("sign", "/w_1/a?sig=b"), "already signed"),
        (("sign", "/w_1/a b"), "percent-encoded"),
        (("sign", "/w_1/a", "--key", "three"), "--key: mount all has no key"),
        (("url", "a", "w_1", "--sign", "--mount", "none"), "--mount: no mount has this name"),
        (("sign", "/w_1/a", "--expires", "soon"), "must be a duration"),
        (("sign", "/w_1/a", "--domain", "A/"), "parameter dom"),
        (("sign", "/w_1/a", "--expires", "0s"), "--expires: must be at least one second"),
        (("sign", "/w_1/a", "--expires", "9999999999d"), "parameter exp"),
        (("sign", "/w_1/é.jpg"), "percent-encoded"),
        (("sign", "/other/w_1/a", "--mount", "other"), "--mount: this URL belongs to mount all"),
        (("url", "a.jpg", "w_1", "--expires", "1h"), "require --sign"),
    ],
)
def test_sign_refuses_an_invalid_url(folder: Path, words: tuple[str, ...], says: str) -> None:
    done = calotype(folder, *words, **SIGNING)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "11111" not in done.stderr


def test_sign_refuses_a_mount_without_signing(folder: Path) -> None:
    unsigning = {name: value for name, value in SIGNING.items() if not name.endswith("SIGNING")}
    assert "mounts.all.signing: is off" in calotype(folder, "sign", "/w_1/a", **unsigning).stderr
    unnamed = {name: value for name, value in SIGNING.items() if not name.endswith("SESSION")}
    assert (
        "signing.session: must name" in calotype(folder, "sign", "/w_1/a", "--session", "a", **unnamed).stderr
    )
    assert "mounts: there is none" in calotype(folder, "url", "a", "w_1", "--sign").stderr


def test_commands_write_no_url_of_another_dialect(folder: Path) -> None:
    config = temporary_file(folder, "vendor.toml", VENDOR.format(folder=folder).encode())
    done = calotype(folder, "url", "photo.jpg", "w_9", "--config", str(config))
    assert (done.returncode, done.stdout) == (1, "")
    assert "mounts.a.dialect: is imgproxy; " in done.stderr
    signed = calotype(folder, "sign", "/unsafe/rs:fit:9:9/plain/photo.jpg", "--config", str(config))
    assert re.fullmatch(r"/[A-Za-z0-9_-]{43}/rs:fit:9:9/plain/photo\.jpg\n", signed.stdout)
    words = ("explain", "/unsafe/rs:fit:320:0/sm:1/plain/photo.jpg@png", "--config", str(config), "--json")
    document = json.loads(calotype(folder, *words).stdout)
    assert (document["dialect"], document["signature"]) == ("imgproxy", "unsigned")
    assert document["native"] is None, "no native mount answers it"
    assert "\nnative\n" in calotype(folder, *words[:-1]).stdout
    assert document["plan"] == "resize:320x4000:inside:never limit:4000 png:e6"


VENDOR = """
[sources.a]
path = "{folder}/in"
[mounts.a]
source = "a"
dialect = "imgproxy"
signing = "optional"
keys = ["old"]
[signing.keys]
old = "aa11:bb22"
"""


def test_explain_prints_the_plan_of_a_url(folder: Path) -> None:
    words = ("explain", "http://example.org/w_100,c_fill,f_auto/photo.jpg", "--originals", str(folder / "in"))
    document = json.loads(calotype(folder, *words, "--json", "--accept", "image/avif").stdout)
    assert document["format"] == "avif"
    assert document["plan"] == "resize:100x4000:inside:never limit:4000 avif:q52:e2"
    assert document["ignored"] == ["c: a fit needs both w and h"]
    assert document["signature"] == "unsigned"
    assert "plan       resize:100x4000:inside:never limit:4000 jpeg" in calotype(folder, *words).stdout
    refused = calotype(folder, "explain", "/w_101,f_png/photo.jpg", "--originals", str(folder / "in"))
    assert refused.returncode == 1
    assert "refused    dimension-not-allowed: parameter w must be one of " in refused.stdout
    assert "plan       resize:101x4000:inside:never limit:4000 png" in refused.stdout
    wrong = calotype(folder, "explain", "http://[::1/x", "--originals", str(folder / "in"))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "sources: give" in calotype(folder, "explain", "/w_1/a").stderr


def test_check_prints_the_state_of_each_part(folder: Path) -> None:
    well = calotype(folder, "check", "--originals", str(folder / "in"))
    assert well.returncode == 0
    assert "jpeg png webp avif gif" in well.stdout
    document = json.loads(calotype(folder, "check", "--originals", str(folder / "in"), "--json").stdout)
    assert {"part": "sources.originals", "ok": True, "message": str(folder / "in")} in document
    config = temporary_file(folder, "bad.toml", f"[sources.gone]\npath = '{folder}/gone'".encode())
    ill = calotype(folder, "check", "--config", str(config))
    assert ill.returncode == 1
    assert "FAIL  sources.gone: " in ill.stdout
    assert calotype(folder, "check").returncode == 1
    assert calotype(folder, "check", CALOTYPE_SERVER__PORT="high").stderr.startswith("Error: server.port: ")


class Served:
    def __init__(self, folder: Path, *words: str, **more: str) -> None:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port, self.admin_port = one.getsockname()[1], other.getsockname()[1]
        more = {
            "CALOTYPE_SERVER__PORT": str(self.port),
            "CALOTYPE_ADMIN__PORT": str(self.admin_port),
            "CALOTYPE_SERVER__REQUEST_TIMEOUT": f"{LONGEST_S}s",
            "CALOTYPE_RENDER__TIMEOUT": f"{LONGEST_S}s",
            **more,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(folder, **more),
        )  # fmt: skip

    def get(self, target: str, *, admin: bool = False) -> tuple[int, bytes]:
        with opened(f"http://127.0.0.1:{self.admin_port if admin else self.port}{target}") as answer:
            return answer.status, answer.read()

    def until_ready(self) -> "Served":
        def is_ready() -> bool:
            assert self.process.poll() is None
            with contextlib.suppress(OSError):
                return self.get("/readyz", admin=True)[0] == 200
            return False

        eventually_sync(is_ready)
        return self

    def until_metric(self, text: str) -> bool:
        """Waits until the metrics have this text."""
        return eventually_sync(lambda: text in self.get("/metrics", admin=True)[1].decode())

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, object]], str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=LONGEST_S)
        return (
            self.process.returncode,
            [json.loads(line) for line in out.splitlines() if line.startswith("{")],
            err,
        )


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    node = Served(folder, "--originals", str(folder / "in")).until_ready()
    yield node
    node.process.kill()
    node.process.communicate()


def test_serve_logs_requests_drains_and_exits_with_zero(served: Served) -> None:
    assert served.get("/w_100/photo.jpg")[0] == 200
    assert served.get("/w_100/photo.jpg")[0] == 200
    code, lines, err = served.stop()
    assert (code, err) == (0, "")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["outcome"], line.get("tier")) for line in requests] == [("miss", None), ("hit", "memory")]
    assert requests[0]["target"] == "/w_100/photo.jpg"
    others = [line["event"] for line in lines if line["level"] == "info" and line["event"] != "request"]
    assert others == ["ready", "draining", "stopped"]
    # A busy machine stops the loop.
    assert {line["event"] for line in lines if line["level"] != "info"} <= {"the event loop is blocked"}


def test_a_stop_finishes_a_running_request(served: Served, folder: Path) -> None:
    temporary_file(folder / "in", "large.png", pictures.photo_as("png", 2000, 1500))
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(
            b"GET /w_1600,f_avif,e_blur:30/large.png HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        served.until_metric('calotype_workers{state="busy"} 1.0')
        code, _, _ = served.stop()
        answer = b""
        while chunk := client.recv(2**16):
            answer += chunk
    assert code == 0
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_stalled_reader_does_not_delay_a_stop(folder: Path) -> None:
    temporary_file(folder / "in", "long.jpg", pictures.photo_as("jpeg") + b"x" * 30_000_000)
    node = Served(folder, "--originals", str(folder / "in"), CALOTYPE_SERVER__DRAIN="1s").until_ready()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", node.port))
        client.sendall(b"GET /original/long.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(1000)  # More is left to send than all buffers take.
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(LONGEST_S) == 0, "a client that does not read holds no drain up for ever"
    node.process.communicate()


def test_a_node_that_was_killed_serves_from_disk_after_a_restart(folder: Path) -> None:
    for how in (signal.SIGKILL, signal.SIGTERM):
        node = Served(folder, "--originals", str(folder / "in")).until_ready()
        body = node.get("/w_100,f_webp/photo.jpg")[1]
        node.until_metric('calotype_tier_entries{tier="disk"} 1.0')
        if how is signal.SIGTERM:
            assert node.until_metric('outcome="hit",status="200",tier="disk"')
        node.process.send_signal(how)
        node.process.communicate()
    assert body[8:12] == b"WEBP"


def test_a_node_listens_on_a_unix_socket(folder: Path) -> None:
    path = folder / "node.sock"
    node = Served(folder, "--originals", str(folder / "in"), CALOTYPE_SERVER__SOCKET=str(path)).until_ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"HEAD /w_100/photo.jpg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    assert node.stop()[0] == 0


def test_the_demo_generates_originals_and_prints_their_urls(folder: Path) -> None:
    node = Served(folder, "--demo").until_ready()
    try:
        urls = []
        assert node.process.stdout is not None
        for line in node.process.stdout:
            assert not (urls and line.startswith("{")), "no line of the log comes in between"
            if line.startswith("  http://"):
                urls.append(line.strip())
            if line.startswith("Stop"):
                break
        assert len(urls) == 12
        pages = [url for url in urls if f":{node.admin_port}/" in url]
        assert pages == urls[9:]
        for page in pages:
            with opened(page) as answer:
                assert answer.status == 200
        urls = urls[:9]
        for url in urls:
            with opened(url) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"].startswith("image/")
    finally:
        node.process.terminate()
        node.process.communicate(timeout=LONGEST_S)
    assert node.process.returncode == 0
    painted = {"lake.jpg", "tower.jpg", "poppies.jpg", "bottle.png", "orbit.gif", "marble.webp"}
    assert {path.name for path in (folder / "cache").glob("*originals/*")} >= painted


@pytest.mark.parametrize(
    ("words", "more", "says"),
    [
        ((), {}, "sources: none is configured"),
        (("--originals", "IN"), {"CALOTYPE_ADMIN__HOST": "0.0.0.0"}, "admin.token: must be set"),
        (("--originals", "IN", "--cache", "/proc/nope"), {}, "cache.disk.path: "),
        (("--originals", "IN"), {"CALOTYPE_MOUNTS__M__SOURCE": "other"}, "mounts.m.source: "),
        (("--config", "/nonexistent.toml"), {}, "no configuration file"),
    ],
)
def test_a_failed_start_has_its_reason_in_one_line(
    folder: Path, words: tuple[str, ...], more: dict[str, str], says: str
) -> None:
    done = calotype(
        folder, "serve", *(str(folder / "in") if word == "IN" else word for word in words), **more
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_reported(served: Served, folder: Path) -> None:
    done = calotype(
        folder,
        "serve",
        "--originals",
        str(folder / "in"),
        "--port",
        str(served.port),
        CALOTYPE_ADMIN__PORT="0",
    )
    assert done.returncode == 1
    assert f"server.port: cannot listen on 127.0.0.1:{served.port}: Address already in use" in done.stderr
    assert "--port, CALOTYPE_SERVER__PORT or server.port (0 takes a free one)" in done.stderr
    admin = {"CALOTYPE_ADMIN__PORT": str(served.admin_port), "CALOTYPE_SERVER__PORT": "0"}
    for processes in ("1", "2"):
        more = admin | {"CALOTYPE_SERVER__PROCESSES": processes}
        done = calotype(folder, "serve", "--originals", str(folder / "in"), **more)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"admin.port: cannot listen on 127.0.0.1:{served.admin_port}: Address already" in done.stderr
        assert "choose another with CALOTYPE_ADMIN__PORT" in done.stderr
    nowhere = calotype(
        folder, "serve", "--originals", str(folder / "in"), "--host", "192.0.2.1", CALOTYPE_ADMIN__PORT="0"
    )
    assert "server.host: cannot listen on 192.0.2.1:8080: " in nowhere.stderr


def test_a_full_log_fails_no_request(folder: Path) -> None:
    with open("/dev/full", "w") as full, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve", "--originals", str(folder / "in"), "--port", str(port)],
            stdout=full, stderr=subprocess.PIPE, cwd=ROOT, env=environment(folder, CALOTYPE_ADMIN__PORT="0"),
        )  # fmt: skip

        def answers() -> bool:
            with (
                contextlib.suppress(OSError),
                opened(f"http://127.0.0.1:{port}/w_100/photo.jpg") as answer,
            ):
                return answer.status == 200
            return False

        eventually_sync(answers)
        process.terminate()
        process.communicate(timeout=LONGEST_S)


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("form", ["auto", "json", "text"])
def test_the_log_has_the_configured_format(folder: Path, form: str, processes: str) -> None:
    more = {"CALOTYPE_LOG__FORMAT": form, "CALOTYPE_SERVER__PROCESSES": processes}
    node = Served(folder, "--originals", str(folder / "in"), **more).until_ready()
    assert node.get("/w_100/photo.jpg")[0] == 200
    node.process.terminate()
    out, err = node.process.communicate(timeout=LONGEST_S)
    assert err == ""
    about = [line for line in out.splitlines() if "/w_100/photo.jpg" in line]
    if form == "text":
        assert "  200  miss " in about[-1]
        assert "\x1b" not in out
        assert not any(line.startswith("{") for line in out.splitlines())
    else:
        assert all(json.loads(line)["event"] for line in out.splitlines())
        assert json.loads(about[-1])["status"] == 200


@pytest.mark.parametrize(("level", "events"), [("debug", 3), ("info", 3), ("warning", 0), ("error", 0)])
def test_the_log_level_selects_events(folder: Path, level: str, events: int) -> None:
    node = Served(folder, "--originals", str(folder / "in"), CALOTYPE_LOG__LEVEL=level).until_ready()
    assert node.get("/w_100/photo.jpg")[0] == 200
    assert b'outcome="miss"' in node.get("/metrics", admin=True)[1]
    code, lines, _ = node.stop()
    assert code == 0
    event_names = [line["event"] for line in lines if line["level"] == "info"]
    assert event_names.count("request") == bool(events)
    assert len(event_names) - event_names.count("request") == events


CONFIG_FILE = """
[server]
host = "::1"
port = 1000
drain = "1500ms"
[sources.shop]
kind = "s3"
bucket = "pictures"
access_key = "reader"
secret_key = "classified-of-the-file"
[sources.photos]
path = "{folder}/in"
[mounts.shop]
source = "shop"
signing = "required"
[presets]
card = "w_480,f_auto"
"""
CONFIG_ENVIRONMENT = {
    "CALOTYPE_SERVER__DRAIN": "90s",
    "CALOTYPE_SERVER__PORT": "2000",
    "CALOTYPE_SIGNING__KEYS__WEB1": "classified" * 4,
    "CALOTYPE_REDIS__URL": "redis://:classified@redis.internal/0",
    "CALOTYPE_ADMIN": '{"token": "classified-of-the-node"}',
    "CALOTYPE_PURGE__HOOK": "https://me:classified@cdn.example/purge?key=classified",
}
CONFIG_VALUES = (
    ("server.port", "3000", "flag --port"),
    ("server.drain", '"90s"', "environment CALOTYPE_SERVER__DRAIN"),
    ("server.host", '"::1"', "file {config}"),
    ("server.request_timeout", '"10s"', "default"),
    ("sources.shop.bucket", '"pictures"', "file {config}"),
    ("sources.shop.secret_key", '"********"', "file {config}"),
    ("sources.photos.kind", '"directory"', "default"),
    ("mounts.shop.max_age", '"365d"', "default"),
    ("signing.keys.web1", '"********"', "environment CALOTYPE_SIGNING__KEYS__WEB1"),
    ("admin.token", '"********"', "environment CALOTYPE_ADMIN"),
    ("admin.port", "8081", "default"),
    ("redis.url", '"********"', "environment CALOTYPE_REDIS__URL"),
    ("redis.timeout", '"50ms"', "default"),
    ("purge.hook", '"https://********@cdn.example/purge?********"', "environment CALOTYPE_PURGE__HOOK"),
    ("cache.memory.max_bytes", '"256MiB"', "default"),
    ("presets.card", '"w_480,f_auto"', "file {config}"),
    ("cache.disk.path", '""', "default: {folder}/cache/calotype"),
)
"""Settings, the value that `calotype config` prints, and where the value comes from."""


@pytest.fixture
def config_file(folder: Path) -> Path:
    return temporary_file(folder, "node.toml", CONFIG_FILE.format(folder=folder).encode())


def test_config_prints_the_origin_of_each_value_and_no_secret(folder: Path, config_file: Path) -> None:
    done = calotype(folder, "config", "--config", str(config_file), "--port", "3000", **CONFIG_ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "classified" not in done.stdout
    lines = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    for name, value, origin in CONFIG_VALUES:
        printed, _, comes_from = lines[name].partition("  # ")
        expected = origin.format(config=config_file, folder=folder)
        assert (name, printed.strip(), comes_from) == (name, value, expected)


def test_config_prints_origins_as_json(folder: Path, config_file: Path) -> None:
    done = calotype(folder, "config", "--config", str(config_file), "--json", **CONFIG_ENVIRONMENT)
    document = json.loads(done.stdout)
    assert document["server.port"] == {
        "value": 2000,
        "origin": "environment",
        "where": "CALOTYPE_SERVER__PORT",
    }
    assert document["cache.memory.max_bytes"] == {"value": "256MiB", "origin": "default", "where": ""}


def test_the_output_of_config_is_a_valid_configuration(folder: Path) -> None:
    words = ("--originals", str(folder / "in"), "--processes", "3", "--cache", str(folder / "c d"))
    printed = calotype(folder, "config", *words).stdout
    assert f'sources.originals.path = "{folder}/in"' in printed
    assert "flag --originals" in printed
    assert "flag --cache" in printed
    assert 'mounts.originals.source = "originals"' in printed
    config = temporary_file(folder, "again.toml", printed.encode())
    again = calotype(folder, "config", "--config", str(config))
    assert (again.returncode, again.stderr) == (0, "")
    values = [line.partition("  # ")[0].rstrip() for line in printed.splitlines()]
    assert values == [line.partition("  # ")[0].rstrip() for line in again.stdout.splitlines()]
    wrong = calotype(folder, "config", CALOTYPE_SERVER__PORT="high")
    assert (wrong.returncode, wrong.stderr) == (1, "Error: server.port: must be a whole number\n")


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_serve_prints_three_urls_of_existing_originals(folder: Path, form: str, processes: str) -> None:
    more = {"CALOTYPE_LOG__FORMAT": form, "CALOTYPE_SERVER__PROCESSES": processes}
    node = Served(folder, "--originals", str(folder / "in"), **more)
    try:
        urls: list[str] = []
        assert node.process.stdout is not None
        for line in node.process.stdout:
            urls += re.findall(r"http://127\.0\.0\.1:[0-9]+/w_[^\s\"]+", line)
            if len(urls) == 3:
                break
        for url in urls:
            with opened(url) as answer:
                assert answer.headers["Content-Type"].startswith("image/")
        assert {url.partition("/w_")[2].partition("/")[2] for url in urls} == {
            "deep/photo.gif", "deep/photo.png", "photo.jpg",
        }  # fmt: skip
    finally:
        node.process.terminate()
        node.process.communicate(timeout=LONGEST_S)


@pytest.mark.parametrize(
    ("mounts", "begins"),
    [
        ({"signing": "required"}, "/w_640/photo.jpg?sig="),
        ({"presets_only": True}, "/t_card/photo.jpg"),
        ({"prefix": "/shop/"}, "/shop/w_640/photo.jpg"),
    ],
)
def test_the_printed_urls_are_allowed_by_the_mount(
    folder: Path, mounts: dict[str, object], begins: str
) -> None:
    (folder / "one").mkdir()
    (folder / "in/photo.jpg").rename(folder / "one/photo.jpg")
    more = {
        "CALOTYPE_SOURCES": json.dumps({"one": {"path": str(folder / "one")}}),
        "CALOTYPE_MOUNTS": json.dumps({"m": {"source": "one", **mounts}}),
        "CALOTYPE_PRESETS__CARD": "w_40",
        **(KEYS if "signing" in mounts else {}),
    }
    node = Served(folder, **more)
    try:
        assert node.process.stdout is not None
        ready = next(
            log_line for line in node.process.stdout if (log_line := json.loads(line))["event"] == "ready"
        )
        assert len(ready["open"]) == 3
        assert ready["open"][0].startswith(f"http://127.0.0.1:{node.port}{begins}")
        for url in ready["open"]:
            with opened(url) as answer:
                assert answer.headers["Content-Type"].startswith("image/")
    finally:
        node.process.terminate()
        node.process.communicate(timeout=LONGEST_S)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_shared_cache_directory_is_reported_as_a_warning(
    served: Served, folder: Path, processes: str
) -> None:
    other = Served(
        folder, "--originals", str(folder / "in"), CALOTYPE_SERVER__PROCESSES=processes
    ).until_ready()
    code, lines, _ = other.stop()
    assert code == 0
    (warned,) = [line for line in lines if "another node uses this cache directory" in str(line["event"])]
    assert (warned["level"], warned["path"], warned["others"]) == ("warning", f"{folder}/cache/calotype", 1)
    _, lines, _ = served.stop()
    assert not [
        line for line in lines if line["level"] == "warning" and "cache directory" in str(line["event"])
    ]
