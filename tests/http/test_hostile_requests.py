"""Hostile requests do not poison the cache: only the URL selects a variant, and no error is cached."""

import itertools
from urllib.parse import quote

import pytest

from tests.http.conftest import Running, raw, shares_node
from tests.support.answers import Answer

NAMES = [
    "A-IM",
    "Accept-Charset",
    "Accept-Datetime",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Patch",
    "Accept-Signature",
    "Akamai-Origin-Hop",
    "Alt-Used",
    "Authorization",
    "Base-Url",
    "CF-Connecting-IP",
    "CF-IPCountry",
    "CF-Ray",
    "CF-Visitor",
    "CDN-Loop",
    "Cache-Control",
    "Cdn-Src-Ip",
    "Client-IP",
    "Cluster-Client-IP",
    "Cookie",
    "Cookie2",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Content-MD5",
    "Content-Type",
    "DNT",
    "DPR",
    "Date",
    "Destination",
    "Device-Memory",
    "Downlink",
    "ECT",
    "Early-Data",
    "Fastly-Client-IP",
    "Fastly-FF",
    "Fastly-SSL",
    "Forwarded",
    "Forwarded-For",
    "Forwarded-Proto",
    "From",
    "Front-End-Https",
    "Host-Override",
    "HTTP2-Settings",
    "If-Schedule-Tag-Match",
    "Incap-Client-IP",
    "Last-Event-ID",
    "Lock-Token",
    "Max-Forwards",
    "Method",
    "Name",
    "Origin",
    "Origin-Agent-Cluster",
    "Overwrite",
    "Pragma",
    "Prefer",
    "Priority",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Proxy-Host",
    "Purpose",
    "RTT",
    "Real-IP",
    "Referer",
    "Referrer",
    "Request-Id",
    "Request-Range",
    "Save-Data",
    "Sec-CH-DPR",
    "Sec-CH-Prefers-Color-Scheme",
    "Sec-CH-Prefers-Reduced-Motion",
    "Sec-CH-UA",
    "Sec-CH-UA-Arch",
    "Sec-CH-UA-Full-Version",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Model",
    "Sec-CH-UA-Platform",
    "Sec-CH-Viewport-Height",
    "Sec-CH-Viewport-Width",
    "Sec-CH-Width",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-GPC",
    "Sec-Purpose",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Service-Worker",
    "Service-Worker-Navigation-Preload",
    "Signature",
    "Signature-Input",
    "SOAPAction",
    "Surrogate-Capability",
    "TE",
    "Timeout",
    "Traceparent",
    "Tracestate",
    "True-Client-IP",
    "URI",
    "URL",
    "Upgrade-Insecure-Requests",
    "User-Agent",
    "Via",
    "Viewport-Width",
    "Want-Digest",
    "Warning",
    "Width",
    "X-API-Key",
    "X-ATT-DeviceId",
    "X-Accel-Buffering",
    "X-Accel-Redirect",
    "X-Amz-Cf-Id",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Api-Version",
    "X-App-Engine-Country",
    "X-Arbitrary",
    "X-Azure-ClientIP",
    "X-Azure-FDID",
    "X-B3-TraceId",
    "X-BlueCoat-Via",
    "X-Cache-Key",
    "X-CDN",
    "X-CSRF-Token",
    "X-Client-Data",
    "X-Client-IP",
    "X-Cluster-Client-Ip",
    "X-Correlation-ID",
    "X-Country-Code",
    "X-Custom-IP-Authorization",
    "X-DNS-Prefetch-Control",
    "X-Debug",
    "X-Device-Type",
    "X-Do-Not-Track",
    "X-EdgeConnect-MidMile-RTT",
    "X-Envoy-Expected-Rq-Timeout-Ms",
    "X-Envoy-External-Address",
    "X-Envoy-Original-Path",
    "X-Forward",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-Forwarded-Value",
    "X-Frame-Options",
    "X-From",
    "X-Geoip-Country",
    "X-HTTP-DestinationURL",
    "X-HTTP-Host-Override",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Hits",
    "X-Host",
    "X-Host-Override",
    "X-If-Unmodified-Since",
    "X-Imforwards",
    "X-Invoke-Path",
    "X-Invoke-Status",
    "X-Language",
    "X-Middleware-Prefetch",
    "X-Middleware-Subrequest",
    "X-Method",
    "X-Method-Override",
    "X-NextJS-Data",
    "X-Nginx-Proxy",
    "X-OperaMini-Features",
    "X-Oneagent-JS-Injection",
    "X-Orig-Client",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-Remote-Addr",
    "X-Original-URL",
    "X-Originally-Forwarded-For",
    "X-Originating-IP",
    "X-PAPI-Auth",
    "X-Pjax",
    "X-Ping",
    "X-Platform",
    "X-Preview",
    "X-Proxy-Url",
    "X-ProxyUser-Ip",
    "X-Purpose",
    "X-Real-Ip",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-Request-ID",
    "X-Request-Start",
    "X-Requested-With",
    "X-Rewrite-Url",
    "X-Roaming",
    "X-Robots-Tag",
    "X-SSL",
    "X-Scheme",
    "X-Server-Name",
    "X-Session",
    "X-Sendfile",
    "X-TTL",
    "X-Timer",
    "X-Tenant",
    "X-Timezone",
    "X-True-Client-IP",
    "X-UIDH",
    "X-User-Agent",
    "X-Varnish",
    "X-Version",
    "X-WAP-Profile",
    "X-WP-Nonce",
    "X-Wap-Client-Sdu-Size",
    "X-XSRF-TOKEN",
    "X-Zone",
]

SAME = "/w_50,f_auto/photo.jpg"
TELLING = ("Server-Timing", "Date", "Cache-Status")


def lasting(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name not in TELLING}
    return answer.status, answer.body, headers


async def test_other_headers_do_not_change_the_answer(node: Running) -> None:
    assert len(NAMES) >= 200
    plain = await node.get(SAME)
    for name in NAMES:
        for value in ("canary.example", "/w_51/photo.jpg", "DELETE", "a" * 1000):
            answer = await node.get(SAME, **{name: value})
            assert lasting(answer) == lasting(plain), (name, value)
            assert answer.cache == "calotype; hit; detail=memory", name
    assert await node.metric("calotype_renders_total") == 1


async def test_a_hostile_request_does_not_change_the_cached_variant(node: Running) -> None:
    """Each on a URL not met before: what is kept is what anybody would have got."""
    plain = await node.get("/w_60,f_jpg/photo.jpg")
    for number, name in enumerate(NAMES):
        target = f"/w_60,f_jpg,dpr_1,c_{('fit', 'fill')[number % 2]},g_0.{number + 1}:0.5/photo.jpg"
        first = await node.get(target, **{name: "canary"})
        again = await node.get(target)
        assert first.body == again.body == plain.body, name


POISON: list[bytes] = [
    b"X-Metachar: \x07\r\n", b"X-Long: " + b"a" * 32_000 + b"\r\n", b"X-Many: a\r\n" * 500,
    b"X-HTTP-Method-Override: DELETE\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: x\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n", b" folded: x\r\n",
    b"No-Colon\r\n", b"Bad Name: x\r\n", b"X-Nul: a\x00b\r\n", b"X-Cr: a\rb\r\n", b"Host: y\r\n", b"Range: bytes=9999999-\r\n",
    b"Range: bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(1000)) + b"\r\n", b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Expect: 100-continue\r\n", b"Expect: nonsense\r\n", b"Accept: " + b"image/avif;q=0.5," * 400 + b"\r\n",
    b"If-Match: \"x\"\r\n", b"If-None-Match: " + b'"a",' * 1500 + b"\r\n", b"Connection: close, Host, Accept\r\n",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(POISON)))
@shares_node
async def test_errors_of_hostile_requests_are_not_cached(shared_node: Running, number: int) -> None:
    target = f"/w_{70 + number},f_jpg/photo.jpg"
    response = await raw(
        shared_node, f"GET {target} HTTP/1.1\r\nHost: x\r\n".encode() + POISON[number] + b"\r\n"
    )
    status = int(response.split(b" ", 2)[1]) if response else 0
    if status not in (200, 0):
        assert b"no-store" in response
        assert b"canary" not in response
    clean = await shared_node.get(target)
    assert clean.status == 200
    assert clean.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    "line",
    [
        b"GET http:/w_50/photo.jpg HTTP/1.1", b"GET gopher://evil.example/w_50/photo.jpg HTTP/1.1", b"GET //x/w_50/photo.jpg HTTP/1.1",
        b"GET w_50/photo.jpg HTTP/1.1", b"GET * HTTP/1.1", b"CONNECT x:80 HTTP/1.1",
        b"GET /w_50/pho to.jpg HTTP/1.1",
        b"get /w_50/photo.jpg HTTP/1.1", b"GET\t/w_50/photo.jpg HTTP/1.1", b"GET /w_50/photo.jpg#x HTTP/1.1", b"GET /w_50\\photo.jpg HTTP/1.1",
        b"PURGE /w_50/photo.jpg HTTP/1.1", b"TRACE /w_50/photo.jpg HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"GET /w_50/" + b"%2e%2e%2f" * 20 + b"etc/passwd HTTP/1.1",
    ],
)  # fmt: skip
@shares_node
async def test_a_target_in_another_form_is_refused(shared_node: Running, line: bytes) -> None:
    response = await raw(shared_node, line + b"\r\nHost: x\r\n\r\n")
    assert response.split(b" ", 2)[1] in (b"400", b"403", b"404", b"405", b"414")
    assert b"evil" not in response
    assert b"; hit" not in response


@pytest.mark.parametrize("route", ["/healthz", "/readyz", "/metrics", "/v1/explain", "/robots.txt"])
@shares_node
async def test_delimiters_do_not_turn_a_page_into_a_cached_picture(shared_node: Running, route: str) -> None:
    for delimiter, name in itertools.product(
        (
            "/",
            ";",
            "%3b",
            "%23",
            "%3f",
            "%00",
            "%0a",
            "%09",
            "%2f",
            "%5c",
            "/..%2f",
            "/../",
            "%2f..%2f",
            ".",
            "..;/",
            "//",
            "?",
        ),
        ("x.jpg", "x.css", "w_50/photo.jpg", ""),
    ):
        answer = await shared_node.get(route.rstrip("/") + delimiter + name)
        assert "hit" not in answer.cache
        if answer.status == 200:
            assert answer.headers["Cache-Control"] == "no-store", (route, delimiter, name)
        assert b"calotype_requests_total" not in answer.body


async def test_repeated_and_encoded_parameters_get_the_same_picture_or_an_error(node: Running) -> None:
    """Names given twice, cut otherwise, in other cases or encodings."""
    target = "/thumbnail?url=photo.jpg&w=50&format=png"
    plain = await node.get(target)
    parts = ["url=photo.jpg", "w=50", "format=png"]
    for order in itertools.permutations(parts):
        assert (await node.get("/thumbnail?" + "&".join(order))).headers["ETag"] == plain.headers["ETag"]
    for more in (
        "w=50", "w=51", "W=51", "w%3d51", "%77=51", "w[]=51", "w=", "w", "=", "", ";w=51", "url=b.jpg", "_method=DELETE", "utm-source=x",
        "callback=x", "w=50%00", "w=50%20", "w=+50", "w=1_0", "w=0x32", "w=5e1", "w=٥٠", "w=50.0", "w=-50", "w=050", "w=NaN",
    ):  # fmt: skip
        for spelled in (f"{target}&{more}", f"/thumbnail?{more}&{target[11:]}"):
            answer = await node.get(spelled.replace("٥", quote("٥")).replace("٠", quote("٠")))
            assert answer.status == 400, spelled
            assert answer.headers["Cache-Control"] == "no-store"
    assert await node.metric("calotype_renders_total") == 1
