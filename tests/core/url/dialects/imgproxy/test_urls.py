"""The dialect of imgproxy: its URLs, originals, presets, signatures and errors."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    BadUrl,
    CalotypeError,
    OptionNotAllowed,
    UnknownRoute,
    UnsupportedFormat,
)
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Adjust, Auto, Enlarge, Fit, Resize, Tone, Transform
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import Reading, Unsupported
from proxy.core.url.dialects.imgproxy.options import BY_NAME
from proxy.core.url.dialects.imgproxy.signatures import check_key, unsigned, verify
from proxy.core.url.dialects.imgproxy.urls import DIALECT, negotiates, parse
from proxy.core.url.dialects.native.urls import parse_tokens, parse_transform
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import OriginalUrl, ParsedUrl, VariantUrl

PRESETS: Presets = {
    name: parse_tokens(tokens, {}).components
    for name, tokens in {
        "card": "w_300,h_200,c_fill,f_webp",
        "small": "w_50",
        "brown": "w_300~e_sepia",
        "auto": "f_auto",
        "crisp": "q_70,dpr_2",
    }.items()
}
READING = Reading(presets=PRESETS)
IGNORING = Reading(presets=PRESETS, unsupported=Unsupported.IGNORE)
KEY, SALT = bytes.fromhex("943b421c9eb07c83"), bytes.fromhex("520f986b998545b4")
PAIR = b"943b421c9eb07c83:520f986b998545b4"
PATH = "rs:fill:300:200:1/plain/local:///lake.jpg@webp"


def base64_url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def signature(path: str, *, key: bytes = KEY, salt: bytes = SALT, length: int = 32) -> str:
    digest = hmac.new(key, salt + f"/{path}".encode(), hashlib.sha256).digest()[:length]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def read(path: str, reading: Reading = READING) -> ParsedUrl:
    return parse(f"/unsafe/{path}", reading)


def variant(path: str, reading: Reading = READING) -> VariantUrl:
    parsed = read(path, reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def drawn(options: str) -> Transform:
    return variant(f"{options}/plain/a.jpg").transform


def test_the_registry_has_it() -> None:
    assert DIALECTS["imgproxy"] is DIALECT
    assert DIALECT.health == "/health"


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("plain/local:///dir/lake.jpg", "local:///dir/lake.jpg"),
        ("plain/local:/dir/lake.jpg", "local:///dir/lake.jpg"),
        ("plain/local://dir/lake.jpg", "local:///dir/lake.jpg"),
        ("plain/dir/lake.jpg", "dir/lake.jpg"),
        ("plain//dir/lake.jpg", "dir/lake.jpg"),
        ("plain/a%20b+c%40d.jpg", "a b+c@d.jpg"),
        ("plain/http://a.example/b/c.jpg", "http://a.example/b/c.jpg"),
        ("plain/http:/a.example/b:/c.jpg", "http://a.example/b:/c.jpg"),
        ("plain/https%3A%2F%2Fa.example%2Fb.jpg%3Fv%3D1", "https://a.example/b.jpg?v=1"),
        ("plain/s3://bucket/a/b.jpg", "s3://bucket/a/b.jpg"),
        (base64_url("https://a.example/b/c.jpg?x=é"), "https://a.example/b/c.jpg?x=é"),
        (base64_url("https://a.example/b/c.jpg") + "==", "https://a.example/b/c.jpg"),
        (base64_url("local:///plain.jpg"), "local:///plain.jpg"),
        (
            "/".join(base64_url("s3://bucket/a/b.jpg")[at : at + 5] for at in range(0, 30, 5)),
            "s3://bucket/a/b.jpg",
        ),
        ("plain/lake.jpg?query=1&sig=2", "lake.jpg"),
    ],
)
def test_originals(source: str, key: str) -> None:
    assert variant(f"w:9/{source}").key == key
    assert variant(source).key == key


@pytest.mark.parametrize("source", ["plain/a.jpg@png", base64_url("a.jpg") + ".png"])
def test_an_extension_is_the_format_and_precedes_the_option(source: str) -> None:
    assert variant(f"f:gif/{source}").transform.format is Format.PNG
    assert variant(f"{source}?x").transform == Transform(format=Format.PNG)
    assert read(f"raw:1/{source.replace('png', 'nonsense')}") == OriginalUrl("a.jpg")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "plain",
        "plain/",
        "plain/@png",
        "plain/a@b@c",
        "plain/a.jpg%",
        "plain/%ff",
        "plain/a/../b.jpg",
        "plain/a//b.jpg",
        "plain/.a",
        "plain/local:///",
        "plain/local:///../a.jpg",
        "plain/http://a.example/%00",
        "enc/abcdef",
        "a+b/c",
        "a",
        ".png",
        f"{base64_url('a.jpg')}.png.gif",
        f"{base64_url('a.jpg')}/w:100",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "ä" * 8,
    ],
)
def test_invalid_originals(source: str) -> None:
    with pytest.raises(BadUrl):
        read(f"w:100/{source}")


@pytest.mark.parametrize(
    "target", ["/", "/unsafe", "/unsafe/", "//w:100/plain/a.jpg", "/?a/b", "", "/unsafe?/b"]
)
def test_no_route(target: str) -> None:
    with pytest.raises(UnknownRoute):
        parse(target, READING)


def test_options_where_the_signature_belongs() -> None:
    with pytest.raises(BadSignature, match="the first segment must be a signature"):
        parse("/w:100/plain/a.jpg", READING)
    with pytest.raises(BadSignature, match="the first segment must be a signature"):
        verify("/w:100/plain/a.jpg", "/", {"k": PAIR})


def test_colons_of_options_may_be_percent_encoded() -> None:
    encoded = "rs%3Afill%3a300:200/g%3Ano/plain/a%3Ab.jpg"
    assert read(encoded) == read("rs:fill:300:200/g:no/plain/a%3Ab.jpg")
    assert variant(encoded).key == "a:b.jpg"


@pytest.mark.parametrize("separator", [",", ";", "_", "::", "~"])
def test_a_mount_may_have_another_separator(separator: str) -> None:
    reading = replace(READING, arguments_separator=separator)
    for path in ("rs:fill:300:200/g:fp:0.5:1", "pr:card/w:7", "card:crisp", "f:png"):
        made = variant(f"{path.replace(':', separator)}/plain/a.jpg", reading)
        assert made.transform == variant(f"{path}/plain/a.jpg").transform
    with pytest.raises(BadUrl):
        read("w:9/plain/a.jpg", reading)
    assert negotiates(f"/_/pr{separator}auto/plain/a.jpg", reading)
    assert not negotiates("/_/pr:auto/plain/a.jpg", reading)


def test_a_file_name_may_follow_base64() -> None:
    reading = replace(READING, base64_url_includes_filename=True)
    for path in ("w:9/", "", "card/"):
        for source in (
            base64_url("dir/a.jpg"),
            "/".join(base64_url("dir/a.jpg")[at : at + 4] for at in (0, 4, 8)),
        ):
            assert variant(f"{path}{source}.png/kitten.gif", reading) == variant(f"{path}{source}.png")
    assert variant(f"w:9/{base64_url('a.jpg')}", reading).key == "a.jpg"
    assert variant("w:9/plain/dir/a.jpg", reading).key == "dir/a.jpg"


@pytest.mark.parametrize(
    ("options", "native"),
    [
        ("rs:fill:300:200:1", "w_300,h_200,c_fill"),
        ("rs:fill:300:200:1/g:no", "w_300,h_200,c_fill,g_north"),
        ("rs:fill:300:200:1/g:fp:0.3:0.7/dpr:2", "w_300,h_200,c_fill,g_0.3:0.7,dpr_2"),
        ("rt:fill/s:300:200:t/g:sm", "w_300,h_200,c_fill,g_auto"),
        ("rs:fill:300:200:1/g:obj:face", "w_300,h_200,c_fill,g_faces"),
        ("c:30:20:objw:face:2", "w_30,h_20,c_crop,g_faces"),
        ("s:300:200", "w_300,h_200"),
        ("w:300", "w_300"),
        ("rs:fill:300", "w_300"),
        ("rs:force:300:200:1/f:png", "w_300,h_200,c_scale,f_png"),
        ("rs:fit:300:200:1:1/f:png", "w_300,h_200,c_pad,b_transparent,f_png"),
        ("rot:90/f:webp", "a_90,f_webp"),
        ("fl:1:1", "a_180"),
        ("rot:90/fl:1", "a_hflip.270"),
        ("pd:10/bg:f00", "pad_10,b_ff0000,e_flatten:ff0000"),
        ("rs:fit:300:200:0:1/bg:f00", "w_300,h_200,c_pad,el_never,b_ff0000,e_flatten:ff0000"),
        ("s:300:200/ex:1/bl:2/bg:f00", "w_300,h_200,e_blur:2~ext_300x200,b_ff0000,e_flatten:ff0000"),
        ("bl:2.5/sh:1", "e_blur:2.5,e_sharpen:1"),
        ("c:30:20:so", "w_30,h_20,c_crop,g_south"),
        ("cb:7/w:40", "w_40,v_7"),
    ],
)
def test_what_equals_a_native_transform(options: str, native: str) -> None:
    made, expected = drawn(options), parse_transform(native, {})
    assert made.ops == expected.ops
    assert (made.format, made.dpr_percent, made.version) == (
        expected.format,
        expected.dpr_percent,
        expected.version,
    )


class TestPresets:
    def test_alone(self) -> None:
        parsed = variant("pr:card/plain/a.jpg")
        assert parsed.is_preset
        assert parsed.transform == parsed.of_presets == parse_transform("t_card", PRESETS)

    @pytest.mark.parametrize("path", ["card", "preset:card", "card:card", "pr:card/cb:1/exp:0/fn:x/att:1"])
    def test_spellings(self, path: str) -> None:
        parsed = variant(f"{path}/plain/a.jpg")
        assert parsed.is_preset
        assert parsed.transform.ops == parse_transform("t_card", PRESETS).ops

    def test_a_url_of_presets_only_may_have_an_extension(self) -> None:
        parsed = variant(f"card:crisp/{base64_url('a.jpg')}.png")
        assert parsed.is_preset
        assert parsed.transform.format is Format.PNG
        assert parsed.transform.dpr_percent == 200
        assert parsed.transform.quality == 70

    def test_options_override_a_preset_that_resizes(self) -> None:
        parsed = variant("pr:card/w:100/f:png/plain/a.jpg")
        assert not parsed.is_preset
        assert parsed.transform.ops == (Resize(width=100, height=200, fit=Fit.COVER, enlarge=Enlarge.ALLOW),)
        assert parsed.transform.format is Format.PNG
        assert variant("w:100/pr:card/plain/a.jpg").transform.ops == parse_transform("t_card", PRESETS).ops

    def test_options_follow_a_longer_preset(self) -> None:
        parsed = variant("pr:brown:brown/h:100/plain/a.jpg")
        assert parsed.transform.ops == (Resize(width=300), Adjust(Tone.SEPIA, 80), Resize(height=100))

    def test_a_preset_is_no_original(self) -> None:
        for path in ("card", "card:small", "pr:card", "card/"):
            with pytest.raises(BadUrl):
                read(path)

    def test_a_preset_named_like_a_word_of_the_grammar(self) -> None:
        reading = Reading(presets={"plain": PRESETS["small"], "w": PRESETS["small"]})
        assert variant("plain/a.jpg", reading).transform == Transform()
        assert variant("w:30/plain/a.jpg", reading).transform == Transform(ops=(Resize(width=30),))

    def test_the_default_applies_to_every_url(self) -> None:
        reading = Reading(presets={**PRESETS, "default": PRESETS["crisp"]})
        assert variant("w:100/plain/a.jpg", reading).transform.dpr_percent == 200
        assert variant("w:100/dpr:1/plain/a.jpg", reading).transform.dpr_percent is None
        assert not variant("w:100/plain/a.jpg", reading).is_preset

    def test_an_unknown_one(self) -> None:
        with pytest.raises(BadTransform, match="option pr names no preset of this node: crad; is card meant"):
            read("pr:crad/plain/a.jpg")
        with pytest.raises(BadUrl):
            read("crad/plain/a.jpg")

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("pr:auto/plain/a.jpg", True),
            ("auto/plain/a.jpg", True),
            ("pr:auto/sm:0/plain/a.jpg", True),
            ("pr:auto/f:png/plain/a.jpg", False),
            ("pr:auto/plain/a.jpg@png", False),
            ("w:100/plain/a.jpg", False),
            ("pr:auto/raw:1/plain/a.jpg", False),
            ("pr:auto/nonsense:1/plain/a.jpg", False),
        ],
    )
    def test_negotiation_is_that_of_presets(self, path: str, expected: bool) -> None:
        assert negotiates(f"/unsafe/{path}", READING) is expected
        assert negotiates(f"/unsafe/{path}", Reading(presets={"card": PRESETS["card"]})) is False
        if expected:
            assert variant(path, IGNORING).transform.format is Auto.AUTO


class TestOriginals:
    @pytest.mark.parametrize(
        ("path", "is_original"),
        [
            ("raw:1/w:100/plain/a.jpg", True),
            ("raw:0/plain/a.jpg", False),
            ("skp:gif:jpg/w:100/plain/a.jpg", True),
            ("skp:jpeg/w:100/plain/a.jpg", True),
            ("skp:jpeg/w:100/plain/a.JPG@jpg", True),
            ("skp:jpeg/f:jpg/plain/a.jpg", True),
            ("skp:jpeg/plain/a.jpg@png", False),
            ("skp:jpeg/f:png/plain/a.jpg", False),
            ("skp:jpeg/plain/a.png", False),
            ("skp:jpeg/plain/a", False),
            ("skp:svg/plain/a.svg", True),
        ],
    )
    def test_raw_and_skipped(self, path: str, is_original: bool) -> None:
        assert isinstance(read(path), OriginalUrl) is is_original

    def test_they_have_an_expiry(self) -> None:
        assert read("raw:1/exp:99/plain/a.jpg") == OriginalUrl("a.jpg", until_s=99)
        assert read("skp:jpg/exp:99/plain/a.jpg") == OriginalUrl("a.jpg", until_s=99)

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("raw:1/plain/a.jpg", ""),
            ("raw:1/f:png/att:1/fn:x/plain/a.jpg", 'attachment; filename="x.jpg"'),
            ("raw:1/fn:x.tif/plain/a.TIF@png", 'inline; filename="x.tif"'),
            ("raw:1/att:1/plain/dir/a.jpeg", 'attachment; filename="a.jpeg"'),
            ("raw:1/att:1/plain/dir/a", 'attachment; filename="a"'),
            ("raw:1/fn:x/plain/local:///a.svg", 'inline; filename="x.svg"'),
            ("skp:jpg/fn:x/plain/a.jpg", 'inline; filename="x.jpg"'),
        ],
    )
    def test_they_have_a_file_name(self, path: str, expected: str) -> None:
        parsed = read(path)
        assert isinstance(parsed, OriginalUrl)
        assert parsed.disposition == expected


class TestDelivery:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("w:1/plain/a.jpg", ""),
            ("fn:photo/plain/a.png", 'inline; filename="photo.png"'),
            ("fn:photo.jpg/plain/a.png@jpg", 'inline; filename="photo.jpg"'),
            ("filename:photo/plain/a.tiff", 'inline; filename="photo"'),
            ("fn:photo/att:1/plain/a.png@webp", 'attachment; filename="photo.webp"'),
            ("att:true/plain/dir/b.c.jpg", 'attachment; filename="b.c.jpg"'),
            ("return_attachment:1/plain/http://a.example/x/y.png%3Fz=%2F", 'attachment; filename="y.png"'),
            ("att:0/plain/a.jpg", ""),
            (f"fn:{base64_url('a b')}:1/plain/a.jpg", 'inline; filename="a b.jpg"'),
            ("fn:%22%0d%0aSet-Cookie/plain/a.jpg", "inline; filename*=UTF-8''%22%0D%0ASet-Cookie.jpg"),
            ("fn:%C3%A9/plain/a.jpg", "inline; filename*=UTF-8''%C3%A9.jpg"),
        ],
    )
    def test_disposition(self, path: str, expected: str) -> None:
        assert variant(path).disposition == expected

    def test_expiry(self) -> None:
        assert variant("exp:1700000000/plain/a.jpg").until_s == 1_700_000_000
        assert variant("expires:0/plain/a.jpg").until_s is None


class TestUnsupported:
    @pytest.mark.parametrize("option", ["dpi:72", "aq:size:1", "pngo:1", "ph:1", "sm:0", "scp:0", "eth:1"])
    def test_options_that_only_polish_follow_the_rule(self, option: str) -> None:
        name = option.partition(":")[0]
        with pytest.raises(BadTransform, match=f"option {name} cannot be followed"):
            read(f"{option}/w:100/plain/a.jpg")
        parsed = variant(f"{option}/w:100/plain/a.jpg", IGNORING)
        assert parsed == variant("w:100/plain/a.jpg")
        assert [unused.parameter for unused in parsed.unused] == [name]

    @pytest.mark.parametrize(
        "option",
        [
            "wm:1",
            "br:10",
            "g:obj:cat",
            "c:9:9:objw:face:1:cat:2",
            "wm:.5:so:0:0:1",
            "f:best",
            "hs:md5:x",
        ],
    )
    def test_options_that_change_the_picture_are_refused(self, option: str) -> None:
        for reading in (READING, IGNORING):
            with pytest.raises(BadTransform, match=f"option {option.partition(':')[0]} "):
                read(f"{option}/plain/a.jpg", reading)

    @pytest.mark.parametrize(
        "option", ["msr:50", "msfs:9", "maf:2", "mafr:1", "mrd:1", "max_src_resolution:x"]
    )
    def test_security_options_are_not_allowed(self, option: str) -> None:
        for reading in (READING, IGNORING):
            with pytest.raises(OptionNotAllowed, match=f"option {option.partition(':')[0]} is not allowed"):
                read(f"{option}/plain/a.jpg", reading)

    def test_what_the_node_does_anyway_is_taken(self) -> None:
        parsed = variant("sm:1/scp:1/ph:0/eth:0/kcr:0/ar:1/wm:0/plain/a.jpg")
        assert (parsed.transform, parsed.unused) == (Transform(), ())

    @pytest.mark.parametrize("name", ["heic", "jxl", "pdf", "svg"])
    def test_formats_that_the_node_does_not_write(self, name: str) -> None:
        for path in (f"f:{name}/plain/a.jpg", f"plain/a.jpg@{name}"):
            with pytest.raises(UnsupportedFormat):
                read(path)

    def test_a_reduced_sigma_is_reported(self) -> None:
        parsed = variant("bl:200/sh:11/plain/a.jpg")
        assert (parsed.reduced, parsed.unused) == (
            (Notice("blur", "200", "100"), Notice("sharpen", "11", "10")),
            (),
        )

    def test_too_many_options(self) -> None:
        variant("w:1/" * 32 + "plain/a.jpg")
        with pytest.raises(BadTransform, match="the URL has more than 32 options"):
            read("w:1/" * 33 + "plain/a.jpg")

    def test_an_unknown_option(self) -> None:
        with pytest.raises(BadTransform, match="option widht is unknown; is width meant"):
            read("w:1/widht:3/plain/a.jpg")
        with pytest.raises(BadTransform, match="option 2 is unknown"):
            read("w:1/%20<b>:3/plain/a.jpg")


KEYS = {"old": b"00:11", "k": PAIR, "short": b"0a0b:0c0d:8", "t": b"trusted:letmein"}


class TestSignatures:
    @pytest.mark.parametrize("prefix", ["/", "/images/"])
    def test_each_key(self, prefix: str) -> None:
        short = signature(PATH, key=b"\x0a\x0b", salt=b"\x0c\x0d", length=8)
        for key_id, text in (("k", signature(PATH)), ("short", short), ("t", "letmein")):
            signed = verify(f"{prefix}{text}/{PATH}", prefix, KEYS)
            assert signed is not None
            assert (signed.key_id, signed.target) == (key_id, f"{prefix}{text}/{PATH}")

    def test_that_of_the_documentation(self) -> None:
        keys = {"k": b"736563726574:68656C6C6F"}
        path = "rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png"
        assert verify(f"/oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8/{path}", "/", keys) is not None

    def test_repaired_urls(self) -> None:
        path = "rs:fill:300:200/plain/http://a.example/b.jpg"
        merged = path.replace("//", "/").replace("rs:", "rs%3A")
        assert verify(f"/{signature(path)}/{merged}", "/", KEYS) is not None
        assert verify(f"/{signature(merged)}/{merged}", "/", KEYS) is not None
        assert read(merged) == read(path)

    def test_the_query_is_not_signed(self) -> None:
        assert verify(f"/{signature(PATH)}/{PATH}?a=1", "/", KEYS) is not None

    @pytest.mark.parametrize("word", ["unsafe", "insecure", "_"])
    def test_unsigned(self, word: str) -> None:
        raw = f"/{word}/{PATH}"
        assert verify(raw, "/", KEYS) is None
        assert unsigned(raw, "/") == raw

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "letmein2",
            "Letmein",
            signature(PATH) + "=",
            signature(PATH)[:-1],
            signature(PATH, length=31),
            "é",
        ],
    )
    def test_wrong(self, text: str) -> None:
        with pytest.raises(BadSignature):
            verify(f"/{text}/{PATH}", "/", KEYS)

    @pytest.mark.parametrize("raw", ["/", "/abc", "/abc/", "/abc?/d", "//w:1/plain/a"])
    def test_missing(self, raw: str) -> None:
        with pytest.raises(BadUrl):
            verify(raw, "/", KEYS)

    @given(at=st.integers(0, 1000), byte=st.integers(0x21, 0x7E))
    def test_every_changed_byte_is_refused(self, at: int, byte: int) -> None:
        raw = f"/{signature(PATH)}/{PATH}"
        at = 1 + at % (len(raw) - 1)
        changed = raw[:at] + chr(byte) + raw[at + 1 :]
        if changed != raw and chr(byte) != "?":
            with pytest.raises((BadSignature, BadUrl)):
                verify(changed, "/", KEYS)

    @given(cut=st.integers(1, 200))
    def test_a_shortened_url_is_refused(self, cut: int) -> None:
        raw = f"/{signature(PATH)}/{PATH}"
        with pytest.raises((BadSignature, BadUrl)):
            verify(raw[: -(1 + cut % (len(raw) - 1))], "/", KEYS)

    @pytest.mark.parametrize("secret", [PAIR.decode(), "00:11:1", "00:11:32", "trusted:x", "AB:cd"])
    def test_valid_keys(self, secret: str) -> None:
        check_key(secret)

    def test_the_length_of_a_key_is_that_of_its_secret(self) -> None:
        keys = ("00:11223344", "001122:33:8", "trusted:abcde")
        assert [check_key(secret) for secret in keys] == [1, 3, 5]

    @pytest.mark.parametrize(
        "secret",
        [
            "",
            "00",
            "00:",
            ":11",
            "0:11",
            "00:xx",
            "00:11:0",
            "00:11:33",
            "00:11:x",
            "00:11:8:",
            "trusted:",
            "é:11",
        ]
        + ["trusted:a/b", "trusted:a:b", "00:11:" + "9" * 5000],
    )
    def test_invalid_keys(self, secret: str) -> None:
        with pytest.raises(ValueError, match="must ") as raised:
            check_key(secret)
        assert len(secret) < 3 or secret == "trusted:" or secret not in str(raised.value)


def test_urls_of_clients() -> None:
    rows = json.loads((Path(__file__).parents[4] / "rivals/client_urls.json").read_text())
    urls = [row["url"] for row in rows if row["dialect"] == "imgproxy"]
    assert len(urls) > 20
    for url in urls:
        parsed = parse(url, READING)
        assert isinstance(parsed, VariantUrl)
        assert parsed.key.removeprefix("local:///") in ("lake.jpg", "door.png")
        assert parse(unsigned(url, "/"), READING) == parsed


def test_statuses() -> None:
    assert DIALECT.statuses == {
        "bad-transform": 404,
        "bad-url": 404,
        "dimension-not-allowed": 404,
        "colour-not-allowed": 404,
        "source-not-allowed": 404,
        "signature-expired": 404,
        "original-too-large": 422,
        "undecodable": 422,
        "unsupported-format": 422,
        "overloaded": 429,
        "worker-died": 500,
        "render-timeout": 503,
    }


_WORDS = [
    *BY_NAME,
    "plain",
    "enc",
    "card",
    "brown",
    "unsafe",
    "local:",
    "http:",
    "fill",
    "fp",
    "sm",
    "so",
    "@",
]
_PARTS = st.one_of(
    st.sampled_from(
        [*_WORDS, ":", "/", "//", "%3A", "%", ".", "?", "=", "-", "1", "0.5", "-3", "1e9", "nan", "inf"]
    ),
    st.sampled_from(["9" * 5000, "1e-99", "1_0", "٣", "ä", "\ud800", "a.jpg", "png", "YS5qcGc"]),
    st.text(max_size=6),
)


@given(st.lists(_PARTS, max_size=24).map("".join), st.booleans())
def test_only_known_errors(rest: str, ignores: bool) -> None:
    reading = IGNORING if ignores else READING
    for target in (f"/{rest}", f"/unsafe/{rest}", f"/unsafe/w:9/{rest}/plain/a.jpg"):
        try:
            parsed: ParsedUrl | None = parse(target, reading)
        except CalotypeError as failure:
            assert len(failure.detail) < 400
            parsed = None
        if parsed is not None:
            assert parse(unsigned(target, "/"), reading) == parsed
        negotiates(target, reading)
        with suppress(BadSignature, BadUrl):
            verify(target, "/", KEYS)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*BY_NAME]),
            st.lists(
                st.sampled_from(["", "0", "1", "2.5", "-1", "300", "0.3", "fp", "so", "ff0000", "fill", "t"]),
                max_size=5,
            ),
        ),
        max_size=6,
    )
)
def test_any_options(options: list[tuple[str, list[str]]]) -> None:
    path = "".join(f"{name}:{':'.join(args)}/" for name, args in options)
    with suppress(BadTransform, UnsupportedFormat):
        hash(read(f"{path}plain/a.jpg", IGNORING))
