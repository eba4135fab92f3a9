"""The images of a next.config become settings."""

import json

import pytest

from proxy.core.admin.imports.next_config import read_next


def settings(text: str) -> dict[str, object]:
    return {".".join(path): value for path, value in read_next(text).settings.items()}


def images(**values: object) -> dict[str, object]:
    return settings(json.dumps({"images": values}))


def notes(**values: object) -> str:
    return "\n".join(read_next(json.dumps({"images": values})).notes)


CONFIG = """
import type { NextConfig } from 'next'
const config: NextConfig = {
  basePath: '/docs',
  images: {
    deviceSizes: [640, 1080],
    imageSizes: [32],
    formats: ['image/avif', 'image/webp'],
    minimumCacheTTL: 60 * 60,
    remotePatterns: [new URL('https://a.example/x/**'), { protocol: 'https', hostname: 'b.example', port: '8080' }],
    domains: ['c.example'],
  },
}
export default config
"""


def test_a_file_of_typescript() -> None:
    assert settings(CONFIG) == {
        "sources.app.kind": "http",
        "sources.app.base_url": "http://127.0.0.1:3000/",
        "sources.app.allow_private": True,
        "sources.web.kind": "http",
        "sources.web.hosts": ("c.example", "a.example", "b.example:8080"),
        "mounts.images.dialect": "next",
        "mounts.images.source": "app",
        "mounts.images.remote": "web",
        "dimensions.allowed": (32, 640, 1080),
        "mounts.images.max_age": "3600s",
        "formats.auto": ("avif", "webp", "jpeg"),
        "mounts.images.prefix": "/docs/",
    }


def test_the_defaults_are_those_of_next() -> None:
    found = images(loader="default")
    assert found["dimensions.allowed"][0] == 16  # type: ignore[index]
    assert (found["formats.auto"], "mounts.images.remote" in found) == (("webp", "jpeg"), False)


def test_the_object_of_the_images_alone() -> None:
    assert settings('{"deviceSizes": [5], "imageSizes": []}')["dimensions.allowed"] == (5,)


def test_the_path_has_the_prefix() -> None:
    assert images(path="/a/_next/image")["mounts.images.prefix"] == "/a/"
    assert "mounts.images.prefix" not in images(path="/_next/image")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("remotePatterns", [{"hostname": "**.example.com"}], "**.example.com is a pattern"),
        ("remotePatterns", [{"protocol": "https"}], "an entry is a pattern"),
        (
            "remotePatterns",
            [{"hostname": "a.example", "pathname": "/x/**"}],
            "the path of a.example is not a limit",
        ),
        ("loader", "imgix", "imgix: its URLs are those of another dialect"),
        ("dangerouslyAllowSVG", True, "SVG is refused"),
        ("qualities", [75], "qualities in fives"),
        ("madeUp", 1, "there is no such setting"),
    ],
)
def test_what_is_not_carried_over_has_a_note(name: str, value: object, says: str) -> None:
    assert f"images.{name}: " in notes(**{name: value})
    assert says in notes(**{name: value})


def test_expressions_have_a_note() -> None:
    found = read_next("x = {images: {deviceSizes: sizes, minimumCacheTTL: f(1)}}")
    assert [note.partition(": ")[2][:16] for note in found.notes[1:]] == ["is not a literal"] * 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no images"),
        ("export default {}", "has no images"),
        ("{images: config}", "not a literal object"),
        ('{"images": 5}', "has no images"),
    ],
)
def test_other_files_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_next(text)
