"""`./run` works from any directory; relative paths refer to the directory of the caller."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S


def run(at: Path, *words: str, script: Path = ROOT / "run", **more: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALOTYPE_")}
    return subprocess.run(
        [str(script), *words],
        capture_output=True, text=True, cwd=at, env={**inherited, "HOME": str(at), **more}, timeout=LONGEST_S, check=False,
    )  # fmt: skip


def test_relative_paths_refer_to_the_directory_of_the_caller(tmp_path: Path) -> None:
    at = tmp_path / "a b"
    temporary_file(at, "photo.jpg", pictures.photo_as("jpeg"))
    temporary_file(at, "calotype.toml", b'[sources.one]\npath = "."')
    # What the caller's directory holds is no part of the program.
    temporary_file(at, "proxy/__init__.py", b"raise SystemExit('shadowed')")
    done = run(at, "render", "photo.jpg", "w_40", "-o", "out/small.png")
    assert (done.returncode, "shadowed" in done.stderr) == (0, False)
    assert (at / "out/small.png").read_bytes().startswith(b"\x89PNG")
    assert (
        "Error: there is no configuration file other.toml"
        in run(at, "check", "--config", "other.toml").stderr
    )
    checked = run(at, "check", "--config", "calotype.toml")
    assert "ok    sources.one: ." in checked.stdout


@pytest.mark.parametrize("way", ["relative", "symlink", "CDPATH"])
def test_the_script_runs_under_any_path(tmp_path: Path, way: str) -> None:
    temporary_file(tmp_path, "photo.jpg", pictures.photo_as("jpeg"))
    script = Path(os.path.relpath(ROOT / "run", tmp_path))
    if way == "symlink":
        script = tmp_path / "calotype-run"
        script.symlink_to(ROOT / "run")
    more = {"CDPATH": str(ROOT.parent)} if way == "CDPATH" else {}
    done = run(tmp_path, "render", "photo.jpg", "w_40", "-o", "small.png", script=script, **more)
    assert done.returncode == 0
    assert (tmp_path / "small.png").exists()


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_the_words_of_the_script_and_the_commands(tmp_path: Path, word: str) -> None:
    help_text = run(tmp_path, word).stdout
    for listed in ("./run front", "./run test", "./run lint", "./run bench", "Usage: calotype", "  render  "):
        assert listed in help_text
    assert "set -eu" not in help_text
    assert "#!" not in help_text


def test_test_paths_refer_to_the_directory_of_the_caller(tmp_path: Path) -> None:
    folder = ROOT / "tests" / "core" / "cache"
    # Another home, so that no tool writes its settings into the checkout.
    done = run(folder, "test", "-q", "--collect-only", "test_keys.py", HOME=str(tmp_path))
    assert "tests/core/cache/test_keys.py::" in done.stdout


def test_a_missing_other_python_is_reported(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    for name in ("dirname", "readlink"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = run(tmp_path, "pythons", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert "no other supported Python was found" in done.stderr
