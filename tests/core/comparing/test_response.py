"""Saved responses: names without surprises, and messages as `curl -i` prints them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.comparing.response import (
    Response,
    error_message,
    file_name,
    from_message,
    media_type,
    to_message,
)

TARGETS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=400
).map("/".__add__)


def test_names_are_readable() -> None:
    assert file_name("/unsafe/300x200/lake.jpg") == "%2Funsafe%2F300x200%2Flake.jpg.http"
    assert file_name("/a~b?c=d") == "%2Fa%7Eb%3Fc%3Dd.http"


@given(TARGETS)
def test_names_stay_in_the_folder_and_fit_file_systems(target: str) -> None:
    name = file_name(target)
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name.encode()) <= 255


@given(TARGETS, TARGETS)
def test_targets_have_different_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_long_name_ends_in_a_digest() -> None:
    target = "/a" + "/../" * 100
    name = file_name(target)
    assert name.endswith(f"~{hashlib.sha256(target.encode()).hexdigest()}.http")
    assert name != file_name(target + "b")


@given(TARGETS, st.binary(max_size=200), st.sampled_from([200, 404, 503]), st.sampled_from(["", "image/png"]))
def test_a_message_is_read_as_it_was_saved(target: str, body: bytes, status: int, kind: str) -> None:
    response = Response(status, kind, body)
    assert from_message(target, to_message(target, response)) == response


def test_what_curl_writes_is_read() -> None:
    saved = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 302 \r\nlocation: /b\r\n\r\n"
        b"HTTP/2 200 \r\nContent-Type: Image/JPEG; q=1\r\nContent-Location: /a.jpg\r\n\r\nbody\r\n\r\nmore"
    )
    assert from_message("/a", saved) == Response(200, "image/jpeg", b"body\r\n\r\nmore")
    assert from_message("/a", b"HTTP/1.0 404 Not Found\nServer: x\n\nHTTP/1.1 200 \n\n").status == 404
    assert from_message("/a", b"\xff\xd8\xff") == Response(200, "", b"\xff\xd8\xff")
    assert from_message("/a", b"") == Response(200, "", b"")


def test_the_file_of_another_url_and_a_cut_one_are_no_response() -> None:
    saved = to_message("/A.jpg", Response(200, "image/png", b"x"))
    assert from_message("/a.jpg", saved).fault == "its saved response is of another URL"
    assert (
        from_message("/a.jpg", b"HTTP/1.1 200 OK\r\nA: b").fault
        == "its saved response has no end of its headers"
    )


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/problem+json", b'{"detail": "no\\u0007 original\\n at all"}', "no original at all"),
        ("application/problem+json", b'{"detail"', ""),
        ("application/problem+json", b"[" * 100_000, ""),
        ("application/problem+json", b"[1]", ""),
        ("text/plain", b"  Invalid\xff\r\n\x1b[31m size", "Invalid\N{REPLACEMENT CHARACTER} [31m size"),
        ("text/plain", b"x" * 1000, "x" * 200),
        ("text/html", b"<p>no", ""),
        ("image/png", b"\x89PNG", ""),
    ],
)
def test_the_reason_of_an_error_is_one_printable_line(kind: str, body: bytes, expected: str) -> None:
    assert error_message(Response(400, kind, body)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("image/PNG; charset=x", "image/png"),
        ("", ""),
        ("image/\r\nX: y", ""),
        ("a" * 70 + "/b", ""),
        ("image/<script>", ""),
    ],
)
def test_media_types(header: str, expected: str) -> None:
    assert media_type(header) == expected
