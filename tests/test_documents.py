"""The README's recipes for signing, each in its own language, sign as the node verifies."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.core.url.signing import verify

README = (Path(__file__).parent.parent / "README.md").read_text().partition("## Signed URLs")[2]
SECRET = "0123456789abcdef0123456789abcdef"
TARGETS = [
    "/w_400/a.jpg",
    "/thumbnail?url=a%20b.jpg&w=400",
    "/w_400/%C3%A9/a.jpg?exp=4000000000&dom=shop.example",
]


def recipe(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def python(folder: Path) -> list[str]:
    (folder / "a.py").write_text(recipe("python") + "\nimport sys\nprint(sign(sys.argv[1], sys.argv[2]))\n")
    return ["python3", "a.py"]


def javascript(folder: Path) -> list[str]:
    (folder / "a.cjs").write_text(recipe("javascript") + "\nconsole.log(sign(...process.argv.slice(2)));\n")
    return ["node", "a.cjs"]


def php(folder: Path) -> list[str]:
    (folder / "a.php").write_text(f"<?php\n{recipe('php')}\necho sign($argv[1], $argv[2]), PHP_EOL;\n")
    return ["php", "a.php"]


def go(folder: Path) -> list[str]:
    imports = recipe("go").replace("import (", 'import (\n\t"fmt"\n\t"os"')
    (folder / "a.go").write_text(
        f"package main\n{imports}\nfunc main() {{ fmt.Println(Sign(os.Args[1], os.Args[2])) }}\n"
    )
    return ["go", "run", "a.go"]


FOUND: list[Callable[[Path], list[str]]] = [
    python,
    javascript,
    *(make for make in (php, go) if shutil.which(make.__name__)),
]


@pytest.mark.parametrize("make", FOUND)
def test_a_recipe_signs_as_the_node_verifies(make: Callable[[Path], list[str]], tmp_path: Path) -> None:
    command = make(tmp_path)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing; as root: apt-get install nodejs")
    for target in TARGETS:
        done = subprocess.run(
            [*command, target, SECRET], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        signed = verify(done.stdout.strip(), {"k": SECRET.encode()})
        assert signed is not None
        assert target.startswith(signed.target)
