"""The dialect of next/image, Vercel, Netlify and ipx: every form, every error with its text, negotiation."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform, BadUrl, CalotypeError, SourceNotAllowed, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.transform.operations import (
    CENTER,
    Auto,
    Enlarge,
    Fit,
    FocalPoint,
    Gravity,
    Operation,
    Resize,
    Transform,
)
from proxy.core.url.dialects.dialect import QueryRule, Reading
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.dialects.next.urls import DIALECT
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.parsed_url import VariantUrl

READING = Reading(presets={})
NEXT, VERCEL, NETLIFY = "/_next/image", "/_vercel/image", "/.netlify/images"


def parse(target: str, reading: Reading = READING) -> VariantUrl:
    parsed = DIALECT.parse(target, reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def test_the_dialect_is_registered() -> None:
    assert DIALECTS["next"] is DIALECT


@pytest.mark.parametrize("form", [NEXT, VERCEL, f"{NEXT}/"])
def test_next_urls_are_native_urls(form: str) -> None:
    parsed = parse(f"{form}?url=%2Fphotos%2Flake.jpg&w=640&q=75")
    assert parsed == native.parse("/w_640,f_auto,q_75/photos/lake.jpg", {})
    assert parsed.transform == Transform(ops=(Resize(width=640),), format=Auto.AUTO, quality=75)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("/lake.jpg", "lake.jpg"),
        ("/a b.jpg", "a b.jpg"),
        ("/a%20b.jpg", "a b.jpg"),
        ("/a%2525.jpg", "a%25.jpg"),
        ("/é.jpg", "é.jpg"),
        ("/a.jpg#top", "a.jpg"),
        ("https://o.test/a%20b.jpg?x=1&y=2", "https://o.test/a%20b.jpg?x=1&y=2"),
        ("http://o.test/a.jpg", "http://o.test/a.jpg"),
        ("/_next/imager/a.jpg", "_next/imager/a.jpg"),
        ("/_next/static/media/a.1b2c.jpg", "_next/static/media/a.1b2c.jpg"),
    ],
)
def test_keys(url: str, key: str) -> None:
    for form in (NEXT, VERCEL):
        assert parse(f"{form}?url={quote(url, safe='')}&w=640&q=75").key == key
    assert parse(f"{NETLIFY}?url={quote(url, safe='')}").key == key


@pytest.mark.parametrize(
    "query",
    [
        "url=/lake.jpg&w=640&q=75",
        "q=75&w=640&url=/lake.jpg",
        "url=/lake.jpg&w=0640&q=075",
        "%75rl=/lake.jpg&w=%36%340&q=75",
    ],
)
def test_spellings_of_next(query: str) -> None:
    assert parse(f"{NEXT}?{query}") == native.parse("/w_640,f_auto,q_75/lake.jpg", {})


def test_unknown_parameters_are_ignored_and_reported() -> None:
    parsed = parse(f"{NEXT}?url=/lake.jpg&w=640&q=75&dpl=a1&%22=1&&")
    assert [each.parameter for each in parsed.unused] == ["dpl", "5"]


URL, W, Q = '"url" parameter', '"w" parameter (width)', '"q" parameter (quality)'
W_VALUE, Q_VALUE = f"{W} must be an integer greater than 0", f"{Q} must be an integer between 1 and 100"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", f"{URL} is required"),
        ("w=640&q=75", f"{URL} is required"),
        ("url=&w=640&q=75", f"{URL} is required"),
        ("url=/a&url=/a&w=640&q=75", f"{URL} cannot be an array"),
        (f"url=/{'a' * 3072}&w=640&q=75", f"{URL} is too long"),
        ("url=//o.test/a.jpg&w=640&q=75", f"{URL} cannot be a protocol-relative URL (//)"),
        ("url=/_next/image&w=640&q=75", f"{URL} cannot be recursive"),
        ("url=/%255Fnext/image?url=a&w=640&q=75", f"{URL} cannot be recursive"),
        ("url=/a/_next/image/b&w=640&q=75", f"{URL} cannot be recursive"),
        ("url=/a.jpg?v=1&w=640&q=75", f"{URL} is not allowed"),
        ("url=lake.jpg&w=640&q=75", f"{URL} is invalid"),
        ("url=ftp://o.test/a.jpg&w=640&q=75", f"{URL} is invalid"),
        ("url=s3://bucket/a.jpg&w=640&q=75", f"{URL} is invalid"),
        ("url=https:/o.test/a.jpg&w=640&q=75", f"{URL} is invalid"),
        ("url=/100%25.jpg&w=640&q=75", f"{URL} holds a % that is not followed by two hexadecimal digits"),
        ("url=/a&q=75", f"{W} is required"),
        ("url=/a&w=&q=75", f"{W} is required"),
        ("url=/a&w=640&w=640&q=75", f"{W} cannot be an array"),
        ("url=/a&w=640px&q=75", W_VALUE),
        ("url=/a&w=-640&q=75", W_VALUE),
        ("url=/a&w=640.5&q=75", W_VALUE),
        ("url=/a&w=%D9%A3&q=75", W_VALUE),
        ("url=/a&w=0&q=75", W_VALUE),
        ("url=/a&w=640", f"{Q} is required"),
        ("url=/a&w=0", f"{Q} is required"),
        ("url=/a&w=640&q=75&q=75", f"{Q} cannot be an array"),
        ("url=/a&w=640&q=best", Q_VALUE),
        ("url=/a&w=0&q=best", Q_VALUE),
        ("url=/a&w=640&q=7.5", Q_VALUE),
        ("url=/a&w=640&q=0", Q_VALUE),
        ("url=/a&w=640&q=101", Q_VALUE),
        (f"url=/a&w=640&q={'9' * 5000}", Q_VALUE),
        ("url=/a&w=0&q=101", W_VALUE),
    ],
)
def test_errors_of_next(query: str, detail: str) -> None:
    for form in (NEXT, VERCEL):
        with pytest.raises((BadUrl, BadTransform)) as caught:
            parse(f"{form}?{query}")
        assert caught.value.detail == detail


def test_a_number_of_any_length_is_a_width() -> None:
    [size] = parse(f"{NEXT}?url=/a&w={'9' * 5000}&q=75").transform.ops
    assert isinstance(size, Resize)
    assert size.width == 10**18


def netlify(
    width: int,
    height: int,
    fit: Fit,
    gravity: Gravity = CENTER,
    enlarge: Enlarge = Enlarge.ORIGINAL,
) -> Resize:
    return Resize(width=width, height=height, fit=fit, enlarge=enlarge, gravity=gravity)


INSIDE = netlify(300, 200, Fit.INSIDE, enlarge=Enlarge.NEVER)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("w=300", (Resize(width=300),)),
        ("h=200", (Resize(height=200),)),
        ("w=300&fit=cover", (Resize(width=300),)),
        ("w=300&h=200", (INSIDE,)),
        ("w=300&h=200&fit=contain", (INSIDE,)),
        ("w=300&h=200&fit=contain&position=top", (INSIDE,)),
        ("w=300&h=200&fit=cover", (netlify(300, 200, Fit.COVER),)),
        ("w=300&h=200&fit=cover&position=center", (netlify(300, 200, Fit.COVER),)),
        ("w=300&h=200&fit=cover&position=top", (netlify(300, 200, Fit.COVER, FocalPoint(0.5, 0)),)),
        ("w=300&h=200&fit=cover&position=bottom", (netlify(300, 200, Fit.COVER, FocalPoint(0.5, 1)),)),
        ("w=300&h=200&fit=cover&position=left", (netlify(300, 200, Fit.COVER, FocalPoint(0, 0.5)),)),
        ("w=300&h=200&fit=cover&position=right", (netlify(300, 200, Fit.COVER, FocalPoint(1, 0.5)),)),
        ("w=300&h=200&fit=fill", (netlify(300, 200, Fit.FILL),)),
    ],
)
def test_sizes_of_netlify(query: str, expected: tuple[Operation, ...]) -> None:
    parsed = parse(f"{NETLIFY}?url=/a.jpg&{query}")
    assert parsed.transform == Transform(ops=expected, format=Auto.AUTO)
    assert [each.parameter for each in parsed.unused] == (["position"] if "contain&pos" in query else [])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fm=avif", Transform(format=Format.AVIF)),
        ("fm=jpg", Transform(format=Format.JPEG)),
        ("fm=png", Transform(format=Format.PNG)),
        ("fm=webp&q=60", Transform(format=Format.WEBP, quality=60)),
        ("fm=gif", Transform(format=Format.GIF)),
        ("q=100", Transform(format=Auto.AUTO, quality=100)),
    ],
)
def test_output_of_netlify(query: str, expected: Transform) -> None:
    assert parse(f"{NETLIFY}?url=a.jpg&{query}").transform == expected


def test_netlify_urls_are_native_urls() -> None:
    assert parse(f"{NETLIFY}?url=/a.jpg&w=300&h=200&q=80") == native.parse(
        "/w_300,h_200,f_auto,q_80/a.jpg", {}
    )


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "url"),
        ("url=/a&url=/a", "url"),
        ("url=/a&w=0", "w"),
        ("url=/a&w=", "w"),
        ("url=/a&w=1&w=1", "w"),
        ("url=/a&h=x", "h"),
        ("url=/a&fit=crop", "fit"),
        ("url=/a&fit=", "fit"),
        ("url=/a&position=middle", "position"),
        ("url=/a&fm=blurhash", "fm"),
        ("url=/a&q=0", "q"),
        ("url=/a&q=101", "q"),
        ("url=/a&q=best", "q"),
    ],
)
def test_errors_of_netlify_name_the_parameter(query: str, name: str) -> None:
    with pytest.raises((BadUrl, BadTransform), match=rf"^parameter {name} "):
        parse(f"{NETLIFY}?{query}")


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/_ipx/_/lake.jpg", "lake.jpg"),
        ("/_ipx/_/a/b%20c.jpg", "a/b c.jpg"),
        ("/_ipx/_/%2Fa.jpg", "a.jpg"),
        ("/_ipx/_//a.jpg", "a.jpg"),
        ("/_ipx/_/a%2520b.jpg", "a%20b.jpg"),
        ("/_ipx/_/a.jpg?utm_source=x", "a.jpg"),
        ("/_ipx/_/https://o.test/a.jpg", "https://o.test/a.jpg"),
        ("/_ipx/_/https:/o.test/a.jpg", "https://o.test/a.jpg"),
        ("/_ipx/_/https%3A%2F%2Fo.test%2Fa.jpg%3Fx=1", "https://o.test/a.jpg?x=1"),
        ("/_ipx/_/https://o.test/a.jpg?x=1&y=2", "https://o.test/a.jpg?x=1&y=2"),
    ],
)
def test_ids_of_ipx(target: str, key: str) -> None:
    assert parse(target) == VariantUrl(key=key, transform=Transform())


def test_ipx_urls_are_native_urls() -> None:
    assert parse("/_ipx/w_640&f_auto&q_75/lake.jpg") == native.parse("/w_640,f_auto,q_75/lake.jpg", {})


@pytest.mark.parametrize(
    "target",
    [
        "/_ipx/",
        "/_ipx//a.jpg",
        "/_ipx/a.jpg",
        "/_ipx/w_300/",
        "/_ipx/w_300//",
        "/_ipx/_/a.jpg?x=1",
        "/_ipx/_/../a.jpg",
        "/_ipx/_/%2e%2e/a.jpg",
        "/_ipx/_/a%zz.jpg",
        "/_ipx/_/%FF.jpg",
    ],
)
def test_errors_of_ids(target: str) -> None:
    with pytest.raises(BadUrl):
        parse(target)


def test_the_query_of_an_id_follows_the_rule_of_the_mount() -> None:
    ignoring = Reading(presets={}, query=QueryRule.IGNORE)
    parsed = parse("/_ipx/_/a.jpg?x=1&utm_source=y", ignoring)
    assert [each.parameter for each in parsed.unused] == ["x", "utm_source"]


@pytest.mark.parametrize("target", ["/", "/w_300/a.jpg", "/_next/imager?url=/a", "/_next", "/_ipx"])
def test_other_routes_are_unknown(target: str) -> None:
    with pytest.raises(UnknownRoute):
        parse(target)


@pytest.mark.parametrize(
    ("target", "negotiated"),
    [
        (f"{NEXT}?url=/a&w=1&q=1", True),
        (f"{NEXT}/?", True),
        (f"{VERCEL}?url=", True),
        (f"{NETLIFY}?url=/a", True),
        (f"{NETLIFY}?url=/a&fm=webp", False),
        (f"{NETLIFY}?url=/a&f%6D=webp", False),
        ("/_ipx/f_auto/a.jpg", True),
        ("/_ipx/w_x&format_auto/a.jpg", True),
        ("/_ipx/f_webp,format_auto/a.jpg", False),
        ("/_ipx/_/f_auto", False),
        ("/other", False),
    ],
)
def test_negotiation(target: str, negotiated: bool) -> None:
    assert DIALECT.negotiates(target, READING) is negotiated


def test_there_are_no_signatures() -> None:
    raw = f"/shop{NEXT}?url=/a&w=1&q=1&s=abc"
    assert DIALECT.verify(raw, "/shop/", {"main": b"secret"}) is None
    assert DIALECT.unsigned(raw, "/shop/") == raw
    with pytest.raises(ValueError, match="no signatures") as caught:
        DIALECT.check_key("secret-value")
    assert "secret-value" not in str(caught.value)


def test_statuses() -> None:
    assert DIALECT.statuses == {
        "source-not-allowed": 400,
        "unsupported-format": 400,
        "undecodable": 400,
        "original-too-large": 413,
    }
    with pytest.raises(SourceNotAllowed):
        parse("/_next/image?url=/https://o.test/a&w=1&q=1")


WORDS = st.sampled_from(
    [
        "/",
        "//",
        "?",
        "&",
        "=",
        ",",
        ":",
        "_",
        "%",
        "%2F",
        "%zz",
        "%FF",
        "#",
        "+",
        ".",
        "..",
        "url=",
        "w=",
        "h=",
        "q=",
        "fm=",
        "fit=",
        "position=",
        "w_",
        "s_",
        "h_",
        "crop_",
        "rotate_",
        "f_auto",
        "b_",
        "blur_",
        "enlarge",
        "gamma_",
        "extend_",
        "1e999",
        "NaN",
        "inf",
        "-1",
        "0",
        "300",
        "300x200",
        "1.5",
        "99999999999999999999",
        "https://",
        "https:/",
        "o.test",
        "a.jpg",
        "é",
        "\x00",
        "/_next/image",
        "_ipx",
        "/_vercel/image",
        "/.netlify/images",
    ]
)
TARGETS = st.builds(
    lambda form, words: form + "".join(words),
    st.sampled_from(
        ["/_ipx/", f"{NEXT}?", f"{VERCEL}?", f"{NETLIFY}?", f"{NETLIFY}?url=/a&", "/_ipx/_/", "/"]
    ),
    st.lists(WORDS | st.text(max_size=3), max_size=12),
)


@given(TARGETS | st.text(max_size=40))
@example("")
@example("/_ipx/w_" + "9" * 100_000 + "/a")
@example("/_ipx/" + "a," * 10_000 + "/a")
@example("/_ipx/extend_" + "1_" * 10_000 + "/a")
def test_nothing_but_errors_of_requests(target: str) -> None:
    DIALECT.negotiates(target, READING)
    try:
        parsed = DIALECT.parse(target, READING)
    except CalotypeError as failure:
        assert failure.slug in ("bad-url", "bad-transform", "unknown-route", "source-not-allowed")
    else:
        hash(parsed)


@pytest.mark.parametrize("start", ["/_next/image?url=/a.jpg&w=640&q=75&", "/_ipx/w_9/a.jpg?"])
def test_a_query_has_a_limited_number_of_parameters(start: str) -> None:
    with pytest.raises(BadUrl, match="64 parameters at most"):
        parse(start + "&".join(f"utm_{number}=1" for number in range(65)), READING)
