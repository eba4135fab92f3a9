"""Signatures and tokens of Cloudinary's own library are valid, and no changed URL is."""

import base64
import hashlib
import hmac
from dataclasses import replace
from urllib.parse import urlsplit

import cloudinary
import pytest
from cloudinary.auth_token import generate
from cloudinary.utils import cloudinary_url
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadSignature, BadUrl, CalotypeError
from proxy.core.url.dialects.cloudinary.signatures import check_key, is_always_signed, unsigned, verify
from proxy.core.url.dialects.cloudinary.urls import DIALECT, parse
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.parsed_url import VariantUrl
from proxy.core.url.signing import UNRESTRICTED, Keys, Restrictions, Signed

SECRET, HEX_KEY = "the secret of a cloud", "00112233ff99"
KEYS: Keys = {"old": b"another secret", "k": SECRET.encode(), "long": f"sha256:{SECRET}".encode()}
TOKENS: Keys = {"t": f"token:{HEX_KEY}".encode()}
READING = Reading(presets={})


def made(public_id: str, **options: object) -> str:
    """The target that the library makes."""
    settings = {"cloud_name": "demo", "secure": True, "sign_url": True, "api_secret": SECRET}
    url = cloudinary_url(public_id, **(settings | options))[0]
    return url.removeprefix(f"https://{urlsplit(url).netloc}")


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDINARY_URL", raising=False)
    cloudinary.reset_config()


MADE = [
    {},
    {"width": 300, "crop": "fill"},
    {"version": 1234},
    {"format": "png"},
    {"private_cdn": True},
    {"shorten": True},
    {"use_root_path": True},
    {"url_suffix": "a-name", "private_cdn": True},
    {"url_suffix": "a-name", "private_cdn": True, "format": "webp", "width": 300, "crop": "fill"},
    {"transformation": [{"width": 300, "crop": "limit"}, {"quality": "auto", "fetch_format": "auto"}]},
    {"type": "private"},
    {"type": "authenticated", "width": 0.5},
    {"flags": "attachment:a b"},
]


@pytest.mark.parametrize("options", MADE, ids=str)
@pytest.mark.parametrize("public_id", ["lake", "a/lake", "a b/l\u00e4ke", "lake.jpg", "a(1),2", "v12/lake"])
@pytest.mark.parametrize(
    "scheme", [{}, {"signature_algorithm": "sha256"}, {"long_url_signature": True}], ids=str
)
def test_what_the_library_signs_is_valid(
    public_id: str, options: dict[str, object], scheme: dict[str, object]
) -> None:
    raw = made(public_id, **options, **scheme).replace(" ", "%20")
    signed = verify(f"/shop{raw}", "/shop/", KEYS)
    assert signed is not None
    assert signed.restrictions == UNRESTRICTED
    assert "s--" not in signed.target
    if "url_suffix" not in options or public_id != "lake.jpg":
        assert parse(signed.target.removeprefix("/shop"), READING) == parse(raw, READING)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a.jpg", "https://example.org/a b.jpg?x=1&y=2", "http://example.org/\u00e4%20b.jpg"],
)
def test_fetched_urls_are_signed(url: str) -> None:
    raw = made(url, type="fetch", width=300, crop="fill")
    assert verify(raw, "/", KEYS)
    assert parse(raw, READING) == parse(unsigned(raw, "/"), READING)


def test_the_query_of_a_fetched_url_must_be_signed() -> None:
    raw = made("https://example.org/a.jpg", type="fetch")
    assert verify(f"{raw}?_a=BAA&utm_source=x", "/", KEYS)
    path = "/demo/image/fetch/https://example.org/a.jpg"
    token_ = generate(key=HEX_KEY, url=path, expiration=2000)
    assert verify(f"{path}?{token_}", "/", TOKENS)
    for changed in (f"{raw}?id=2", f"{path}?id=2&{token_}"):
        with pytest.raises(BadSignature, match="query"):
            verify(changed, "/", KEYS | TOKENS)


def signature(text: str, algorithm: str = "sha1", length: int = 8, secret: str = SECRET) -> str:
    """As Cloudinary's documentation has it, written anew."""
    digest = hashlib.new(algorithm, (text + secret).encode()).digest()
    return f"s--{base64.urlsafe_b64encode(digest)[:length].decode()}--"


def test_the_matching_key_is_reported_and_the_rest_unchanged() -> None:
    raw = f"/demo/image/upload/{signature('w_300/lake.jpg')}/w_300/v7/lake.jpg?_a=BA"
    assert verify(raw, "/", KEYS) == Signed(
        target="/demo/image/upload/w_300/v7/lake.jpg?_a=BA", key_id="k", restrictions=UNRESTRICTED
    )


@pytest.mark.parametrize(("algorithm", "length"), [("sha1", 32), ("sha1", 27), ("sha256", 9), ("sha256", 43)])
def test_other_lengths_are_invalid(algorithm: str, length: int) -> None:
    raw = f"/image/upload/{signature('lake.jpg', algorithm, length)}/lake.jpg"
    with pytest.raises(BadSignature):
        verify(raw, "/", KEYS)


def test_a_key_has_one_algorithm_for_short_signatures() -> None:
    raw = f"/image/upload/{signature('lake.jpg', 'sha256')}/lake.jpg"
    with pytest.raises(BadSignature):
        verify(raw, "/", {"k": SECRET.encode()})
    assert verify(raw, "/", {"k": f"sha256:{SECRET}".encode()})
    raw = f"/image/upload/{signature('lake.jpg', 'sha256', 32)}/lake.jpg"
    assert verify(raw, "/", {"k": SECRET.encode()})


def test_a_percent_decoded_text_may_have_been_signed() -> None:
    given_ = signature("c_fill,w_3/a b.jpg")
    assert verify(f"/image/upload/{given_}/c_fill%2Cw_3/a%20b.jpg", "/", KEYS)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("w_3/lake.jpg", "w_3%2Flake.jpg"),
        ("l_text:a%2Cb/lake.jpg", "l_text:a%252Cb/lake.jpg"),
        ("w_3/secret.jpg", "w_3/lake.jpg"),
        ("w_3/lake.jpg", "w_30/lake.jpg"),
        ("w_3/lake.jpg", "w_3/lake.png"),
        ("w_3/lake.jpg", "lake.jpg"),
    ],
)
def test_a_signature_of_another_text_is_invalid(text: str, sent: str) -> None:
    with pytest.raises(BadSignature):
        verify(f"/image/upload/{signature(text)}/{sent}", "/", KEYS)


def test_an_unsigned_url() -> None:
    assert verify("/demo/image/upload/w_3/lake.jpg?_a=1", "/", KEYS) is None
    for raw in ("/", "/demo/image/nonsense"):
        with pytest.raises(BadUrl):
            verify(raw, "/", KEYS)


# Tokens.

PATH = "/demo/image/authenticated/w_3/a%20b.jpg"


def with_token(path: str = PATH, **options: object) -> str:
    values = {"key": HEX_KEY, "expiration": 2000} | options
    return f"{path}?{generate(**values)}"


def test_a_token_of_the_library_is_valid_until_its_end() -> None:
    signed = verify(with_token(url=PATH, start_time=1000) + "&_a=1", "/", TOKENS)
    assert signed == Signed(
        target=f"{PATH}?_a=1", key_id="t", restrictions=Restrictions(from_s=1000, until_s=2000)
    )


def test_the_token_in_a_url_of_the_library() -> None:
    raw = made("a/lake", type="authenticated", auth_token={"key": HEX_KEY, "duration": 300, "start_time": 5})
    signed = verify(raw, "/", TOKENS)
    assert signed
    assert signed.restrictions == Restrictions(from_s=5, until_s=305)
    assert signed.target == "/demo/image/authenticated/v1/a/lake"


@pytest.mark.parametrize(
    ("acl", "is_covered"),
    [
        ("/demo/image/authenticated/*", True),
        ("/*/lake/*", False),
        (["/nothing/*", "/demo/*.jpg"], True),
        ("/demo/image/authenticated/w_?/*", True),
        ("/demo/image/authenticated", False),
        (PATH.replace("%20", "%2520"), False),
    ],
)
def test_an_acl_covers_paths(acl: str | list[str], is_covered: bool) -> None:
    raw = with_token(acl=acl)
    if is_covered:
        assert verify(raw, "/", TOKENS)
    else:
        with pytest.raises(BadSignature, match="acl"):
            verify(raw, "/", TOKENS)


def test_a_token_for_an_address_is_refused() -> None:
    with pytest.raises(BadSignature, match="address"):
        verify(with_token(url=PATH, ip="1.2.3.4"), "/", TOKENS)


@pytest.mark.parametrize(
    "token",
    ["", "hmac=", "exp=2000~hmac=00", "exp=2000", "exp=1~exp=2~hmac=00", "hmac=00~exp=2000", "~hmac=\u00e9"],
)
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(BadSignature):
        verify(f"{PATH}?__cld_token__={token}", "/", TOKENS)


def test_a_token_has_whole_times() -> None:
    text = f"exp=soon~url={PATH.lower().replace('/', '%2f').replace('%20', '%2520')}"
    mac = hmac.new(bytes.fromhex(HEX_KEY), text.encode(), "sha256").hexdigest()
    with pytest.raises(BadSignature, match="exp in whole Unix seconds"):
        verify(f"{PATH}?__cld_token__=exp=soon~hmac={mac}", "/", TOKENS)


def test_a_token_is_of_one_url_and_given_once() -> None:
    raw = with_token(url=PATH)
    with pytest.raises(BadSignature):
        verify(raw.replace("w_3", "w_4"), "/", TOKENS)
    with pytest.raises(BadUrl, match="twice"):
        verify(f"{raw}&{raw.partition('?')[2]}", "/", TOKENS)


def test_a_signature_and_a_token_must_both_be_valid() -> None:
    both: Keys = KEYS | TOKENS
    path = f"/demo/image/authenticated/{signature('lake.jpg')}/lake.jpg"
    assert verify(with_token(path, url=path), "/", both)
    wrong = path.replace("s--", "s--A", 1)
    with pytest.raises(BadSignature, match="the signature"):
        verify(with_token(wrong, url=wrong), "/", both)
    with pytest.raises(BadSignature, match="the token"):
        verify(with_token(path, url="/other"), "/", both)
    assert verify(with_token(path, url="/other"), "/", KEYS), "no key is of tokens"
    with pytest.raises(BadSignature):
        verify(with_token(PATH, url=PATH), "/", KEYS)
    with pytest.raises(BadSignature):
        verify(path, "/", TOKENS)


# Keys.


@pytest.mark.parametrize(
    ("key", "length"), [("SECRET", 6), ("sha256:SECRET", 6), ("token:00ff10", 3), ("a:b", 3), ("sha1:x", 6)]
)
def test_the_forms_of_a_key(key: str, length: int) -> None:
    assert check_key(key) == length
    assert DIALECT.check_key is check_key


@pytest.mark.parametrize("key", ["", "sha256:", "token:", "token:XYZ", "token:123"])
def test_a_key_that_is_none_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ValueError, match="must") as error:
        check_key(key)
    assert "XYZ" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "is_required"),
    [
        ("/demo/image/upload/lake.jpg", False),
        ("/demo/image/private/lake.jpg", True),
        ("/image/private/v7/a/lake.jpg", True),
        ("/demo/image/private/w_3/lake.jpg", False),
        ("/demo/image/authenticated/lake.jpg", True),
        ("/demo/image/authenticated/s--AAAAAAAA--/w_3/lake.jpg", True),
        ("/demo/authenticated_images/w_3/lake/name.jpg", True),
        ("/demo/private_images/lake/name.jpg", True),
        ("/demo/video/authenticated/a.mp4", True),
        ("/", False),
        ("/demo/image/nonsense", False),
    ],
)
def test_where_a_signature_is_always_required(target: str, is_required: bool) -> None:
    assert is_always_signed(target) is is_required


RAW = f"/demo/image/upload/{signature('c_fill,w_300/a/lake.jpg')}/c_fill,w_300/v7/a/lake.jpg"
WITH_TOKEN = with_token(url=PATH)


def meaning(raw: str) -> object:
    """The original and the transform of a URL, without the version, which no signature is of."""
    try:
        parsed = parse(raw, READING)
    except CalotypeError as failure:
        return type(failure)
    assert isinstance(parsed, VariantUrl)
    return parsed.key, replace(parsed.transform, version=None)


@given(st.integers(1, len(RAW) - 1), st.integers(0x21, 0x7E))
def test_no_changed_url_is_valid(position: int, byte: int) -> None:
    changed = f"{RAW[:position]}{chr(byte)}{RAW[position + 1 :]}"
    try:
        signed = verify(changed, "/", KEYS)
    except (BadSignature, BadUrl):
        return
    assert signed is None or meaning(changed) in (meaning(RAW), BadUrl)


@given(st.integers(1, len(WITH_TOKEN) - 1), st.integers(0x21, 0x7E))
def test_no_changed_token_is_valid(position: int, byte: int) -> None:
    changed = f"{WITH_TOKEN[:position]}{chr(byte)}{WITH_TOKEN[position + 1 :]}"
    if changed == WITH_TOKEN:
        return
    try:
        signed = verify(changed, "/", TOKENS)
    except (BadSignature, BadUrl):
        return
    assert signed is None


@pytest.mark.parametrize(
    "raw",
    [
        RAW,
        WITH_TOKEN,
        "/lake.jpg?__cld_token__=x",
        "/demo/s--AAAAAAAA--/x",
        "/",
        "/image/nonsense?__cld_token__=1",
    ],
)
def test_an_unsigned_url_parses_to_the_same(raw: str) -> None:
    assert meaning(unsigned(raw, "/")) == meaning(raw)


@given(st.one_of(st.text(), st.lists(st.sampled_from(["/", "image", "upload", "s--", "--", "AAAAAAAA", "?", "&", "__cld_token__", "=", "~", "hmac=", "acl=", "exp=1", "%", "w_3", "v1", "a.jpg"])).map("".join)))  # fmt: skip
def test_nothing_raises_but_the_errors_of_a_request(text: str) -> None:
    for keys in (KEYS, TOKENS, KEYS | TOKENS):
        try:
            verify(f"/{text}", "/", keys)
        except (BadSignature, BadUrl) as failure:
            assert failure.detail
    assert isinstance(unsigned(f"/{text}", "/"), str)
    is_always_signed(f"/{text}")
