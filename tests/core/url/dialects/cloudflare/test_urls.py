"""The dialect of Cloudflare Images: sources, the hosted form, signatures and errors."""

import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    BadUrl,
    CalotypeError,
    OriginalNotFound,
    RequestLoop,
    SignatureRequired,
    SourceNotAllowed,
    SourceUnavailable,
    UnknownRoute,
)
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Auto, Resize
from proxy.core.url.dialects.cloudflare.options import BY_NAME
from proxy.core.url.dialects.cloudflare.urls import DIALECT, parse, recognises, unsigned, verify
from proxy.core.url.dialects.component import Component
from proxy.core.url.dialects.dialect import QueryRule, Reading, Unsupported
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.parsed_url import InfoUrl, VariantUrl
from proxy.core.url.signing import Keys, Restrictions, Signed
from proxy.edge.problems import PROBLEMS

HASH, ID = "cheeW4oKsx5ljh8e8BoL2A", "bc27a117-9509-446b-8c69-c81bfeac0a01"
PRESETS = {
    "mobile": [Component(width=320, format=Auto.AUTO)],
    "public": [Component(width=1200, format=Format.JPEG)],
}
READING = Reading(presets=PRESETS)


def key(target: str, rule: QueryRule = QueryRule.STRICT) -> str:
    parsed = parse(target, Reading(presets=PRESETS, query=rule))
    assert isinstance(parsed, VariantUrl)
    return parsed.key


WEB = "https://s3.example.com/bucket/a%20b.png"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("uploads/avatar1.jpg", "uploads/avatar1.jpg"),
        ("/uploads/avatar1.jpg", "uploads/avatar1.jpg"),
        ("a%20b%C3%A9.jpg", "a bé.jpg"),
        ("a.jpg?utm_source=x", "a.jpg"),
        (WEB, WEB),
        (f"{WEB}?v=1&w=%2F", f"{WEB}?v=1&w=%2F"),
        ("https:/s3.example.com/a.png", "https://s3.example.com/a.png"),
        ("/https://s3.example.com/a.png?v=1", "https://s3.example.com/a.png?v=1"),
        ("HTTP:/s3.example.com/a.png", "HTTP://s3.example.com/a.png"),
        (quote(f"{WEB}?v=1", safe=""), f"{WEB}?v=1"),
        (f"{quote(WEB, safe='')}?utm_source=x", WEB),
        (quote("https:/s3.example.com/a.png", safe=""), "https://s3.example.com/a.png"),
        ("https%3A//s3.example.com/a.png", "https://s3.example.com/a.png"),
    ],
)
def test_a_source_is_a_key_or_an_absolute_url(source: str, expected: str) -> None:
    assert key(f"/cdn-cgi/image/w=80/{source}") == expected


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ("/cdn-cgi/image/w=80/a.jpg?v=1", BadUrl, "parameter v is not supported"),
        ("/cdn-cgi/image/w=80//", BadUrl, "missing"),
        ("/cdn-cgi/image/w=80/", BadUrl, "missing"),
        ("/cdn-cgi/image/w=80", BadUrl, "missing"),
        ("/cdn-cgi/image//a.jpg", BadTransform, "one option at least"),
        ("/cdn-cgi/image/w=80///evil.example/a.jpg", BadUrl, "empty"),
        ("/cdn-cgi/image/w=80/.env", BadUrl, "begins with a dot"),
        ("/cdn-cgi/image/w=80/a%2F..%2Fb.jpg", BadUrl, "begins with a dot"),
        ("/cdn-cgi/image/w=80/a%ff.jpg", BadUrl, "UTF-8"),
        ("/cdn-cgi/image", UnknownRoute, "no such route"),
        ("/w_400/a.jpg", UnknownRoute, "no such route"),
        (f"/{HASH}/{ID}", UnknownRoute, "no such route"),
        (f"/{HASH}/{ID}/mobil", BadTransform, "is mobile meant"),
        (f"/{HASH}/{ID}/mobile?v=1", BadUrl, "parameter v is not supported"),
        ("/cdn-cgi/image/" + "w=1," * 70 + "h=1/a.jpg", BadTransform, "64 options"),
    ],
)
def test_other_urls_are_refused(target: str, error: type[CalotypeError], says: str) -> None:
    with pytest.raises(error, match=says):
        parse(target, READING)


def test_other_parameters_after_a_key_may_be_ignored() -> None:
    assert key("/cdn-cgi/image/w=80/a.jpg?v=1", QueryRule.IGNORE) == "a.jpg"


@pytest.mark.parametrize(
    "start", [f"/{HASH}", f"/cdn-cgi/imagedelivery/{HASH}", "/cdn-cgi/imagedelivery/any"]
)
def test_a_hosted_image_has_a_preset_or_options(start: str) -> None:
    preset = parse(f"{start}/{ID}/mobile", READING)
    assert isinstance(preset, VariantUrl)
    assert (preset.key, preset.is_preset, preset.transform) == (ID, True, preset.of_presets)
    assert preset.transform.ops == (Resize(width=320),)
    flexible = parse(f"{start}/users/7/avatar.jpg/w=400", READING)
    assert isinstance(flexible, VariantUrl)
    assert (flexible.key, flexible.is_preset) == ("users/7/avatar.jpg", False)
    assert (flexible.transform.ops, flexible.transform.format) == ((Resize(width=400),), Auto.AUTO)


def test_json_describes_the_original() -> None:
    for target, key in (("/cdn-cgi/image/w=80,format=json/a.jpg", "a.jpg"), (f"/{HASH}/{ID}/f=json", ID)):
        parsed = parse(target, READING)
        assert isinstance(parsed, InfoUrl)
        assert (parsed.key, parsed.own and parsed.own.mime) == (key, "application/json")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/cdn-cgi/image/format=auto,w=80/a.jpg", True),
        ("/cdn-cgi/image/w=80,f=auto/a.jpg", True),
        ("/cdn-cgi/image/f=auto,nonsense/", True),
        ("/cdn-cgi/image/f=auto,format=webp/a.jpg", False),
        ("/cdn-cgi/image/w=80/a.jpg?f=auto", False),
        ("/cdn-cgi/image/f=json/a.jpg", False),
        (f"/{HASH}/{ID}/w=80", True),
        (f"/{HASH}/{ID}/w=80,f=auto", True),
        (f"/{HASH}/{ID}/w=80,f=webp", False),
        (f"/{HASH}/{ID}/mobile", True),
        (f"/{HASH}/{ID}/public", False),
        (f"/{HASH}/{ID}/other", False),
        ("/other", False),
    ],
)
def test_auto_negotiates(target: str, expected: bool) -> None:
    assert DIALECT.negotiates(target, READING) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/cdn-cgi/image/w=80/a.jpg", True),
        ("/cdn-cgi/image/nonsense", True),
        ("/cdn-cgi/image/", True),
        (f"/cdn-cgi/imagedelivery/{HASH}/{ID}/w=80", True),
        (f"/{HASH}/{ID}/mobile", True),
        (f"/{HASH}/{ID}/mobile?exp=1&sig=2", True),
        (f"/{HASH}/a/b/c/mobile", True),
        (f"/{HASH}/mobile", False),
        (f"/{HASH[1:]}/{ID}/mobile", False),
        ("/w_400,h_300,c_fill,f_webp/a/b.jpg", False),
        ("/a/b?x=/cdn-cgi/image/", False),
        ("/_next/image?url=a", False),
        ("/", False),
    ],
)
def test_the_form_is_recognised(target: str, expected: bool) -> None:
    assert recognises(target) is expected


# Signatures.

OLD, NEW = b"an old secret", b"a new secret"
KEYS: Keys = {"old": OLD, "new": NEW}
PATH = f"/{HASH}/{ID}/mobile"


def mac(message: str, secret: bytes = OLD) -> str:
    """As the vendor's documentation has it, written anew."""
    return hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()


def test_the_signature_covers_path_and_expiry() -> None:
    raw = f"{PATH}?exp=1631289275&sig={mac(f'{PATH}?exp=1631289275', NEW)}"
    expected = Signed(target=PATH, key_id="new", restrictions=Restrictions(until_s=1631289275))
    assert verify(raw, "/", KEYS) == expected
    assert verify(f"{raw}&utm_source=x", "/", KEYS) == Signed(
        target=f"{PATH}?utm_source=x", key_id="new", restrictions=Restrictions(until_s=1631289275)
    )


def test_a_signature_needs_no_expiry() -> None:
    signed = verify(f"{PATH}?sig={mac(f'{PATH}?')}", "/", KEYS)
    assert signed == Signed(target=PATH, key_id="old", restrictions=Restrictions())


def test_the_signed_path_is_that_of_the_url_or_of_the_vendors_host() -> None:
    raw = f"/shop/cdn-cgi/imagedelivery{PATH}"
    for path in (raw, PATH):
        signed = verify(f"{raw}?exp=5&sig={mac(f'{path}?exp=5')}", "/shop/", KEYS)
        assert signed is not None
        assert signed.target == raw
    with pytest.raises(BadSignature):
        verify(f"{raw}?exp=5&sig={mac(f'/cdn-cgi/imagedelivery{PATH}?exp=5')}", "/shop/", KEYS)


@pytest.mark.parametrize(
    "raw",
    [
        PATH,
        f"{PATH}?exp=5",
        "/cdn-cgi/image/w=80/a.jpg?exp=5&sig=abc",
        "/cdn-cgi/image/w=80/https://x.example/a.jpg?sig=abc",
        "/other?sig=abc",
    ],
)
def test_other_urls_are_unsigned(raw: str) -> None:
    assert verify(raw, "/", KEYS) is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (f"exp=6&sig={mac(f'{PATH}?exp=5')}", BadSignature),
        (f"sig={mac(f'{PATH}?exp=5')}&exp=5", BadSignature),
        (f"exp=5&sig={mac(f'{PATH}?exp=5').upper()}", BadSignature),
        (f"exp=5&sig={mac(f'{PATH}?exp=5')[:-1]}", BadSignature),
        (f"exp=5&sig={mac(f'{PATH}?exp=5', b'another')}", BadSignature),
        ("exp=5&sig=", BadSignature),
        ("exp=5&sig=\udcff", BadSignature),
        (f"exp=5&exp=6&sig={mac(f'{PATH}?exp=5&exp=6')}", BadUrl),
        (f"exp=x&sig={mac(f'{PATH}?exp=x')}", BadUrl),
        (f"exp=&sig={mac(f'{PATH}?exp=')}", BadUrl),
    ],
)
def test_other_signatures_are_refused(query: str, error: type[CalotypeError]) -> None:
    with pytest.raises(error):
        verify(f"{PATH}?{query}", "/", KEYS)


RAW = f"{PATH}?exp=1631289275&sig={mac(f'{PATH}?exp=1631289275')}"


@given(st.integers(1, len(RAW) - 1), st.integers(0x21, 0x7E))
def test_no_changed_url_is_valid(position: int, byte: int) -> None:
    changed = f"{RAW[:position]}{chr(byte)}{RAW[position + 1 :]}"
    try:
        signed = verify(changed, "/", KEYS)
    except (BadSignature, BadUrl):
        return
    assert changed == RAW or signed is None


@pytest.mark.parametrize("target", [PATH, "/cdn-cgi/image/w=80/a.jpg", f"{PATH}?utm_source=x"])
def test_an_unsigned_url_parses_to_the_same(target: str) -> None:
    joint = "&" if "?" in target else "?"
    signed = f"{target}{joint}exp=5&sig=abc"
    if target.startswith("/cdn-cgi"):
        assert unsigned(signed, "/") == signed
    else:
        assert unsigned(signed, "/") == target
        assert parse(signed, READING) == parse(target, READING)


def test_a_key_must_not_be_empty() -> None:
    assert DIALECT.check_key("secret") == 6
    with pytest.raises(ValueError, match="must not be empty"):
        DIALECT.check_key("")


# Errors.

URL = "/cdn-cgi/image/onerror=redirect,w=80"
GONE = OriginalNotFound("there is no such original")


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        (f"{URL}/uploads/a%20b.jpg", "shop.example", "/uploads/a%20b.jpg"),
        (f"{URL}/uploads/a.jpg?v=1", "shop.example", "/uploads/a.jpg?v=1"),
        (f"{URL}//uploads/a.jpg", "", "/uploads/a.jpg"),
        (f"{URL}/https://shop.example/a.jpg?v=1", "Shop.example", "/a.jpg?v=1"),
        (f"{URL}/https://shop.example:81/a.jpg", "shop.example:81", "/a.jpg"),
        (f"{URL}/https://shop.example//evil.example/a.jpg", "shop.example", "/evil.example/a.jpg"),
        (f"{URL}/{quote('https://shop.example/a.jpg?v=1', safe='')}", "shop.example", "/a.jpg?v=1"),
        (f"{URL}/https://shop.example:81/a.jpg", "shop.example", ""),
        (f"{URL}/https://evil.example/a.jpg", "shop.example", ""),
        (f"{URL}/https://shop.example@evil.example/a.jpg", "shop.example", ""),
        (f"{URL}/https://shop.example.evil.example/a.jpg", "shop.example", ""),
        (f"{URL}/https://evil.example/a.jpg", "", ""),
        (f"{URL}/https:///a.jpg", "", ""),
        (f"{URL}/ftp://shop.example/a.jpg", "shop.example", ""),
        (f"{URL}/%2F%2Fevil.example/a.jpg", "shop.example", ""),
        (f"{URL}/%5Cevil.example/a.jpg", "shop.example", ""),
        (f"{URL}/", "shop.example", ""),
        ("/cdn-cgi/image/w=80/a.jpg", "shop.example", ""),
        ("/cdn-cgi/image/onerror=redirect,w=x/a.jpg", "shop.example", ""),
        (f"/{HASH}/{ID}/w=80,onerror=redirect", "shop.example", ""),
    ],
)
def test_a_failed_transformation_leads_to_the_source_on_the_same_host(
    target: str, host: str, expected: str
) -> None:
    assert DIALECT.error_location(target, host, GONE) == expected
    for failure in (
        SignatureRequired("this mount answers signed URLs only"),
        SourceNotAllowed("another"),
        BadTransform("x"),
    ):
        assert DIALECT.error_location(target, host, failure) == ""


@given(st.text(), st.sampled_from(["shop.example", ""]))
@example("https://shop.example/\\evil.example", "shop.example")
@example("https://shop.example\\@evil.example/", "shop.example")
def test_a_redirect_never_leaves_the_host(source: str, host: str) -> None:
    for written in (source, quote(source, safe=":/?")):
        location = DIALECT.error_location(f"{URL}/{written}", host, GONE)
        assert not location or (location[0] == "/" and location[1:2] not in ("/", "\\"))


@pytest.mark.parametrize(
    ("failure", "number", "status"),
    [
        (BadTransform("x"), 9401, 400),
        (SourceNotAllowed("x"), 9401, 403),
        (RequestLoop("x"), 9403, 403),
        (GONE, 9404, 404),
        (SourceUnavailable("x"), 9509, 502),
        (SignatureRequired("x"), 9425, 403),
        (UnknownRoute("x"), 9431, 404),
    ],
)
def test_errors_have_the_vendors_number_and_status(failure: CalotypeError, number: int, status: int) -> None:
    assert DIALECT.error_headers("/", failure) == {"Cf-Resized": f"err={number}"}
    assert DIALECT.error_text("/", failure) == f"ERROR {number}: {failure.detail}"
    assert DIALECT.statuses[failure.slug] == status


def test_the_statuses_are_those_of_errors() -> None:
    assert DIALECT.statuses.keys() <= PROBLEMS.keys()
    assert DIALECTS["cloudflare"] is DIALECT


# Anything at all.

WORDS = [
    *("/", "/", ",", ",", "=", ";", "x", ".", "%", "%2", "%2F", "%ff", "?", "&", "(", ")", "#"),
    *(
        "/cdn-cgi/image/",
        "/cdn-cgi/imagedelivery/",
        f"/{HASH}/",
        "https://",
        "https:/",
        "exp=1",
        "sig=",
        "auto",
    ),
    *(
        "0",
        "300",
        "1e9",
        "9" * 400,
        "\u0663",
        "\udcff",
        "\x00",
        " ",
        "a.jpg",
        "..",
        "nan",
        "inf",
        "-1",
        "0.5",
    ),
    *BY_NAME,
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join))
options = st.lists(
    st.tuples(
        st.sampled_from([*BY_NAME]), st.one_of(st.sampled_from(WORDS), st.decimals().map(str), st.text())
    )
).map(lambda pairs: ",".join(f"{name}={value}" for name, value in pairs))


@given(
    st.sampled_from(["", "/", "/cdn-cgi/image/", f"/{HASH}/{ID}/"]),
    st.one_of(texts, options, options.map(lambda each: f"{each}/a.jpg")),
    st.sampled_from(list(Unsupported)),
)
@example("/cdn-cgi/image/", "blur=" + "1" * 7000 + "x/a.jpg", Unsupported.REFUSE)
@example("/cdn-cgi/image/", "background=rgb(" + "1 " * 4000 + "/a.jpg", Unsupported.REFUSE)
@example(f"/{HASH}/", "a/" * 4000 + "?sig=", Unsupported.REFUSE)
@example("/cdn-cgi/image/w=1/", "https://[/a", Unsupported.REFUSE)
def test_nothing_raises_but_the_errors_of_a_request(start: str, text: str, unsupported: Unsupported) -> None:
    raw = start + text
    reading = Reading(presets=PRESETS, unsupported=unsupported)
    for attempt in (lambda: verify(raw, "/", KEYS), lambda: parse(raw, reading)):
        try:
            attempt()
        except CalotypeError as failure:
            assert failure.detail
            assert isinstance(DIALECT.error_location(raw, "a", failure), str)
        else:
            if raw.startswith("/"):
                DIALECT.negotiates(raw, reading)
    try:
        parse(raw, reading)
    except CalotypeError:
        pass
    else:
        assert recognises(raw)
    assert isinstance(unsigned(raw, "/"), str)
