"""A thumbor.conf is read as literals, and never executed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.admin.imports.thumbor_conf import assignments, read_thumbor


def settings(*lines: str) -> dict[str, object]:
    return {".".join(path): value for path, value in read_thumbor("\n".join(lines)).settings.items()}


def notes(*lines: str) -> str:
    return "\n".join(read_thumbor("\n".join(lines)).notes)


def test_only_literals_are_read() -> None:
    text = """
import os
A = 1
B: list = ['x', "y"]
C = 24 * 60 * 60
D = os.environ["HOME"]
E = __import__("os").system("touch /tmp/executed")
lower = 1
if D:
    F = {"a": 1}
    A = 3
A = 2
G: int
"""
    values, unknown = assignments(text)
    assert values == {"A": 2, "B": ["x", "y"], "C": 86_400}
    assert unknown == ["D", "E", "F", "A", "G"]


FILES = "LOADER = 'thumbor.loaders.file_loader'", "FILE_LOADER_ROOT_PATH = '/srv'"


def test_files_and_a_key() -> None:
    assert settings(*FILES, "SECURITY_KEY = 'secret'", "ALLOW_UNSAFE_URL = False") == {
        "sources.local.path": "/srv",
        "mounts.images.dialect": "thumbor",
        "mounts.images.source": "local",
        "signing.keys.thumbor": "secret",
        "mounts.images.signing": "required",
        "mounts.images.keys": ("thumbor",),
    }


def test_unsafe_urls() -> None:
    found = settings(*FILES, "SECURITY_KEY = b'secret'")
    assert (found["mounts.images.signing"], found["mounts.images.dimensions"]) == ("optional", "any")
    assert found["signing.keys.thumbor"] == "secret"
    unsigned = settings(*FILES, "SECURITY_KEY = 'MY_SECURE_KEY'")
    assert "mounts.images.signing" not in unsigned
    assert unsigned["mounts.images.open"] is True
    default = *FILES, "ALLOW_UNSAFE_URL = False"
    assert settings(*default)["signing.keys.thumbor"] == "MY_SECURE_KEY"
    assert "SECURITY_KEY: is that of every thumbor" in notes(*default)


@pytest.mark.parametrize(
    ("lines", "signing"),
    [
        (["SECURITY_KEY = os.environ['KEY']", "ALLOW_UNSAFE_URL = False"], "required"),
        (["SECURITY_KEY = os.environ['KEY']"], "optional"),
        (["SECURITY_KEY = 'secret'", "ALLOW_UNSAFE_URL = DEBUG"], "required"),
    ],
)
def test_what_is_not_known_opens_nothing(lines: list[str], signing: str) -> None:
    found = settings(*FILES, *lines)
    assert found["mounts.images.signing"] == signing
    assert found["mounts.images.keys"] == ("thumbor",)
    assert ("signing.keys.thumbor" in found) is ("'secret'" in lines[0])
    assert ("CALOTYPE_SIGNING__KEYS__THUMBOR" in notes(*FILES, *lines)) is ("environ" in lines[0])


def test_a_directory_that_is_not_known_is_never_the_root() -> None:
    assert settings("LOADER = 'thumbor.loaders.file_loader'")["sources.local.path"] == "pictures"


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        (["LOADER = 'thumbor.loaders.http_loader'"], ["web"]),
        (["QUALITY = 70"], ["web"]),
        (["LOADER = 'thumbor.loaders.file_loader_http_fallback'"], ["local", "web"]),
        (["LOADER = 'tc_aws.loaders.s3_loader'", "TC_AWS_LOADER_BUCKET = 'shop'"], ["bucket"]),
        (["LOADER = 'thumbor_aws.loader'", "AWS_LOADER_BUCKET_NAME = 'shop'"], ["bucket"]),
        (["LOADER = 'my.loader'"], ["web"]),
    ],
)
def test_loaders(lines: list[str], sources: list[str]) -> None:
    found = settings(*lines)
    names = [found.get("mounts.images.source"), found.get("mounts.images.remote")]
    assert [name for name in names if name] == sources


def test_a_bucket() -> None:
    found = settings(
        *("LOADER = 'tc_aws.loaders.s3_loader'", "TC_AWS_LOADER_BUCKET = 'shop'", "TC_AWS_REGION = 'eu'"),
        *("TC_AWS_ENDPOINT = 'https://minio.example'", "TC_AWS_LOADER_ROOT_PATH = '/photos/'"),
    )
    assert {name: value for name, value in found.items() if name.startswith("sources")} == {
        "sources.bucket.kind": "s3",
        "sources.bucket.bucket": "shop",
        "sources.bucket.region": "eu",
        "sources.bucket.endpoint_url": "https://minio.example",
        "sources.bucket.prefix": "photos/",
    }


def test_hosts() -> None:
    lines = [
        r"ALLOWED_SOURCES = ['a.example', r'^https?://b\.example$', 'http://C.example:8080', r'.+\.d\.example']"
    ]
    assert settings(*lines)["sources.web.hosts"] == ("a.example", "b.example", "c.example:8080")
    assert "is a pattern" in notes(*lines)
    assert "put the hosts" in notes("ALLOWED_SOURCES = []")


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("QUALITY = 70", "formats.quality", 70),
        ("MAX_AGE = 24 * 60 * 60", "mounts.images.max_age", "86400s"),
        ("MAX_PIXELS = 75e6", "limits.original_max_pixels", 75_000_000),
        ("MAX_WIDTH = 2000", "limits.output_max_side", 2000),
        ("HTTP_LOADER_REQUEST_TIMEOUT = 20", "server.request_timeout", "20s"),
    ],
)
def test_numbers(line: str, name: str, value: object) -> None:
    assert settings(line)[name] == value


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("AUTO_WEBP = True", "AUTO_WEBP: a format is negotiated"),
        ("RESULT_STORAGE = 'x'", "RESULT_STORAGE: variants are cached"),
        ("MADE_UP = 1", "MADE_UP: there is no such setting"),
        ("QUALITY = int(5)", "QUALITY: is not a literal"),
        ("MAX_WIDTH = 5", "MAX_WIDTH: both sides have one limit"),
        ("LOADER = 'my.loader'", "LOADER: loader is not known"),
    ],
)
def test_what_is_not_carried_over_has_a_note(line: str, says: str) -> None:
    assert says in notes(line)


def test_settings_without_an_effect_have_no_note() -> None:
    assert "AUTO" not in notes("AUTO_WEBP = False", "OPTIMIZERS = []")


@pytest.mark.parametrize("text", ["", "x = 1", "# nothing", "a b c", "(" * 1000, "\x00"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Python file|assigns no setting"):
        read_thumbor(text)


@given(st.dictionaries(st.sampled_from(["QUALITY", "MAX_AGE", "ALLOWED_SOURCES", "LOADER", "SECURITY_KEY", "X"]),
                       st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text()), st.binary()), min_size=1))  # fmt: skip
def test_any_literal_is_read(values: dict[str, object]) -> None:
    assert read_thumbor("\n".join(f"{name} = {value!r}" for name, value in values.items()))
