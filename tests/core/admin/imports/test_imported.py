"""What a reader of a vendor's configuration collects."""

import pytest

from proxy.core.admin.imports.imported import Imported, plain_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("images.example", "images.example"),
        ("Images.Example:443", "images.example"),
        ("images.example:80", "images.example"),
        ("images.example:8080", "images.example:8080"),
        ("*.images.example", None),
        ("images.example/x", None),
        ("user@images.example", None),
        ("", None),
    ],
)
def test_a_plain_host_is_no_pattern(text: str, host: str | None) -> None:
    assert plain_host(text) == host


def test_a_note_is_one_line() -> None:
    imported = Imported()
    imported.note("NAME", 'a\n[mounts.evil]\nb = "\u2028\ud800"')
    assert imported.notes == ['NAME: a?[mounts.evil]?b = "??"']


def test_a_mount_has_two_sources_at_most() -> None:
    imported = Imported()
    imported.mounted(["local", "bucket", "web"], "imgproxy")
    assert imported.settings == {
        ("mounts", "images", "dialect"): "imgproxy",
        ("mounts", "images", "source"): "local",
        ("mounts", "images", "remote"): "bucket",
    }
    assert imported.notes == [
        "sources.web: a mount has two sources at most: give this one a mount of its own"
    ]


def test_web_servers_need_a_host() -> None:
    imported = Imported()
    imported.web_source([])
    assert imported.settings["sources", "web", "hosts"] == ("images.example",)
    assert "put the hosts" in imported.notes[0]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a.b", "x" * 64, 'a"\n[mounts.x]'])
def test_a_preset_has_a_possible_name(name: str) -> None:
    imported = Imported()
    assert not imported.preset(name, "w_1")
    assert (imported.settings, len(imported.notes)) == ({}, 1)
