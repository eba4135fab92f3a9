"""`calotype import`: what it prints is loaded by a node, which then answers the vendor's URLs."""

import base64
import hashlib
import hmac
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.settings import load
from proxy.core.url.dialects.registry import DIALECTS
from tests.stories.fleet import Node
from tests.stories.test_commands import calotype
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.servers import http_ok

KEY, SALT, THUMBOR = "aa" * 16, "bb" * 16, "the key of a thumbor that was"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    temporary_file(tmp_path / "pictures", "photo.jpg", pictures.photo_as("jpeg"))
    return tmp_path


@pytest.fixture
def node(folder: Path) -> Iterator[Callable[[str], Node]]:
    """Starts a node with imported settings, on free ports."""
    started: list[Node] = []

    def start(text: str) -> Node:
        sections: dict[str, Any] = tomllib.loads(text)
        sections.pop("server", None)
        node = Node(folder / "node", **sections)
        started.append(node)
        node.start()
        return node

    yield start
    for node in started:
        node.kill()


def imported(folder: Path, name: str, text: str, *words: str) -> str:
    (folder / name).write_text(text)
    done = calotype(folder, "import", str(folder / name), *words)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stdout.splitlines() if line.startswith("# - ")]
    assert done.stderr.splitlines() == [note.removeprefix("# - ") for note in notes]
    load(None, tomllib.loads(done.stdout))
    return done.stdout


def imgproxy_signed(path: str) -> str:
    mac = hmac.digest(bytes.fromhex(KEY), bytes.fromhex(SALT) + path.encode(), hashlib.sha256)
    return f"/{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}{path}"


def test_imgproxy(folder: Path, node: Callable[[str], Node]) -> None:
    text = imported(
        folder,
        "imgproxy.env",
        f"IMGPROXY_KEY={KEY}\nIMGPROXY_SALT={SALT}\nIMGPROXY_BIND=:8080\nIMGPROXY_SECRET=hidden\n"
        f"IMGPROXY_LOCAL_FILESYSTEM_ROOT={folder / 'pictures'}\nIMGPROXY_ALLOWED_SOURCES=local://\n"
        "IMGPROXY_PRESETS=card=rs:fill:60:40:1/f:png\nIMGPROXY_AUTO_WEBP=true\nIMGPROXY_TTL=60\n",
    )
    assert "# - IMGPROXY_SECRET: " in text
    assert "hidden" not in text
    running = node(text)
    for path, size in (
        ("/rs:fit:100/plain/local:///photo.jpg", 100),
        ("/pr:card/plain/local:///photo.jpg", 60),
    ):
        assert http_ok(running.port, imgproxy_signed(path)), size
    assert not http_ok(running.port, "/_/rs:fit:100/plain/local:///photo.jpg")
    assert not http_ok(running.port, imgproxy_signed("/rs:fit:100/plain/photo.jpg").replace("100", "101"))


def test_thumbor(folder: Path, node: Callable[[str], Node]) -> None:
    text = imported(
        folder,
        "thumbor.conf",
        f"SECURITY_KEY = {THUMBOR!r}\nALLOW_UNSAFE_URL = False\nLOADER = 'thumbor.loaders.file_loader'\n"
        f"FILE_LOADER_ROOT_PATH = {str(folder / 'pictures')!r}\nQUALITY = 70\nMAX_AGE = 60 * 60\n"
        f"open({str(folder / 'executed')!r}, 'w').close()\nAUTO_WEBP = bool(1)\n",
    )
    assert not (folder / "executed").exists()
    running = node(text)
    rest = "100x0/photo.jpg"
    mac = base64.urlsafe_b64encode(hmac.digest(THUMBOR.encode(), rest.encode(), hashlib.sha1)).decode()
    assert http_ok(running.port, f"/{mac}/{rest}")
    assert not http_ok(running.port, f"/unsafe/{rest}")
    assert not http_ok(running.port, f"/{mac}/200x0/photo.jpg")


def test_next(folder: Path, node: Callable[[str], Node]) -> None:
    text = imported(
        folder,
        "next.config.mjs",
        "export default { images: { deviceSizes: [320], imageSizes: [64], formats: ['image/webp'] } }",
    )
    sections = tomllib.loads(text)
    assert sections["sources"]["app"]["base_url"] == "http://127.0.0.1:3000/"
    directory = text.replace('kind = "http"\nbase_url = "http://127.0.0.1:3000/"\nallow_private = true\n', "")
    directory = directory.replace(
        "[sources.app]\n", f"[sources.app]\npath = {json.dumps(str(folder / 'pictures'))}\n"
    )
    running = node(directory)
    assert http_ok(running.port, "/_next/image?url=%2Fphoto.jpg&w=320&q=75")
    assert not http_ok(running.port, "/_next/image?url=%2Fphoto.jpg&w=640&q=75")


def test_presets(folder: Path) -> None:
    text = imported(folder, "presets.json", '{"card": "w_60,h_40,c_fill", "hero": "rs:fit:900"}')
    assert tomllib.loads(text) == {"presets": {"card": "w_60,h_40,c_fill", "hero": "w_900"}}


def test_the_kind_may_be_named(folder: Path) -> None:
    text = imported(folder, "environment", "IMGPROXY_LOCAL_FILESYSTEM_ROOT=/srv", "--from", "imgproxy")
    assert tomllib.loads(text)["mounts"]["images"]["dialect"] in DIALECTS


def test_json_has_the_file_and_the_notes(folder: Path) -> None:
    (folder / "presets.json").write_text('{"card": "w_60", "bad": "x:y"}')
    done = calotype(folder, "import", str(folder / "presets.json"), "--json")
    found = json.loads(done.stdout)
    assert tomllib.loads(found["toml"]) == {"presets": {"card": "w_60"}}
    assert found["notes"] == ["preset 'bad': option x is unknown; is ex meant?"]
    assert done.stderr == ""


def test_settings_that_a_node_refuses_have_a_note(folder: Path) -> None:
    (folder / "x.env").write_text("IMGPROXY_KEY=zz\nIMGPROXY_SALT=zz\nIMGPROXY_LOCAL_FILESYSTEM_ROOT=/srv\n")
    done = calotype(folder, "import", str(folder / "x.env"))
    assert done.returncode == 0
    assert "calotype: a node does not start with these settings: signing.keys.imgproxy1" in done.stderr
    assert "zz" not in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("missing.env", None, 1, "cannot be read"),
        ("settings", "A=1", 1, "--from imgproxy, thumbor, next or presets"),
        ("x.env", "A=1", 1, "has no variable that begins with IMGPROXY_"),
        ("x.conf", "a b", 1, "is not a Python file"),
        ("next.config.js", "module.exports = {}", 1, "has no images"),
        ("x.json", "[]", 1, "must be a JSON object"),
        ("x.json", "\udcff", 1, "is not UTF-8"),
    ],
)
def test_an_error_is_one_line(folder: Path, name: str, text: str | None, code: int, says: str) -> None:
    if text is not None:
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    done = calotype(folder, "import", str(folder / name))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert says in done.stderr


@pytest.mark.parametrize("words", [[], ["a.env", "--transforms", "a.env"], ["a.env", "--mount", "x"]])
def test_a_wrong_command_line(folder: Path, words: list[str]) -> None:
    (folder / "a.env").write_text("")
    done = calotype(folder, "import", *(str(folder / word) if "." in word else word for word in words))
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: calotype import ")


def test_the_transforms_of_an_access_log(folder: Path) -> None:
    targets = ["/w_333,f_auto/a.jpg", "/f_auto,w_333/b.jpg", "/w_77/a.jpg", "/nothing"]
    (folder / "log").write_text(
        "".join(f'x - - [1] "GET {target} HTTP/1.1" 200 5 "-" "-"\n' for target in targets)
    )
    (folder / "shop.toml").write_text(f'[sources.shop]\npath = "{folder}"\n')
    words = ["import", "--transforms", str(folder / "log"), "--config", str(folder / "shop.toml")]
    done = calotype(folder, *words)
    assert (done.returncode, done.stderr) == (0, "2 transforms\n")
    found = tomllib.loads(done.stdout)
    assert found == {"mounts": {"shop": {"transforms": ["w_333,f_auto", "w_77"]}}}
    assert '"w_333,f_auto",  # 2\n' in done.stdout
    found["mounts"]["shop"]["source"] = "shop"
    assert load(folder / "shop.toml", found).mounts["shop"].transforms == ("w_333,f_auto", "w_77")
    as_json = calotype(folder, *words, "--json", "--mount", "shop")
    assert json.loads(as_json.stdout) == {"shop": {"w_333,f_auto": 2, "w_77": 1}}
    assert "names no mount" in calotype(folder, *words, "--mount", "blog").stderr
