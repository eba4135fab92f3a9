"""Absolute URLs name originals of the mount's source; credentials are never forwarded to another host."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadUrl, SourceNotAllowed
from proxy.core.url.original_urls import DirectoryLocation, OriginalLocation, S3Location, WebLocation

MINIO = S3Location(bucket="pics", prefix="shop/", endpoint_url="http://minio.example:9000", region="eu-1")
AWS = S3Location(bucket="pics", region="eu-west-1")
SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F2026&X-Amz-Signature=abc"


@pytest.mark.parametrize(
    ("location", "url", "key"),
    [
        (DirectoryLocation(), "a/b.jpg", "a/b.jpg"),
        (DirectoryLocation(), "local:///a/b.jpg", "a/b.jpg"),
        (DirectoryLocation(), "local://a/b.jpg", "a/b.jpg"),
        (MINIO, "a/b.jpg", "a/b.jpg"),
        (MINIO, "s3://pics/shop/a b+%é.jpg", "a b+%é.jpg"),
        (MINIO, f"http://minio.example:9000/pics/shop/a%20b%2B%25%C3%A9.jpg?{SIGNED}", "a b+%é.jpg"),
        (MINIO, f"http://pics.minio.example:9000/shop/a.jpg?{SIGNED}", "a.jpg"),
        (MINIO, "HTTP://MINIO.example:9000/pics/shop/a.jpg", "a.jpg"),
        (AWS, f"https://pics.s3.eu-west-1.amazonaws.com/a/b.jpg?{SIGNED}", "a/b.jpg"),
        (AWS, "https://pics.s3.amazonaws.com/a.jpg", "a.jpg"),
        (AWS, "https://s3.eu-west-1.amazonaws.com/pics/a.jpg", "a.jpg"),
        (AWS, "https://s3.dualstack.eu-west-1.amazonaws.com:443/pics/a.jpg", "a.jpg"),
        (S3Location(bucket="pics"), "https://s3.amazonaws.com/pics/a.jpg", "a.jpg"),
    ],
)
def test_urls_and_keys_of_the_source_of_the_mount(location: OriginalLocation, url: str, key: str) -> None:
    assert location.key_for(url) == key
    assert location.key_for(location.url_of(key)) == key


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (DirectoryLocation(), "s3://pics/a.jpg"),
        (DirectoryLocation(), "https://evil.example/a.jpg"),
        (DirectoryLocation(), "file:///etc/passwd"),
        (MINIO, "local:///shop/a.jpg"),
        (MINIO, "s3://other/shop/a.jpg"),
        (MINIO, "s3://pics/elsewhere/a.jpg"),
        (MINIO, "http://minio.example/pics/shop/a.jpg"),
        (MINIO, "http://minio.example:9000/other/shop/a.jpg"),
        (MINIO, "http://evil.minio.example:9000/shop/a.jpg"),
        (MINIO, "http://evil.example/pics/shop/a.jpg"),
        (MINIO, "http://169.254.169.254/latest"),
        (MINIO, "http://evil.example/%zz?versionId=1"),
        (MINIO, "ftp://minio.example:9000/pics/shop/a.jpg"),
        (AWS, "https://pics.s3.us-east-1.amazonaws.com/a.jpg"),
        (AWS, "https://evil.s3.eu-west-1.amazonaws.com/a.jpg"),
        (AWS, "https://pics.s3.eu-west-1.amazonaws.com.evil.example/a.jpg"),
    ],
)
def test_a_url_outside_the_source_is_refused(location: OriginalLocation, url: str) -> None:
    with pytest.raises(SourceNotAllowed):
        location.key_for(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw@minio.example:9000/pics/shop/a.jpg",
        "http://minio.example:9000/pics/shop/a.jpg#x",
        "http://minio.example:port/pics/shop/a.jpg",
        "http://minio.example:9000.evil.example/pics/shop/a.jpg",
        "http://[::1/pics/shop/a.jpg",
        "http://minio.example:9000/pics/shop/a.jpg?versionId=3",
        "http://minio.example:9000/pics/shop/%zz",
        "http://minio.example:9000/pics/shop/%2e%2e/a.jpg",
        "http://minio.example:9000/pics/shop/",
        "s3://pics/shop/",
        "s3://pics/shop/a//b",
        "s3://pics/shop/../a",
    ],
)
def test_malformed_urls_of_originals_are_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        MINIO.key_for(url)


@pytest.mark.parametrize(
    "url", ["local:///../a.jpg", "local:///", "local:///a//b", "local:///.a", "local:////a"]
)
def test_malformed_urls_of_local_originals_are_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        DirectoryLocation().key_for(url)


@pytest.mark.parametrize("url", ["s3://pics/shop/a#b.jpg", "local:///a#b.jpg"])
def test_a_url_that_web_servers_cannot_have_is_of_another_source(url: str) -> None:
    with pytest.raises(SourceNotAllowed):
        WEB.key_for(url)


def test_credentials_in_a_url_do_not_change_the_key() -> None:
    plain = "http://minio.example:9000/pics/shop/a.jpg"
    assert MINIO.key_for(plain) == MINIO.key_for(f"{plain}?{SIGNED}") == MINIO.key_for("s3://pics/shop/a.jpg")


WEB = WebLocation(frozenset({"cdn.example", "cdn.example:8080", "[2001:db8::1]", "1.2.3.4"}))


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://cdn.example/a/b.jpg", "https://cdn.example/a/b.jpg"),
        ("HTTPS://CDN.Example:443/a.jpg", "https://cdn.example/a.jpg"),
        ("http://cdn.example:80/a.jpg?x=1&y=%20", "http://cdn.example/a.jpg?x=1&y=%20"),
        ("http://cdn.example:8080", "http://cdn.example:8080/"),
        ("http://cdn.example/a.jpg?", "http://cdn.example/a.jpg"),
        ("http://cdn.example/é b%2Fc;d=1|e", "http://cdn.example/%C3%A9%20b%2Fc;d=1%7Ce"),
        ("http://cdn.example//a//b", "http://cdn.example//a//b"),
        ("http://cdn.example/%ff", "http://cdn.example/%ff"),
        ("http://[2001:DB8::1]/a", "http://[2001:db8::1]/a"),
        ("http://cdn.example/a?u=https://x/../y", "http://cdn.example/a?u=https://x/../y"),
        ("http://cdn.example/a..b/c...", "http://cdn.example/a..b/c..."),
    ],
)
def test_web_urls_are_normalized(url: str, key: str) -> None:
    assert WEB.key_for(url) == key == WEB.key_for(key)
    assert WEB.host_of(key) in WEB.hosts


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a", "https://cdn.example.evil.net/a", "https://evilcdn.example/a", "https://cdn.example./a",
        "https://cdn.example:8081/a", "http://cdn.example:443/a", "ftp://cdn.example/a", "s3://cdn.example/a",
        "file://cdn.example/etc/passwd", "https://1.2.3.5/a", "https://16909060/a", "https://0x01020304/a", "https://1.2.772/a",
        "https://[::ffff:102:304]/a", "https:///a", "https://", "https://cdn\u3002example/a", "https://ＣＤＮ.example/a",
        "gopher://cdn.example/a", "https://xn--cdn.example/a", "https://cdn.example%2eevil.net/a", "https://cdn.example%00/a",
    ],
)  # fmt: skip
def test_other_hosts_are_refused(url: str) -> None:
    with pytest.raises((SourceNotAllowed, BadUrl)):
        WEB.key_for(url)


@pytest.mark.parametrize(
    "url",
    [
        "a/b.jpg", "https:/cdn.example/a", "//cdn.example/a", "https://u@cdn.example/a", "https://u:p@cdn.example/a",
        "https://cdn.example@evil.example/a", "https://evil.example#@cdn.example/a", "https://cdn.example/a#b",
        "https://cdn.example/a#", "https://cdn.example/../a", "https://cdn.example/a/%2e%2E/b", "https://cdn.example/a/.", "https://cdn.example/.a/b.jpg", "https://cdn.example/a/%2Eb.jpg",
        "https://cdn.example/a%2f..%2fb", "https://cdn.example/%", "https://cdn.example/a?%zz", "https://cdn.example:x/a",
        "https://cdn.example:99999/a", "https://[::1/a", "https://cdn.example/a?X-Amz-Signature=1",
        "https://cdn.example/a?x=1&x-amz-signature=1", "https://cdn.example/a?AWSAccessKeyId=a",
    ],
)  # fmt: skip
def test_text_that_is_not_an_http_url_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        WEB.key_for(url)


HERE = "http://cdn.example:8080/a/b.jpg?old"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"/ok.jpg#top", "http://cdn.example:8080/ok.jpg"), (b"/ok.jpg?x=1#a?b#c", "http://cdn.example:8080/ok.jpg?x=1"),
        (b"#top", HERE), (b"/gr\xfcn.jpg", "http://cdn.example:8080/gr%FCn.jpg"),
        (b"/gr\xc3\xbcn.jpg", "http://cdn.example:8080/gr%C3%BCn.jpg"), (b"/a?n=gr\xfcn", "http://cdn.example:8080/a?n=gr%FCn"),
        (b"/100%.jpg", "http://cdn.example:8080/100%.jpg"), (b"/%zz/%4?q=5%", "http://cdn.example:8080/%zz/%4?q=5%"),
        (b"/a b.jpg?c d", "http://cdn.example:8080/a%20b.jpg?c%20d"), (b" \t/a\t.jpg ", "http://cdn.example:8080/a.jpg"),
        (b"/[a]|{b}.jpg?'{c}|", "http://cdn.example:8080/[a]|%7Bb%7D.jpg?%27{c}|"), (b"c.jpg", "http://cdn.example:8080/a/c.jpg"),
        (b"../c/./d/../e.jpg", "http://cdn.example:8080/c/e.jpg"), (b"/../../c.jpg", "http://cdn.example:8080/c.jpg"),
        (b"http://CDN.example/x/%2e%2E/y/.", "http://cdn.example/y/"), (b"http://cdn.example/x/..", "http://cdn.example/"),
        (b"?new", "http://cdn.example:8080/a/b.jpg?new"), (b"//cdn.example", "http://cdn.example/"),
        (b"https:\\\\cdn.example\\a.jpg", "https://cdn.example/a.jpg"), (b"https://cdn.example:443/a", "https://cdn.example/a"),
        (b"https://b\xc3\xbccher.example/a", "https://xn--bcher-kva.example/a"), (b"https://%63dn.example/a", "https://cdn.example/a"),
        (b"/a?X-Amz-Signature=1&u=//x/../y", "http://cdn.example:8080/a?X-Amz-Signature=1&u=//x/../y"),
        (b"http://[2001:DB8::1]/a", "http://[2001:db8::1]/a"), (b"/a//b", "http://cdn.example:8080/a//b"),
        (b"HTTP:\\\\\\cdn.example/a", "http://cdn.example/a"), (b"http:c.jpg", "http://cdn.example:8080/a/c.jpg"),
    ],
)  # fmt: skip
def test_redirects_are_resolved_as_browsers_do(location: bytes, url: str) -> None:
    web = WebLocation(WEB.hosts | {"xn--bcher-kva.example"})
    assert web.led_to(HERE, location) == url
    assert web.host_of(url) in web.hosts


@pytest.mark.parametrize(
    "location",
    [
        b"http://evil.example/a", b"http://cdn.example@evil.example/", b"http://u:p@cdn.example/a", b"//evil.example#@cdn.example/",
        b"http://evil.example\\@cdn.example/", b"\\\\evil.example/a", b"/\\evil.example/a", b"http://cdn.example%2eevil.example/a",
        b"http://cdn.example%2f.evil.example/a", b"http://cdn.example%23.evil.example/a", b"http://cdn.example%40evil.example/",
        b"http://evil.example%2f@cdn.example/", b"http://b\xfccher.example/", b"http://cdn.example:81/a", b"ftp://cdn.example/a",
        b"file:///etc/passwd", b"javascript:1", b"http:///a", b"///evil.example/a", b"http://[", b"http://[::1/", b"http://cdn.example:x/", b"data:,a",
        b"http://\xef\xbc\xa3dn.evil/", b"http://%ff/", b"http://" + b"a" * 99 + b"\xc3\xbc.example/", b"https:/\t/evil.example/",
        b"http://cdn.example\x00.evil.example/", b"http://cdn.example\x0b/", b"http://cdn.example /a", b"http://cdn.example%20/a",
    ],
)  # fmt: skip
def test_redirects_to_other_hosts_are_refused(location: bytes) -> None:
    with pytest.raises((SourceNotAllowed, ValueError)):
        WEB.led_to(HERE, location)


@given(
    st.lists(
        st.sampled_from(
            [b"/", b"//", b"\\", b":", b"@", b"#", b"?", b"%", b"%2f", b"%2e", b".", b"..", b"[", b"]", b" ", b"\t", b"\xfc", b"\x00"]
            + [b"http:", b"https:", b"cdn.example", b"evil.example", b":8080", b"a"]
        ),
        max_size=9,
    ).map(b"".join)
)  # fmt: skip
def test_no_redirect_leaves_the_allowed_hosts(location: bytes) -> None:
    try:
        url = WEB.led_to(HERE, location)
    except (SourceNotAllowed, ValueError):
        return
    assert WEB.host_of(url).partition("?")[0] in WEB.hosts
    assert urlsplit(url).netloc in WEB.hosts
    assert re.fullmatch(r"https?://[!-~]+", url)
    assert WEB.led_to(url, url.encode()) == url


BASED = WebLocation(frozenset({"cdn.example"}), "http://origin.example:8080/images/%5Ba%5D/")


@pytest.mark.parametrize(
    ("key", "rest"),
    [
        ("red.jpg", "red.jpg"), ("shoes/red 1.jpg", "shoes/red%201.jpg"), ("100%.jpg", "100%25.jpg"), ("%2e%2e/a", "%252e%252e/a"),
        ("a?b#c.jpg", "a%3Fb%23c.jpg"), ("grün.jpg", "gr%C3%BCn.jpg"), ("a..b/c...", "a..b/c..."), ("a:b@c;d=e,f+g", "a:b@c;d=e,f+g"),
        ("@evil.example/a", "@evil.example/a"), ("[x]|{y}", "%5Bx%5D%7C%7By%7D"),
    ],
)  # fmt: skip
def test_a_relative_key_is_appended_to_the_base_url(key: str, rest: str) -> None:
    url = BASED.base_url + rest
    assert BASED.key_for(key) == key
    assert BASED.url_of(key) == url
    assert BASED.host_of(url) == "origin.example:8080"
    both = WebLocation(BASED.reached, BASED.base_url)
    assert both.key_for(url) == key, "one original, however it is named"
    assert both.url_of(both.key_for(f"{url}?v=1")) == f"{url}?v=1"


def test_a_source_with_only_a_base_url_refuses_urls_of_its_host() -> None:
    assert BASED.reached == {"cdn.example", "origin.example:8080"}
    with pytest.raises(SourceNotAllowed):
        BASED.key_for("http://origin.example:8080/images/%5Ba%5D/red.jpg")
    assert (
        BASED.led_to("https://cdn.example/a", b"http://origin.example:8080/b")
        == "http://origin.example:8080/b"
    )
    for url in ("https://cdn.example/red.jpg", "https://cdn.example/images/%5Ba%5D/red.jpg"):
        assert BASED.key_for(url) == url == BASED.url_of(url)
    both = WebLocation(BASED.reached, BASED.base_url)
    for rest in ("", "a//b", "?x=1", "a%2Fb", "%ff", "a%0A", "http://x/"):
        url = BASED.base_url + rest
        assert both.key_for(url) == url == both.url_of(url)
