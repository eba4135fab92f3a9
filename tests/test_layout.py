"""The tests mirror the code: a module proxy/ROOM/X.py is tested by tests/ROOM/test_X.py, and no test is long."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROXY = TESTS.parent / "proxy"

TOPICS = ("clients", "contracts", "corpus", "http", "rivals", "stories")
"""Folders whose tests are named after a topic: the libraries for users, suites over every implementation of a port, the extra corpus, the whole
application, comparisons with other servers, whole nodes."""

COMPLETE_ROOMS = ("core", "service")
"""Each module of these rooms has a namesake test or an entry in TESTED_ELSEWHERE."""

TESTED_ELSEWHERE = {
    "core/image/completed.py": "core/image/test_container.py",
    "core/url/dialects/dialect.py": "core/url/dialects/native/test_urls.py",
    "core/url/dialects/imagekit/parameters.py": "core/url/dialects/imagekit/test_urls.py",
    "core/url/dialects/imgix/others.py": "core/url/dialects/imgix/test_parameters.py",
    "core/url/dialects/imgix/parameter_values.py": "core/url/dialects/imgix/test_operations.py",
    "core/url/dialects/next/ipx_modifiers.py": "core/url/dialects/next/test_ipx.py",
    **dict.fromkeys(
        ("core/url/dialects/texts.py", "core/url/dialects/native/texts.py"),
        "core/url/dialects/native/test_layers.py",
    ),
    "core/url/dialects/cloudinary/texts.py": "core/url/dialects/cloudinary/test_layers.py",
    "core/transform/layers.py": "http/test_layers.py",
    "core/url/dialects/native/params.py": "core/url/dialects/native/test_urls.py",
    "core/url/dialects/cloudflare/operations.py": "core/url/dialects/cloudflare/test_options.py",
    "core/url/dialects/cloudflare/readers.py": "core/url/dialects/cloudflare/test_options.py",
    "core/url/dialects/thumbor/filters.py": "core/url/dialects/thumbor/test_urls.py",
    **dict.fromkeys(
        (
            f"core/url/dialects/cloudinary/{name}.py"
            for name in ("components", "effects", "flags", "requested")
        ),
        "core/url/dialects/cloudinary/test_urls.py",
    ),
    **dict.fromkeys(
        (f"core/url/dialects/cloudinary/{name}.py" for name in ("corners", "params", "values")),
        "core/url/dialects/cloudinary/test_operations.py",
    ),
    "core/url/dialects/thumbor/options.py": "core/url/dialects/thumbor/test_urls.py",
    "core/url/dialects/imgproxy/signatures.py": "core/url/dialects/imgproxy/test_urls.py",
    "core/url/dialects/thumbor/signatures.py": "core/url/dialects/thumbor/test_urls.py",
    **dict.fromkeys(
        (
            "core/url/dialects/writing.py",
            *(
                f"core/url/dialects/{name}/writing.py"
                for name in ("cloudflare", "cloudinary", "imagekit", "imgix", "imgproxy", "next", "thumbor")
            ),
        ),
        "core/url/test_equivalents.py",
    ),
    "core/url/parsed_url.py": "core/url/dialects/native/test_urls.py",
    "service/admin/explain.py": "http/test_signed.py",
}
"""A module without a namesake test, and the file that tests it."""

TESTS_OF_SEVERAL = {
    "core/url/dialects/test_backgrounds.py": (
        "core/url/dialects/native/params.py",
        "core/url/dialects/cloudinary/params.py",
        "core/url/dialects/imgix/operations.py",
        "core/url/dialects/imagekit/steps.py",
        "core/url/dialects/thumbor/filters.py",
    ),
    "core/test_purity.py": ("core",),
    "core/url/test_entries.py": ("core/url/policy.py", "core/cache/keys.py", "core/transform/plan.py"),
    "render/test_hidden_faces.py": ("core/transform/layout.py", "render/steps.py"),
    "render/test_hostile.py": ("render/checked_original.py", "render/pipeline.py"),
    "service/request/test_fronts.py": ("service/request/deliver.py",),
    "service/request/test_several_originals.py": (
        "service/request/deliver.py",
        "service/request/produce.py",
        "service/admin/purges.py",
    ),
    "service/request/test_candidates.py": (
        "service/request/deliver.py",
        "service/request/originals.py",
        "service/admin/purges.py",
    ),
    "service/request/test_leased.py": ("service/request/tier_chain.py",),
}
"""A test file without a namesake module, and what it tests."""

MAX_TEST_LINES = 60


def modules() -> set[str]:
    found = (path.relative_to(PROXY) for path in PROXY.rglob("*.py"))
    return {path.as_posix() for path in found if path.name not in ("__init__.py", "__main__.py")}


def mirrored_tests() -> set[str]:
    """Test files in the rooms of the code. Those directly in tests/ check the repository: documents, layout."""
    found = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {path.as_posix() for path in found if len(path.parts) > 1 and path.parts[0] not in TOPICS}


def namesake_test(module: str) -> str:
    path = Path(module)
    return path.with_name(f"test_{path.name}").as_posix()


def namesake_module(test: str) -> str:
    path = Path(test)
    return path.with_name(path.name.removeprefix("test_")).as_posix()


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def test_every_test_file_is_named_after_a_module() -> None:
    strangers = {test for test in mirrored_tests() if namesake_module(test) not in modules()}
    assert strangers == set(TESTS_OF_SEVERAL), "name the file after a module, or add it to TESTS_OF_SEVERAL"


def test_every_module_of_core_and_service_has_a_test() -> None:
    required = {
        module for module in modules() if module.startswith(tuple(f"{room}/" for room in COMPLETE_ROOMS))
    }
    untested = {module for module in required if namesake_test(module) not in mirrored_tests()}
    assert untested == set(TESTED_ELSEWHERE), "write the namesake test, or add the module to TESTED_ELSEWHERE"


@pytest.mark.parametrize(("module", "test"), TESTED_ELSEWHERE.items())
def test_the_file_that_tests_a_module_exists(module: str, test: str) -> None:
    assert (PROXY / module).is_file()
    assert (TESTS / test).is_file()


@pytest.mark.parametrize(("test", "tested"), TESTS_OF_SEVERAL.items())
def test_the_modules_of_a_test_of_several_modules_exist(test: str, tested: tuple[str, ...]) -> None:
    assert (TESTS / test).is_file()
    assert [path for path in tested if not (PROXY / path).exists()] == []


def test_no_test_is_long() -> None:
    lengths = {
        f"{path.relative_to(TESTS)}::{test.name}": (test.end_lineno or 0) - test.lineno + 1
        for path in TESTS.rglob("test_*.py")
        for test in functions_of(path)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_TEST_LINES} == {}


def test_no_test_hides_another_of_the_same_name() -> None:
    for path in TESTS.rglob("test_*.py"):
        names = [test.name for test in functions_of(path)]
        assert sorted(names) == sorted(set(names)), path.relative_to(TESTS)
