"""The dialect of imgix: paths, names of parameters, values that imgix ignores, negotiation, and targets of any bytes."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import (
    BadTransform,
    BadUrl,
    CalotypeError,
    SourceNotAllowed,
    UnknownRoute,
    UnsupportedFormat,
)
from proxy.core.transform.operations import Auto, Enlarge, Resize, Transform, without_no_ops
from proxy.core.url.dialects.dialect import QueryRule, Reading, Unsupported
from proxy.core.url.dialects.imgix.parameters import BY_NAME
from proxy.core.url.dialects.imgix.urls import DIALECT, is_always_signed, negotiates
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import InfoUrl, VariantUrl

READING = Reading(presets={})
IGNORING = Reading(presets={}, unsupported=Unsupported.IGNORE)
W400 = Transform(ops=(Resize(width=400, enlarge=Enlarge.ALLOW),))


def parse(target: str, reading: Reading = READING) -> VariantUrl:
    parsed = DIALECT.parse(target, reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def test_the_dialect_is_registered() -> None:
    assert DIALECTS["imgix"] is DIALECT
    assert DIALECT.statuses == {"signature-expired": 404}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/a.jpg", "a.jpg"),
        ("/shop/a%20b.jpg", "shop/a b.jpg"),
        ("/a+b.jpg", "a+b.jpg"),
        ("/%C3%A9.jpg", "é.jpg"),
        ("/a%2525.jpg", "a%25.jpg"),
        ("/https%3A%2F%2Fo.test%2Fa.jpg%3Fx%3D1", "https://o.test/a.jpg?x=1"),
        ("/https%3A%2F%2Fo.test%2Fa%2520b.jpg", "https://o.test/a%20b.jpg"),
        ("/http://o.test/a.jpg", "http://o.test/a.jpg"),
        ("/https:/o.test/a.jpg", "https://o.test/a.jpg"),
    ],
)
def test_keys(path: str, key: str) -> None:
    assert parse(f"{path}?w=400") == VariantUrl(key=key, transform=W400)
    assert is_always_signed(f"{path}?w=400") is ("://" in key)


@pytest.mark.parametrize("target", ["/", "/?w=400"])
def test_there_is_no_picture_at_the_root(target: str) -> None:
    with pytest.raises(UnknownRoute):
        parse(target)


@pytest.mark.parametrize(
    "path", ["//a.jpg", "/a//b.jpg", "/../a.jpg", "/.a.jpg", "/a%zz.jpg", "/%FF.jpg", "/a%00.jpg"]
)
def test_invalid_keys(path: str) -> None:
    with pytest.raises((BadUrl, SourceNotAllowed)):
        parse(path)


@pytest.mark.parametrize(
    "query",
    [
        "w=400",
        "width=400",
        "w64=NDAw",
        "width64=NDAw",
        "%77=%34%30%30",
        "w=9&w=400",
        "width=9&w=400",
        "w=400&ixlib=python-4.0.0&ixid=x&fp-debug=1&utm_source=x&fbclid=y",
        "&&w=400&",
        "w=400&s=0123",
        "w=400.2",
        "w=4e2",
        "w=400&dpr=1&rot=0&blur=0&bg-remove=false&exp=0",
    ],
)
def test_spellings(query: str) -> None:
    parsed = parse(f"/a.jpg?{query}")
    assert without_no_ops(parsed.transform) == W400
    assert parsed.unused == parsed.reduced == ()


def test_an_equal_native_url() -> None:
    parsed = parse("/a.jpg?w=640&h=480&fit=crop&crop=faces&auto=format&q=75")
    assert parsed == native.parse("/w_640,h_480,c_fill,g_faces,f_auto,q_75/a.jpg", {})


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("wdth=1", "parameter wdth is unknown; is width meant?"),
        ("%22=1", "parameter 1 is unknown"),
        ("a=1&auto=fast", "parameter a is unknown"),
        ("auto=fast", "parameter auto is unknown"),
        ("w=", "parameter w must be a decimal number"),
        ("w=auto", "parameter w must be a decimal number"),
        ("width=0", "parameter width must be pixels, or a part"),
        ("h=-3", "parameter h must be pixels"),
        ("fit=cover", "parameter fit must be one of clamp, clip"),
        ("fit=crop&crop=top,middle", "parameter crop must be one of top"),
        ("fit=crop&ar=16-9", "parameter ar must be width to height"),
        ("fit=crop&ar=0:9", "parameter ar must be width to height"),
        ("rect=1,2,3", "parameter rect must be x,y,width,height"),
        ("rect=-1,2,3,4", "parameter rect must have a corner"),
        ("rect=a,2,3,4", "parameter rect must be a decimal number"),
        ("rect=1,2,0,4", "parameter rect must be a whole number from 1"),
        ("bg=nocolour", "parameter bg must be a colour"),
        ("orient=9", "parameter orient must be one of 0, 1"),
        ("flip=d", "parameter flip must be one of h, v"),
        ("trim=yes", "parameter trim must be one of auto"),
        ("fm=tiff", "parameter fm must be one of jpg"),
        ("frame=0", "parameter frame must be a whole number from 1"),
        ("dl=a%2Fb", "parameter dl must be a file name"),
        ("invert=yes", "parameter invert must be one of true"),
        ("palette=css&prefix=1a", "parameter prefix must be a CSS class"),
        ("iptc=yes", "parameter iptc must be one of allow"),
    ],
)
def test_what_imgix_ignores_is_refused_or_ignored_by_the_rule_of_the_mount(query: str, detail: str) -> None:
    with pytest.raises(BadTransform) as caught:
        parse(f"/a.jpg?{query}")
    assert caught.value.detail.startswith(detail)
    parsed = DIALECT.parse(f"/a.jpg?{query}&sepia=9", IGNORING)
    if isinstance(parsed, VariantUrl):
        assert parsed.unused
        assert all(each.is_option for each in parsed.unused)


@pytest.mark.parametrize(
    ("query", "unused"),
    [
        ("crop=top", ["crop"]),
        ("crop=top&fit=clip", ["crop"]),
        ("ar=1:1", ["ar"]),
        ("fit=crop&min-w=9", ["min-w"]),
        ("fit=crop&fp-x=0.1", ["fp-x"]),
        ("fill-color=red", ["fill-color"]),
        ("fill=blur", ["fill"]),
        ("trim-tol=9", ["trim-tol"]),
        ("usmrad=9", ["usmrad"]),
        ("mark-w=9&txtalign=top&bm=screen", ["mark-w", "txtalign", "bm"]),
        ("ch=Width,DPR", ["ch"]),
        (
            "chromasub=444&jpeg-progressive=false&page=2&faces=1",
            ["chromasub", "jpeg-progressive", "page", "faces"],
        ),
        ("video-wave=true", ["video-wave"]),
    ],
)
def test_parameters_without_an_effect_are_named(query: str, unused: list[str]) -> None:
    parsed = parse(f"/a.jpg?{query}")
    assert without_no_ops(parsed.transform) == Transform()
    assert [each.parameter for each in parsed.unused] == unused


POLISHING = [
    "auto=enhance", "auto=redeye", "auto=true", "lossless=true", "cs=adobergb1998", "nr=20", "upscale=true",
    "colorquant=16", "usm=-20", "loop=3",
]  # fmt: skip
CHANGING = [
    "fit=clamp&w=0.5&h=9", "fit=fill&fill=gen", "rot=45", "mark-rot=9",
    "txt-shad=9", "b=x", "mask=/mask.png", "border=5,f00", "border-radius=5", "duotone=000,80ff0000",
    "htn=5", "trim=auto&trim-pad=5", "bg-remove=true",
    "bg-replace=sea", "monochrome=80ff0000", "frame=1-5", "reverse=true", "expires=soon", "transparency=grid",
    "fill-max=source",
]  # fmt: skip


@pytest.mark.parametrize("query", POLISHING)
def test_what_only_polishes_follows_the_rule(query: str) -> None:
    with pytest.raises(BadTransform, match="^parameter "):
        parse(f"/a.jpg?{query}")
    parsed = parse(f"/a.jpg?w=400&{query}", IGNORING)
    assert without_no_ops(parsed.transform) == W400
    assert [each.parameter for each in parsed.unused] == [
        query.partition("=")[0] if "auto" not in query else query
    ]


@pytest.mark.parametrize("query", CHANGING)
def test_what_changes_the_picture_is_always_refused(query: str) -> None:
    for reading in (READING, IGNORING):
        with pytest.raises(BadTransform, match="^parameter "):
            parse(f"/a.jpg?{query}", reading)


@pytest.mark.parametrize("kind", ["jp2", "jxr", "mp4", "webm"])
def test_formats_that_the_node_does_not_write(kind: str) -> None:
    with pytest.raises(UnsupportedFormat):
        parse(f"/a.jpg?fm={kind}", IGNORING)


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("q=101", Notice("q", "101", "100")),
        ("q=0", Notice("q", "0", "1")),
        ("w=9&dpr=9", Notice("dpr", "9", "5")),
        ("sat=-300", Notice("sat", "-300", "-100")),
        ("blur=3000", Notice("blur", "3000", "2000")),
        ("fit=crop&crop=focalpoint&fp-x=1.5", Notice("fp-x", "1.5", "1")),
        ("w=9&fit=crop&max-h=9000", Notice("max-h", "9000", "8192")),
        ("pad=10000", Notice("pad", "10000", "9999")),
    ],
)
def test_values_out_of_range_are_moved_into_it(query: str, notice: Notice) -> None:
    assert parse(f"/a.jpg?{query}").reduced == (notice,)


@pytest.mark.parametrize("query", ["w64=a", "w64=%2B%2B", "txt64=4"])
def test_invalid_base64(query: str) -> None:
    with pytest.raises(BadUrl, match="is not base64url"):
        parse(f"/a.jpg?{query}")


def test_auto_and_ch_are_never_base64() -> None:
    for query in ("auto64=Zm9ybWF0", "ch64=RFBS"):
        with pytest.raises(BadTransform, match="is unknown"):
            parse(f"/a.jpg?{query}")
    assert negotiates("/a.jpg?auto64=Zm9ybWF0", READING) is False


def test_an_unknown_parameter_is_ignored_by_either_rule_of_the_mount() -> None:
    for reading in (IGNORING, Reading(presets={}, query=QueryRule.IGNORE)):
        parsed = parse("/a.jpg?w=400&v=7&%22=1", reading)
        assert (parsed.transform, [each.parameter for each in parsed.unused]) == (W400, ["v", "3"])


def test_expiry_and_file_name() -> None:
    parsed = parse("/a.jpg?w=400&expires=1477789261&dl=my%20cat.jpg")
    assert (parsed.until_s, parsed.disposition) == (1477789261, 'attachment; filename="my cat.jpg"')
    assert parse("/a.jpg?w=400&dl=").disposition == "attachment"


@pytest.mark.parametrize(
    "query", ["fm=json", "fm=blurhash", "palette=css", "palette=json&colors=3&w=9", "fm64=anNvbg"]
)
def test_descriptions(query: str) -> None:
    parsed = DIALECT.parse(f"/a.jpg?{query}&expires=9", READING)
    assert isinstance(parsed, InfoUrl)
    assert (parsed.key, parsed.until_s, parsed.document is None) == ("a.jpg", 9, False)
    assert negotiates(f"/a.jpg?{query}&auto=format", READING) is False


@pytest.mark.parametrize(
    ("query", "negotiated"),
    [
        ("auto=format", True),
        ("auto=compress,format&w=x", True),
        ("auto=compress%2Cformat", True),
        ("auto=compress&auto=format", True),
        ("auto=format&fm=jpg", True),
        ("auto=compress", False),
        ("fm=webp", False),
        ("w=1", False),
        ("auto=format&x=%zz", False),
        ("", False),
    ],
)
def test_negotiation(query: str, negotiated: bool) -> None:
    target = f"/a.jpg?{query}"
    assert negotiates(target, READING) is negotiated
    if negotiated and "x" not in query:
        assert parse(target).transform.format is Auto.AUTO


@pytest.mark.parametrize(
    ("target", "recognised"),
    [("/a.jpg", True), ("/a/b.jpg?w=1&s=x", True), ("/https%3A%2F%2Fo.test", True), ("/?w=1", False), ("/", False), ("", False)],
)  # fmt: skip
def test_any_path_has_the_form_of_an_imgix_url(target: str, recognised: bool) -> None:
    assert DIALECT.recognises(target) is recognised


WORDS = st.sampled_from(
    [*BY_NAME, *(f"{name}64" for name in ("w", "txt", "fit")), "=", "&", ",", "%", "%2F", "%zz", "#", ".", "..", "+"]
    + ["1e99", "NaN", "-1", "0", "1", "0.5", "300", "16:9", "crop", "focalpoint", "faces", "top", "fill", "auto", "color"]
    + ["f00", "80ff0000", "red", "json", "css", "jpg", "true", "format", "99999999999999999999", "é", "\x00", "NDAw"]
)  # fmt: skip


@given(
    st.builds(
        lambda path, words: path + "".join(words),
        st.sampled_from(["/a.jpg?", "/https%3A%2F%2Fo.test%2Fa?", "/?", "/"]),
        st.lists(WORDS | st.builds("{}={}&".format, WORDS, WORDS) | st.text(max_size=3), max_size=14),
    )
    | st.text(max_size=40),
    st.sampled_from([READING, IGNORING]),
)
@example("", READING)
@example("/a?w=" + "9" * 100_000, READING)
@example("/a?auto=" + "a," * 10_000, IGNORING)
@example("/a?rect=" + "1," * 10_000, IGNORING)
@example(f"/a?{quote('fit')}=crop&w=8192&ar=9999:0.0001", READING)
def test_nothing_but_errors_of_requests(target: str, reading: Reading) -> None:
    negotiates(target, reading)
    DIALECT.recognises(target)
    is_always_signed(target)
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


def test_a_query_has_a_limited_number_of_parameters() -> None:
    with pytest.raises(BadUrl, match="64 parameters at most"):
        parse("/a.jpg?" + "&".join(f"utm_{number}=1" for number in range(65)))
