"""A logged URL shows no credential, in any encoding, and as much of the rest as possible."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.masking import without_secrets


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("/w_400/a.jpg", "/w_400/a.jpg"),
        ("/w_400/design=1/assign.jpg", "/w_400/design=1/assign.jpg"),
        (
            "/t_card/6f1c2c1e-6d0a-4a39-9f0e-0d3a4f4c5b11/My-holiday-2026.jpg",
            "/t_card/6f1c2c1e-6d0a-4a39-9f0e-0d3a4f4c5b11/My-holiday-2026.jpg",
        ),
        (
            "/w_4/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "/w_4/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "/thumbnail?url=My-Photographs/From-Berlin-In-2026.jpg&w=4",
            "/thumbnail?url=My-Photographs/From-Berlin-In-2026.jpg&w=4",
        ),
        ("/w_4/a.jpg?utm_source=letter&v=12", "/w_4/a.jpg?utm_source=letter&v=12"),
        ("/thumbnail?url=a%20b.jpg&w=4", "/thumbnail?url=a%20b.jpg&w=4"),
        ("/thumbnail?url=s3://b/a.jpg&w=4", "/thumbnail?url=s3://b/a.jpg&w=4"),
        (
            "/thumbnail?w=4&url=https%3A%2F%2Fs3.example%2Fb%2Fa.jpg%3FX-Amz-Credential%3Dsecret",
            "/thumbnail?w=4&url=https://s3.example/b/a.jpg?...",
        ),
        ("/w_400/100%25.jpg", "/w_400/100%25.jpg"),
        ("/w_400/100%2525.jpg?a=%25", "/w_400/100%2525.jpg?a=%25"),
        ("/w_400/%C3%A9.jpg?a=b", "/w_400/%C3%A9.jpg?a=b"),
        ("/w_400/\udcff.jpg?a=b", "/w_400/\udcff.jpg?a=b"),
        ("/w_400/\udcff.jpg?sig=secret", "/w_400/%EF%BF%BD.jpg?..."),
        ("/w_1/a.jpg?s%25252525252569g=secret", "/w_1/a.jpg?s..."),
        ("/thumbnail?url=http://me:secret@host/a.jpg", "/thumbnail?url=http:..."),
        ("/w_400/a.jpg?sig=secret", "/w_400/a.jpg?..."),
        ("/thumbnail?x-amz-security-token=secret", "/thumbnail?..."),
        ("/thumbnail?url=%ff%3FSignature%3Dsecret", "/thumbnail?url=%EF%BF%BD?..."),
    ],
)
def test_a_log_shows_no_credential(raw: str, shown: str) -> None:
    assert without_secrets(raw) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "/thumbnail?url=https%253A%252F%252Fs3.x%252Fa%253FX-Amz-Signature%253Dsecret",
        "/w_100/https%3A%2F%2Fs3.x%2Fa%3FX-Amz-Signature%3Dsecret",
        "/original/https%3A//s3.x/a%3FX-Amz-Credential%3Dsecret",
        "/thumbnail?%75rl=https://s3.x/a?X-Amz-Signature=secret",
        "/thumbnail?URL=https://s3.x/a&Signature=secret",
        "/thumbnail?w=https://s3.x/a;Signature=secret",
        "/thumbnail?url=https://s3.x/a%23Signature=secret",
        "/thumbnail?url=https://s3.x/a?X%2DAmz%2DSignature=secret",
        "/thumbnail?url=https://s3.x/a?X%252DAmz%252DSignature=secret",
        "/thumbnail?url=http://secret:secret@host/a.jpg",
        "/thumbnail?url=http%3A%2F%2Fkey:secret%40host/a.jpg",
        "/thumbnail?url=a.jpg&xsig=secret",
        "/w_1/a.jpg?ses=secret",
        "/w_1/a.jpg?s%2525252569g=secret",
        "/w_1/a.jpg?s%25252525252569g=secret",
        "/thumbnail?url=https://x/a?access_token=secret",
        "/thumbnail?url=https://x/a?se=1&sig=secret",
        "/thumbnail?url=https://x/a?hdnts=secret",
        "/thumbnail?url=https://s3.x/a?AWSAccessKeyId=secret&Signature=secret",
    ],
)
def test_a_credential_is_masked_in_every_spelling(raw: str) -> None:
    assert "secret" not in without_secrets(raw)


@given(st.text(alphabet="abc%3Fxurl=&?-S", max_size=60))
def test_any_target_can_be_masked(tail: str) -> None:
    assert without_secrets("/thumbnail?" + tail)


_SIGNATURES = st.builds(
    lambda number, algorithm, spelled: spelled(hmac.digest(b"key", b"%d" % number, algorithm)),
    st.integers(0, 10_000),
    st.sampled_from([hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512]),
    st.sampled_from(
        [
            bytes.hex,
            lambda mac: mac.hex().upper(),
            lambda mac: base64.b64encode(mac).decode(),
            lambda mac: base64.urlsafe_b64encode(mac).rstrip(b"=").decode(),
        ]
    ),
)
_NAMES = st.one_of(
    st.text(st.characters(blacklist_characters="&?;=#"), max_size=12).filter(
        lambda name: name not in ("url", "preset")
    ),
    st.sampled_from(["sig", "s", "ik-s", "verify", "X-Amz-Signature", "__cld_token__", "token", "anything"]),
)
_MARKS = st.sampled_from(["", "[]", "[0]", "%5B%5D", "%", "%zz", "%00", " ", "+", ".x", "_v2", "-1"])


def _encoded(text: str, which: list[bool]) -> str:
    """Some of its letters as %HH, over and over as `which` begins anew."""
    chosen = zip(
        text.encode("utf-8", "surrogatepass"),
        which * len(text.encode("utf-8", "surrogatepass")),
        strict=False,
    )
    return "".join(f"%{byte:02X}" if hidden or byte > 0x7E else chr(byte) for byte, hidden in chosen)


@given(
    st.sampled_from(
        [
            "/w_4/a.jpg?",
            "/w_4/a.jpg?w=3&",
            "/thumbnail?url=a.jpg&",
            "/thumbnail?url=https%3A%2F%2Fx%2Fa.jpg%3F",
        ]
    ),
    _NAMES,
    _MARKS,
    _SIGNATURES,
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.integers(0, 2),
)
def test_a_signature_is_masked_under_any_parameter_name(
    before: str, name: str, mark: str, signature: str, which: list[bool], times: int
) -> None:
    spelled = name.replace("%", "%25") + mark + "=" + signature
    for _ in range(times):
        spelled = _encoded(spelled, which)
    shown = without_secrets(before + spelled)
    assert signature[:12] not in shown
    assert signature[-12:] not in shown


@given(
    st.sampled_from(["sig", "SIG", "signature", "token", "ses", "hmac", "secret"]),
    _MARKS,
    st.text("abc12", min_size=6, max_size=15),
)
def test_a_short_value_is_masked_if_its_name_denotes_a_credential(name: str, mark: str, secret: str) -> None:
    for before in ("/w_4/a.jpg?", "/w_4/a.jpg?w=3&", "/w_4/a.jpg;", "/"):
        assert secret not in without_secrets(f"{before}{name}{mark}={secret}")


@given(st.integers(0, 10_000), st.sampled_from([hashlib.sha1, hashlib.sha256]))
def test_a_signature_in_a_path_is_masked(number: int, algorithm: object) -> None:
    mac = hmac.digest(b"key", b"%d" % number, algorithm)  # type: ignore[arg-type]
    for signature in (
        base64.urlsafe_b64encode(mac).decode(),
        base64.urlsafe_b64encode(mac).rstrip(b"=").decode(),
    ):
        assert signature[:12] not in without_secrets(f"/{signature}/w_4/a.jpg")
        assert signature[:12] not in without_secrets(f"/shop/{signature}/w_4/a.jpg")
        assert signature[:8] not in without_secrets(f"/cloud/image/upload/s--{signature[:8]}--/w_4/a.jpg")
        assert signature[:8] not in without_secrets(f"/w_4/sig:{signature[:8]}/a.jpg")


@pytest.mark.parametrize("part", ["sig ", "?a=", "&", ";a=", "s--", "eyJ", "aA", "a", "%25", "//@"])
def test_the_longest_target_is_masked_in_linear_time(part: str) -> None:
    """Each letter a bounded number of times: the longest target that a log looks at takes a few milliseconds."""
    without_secrets("/" + part * (4096 // len(part)))
