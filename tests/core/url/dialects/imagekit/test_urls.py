"""The dialect of ImageKit: where steps stand, presets, originals, versions, negotiation, and targets of any bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform, BadUrl, CalotypeError, UnknownRoute, UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Auto, Transform, without_no_ops
from proxy.core.url.dialects.dialect import QueryRule, Reading, Unsupported
from proxy.core.url.dialects.imagekit.parameters import BY_NAME, DOCUMENTED, PARAMETERS
from proxy.core.url.dialects.imagekit.urls import DIALECT, negotiates
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import OriginalUrl, VariantUrl

PRESETS = {
    name: parse_tokens(tokens, {}).components
    for name, tokens in {
        "card": "w_120,h_90,c_fill,f_webp,q_60,b_ff0000",
        "own": "w_99",
        "auto": "w_99,f_auto",
        "effects": "if_w_gt_300~e_sepia,e_blur:2~if_else~e_sharpen:1,e_grayscale~if_end",
        "long": "~".join(["w_90"] * 16),
    }.items()
}
READING = Reading(presets=PRESETS)
IGNORING = Reading(presets=PRESETS, unsupported=Unsupported.IGNORE)
SDK = {
    "w", "h", "ar", "bg", "b", "c", "cm", "dpr", "fo", "q", "x", "xc", "y", "yc", "f", "vc", "ac", "r", "rt", "bl", "n",
    "di", "fl", "orig", "so", "eo", "du", "sr", "e-grayscale", "e-upscale", "e-retouch", "e-genvar", "e-dropshadow",
    "e-changebg", "e-edit", "e-bgremove", "e-removedotbg", "e-contrast", "e-shadow", "e-sharpen", "e-usm",
    "e-gradient", "cr", "e-distort", "e-colorize", "pr", "lo", "cp", "md", "dn", "o", "t", "z", "pg", "lm", "al", "raw",
}  # fmt: skip
"""The names of the table supportedTransforms of @imagekit/javascript 5, without those of text layers."""


def parse(target: str, reading: Reading = READING) -> VariantUrl:
    parsed = DIALECT.parse(target, reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def test_the_dialect_is_registered() -> None:
    assert DIALECTS["imagekit"] is DIALECT
    assert DIALECT.statuses == {"bad-signature": 401, "signature-required": 401, "signature-expired": 401}


def test_every_name_of_the_client_has_a_row() -> None:
    assert SDK - BY_NAME.keys() == set()
    assert len(BY_NAME) == len(PARAMETERS)
    assert len(DOCUMENTED) == len(PARAMETERS) + 1, "layers are read by their own module"


@pytest.mark.parametrize(
    "target",
    [
        "/tr:w-300,h-200:rt-90/img/a%20b.jpg",
        "/tr:h-200,w-300:rt-90/img/a%20b.jpg",
        "/img/tr:w-300,h-200:rt-90/a%20b.jpg",
        "/img/tr%3Aw-300%2Ch-200%3Art-90/a%20b.jpg",
        "/img/a%20b.jpg?tr=w-300,h-200:rt-90",
        "/img/a%20b.jpg?tr=w-300%2Ch-200%3Art-90&ik-sdk-version=javascript-1.4.3&utm_source=x",
        "/tr:w-300,h-200/img/a%20b.jpg?tr=rt-90",
        "/tr:w-300,h-200/tr:rt-90/img/a%20b.jpg",
        "//img/a%20b.jpg?tr=w-9,w-300,h-200::rt-90:&ik-s=abc&ik-t=1",
    ],
)
def test_steps_stand_in_the_path_and_in_the_query(target: str) -> None:
    parsed = parse(target)
    assert parsed == native.parse("/w_300,h_200,c_fill,a_90,f_auto/img/a%20b.jpg", {})
    assert parsed.unused == ()


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/a.jpg", "a.jpg"),
        ("/a.jpg?tr=", "a.jpg"),
        ("/tr:/a.jpg", "a.jpg"),
        ("/tr:q-9/https%3A%2F%2Fo.test%2Fa.jpg%3Fx%3D1", "https://o.test/a.jpg?x=1"),
        ("/tr:q-9/https://o.test/a.jpg", "https://o.test/a.jpg"),
        ("/tr:q-9/https:/o.test/a.jpg", "https://o.test/a.jpg"),
        ("/track/a.jpg", "track/a.jpg"),
    ],
)
def test_keys(target: str, key: str) -> None:
    parsed = parse(target)
    assert (parsed.key, parsed.transform.format) == (key, Auto.AUTO)


def test_there_is_no_picture_at_the_root() -> None:
    for target in ("/", "/?tr=w-9"):
        with pytest.raises(UnknownRoute):
            parse(target)
    with pytest.raises(BadUrl):
        parse("/tr:w-300")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("f-jpg,q-50", Transform(format=Format.JPEG, quality=50)),
        ("f-webp:f-orig", Transform()),
        ("q-10:q-20", Transform(format=Auto.AUTO, quality=20)),
        ("f-auto,lo-false,md-false,cp-false", Transform(format=Auto.AUTO)),
    ],
)
def test_output(steps: str, expected: Transform) -> None:
    assert parse(f"/tr:{steps}/a.jpg").transform == expected


def test_presets() -> None:
    card = native.parse_transform("w_120,h_90,c_fill,f_webp,q_60,b_ff0000", {})
    alone = parse("/tr:n-card/a.jpg")
    assert (alone.transform, alone.of_presets, alone.is_preset) == (card, card, True)
    more = parse("/tr:n-card,rt-90:f-orig,q-9/a.jpg")
    assert (more.of_presets, more.is_preset, more.transform.quality, more.transform.format) == (
        card,
        False,
        9,
        None,
    )
    assert more.transform.ops[: len(card.ops)] == card.ops
    assert parse("/tr:n-own/a.jpg").transform.format is Auto.AUTO
    with pytest.raises(BadTransform, match=r"names no preset of this node: crad; is card meant\?"):
        parse("/tr:n-crad/a.jpg")
    with pytest.raises(BadTransform, match="too many operations"):
        parse("/tr:n-long:n-long/a.jpg")
    with pytest.raises(BadTransform, match="effects and backgrounds|too many operations"):
        parse("/tr:n-effects:n-effects:n-effects/a.jpg")


def test_originals() -> None:
    for target in ("/tr:orig-true/a.jpg", "/tr:w-9,e-bgremove:orig-true/a.jpg", "/a.jpg?tr=orig-true"):
        assert DIALECT.parse(target, READING) == OriginalUrl("a.jpg")
    saved = DIALECT.parse("/tr:orig-true/a.jpg?ik-attachment=true", READING)
    assert saved == OriginalUrl("a.jpg", disposition="attachment")
    assert parse("/tr:orig-false/a.jpg").transform == Transform(format=Auto.AUTO)


def test_versions_and_attachments() -> None:
    for query in ("v=123", "updatedAt=123"):
        assert parse(f"/a.jpg?{query}").transform.version == "123"
    assert parse("/a.jpg?ik-attachment=true").disposition == "attachment"
    assert parse("/a.jpg?ik-attachment=false").disposition == ""


def test_other_parameters_of_the_query_follow_the_rules_of_the_mount() -> None:
    with pytest.raises(BadUrl, match="parameter tx is not supported: transformations are in tr"):
        parse("/a.jpg?tx=w-9")
    for reading in (IGNORING, Reading(presets={}, query=QueryRule.IGNORE)):
        assert [each.parameter for each in parse("/a.jpg?foo=1&%22=2", reading).unused] == ["foo", "2"]


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        ("width-9", "transformation width is unknown"),
        ("w-9,,h-9", "transformation 2 is unknown"),
        ("e-nosuch", "transformation e-nosuch is unknown"),
        ("w-x", "parameter w must be a decimal number"),
        ("w-0", "parameter w must be pixels"),
        ("c-fill,w-9", "parameter c must be one of maintain_ratio"),
        ("cm-crop", "parameter cm must be one of pad_resize"),
        ("w-9,ar-0-1", "parameter ar must be width to height"),
        ("w-9,cm-extract,x-N1", "parameter x must be a whole number"),
        ("fl-x", "parameter fl must be one of"),
        ("t-0", "parameter t must be a whole number from 1 to 99"),
        ("e-usm-1", "parameter e-usm must be radius-sigma-amount-threshold"),
        ("f-foo", "parameter f must be one of auto"),
        ("bg-FFFFF", "parameter bg must be RRGGBB"),
        ("orig-yes", "parameter orig must be one of"),
        (":".join(["q-9"] * 9), "the URL has more than 8 steps"),
        (",".join(["q-9"] * 40), "a step has more than 32 transformations"),
        ("bl-1,e-sharpen,e-grayscale,e-contrast,bg-red:bl-1,e-sharpen,e-grayscale,e-contrast", "the URL has more than 8 effects"),
        ("w-9:w-iw_div_2", "parameter w has a side of the original after the first step"),
    ],
)  # fmt: skip
def test_errors_name_the_transformation(steps: str, detail: str) -> None:
    for reading in (READING, IGNORING):
        with pytest.raises(BadTransform) as caught:
            parse(f"/tr:{steps}/a.jpg", reading)
        assert caught.value.detail.startswith(detail)


POLISHING = ["lo-true", "md-true", "cp-true", "e-upscale", "e-retouch"]
CHANGING = [
    "r-1_2", "b-5", "o-50", "cr-FF0000_50", "l-video,i-a.mp4,l-end", "l-image,i-logo.png,r-9,l-end",
    "if-ar_gt_1,w-9,if-else,w-8,if-end", "e-shadow", "e-gradient-ld-top", "e-bgremove", "e-changebg-prompt-x",
    "oi-logo.png", "ot-Hello", "w-9,h-9,fo-custom", "w-9,h-9,fo-car", "w-9,h-9,fo-face,z-2", "rt-45", "bg-blurred_10_5",
    "raw-x",
]  # fmt: skip


@pytest.mark.parametrize("steps", POLISHING)
def test_what_only_polishes_follows_the_rule(steps: str) -> None:
    with pytest.raises(BadTransform, match="^parameter "):
        parse(f"/tr:{steps}/a.jpg")
    parsed = parse(f"/tr:{steps}/a.jpg", IGNORING)
    assert without_no_ops(parsed.transform) == Transform(format=Auto.AUTO)
    assert [each.parameter for each in parsed.unused] == [steps if steps.startswith("e-") else steps[:2]]


@pytest.mark.parametrize("steps", CHANGING)
def test_what_changes_the_picture_is_always_refused(steps: str) -> None:
    for reading in (READING, IGNORING):
        with pytest.raises(BadTransform, match="^parameter "):
            parse(f"/a.jpg?tr={steps}", reading)


def test_formats_that_the_node_does_not_write() -> None:
    with pytest.raises(UnsupportedFormat):
        parse("/tr:f-mp4/a.jpg", IGNORING)


@pytest.mark.parametrize(
    ("steps", "unused"),
    [
        ("dpr-2", ["dpr"]),
        ("w-auto,dpr-auto", ["w", "dpr"]),
        ("ar-4-3", ["ar"]),
        ("w-9,h-9,ar-4-3", ["ar"]),
        ("w-9,x-5", ["x"]),
        ("w-4000,dpr-2", ["dpr"]),
        ("w-9,h-9,cm-extract,dpr-2", ["dpr"]),
        ("pr-true,pg-2,so-5", ["pr", "pg", "so"]),
        ("r-0,b-0", []),
    ],
)
def test_transformations_without_an_effect_are_named(steps: str, unused: list[str]) -> None:
    assert [each.parameter for each in parse(f"/tr:{steps}/a.jpg").unused] == unused


def test_a_default_picture_is_the_last_candidate() -> None:
    assert parse("/tr:w-9,di-no@@such.jpg:di-folder@@b.png/a.jpg").defaults == ("folder/b.png",)
    assert parse("/tr:w-9/a.jpg").defaults == ()
    for steps in ("di-", "di-..@@b.png", "di-a@@@@b.png"):
        with pytest.raises(BadTransform, match="parameter di"):
            parse(f"/tr:{steps}/a.jpg")


def test_values_out_of_range_are_moved_into_it() -> None:
    parsed = parse("/tr:q-500,w-9,dpr-9/a.jpg")
    assert parsed.reduced == (Notice("q", "500", "100"), Notice("dpr", "9", "5"))


@pytest.mark.parametrize(
    ("target", "negotiated"),
    [
        ("/a.jpg", True),
        ("/tr:w-9/a.jpg", True),
        ("/tr:f-auto/a.jpg", True),
        ("/tr:f-jpg/a.jpg", False),
        ("/tr:f-jpg:f-auto/a.jpg", True),
        ("/tr:f-auto/a.jpg?tr=f-orig", False),
        ("/tr:orig-true/a.jpg", False),
        ("/tr:n-card/a.jpg", False),
        ("/tr:n-own/a.jpg", True),
        ("/tr:n-auto:n-card,f-auto/a.jpg", True),
        ("/tr:n-nosuch/a.jpg", True),
        ("/tr:w-x/a.jpg", True),
    ],
)
def test_negotiation(target: str, negotiated: bool) -> None:
    assert negotiates(target, READING) is negotiated


def test_any_path_has_the_form_of_an_imagekit_url() -> None:
    assert [DIALECT.recognises(target) for target in ("/a.jpg", "/tr:w-9/a.jpg?x", "/", "/?tr=w-9", "")] == [
        *(True, True),
        *(False, False, False),
    ]


WORDS = st.sampled_from(
    [*(f"{name}-" for name in BY_NAME), ",", ":", "-", "_", "/", "tr:", "?tr=", "&", "%", "%2C", "%zz", "#", "N", "l-image"]
    + ["300", "0.5", "1", "0", "-1", "1e99", "4-3", "iw_div_2", "auto", "face", "extract", "pad_resize", "pad_extract"]
    + ["at_max", "FF000050", "red", "true", "card", "own", "jpg", "99999999999999999999", "é", "\x00", "v=", "max"]
)  # fmt: skip


@given(
    st.builds(
        lambda path, words: path + "".join(words),
        st.sampled_from(["/tr:", "/a.jpg?tr=", "/", "/tr:w-9,h-9,"]),
        st.lists(WORDS | st.builds("{}{},".format, WORDS, WORDS) | st.text(max_size=3), max_size=14),
    ).map(lambda target: target if "?" in target else f"{target}/a.jpg")
    | st.text(max_size=40),
    st.sampled_from([READING, IGNORING]),
)
@example("", READING)
@example("/tr:w-" + "9" * 100_000 + "/a", READING)
@example("/tr:" + "q-1:" * 10_000 + "/a", READING)
@example("/tr:" + "q-1," * 10_000 + "/a", READING)
@example("/" + "a/" * 10_000 + "/a", READING)
def test_nothing_but_errors_of_requests(target: str, reading: Reading) -> None:
    negotiates(target, reading)
    DIALECT.recognises(target)
    try:
        parsed = DIALECT.parse(target, reading)
    except CalotypeError as failure:
        allowed = ("bad-url", "bad-transform", "unknown-route", "source-not-allowed", "unsupported-format")
        assert failure.slug in allowed
        return
    assert DIALECT.recognises(target)
    if isinstance(parsed, VariantUrl):
        assert (parsed.transform.format is Auto.AUTO) is negotiates(target, reading)
        spelled = native.native_url(parsed, parsed.key, parsed.transform)
        again = native.parse(spelled, {})
        assert isinstance(again, VariantUrl)
        assert without_no_ops(again.transform) == without_no_ops(parsed.transform), spelled
