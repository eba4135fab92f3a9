"""imgproxy's variables become settings; the others have a note."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.admin.imports.imgproxy_env import read_imgproxy, variables


def test_a_file_of_variables() -> None:
    text = "# c\nA=1\nexport B = 'x y'\nC=\"z\"\n\nno sense\nD=\nE='x\nF\nA=2\n"
    assert variables(text) == {"A": "2", "B": "x y", "C": "z", "D": "", "E": "'x", "F": ""}


def settings(*lines: str) -> dict[str, object]:
    imported = read_imgproxy("\n".join(f"IMGPROXY_{line}" for line in lines))
    return {".".join(path): value for path, value in imported.settings.items()}


def notes(*lines: str) -> list[str]:
    return read_imgproxy("\n".join(f"IMGPROXY_{line}" for line in lines)).notes


ROOT = "LOCAL_FILESYSTEM_ROOT=/srv"


def test_directories_and_signatures() -> None:
    assert settings(ROOT, "ALLOWED_SOURCES=local://", "KEY=aa,cc", "SALT=bb,dd", "TRUSTED_SIGNATURES=x") == {
        "sources.local.path": "/srv",
        "mounts.images.dialect": "imgproxy",
        "mounts.images.source": "local",
        "mounts.images.signing": "required",
        "mounts.images.keys": ("imgproxy1", "imgproxy2", "imgproxy3"),
        "signing.keys.imgproxy1": "aa:bb",
        "signing.keys.imgproxy2": "cc:dd",
        "signing.keys.imgproxy3": "trusted:x",
    }
    assert settings(ROOT, "KEY=aa", "SALT=bb", "SIGNATURE_SIZE=12")["signing.keys.imgproxy1"] == "aa:bb:12"
    assert settings(ROOT, "KEY=aa", "SALT=bb", "SIGNATURE_SIZE=32")["signing.keys.imgproxy1"] == "aa:bb"
    assert "IMGPROXY_SALT: there must be as many salts as keys" in notes(ROOT, "KEY=aa,cc", "SALT=bb")


@pytest.mark.parametrize("lines", [["KEY=aa"], ["SALT=bb"], ["KEY=", "SALT="], ["KEY", "SALT"]])
def test_half_a_key_opens_nothing(lines: list[str]) -> None:
    found = settings(ROOT, *lines)
    assert (found["mounts.images.signing"], found["mounts.images.keys"]) == ("required", ("imgproxy1",))
    assert "mounts.images.open" not in found
    assert any("CALOTYPE_SIGNING__KEYS__IMGPROXY1" in note for note in notes(ROOT, *lines))


def test_without_a_key_every_size_is_open() -> None:
    found = settings(ROOT, "TRUSTED_SIGNATURES=x")
    assert (found["mounts.images.dimensions"], found["mounts.images.open"]) == ("any", True)
    assert "mounts.images.signing" not in found


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        ([ROOT], ("local", "web")),
        ([ROOT, "ALLOWED_SOURCES=local://"], ("local", None)),
        ([ROOT, "ALLOWED_SOURCES=local://,https://a.example/"], ("local", "web")),
        ([ROOT, "ALLOWED_SOURCES=local://", "USE_S3=true"], ("local", "bucket")),
        (["USE_S3=true", "ALLOWED_SOURCES=s3://shop"], ("bucket", None)),
        (["USE_S3=1", "S3_ALLOWED_BUCKETS=shop"], ("bucket", "web")),
        (["BASE_URL=https://a.example/x/", ROOT], ("web", "local")),
        (["QUALITY=70"], ("web", None)),
    ],
)
def test_the_sources_of_the_mount(lines: list[str], sources: tuple[str, str | None]) -> None:
    found = settings(*lines)
    assert (found["mounts.images.source"], found.get("mounts.images.remote")) == sources


def test_a_bucket() -> None:
    found = settings(
        *("USE_S3=true", "S3_ENDPOINT=https://minio.example:9000/", "S3_REGION=eu"),
        *("S3_ENDPOINT_USE_PATH_STYLE=false", "ALLOWED_SOURCES=s3://shop/,s3://blog/"),
    )
    assert {name: value for name, value in found.items() if name.startswith("sources")} == {
        "sources.bucket.kind": "s3",
        "sources.bucket.bucket": "shop",
        "sources.bucket.endpoint_url": "https://minio.example:9000",
        "sources.bucket.region": "eu",
        "sources.bucket.path_style": False,
    }
    assert any(
        note.startswith("bucket blog") for note in notes("USE_S3=1", "ALLOWED_SOURCES=s3://shop,s3://blog")
    )
    assert any("name of the bucket" in note for note in notes("USE_S3=1"))


def test_hosts() -> None:
    lines = ["ALLOWED_SOURCES=https://A.example/,http://b.example:8080/x,https://*.c.example/,ftp://d/"]
    found = settings(*lines, "ALLOW_PRIVATE_SOURCE_ADDRESSES=true")
    assert found["sources.web.hosts"] == ("a.example", "b.example:8080")
    assert found["sources.web.allow_private"] is True
    text = "\n".join(notes(*lines))
    for part in (
        "the path of http://b.example:8080/x",
        "https://*.c.example/ names no host",
        "ftp://d/ names",
    ):
        assert part in text
    assert "allow_private" in text
    assert "allow_private" not in "\n".join(notes(*lines, "ALLOW_PRIVATE_SOURCE_ADDRESSES=false"))
    base = settings("BASE_URL=https://a.example/x/", "ALLOWED_SOURCES=https://a.example/")
    assert base["sources.web.base_url"] == "https://a.example/x/"
    assert any(note.startswith("IMGPROXY_BASE_URL") for note in notes("BASE_URL=s3://shop"))


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("TTL=3600", "mounts.images.max_age", "3600s"),
        ("MAX_SRC_RESOLUTION=16.8", "limits.original_max_pixels", 16_800_000),
        ("MAX_SRC_FILE_SIZE=1000", "limits.original_max_bytes", 1000),
        ("MAX_RESULT_DIMENSION=3000", "limits.output_max_side", 3000),
        ("TIMEOUT=20", "server.request_timeout", "20s"),
        ("WORKERS=3", "render.workers", 3),
        ("REQUESTS_QUEUE_SIZE=9", "render.queue", 9),
        ("QUALITY=70", "formats.quality", 70),
        ("AVIF_SPEED=8", "formats.avif_effort", 1),
        ("PATH_PREFIX=/a/b", "mounts.images.prefix", "/a/b/"),
        ("ARGUMENTS_SEPARATOR=;", "mounts.images.arguments_separator", ";"),
        ("BASE64_URL_INCLUDES_FILENAME=true", "mounts.images.base64_url_includes_filename", True),
        ("ONLY_PRESETS=true", "mounts.images.presets_only", True),
        ("BIND=:9090", "server.port", 9090),
        ("BIND=:9090", "server.host", "0.0.0.0"),
        ("BIND=127.0.0.1:9090", "server.host", "127.0.0.1"),
        ("LOG_LEVEL=warn", "log.level", "warning"),
        ("LOG_FORMAT=json", "log.format", "json"),
        ("LOG_FORMAT=pretty", "log.format", "text"),
        ("PRESETS=card=rs:fill:9:9:1,wide=w:90", "presets.card", "w_9,h_9,c_fill"),
        ("PRESETS=card=rs:fill:9:9:1,wide=w:90", "presets.wide", "w_90"),
        ("AUTO_WEBP=true", "presets.default", "f_auto"),
        ("ENABLE_AVIF_DETECTION=true", "formats.auto", ("avif", "jpeg")),
    ],
)
def test_a_variable_is_a_setting(line: str, name: str, value: object) -> None:
    assert settings(line)[name] == value


def test_negotiation_is_part_of_the_default_preset() -> None:
    found = settings("PRESETS=default=rs:fit:100", "AUTO_AVIF=1", "AUTO_WEBP=1")
    assert found["presets.default"] == "w_100,f_auto"
    assert found["formats.auto"] == ("avif", "webp", "jpeg")
    assert settings("PRESETS=default=f:png", "AUTO_WEBP=1")["presets.default"] == "f_png"


def test_presets_may_have_other_separators() -> None:
    found = settings("PRESETS_SEPARATOR=|", "ARGUMENTS_SEPARATOR=;", "PRESETS=a=rs;fit;10|b=w;20")
    assert (found["presets.a"], found["presets.b"]) == ("w_10", "w_20")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("SECRET=hidden", "no header is compared"),
        ("WATERMARK_PATH=/x", "watermarks are not supported"),
        ("MAX_SRC_FILE_SIZE=0", "there is always a limit: limits.original_max_bytes"),
        ("TTL=soon", "must be a number"),
        ("BIND=/run/x.sock", "must be an address"),
        ("MADE_UP=1", "there is no such setting"),
    ],
)
def test_what_is_not_carried_over_has_a_note(line: str, says: str) -> None:
    found = [note for note in notes(line) if note.startswith(f"IMGPROXY_{line.partition('=')[0]}: ")]
    assert len(found) == 1
    assert says in found[0]
    assert "hidden" not in "".join(notes(line))


def test_variables_without_an_effect_have_no_note() -> None:
    assert not any("GCS" in note for note in notes("USE_GCS=false", "GCS_KEY="))


def test_credentials_of_aws_stay_in_the_environment() -> None:
    imported = read_imgproxy("IMGPROXY_USE_S3=1\nAWS_SECRET_ACCESS_KEY=hidden")
    assert any(note.startswith("AWS_*") for note in imported.notes)
    assert "hidden" not in str(imported)


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="IMGPROXY_"):
        read_imgproxy("KEY=1")


NAMES = [
    "KEY",
    "SALT",
    "BIND",
    "PRESETS",
    "ALLOWED_SOURCES",
    "TTL",
    "AVIF_SPEED",
    "BASE_URL",
    "PATH_PREFIX",
    "USE_S3",
]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(), min_size=1))
def test_any_value_is_read(values: dict[str, str]) -> None:
    text = "\n".join(f"IMGPROXY_{name}={value}" for name, value in values.items())
    assert read_imgproxy(text).settings
