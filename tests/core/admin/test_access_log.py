"""Access logs name the variants that clients requested: nginx's combined format and the node's JSON lines."""

import json

from proxy.core.admin.access_log import LoggedVariant, logged_transforms, logged_variants
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.mounts import Mount, Rules
from proxy.core.url.policy import Dimensions

RULES = Rules(
    mounts=[
        Mount(
            name="shop",
            prefix="/",
            source="s",
            dimensions=Dimensions.LISTED,
            allowed_px=(100, 200),
            max_age_s=9,
        ),
        Mount(
            name="blog",
            host="blog.example",
            source="b",
            dimensions=Dimensions.ANY,
            allowed_px=(),
            max_age_s=9,
        ),
    ],
    presets={"card": parse_tokens("w_100,f_auto", {}).components},
    url_max_bytes=4096,
    max_side_px=4000,
    session="",
)


def combined(target: str, status: int = 200, method: str = "GET") -> str:
    return f'192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "{method} {target} HTTP/1.1" {status} 123 "-" "x"'


def line(**fields: object) -> str:
    return json.dumps({"event": "request", "status": 200, **fields})


def test_variants_of_the_combined_log_format() -> None:
    lines = [
        combined("/w_100/a.jpg"),
        combined("/w_100/a.jpg"),
        combined("/w_100/a.jpg?utm_source=x&fbclid=y"),
        combined("/w_100/a.jpg?exp=9&sig=x&utm_source=x"),
        combined("/w_100,q_82/deep/b%20c.jpg", 304),
        combined("/thumbnail?url=a.jpg&w=200"),
        combined("/t_card/a.jpg", 206, "HEAD"),
        combined("/w_100/missing.jpg", 404),
        combined("/w_100/a.jpg", 200, "POST"),
        combined("/original/a.jpg"),
        combined("/info/a.jpg"),
        combined("/favicon.ico"),
        combined("/w_x/a.jpg"),
        "rubbish",
        "",
    ]
    assert list(logged_variants(lines, RULES, None)) == [
        LoggedVariant("shop", "a.jpg", "w_100"),
        LoggedVariant("shop", "deep/b c.jpg", "w_100,q_80"),
        LoggedVariant("shop", "a.jpg", "w_200"),
        LoggedVariant("shop", "a.jpg", "w_100,f_auto"),
    ]


def test_variants_of_the_access_log_have_the_format_that_was_sent() -> None:
    lines = [
        line(target="/t_card/a.jpg", format="webp"),
        line(target="/t_card/a.jpg", format="jpeg"),
        line(target="/w_100/a.jpg", format="png"),
        line(target="/w_100,f_gif/a.jpg", format="gif"),
        line(target="/w_123/a.jpg"),  # It was signed, which logs do not show.
        line(target="/w_77/c.jpg", host="blog.example"),
        line(target="/w_100/a.jpg", status=404),
        line(target="/w_100/a.jpg", format="odd"),
        line(),
        "{",
        "[1]",
    ]
    assert list(logged_variants(lines, RULES, None)) == [
        LoggedVariant("shop", "a.jpg", "w_100,f_webp"),
        LoggedVariant("shop", "a.jpg", "w_100,f_jpeg"),
        LoggedVariant("shop", "a.jpg", "w_100,f_png"),
        LoggedVariant("shop", "a.jpg", "w_100,f_gif"),
        LoggedVariant("shop", "a.jpg", "w_123"),
        LoggedVariant("blog", "c.jpg", "w_77"),
        LoggedVariant("shop", "a.jpg", "w_100"),
    ]
    assert [found.key for found in logged_variants(lines, RULES, RULES.mounts[1])] == ["c.jpg"]


def test_a_single_mount_matches_every_host() -> None:
    lone = RULES._replace(mounts=RULES.mounts[1:])
    assert len(list(logged_variants([combined("/w_5/a.jpg?sig=x")], lone, None))) == 1


def test_transforms_are_counted_as_they_were_requested() -> None:
    lines = [
        line(target="/w_100,f_auto/a.jpg", format="webp"),
        line(target="/f_auto,w_100,v_7/b.jpg", format="jpeg"),
        line(target="/w_123/a.jpg"),
        line(target="/t_card/a.jpg"),
        line(target="/t_card,q_50/a.jpg"),
        line(target="/w_77/c.jpg", host="blog.example"),
        line(target="/w_100/a.jpg", status=404),
        line(target="/info/a.jpg"),
    ]
    expected = {"w_100,f_auto": 2, "w_123": 1, "w_100,f_auto,q_50": 1}
    assert logged_transforms(lines, RULES, None) == {"shop": expected, "blog": {"w_77": 1}}
    assert logged_transforms(lines, RULES, RULES.mounts[1]) == {"blog": {"w_77": 1}}
