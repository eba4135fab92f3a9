"""What may be told of a picture's own notes."""

import json

from proxy.core.info import FIELDS, exif, key_of, only, profile_name, with_etag

FIELD = "exif-ifd0-Make"


def test_notes_are_told_in_words_where_there_are_any() -> None:
    assert exif(
        {
            FIELD: "Canon (EOS) (Canon (EOS), ASCII, 12 components, 12 bytes)",
            "exif-ifd2-ExposureTime": "1/350 (1/350 sec., Rational, 1 components, 8 bytes)",
            "exif-ifd2-ApertureValue": "262144/65536 (4.00 EV (f/4.0), Rational, 1 components, 8 bytes)",
            "exif-ifd0-Orientation": "1 (Internal error (unknown value 1), Short, 1 components, 2 bytes)",
            "exif-ifd0-Odd": "as it is\x00\x1b[31m",
            "exif-ifd1-Compression": "6 (6, Short, 1 components, 2 bytes)",
            "exif-ifd2-MakerNote": "x (x, Undefined, 1 components, 1 bytes)",
            "exif-ifd2-UserComment": " (, Undefined, 136 components, 136 bytes)",
            "width": "3",
        },
        gps=False,
    ) == {
        "Make": "Canon (EOS)",
        "ExposureTime": "1/350 sec.",
        "ApertureValue": "4.00 EV (f/4.0)",
        "Orientation": "1",
        "Odd": "as it is[31m",
    }


def test_where_it_was_taken_is_told_only_if_it_may_be() -> None:
    taken = {
        "exif-ifd3-GPSLatitude": "50 (50, Rational, 3 components, 24 bytes)",
        "exif-ifd0-GPSInfo": "1 (1, Long, 1 components, 4 bytes)",
    }
    assert exif(taken, gps=False) == {}
    assert exif(taken, gps=True)["GPSLatitude"] == "50"


def test_notes_are_bounded() -> None:
    many = {f"exif-ifd0-T{number}": "x" * 1000 for number in range(1000)}
    told = exif(many, gps=False)
    assert len(told) == 64
    assert max(map(len, told.values())) == 200


def profile(tag: bytes) -> bytes:
    return (
        bytes(128)
        + (1).to_bytes(4, "big")
        + b"desc"
        + (144).to_bytes(4, "big")
        + len(tag).to_bytes(4, "big")
        + tag
    )


def test_a_profile_says_what_it_is() -> None:
    old = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"sRGB\x00" + bytes(78)
    assert profile_name(profile(old)) == "sRGB"
    text = "Display P3".encode("utf-16-be")
    new = b"mluc" + bytes(4) + (1).to_bytes(4, "big") + (12).to_bytes(4, "big") + b"enUS"
    new += len(text).to_bytes(4, "big") + (28).to_bytes(4, "big") + text
    assert profile_name(profile(new)) == "Display P3"
    assert profile_name(profile(b"text" + bytes(20))) == ""
    assert profile_name(b"") == profile_name(bytes(200)) == profile_name(bytes(128) + b"\xff" * 60) == ""


def test_fields_can_be_chosen_and_have_a_tag_of_their_own() -> None:
    told = with_etag(json.dumps({"width": 3, "height": 4}).encode(), '"x"')
    assert list(json.loads(told)) == list(FIELDS)
    assert json.loads(only(told, ("width", "etag"))) == {"width": 3, "etag": '"x"'}
    assert key_of("k", ()) == "k"
    assert len({key_of("k", ("width",)), key_of("k", ("height",)), key_of("l", ("width",))}) == 3
