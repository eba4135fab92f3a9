"""`calotype upload` and `calotype info`: originals by the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.test_commands import Served, calotype
from tests.support import pictures
from tests.support.fakes import temporary_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    temporary_file(tmp_path / "in", "photo.jpg", pictures.with_exif())
    temporary_file(tmp_path / "new", "red.png", pictures.quarters_as("png"))
    temporary_file(tmp_path / "new", "blue.jpg", pictures.photo_as("jpeg"))
    temporary_file(tmp_path / "new", "notes.txt", b"no picture")
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    temporary_file(
        folder, "shop.toml", b'[presets]\ncard = "w_100,h_100,c_fill"\n[eager]\npresets = ["card"]\n'
    )
    node = Served(
        folder, "--config", str(folder / "shop.toml"), "--originals", str(folder / "in")
    ).until_ready()
    yield node
    node.stop()


def upload(served: Served, folder: Path, *words: str) -> tuple[int, str, str]:
    done = calotype(folder, "upload", *words, "--node", f"http://127.0.0.1:{served.admin_port}")
    return done.returncode, done.stdout, done.stderr


def test_upload_stores_files_and_names_the_refused_one(served: Served, folder: Path) -> None:
    files = [str(folder / "new" / name) for name in ("red.png", "notes.txt", "blue.jpg")]
    code, out, err = upload(served, folder, *files)
    assert code == 1
    assert err == f"{files[1]}: the original is not a JPEG, PNG, WebP, GIF or AVIF picture\n"
    keys = out.splitlines()[::2]
    assert [key.rpartition("/")[2] for key in keys] == ["red.png", "blue.jpg"]
    assert out.splitlines()[1::2] == [f"  card: /t_card/{key}" for key in keys]
    for key in keys:
        assert served.get(f"/t_card/{key}")[0] == 200


def test_upload_replaces_an_original_with_overwrite_only(served: Served, folder: Path) -> None:
    red, blue = (str(folder / "new" / name) for name in ("red.png", "blue.jpg"))
    code, out, _ = upload(served, folder, red, "--key", "shoes/one.png", "--json")
    assert (code, json.loads(out)["key"]) == (0, "shoes/one.png")
    code, out, err = upload(served, folder, blue, "--key", "shoes/one.png")
    assert (code, out) == (1, "")
    assert "--overwrite replaces it" in err
    code, out, _ = upload(served, folder, blue, "--key", "shoes/one.png", "--overwrite")
    assert (code, out.splitlines()[0]) == (0, "shoes/one.png")
    assert pictures.size(served.get("/w_2560/shoes/one.png")[1]) == (640, 480)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("new/red.png", "new/blue.jpg", "--key", "a.png"), "--key: give one FILE"),
        (("new/red.png", "--overwrite"), "--overwrite: needs --key"),
        (("new/red.png", "--key", ""), "--key: is empty"),
        (("new/red.png", "--node", "http://127.0.0.1:9"), "--node: no node answers"),
    ],
)
def test_upload_reports_an_error_in_one_line(folder: Path, words: tuple[str, ...], says: str) -> None:
    names = [str(folder / word) if word.startswith("new/") else word for word in words]
    done = calotype(folder, "upload", *names)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_info_describes_a_file_and_a_key_alike(folder: Path) -> None:
    of_file = calotype(folder, "info", str(folder / "in/photo.jpg"), "--json")
    of_key = calotype(
        folder,
        "info",
        "photo.jpg",
        "--json",
        CALOTYPE_SOURCES=json.dumps({"a": {"path": str(folder / "in")}}),
    )
    file, key = json.loads(of_file.stdout), json.loads(of_key.stdout)
    assert file.pop("etag")
    assert key.pop("etag")
    assert file == key
    assert file["format"] == "jpeg"
    (folder / "link.jpg").symlink_to(folder / "in/photo.jpg")
    assert calotype(folder, "info", str(folder / "link.jpg"), "--json").stdout == of_file.stdout
    text = calotype(folder, "info", str(folder / "in/photo.jpg")).stdout
    assert f"width: {file['width']}\n" in text
    assert "exif:\n  " in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("none.jpg",), "none.jpg: no such file, and no configured source"),
        (("n" * 300,), "no such file, and no configured source"),
        (("new/notes.txt",), "unsupported-format: "),
    ],
)
def test_info_reports_an_error_in_one_line(folder: Path, words: tuple[str, ...], says: str) -> None:
    done = calotype(folder, "info", *(str(folder / word) if "/" in word else word for word in words))
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_needs_the_mount_where_there_are_several(folder: Path) -> None:
    source = {"path": str(folder / "in")}
    mounts = {name: {"source": name, "prefix": f"/{name}/"} for name in ("a", "b")}
    env = {"CALOTYPE_SOURCES": json.dumps({"a": source, "b": source}), "CALOTYPE_MOUNTS": json.dumps(mounts)}
    for words in (("photo.jpg",), ("photo.jpg", "--mount", "c")):
        done = calotype(folder, "info", *words, **env)
        assert "--mount: must be one of a, b" in done.stderr
    assert calotype(folder, "info", "photo.jpg", "--mount", "b", **env).returncode == 0
