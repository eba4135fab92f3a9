"""A signature covers the raw target byte for byte: no altered URL verifies."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadSignature, BadUrl, SignatureExpired
from proxy.core.url.signing import UNRESTRICTED, Restrictions, Signed, is_restricted, sign, unsigned, verify

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
KEYS = {"old": OLD, "new": NEW}
PATH = "/w_400,h_300,f_auto/product-123.jpg"
QUERY = "/thumbnail?url=product-123.jpg&w=400"


def mac(signed_text: str | bytes, secret: bytes = OLD) -> str:
    """As SPEC section 5 has it, written anew."""
    digest = hmac.new(
        secret, signed_text if isinstance(signed_text, bytes) else signed_text.encode(), hashlib.sha256
    ).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


LATIN = b"/w_9/caf\xe9.jpg"


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        (PATH, f"{PATH}?sig={mac(PATH)}"),
        (QUERY, f"{QUERY}&sig={mac(QUERY)}"),
        (f"{PATH}?", f"{PATH}?&sig={mac(f'{PATH}?')}"),
        ("/w_9/sig=1/a.jpg", f"/w_9/sig=1/a.jpg?sig={mac('/w_9/sig=1/a.jpg')}"),
        ("/thumbnail?url=sig=1", f"/thumbnail?url=sig=1&sig={mac('/thumbnail?url=sig=1')}"),
        ("/w_9/caf\udcc3\udca9.jpg", f"/w_9/caf\udcc3\udca9.jpg?sig={mac('/w_9/café.jpg')}"),
        ("/w_9/caf\udce9.jpg", f"/w_9/caf\udce9.jpg?sig={mac(LATIN)}"),
    ],
)
def test_the_signature_covers_the_target_before_it(raw: str, signed: str) -> None:
    assert sign(raw, OLD) == signed
    assert verify(signed, KEYS) == Signed(target=raw, key_id="old", restrictions=Restrictions())


def test_the_restrictions_are_signed() -> None:
    raw = sign(PATH, NEW, until_s=1700, key_id="new", domain="shop.example", session="a=b&c/é")
    signed_text, _, given_mac = raw.rpartition("&sig=")
    assert signed_text == f"{PATH}?exp=1700&kid=new&dom=shop.example&ses=a%3Db%26c%2F%C3%A9"
    assert given_mac == mac(signed_text, NEW)
    assert verify(raw, KEYS) == Signed(
        target=PATH,
        key_id="new",
        restrictions=Restrictions(until_s=1700, domain="shop.example", session="a=b&c/é"),
    )


@pytest.mark.parametrize("key", ["a.jpg", "a.jpg?b", "a?b?c"])
def test_restrictions_may_have_any_position_before_the_signature(key: str) -> None:
    signed_text = f"/thumbnail?exp=1700&url={key}&kid=old&w=9"
    found = verify(f"{signed_text}&sig={mac(signed_text)}", KEYS)
    assert found == Signed(
        target=f"/thumbnail?url={key}&w=9", key_id="old", restrictions=Restrictions(until_s=1700)
    )


def test_a_signature_without_restrictions_is_valid_for_every_client() -> None:
    for how in ({}, {"key_id": "old"}):
        found = verify(sign(PATH, OLD, **how), KEYS)
        assert found is not None
        assert found.restrictions is UNRESTRICTED, "the handler compares by identity"
    for scope in ({"until_s": 9}, {"domain": "a.b"}, {"session": "a"}):
        found = verify(sign(PATH, OLD, **scope), KEYS)
        assert found is not None
        assert found.restrictions == Restrictions(**scope)


def test_each_key_is_valid_until_it_is_removed() -> None:
    for secret, name in ((OLD, "old"), (NEW, "new")):
        found = verify(sign(PATH, secret), KEYS)
        assert found is not None
        assert found.key_id == name
    with pytest.raises(BadSignature):
        verify(sign(PATH, OLD), {"new": NEW})
    with pytest.raises(BadSignature):
        verify(sign(PATH, OTHER), KEYS)
    with pytest.raises(BadSignature):
        verify(sign(PATH, OLD), {})


@pytest.mark.parametrize("key_id", ["new", "nobody", "", "OLD", "ol%64"])
def test_a_named_key_is_the_only_one_tried(key_id: str) -> None:
    signed_text = f"{PATH}?kid={key_id}"
    with pytest.raises(BadSignature):
        verify(f"{signed_text}&sig={mac(signed_text, OLD)}", KEYS)


@pytest.mark.parametrize(
    "raw",
    [
        PATH,
        QUERY,
        "/",
        "",
        f"{PATH}?sig",
        f"{PATH}&sig={mac(PATH)}",
        f"{PATH}?w=1?sig={mac(f'{PATH}?w=1')}",
        f"{PATH}?xsig={mac(PATH)}",
        f"{PATH}?SIG={mac(PATH)}",
        f"{PATH}?s%69g={mac(PATH)}",
        f"{PATH}?sig%3D{mac(PATH)}",
        f"{PATH};sig={mac(PATH)}",
        f"/sig={mac('/')}",
        f"{PATH}?utm_source=x",
    ],
)
def test_similar_parameters_are_not_signatures(raw: str) -> None:
    assert verify(raw, KEYS) is None


TRACKERS = "utm_source=x&utm_&fbclid=y&_ga=%zz"


@pytest.mark.parametrize("signed_text", [PATH, QUERY, f"{PATH}?ver=3", f"{PATH}?ver=3&exp=9&utm_x"])
def test_tracking_parameters_may_follow_the_signature(signed_text: str) -> None:
    signed = f"{signed_text}{'&' if '?' in signed_text else '?'}sig={mac(signed_text)}"
    found = verify(signed, KEYS)
    assert found is not None
    assert verify(f"{signed}&{TRACKERS}", KEYS) == found


def test_tracking_parameters_before_the_signature_are_signed() -> None:
    signed = sign(f"{PATH}?ver=3", OLD)
    assert verify(signed, KEYS) == Signed(target=f"{PATH}?ver=3", key_id="old", restrictions=UNRESTRICTED)
    with pytest.raises(BadSignature):
        verify(signed.replace("ver=3", "ver=4"), KEYS)


@pytest.mark.parametrize(
    ("suffix", "says"),
    [
        ("&w=2", "parameter w follows the signature: sig must be the last parameter"),
        ("&", "parameter 2 follows the signature"),
        ("&utm_source=x&w", "parameter w follows the signature"),
        ("&w=2&utm_source=x", "parameter w follows the signature"),
        ("&exp=9", "parameter exp follows the signature"),
        ("&<w>=2", "parameter 2 follows the signature"),
        ("&UTM_source=x", "parameter UTM_source follows the signature"),
        (
            "?utm_source=x",
            "the signature does not match the URL: text of length 13 follows its 43 characters",
        ),
        (")", "the signature does not match the URL: text of length 1 follows its 43 characters"),
        ("%20", "the signature does not match the URL: text of length 3 follows its 43 characters"),
        ("A", "the signature does not match the URL"),
    ],
)
def test_text_after_the_signature_is_named(suffix: str, says: str) -> None:
    signed = f"{PATH}?sig={GOOD}"
    with pytest.raises(BadSignature) as caught:
        verify(signed + suffix, KEYS)
    assert caught.value.detail.startswith(says)
    assert GOOD not in caught.value.detail


GOOD = mac(PATH)
ALIKE = GOOD[:-1] + chr(ord(GOOD[-1]) + 1)


@pytest.mark.parametrize(
    "given_mac",
    [
        "", "A", GOOD[:-1], GOOD + "A", GOOD + "=", GOOD + "==", f" {GOOD}", GOOD.swapcase(), "é" * 43, "\udcff" * 43,
        GOOD[:-1] + "%" + format(ord(GOOD[-1]), "02x"), ALIKE, GOOD.replace("-", "+").replace("_", "/") + "%3D",
        hmac.new(OLD, PATH.encode(), hashlib.sha256).hexdigest(), mac("/" + PATH), mac(PATH + "?"), mac(""),
    ],
)  # fmt: skip
def test_only_the_exact_signature_text_is_valid(given_mac: str) -> None:
    with pytest.raises(BadSignature, match="^the signature does not match the URL"):
        verify(f"{PATH}?sig={given_mac}", KEYS)


def test_a_lenient_base64_decoder_accepts_an_altered_signature() -> None:
    """The last letter holds two bits that mean nothing; the text is what is compared."""
    assert base64.urlsafe_b64decode(ALIKE + "=") == base64.urlsafe_b64decode(GOOD + "=")


@pytest.mark.parametrize("times", range(6))
def test_a_second_signature_is_refused(times: int) -> None:
    for joint in ("?", "&"):
        raw = sign(PATH, OLD)
        for _ in range(times):
            raw = f"{raw}{joint}sig={mac(raw)}"
        assert is_accepted(raw) is (times == 0)


def is_accepted(raw: str) -> bool:
    try:
        return verify(raw, KEYS) is not None
    except BadSignature:
        return False


@given(st.data())
def test_no_altered_url_is_accepted(data: st.DataObject) -> None:
    raw = data.draw(
        st.sampled_from([sign(PATH, OLD), sign(QUERY, NEW, until_s=99, key_id="new", domain="a.b")])
    )
    at = data.draw(st.integers(0, len(raw) - 1))
    length = data.draw(st.integers(0, 3))
    text = data.draw(st.text(st.characters(max_codepoint=0x24F), max_size=3))
    mutant = raw[:at] + text + raw[at + length :]
    if mutant == raw:
        return
    assert not is_accepted(mutant)


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(max_size=60))
def test_every_signed_url_verifies(before: str, session: str) -> None:
    raw = "/" + before
    if unsigned(raw) != raw:
        with pytest.raises(BadUrl):
            sign(raw, OLD)
        return
    try:
        session.encode()
    except UnicodeEncodeError:
        with pytest.raises(BadUrl, match="ses"):
            sign(raw, OLD, session=session)
        return
    signed = sign(raw, OLD, session=session)
    found = verify(signed, KEYS)
    assert found is not None
    assert (found.target, found.restrictions.session or "") == (raw, session)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("exp=", "exp"), ("exp=0", "exp"), ("exp=01", "exp"), ("exp=-1", "exp"), ("exp=1e9", "exp"), ("exp=1.5", "exp"),
        ("exp=+9", "exp"), ("exp=9_9", "exp"), ("exp=٣", "exp"), ("exp=9999999999999", "exp"), ("exp", "exp"),
        ("dom=", "dom"), ("dom=A.b", "dom"), ("dom=a..b", "dom"), ("dom=.a", "dom"), ("dom=a.", "dom"),
        ("dom=a:80", "dom"), ("dom=*.a", "dom"), ("dom=" + "a." * 127 + "a", "dom"), ("dom=a%2Eb", "dom"),
        ("ses=", "ses"), ("ses=%ff", "ses"), ("ses=%", "ses"),
        ("exp=1&exp=2", "twice"), ("dom=a&dom=a", "twice"), ("ses=a&ses=b", "twice"), ("kid=old&kid=old", "twice"),
    ],
)  # fmt: skip
def test_an_invalid_restriction_is_named(parameters: str, message: str) -> None:
    signed_text = f"{PATH}?{parameters}"
    says = "a parameter of the signature is given twice" if message == "twice" else f"parameter {message} "
    with pytest.raises(BadUrl, match=f"^{says}"):
        verify(f"{signed_text}&sig={mac(signed_text)}", KEYS)
    with pytest.raises(BadSignature):
        verify(f"{signed_text}&sig={mac(signed_text, OTHER)}", KEYS)


@pytest.mark.parametrize(
    ("how", "raw", "says"),
    [
        ({}, sign(PATH, OLD), "the URL is already signed"),
        ({}, f"{PATH}?exp=1", "the URL is already signed"),
        ({"domain": "A.b"}, PATH, "parameter dom must"),
        ({"domain": "a/b"}, PATH, "parameter dom must"),
    ],
)
def test_urls_and_restrictions_that_cannot_be_signed(how: dict[str, Any], raw: str, says: str) -> None:
    with pytest.raises(BadUrl, match=f"^{says}"):
        sign(raw, OLD, **how)


NOBODY: dict[str, str | None] = {"origin": None, "referer": None, "session": None}


def test_expiry_has_no_leeway() -> None:
    scope = Restrictions(until_s=1700)
    scope.check(1699.999, **NOBODY)
    for now_s in (1700, 1700.1, 5000):
        with pytest.raises(SignatureExpired, match="^the signed URL has expired: parameter exp .*$"):
            scope.check(now_s, **NOBODY)
    Restrictions().check(1e12, **NOBODY)


@pytest.mark.parametrize(
    ("origin", "referer", "within"),
    [
        ("https://shop.example", None, True),
        ("https://www.shop.example:8443", None, True),
        (None, "http://shop.example/page?x=https://evil.example", True),
        (None, "https://SHOP.example./", True),
        ("https://shop.example", "https://evil.example/", True),
        ("https://evil.example", "https://shop.example/", False),
        ("null", "https://shop.example/", False),
        ("", "https://shop.example/", False),
        (None, None, False),
        (None, "https://evilshop.example/", False),
        (None, "https://shop.example.evil.net/", False),
        (None, "https://evil.net/shop.example", False),
        (None, "https://shop.example@evil.net/", False),
        (None, "https://evil.net\\@shop.example/x", True),
        (None, "shop.example", False),
        (None, "https://[shop.example/", False),
        (None, "https://example/", False),
    ],
)
def test_a_domain_covers_its_subdomains(origin: str | None, referer: str | None, within: bool) -> None:
    scope = Restrictions(domain="shop.example")
    if within:
        scope.check(0, origin=origin, referer=referer, session=None)
    else:
        with pytest.raises(BadSignature, match="^the URL is signed .*: parameter dom$"):
            scope.check(0, origin=origin, referer=referer, session=None)


@pytest.mark.parametrize("session", [None, "", "A", "ab", "a ", "á", "\udcff"])
def test_a_session_must_match_exactly(session: str | None) -> None:
    scope = Restrictions(session="a")
    scope.check(0, origin=None, referer=None, session="a")
    with pytest.raises(BadSignature, match="^the URL is signed .*: parameter ses$"):
        scope.check(0, origin=None, referer=None, session=session)
    assert "a" not in repr(scope).partition("session")[2]


@pytest.mark.parametrize(
    ("raw", "rest", "scoped"),
    [
        (PATH, PATH, False),
        (f"{PATH}?sig=x", PATH, False),
        (f"{PATH}?kid=a&sig=x", PATH, False),
        (f"{PATH}?exp=1&sig=x", PATH, True),
        (f"{QUERY}&ses=a", QUERY, True),
        (f"/thumbnail?dom=a&{QUERY[11:]}&sig=b", QUERY, True),
        ("/thumbnail?exp=1&url=a?b", "/thumbnail?url=a?b", True),
        (f"{PATH}?", f"{PATH}?", False),
        (f"{PATH}?exp", PATH, True),
        ("/exp=1/sig=2", "/exp=1/sig=2", False),
    ],
)
def test_unsigned_removes_the_signature_and_its_restrictions(raw: str, rest: str, scoped: bool) -> None:
    assert unsigned(raw) == rest
    assert is_restricted(raw) is scoped


def test_the_answer_varies_by_client_where_a_domain_or_session_restricts_it() -> None:
    assert not Restrictions(until_s=1).varies_by_client
    assert Restrictions(domain="a").varies_by_client
    assert Restrictions(session="a").varies_by_client


def test_a_session_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadUrl, match="parameter ses is not UTF-8"):
        sign(PATH, NEW, session="half a character: \ud800")
