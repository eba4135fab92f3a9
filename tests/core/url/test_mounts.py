"""Routing: the mount of a host and a raw target."""

import pytest

from proxy.core.errors import BadRequest, BadUrl, CalotypeError, SourceNotAllowed, UnknownRoute
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.dialects.thumbor.urls import DIALECT as THUMBOR
from proxy.core.url.mounts import (
    Mount,
    RemoteSource,
    Rules,
    host_name,
    mount_named,
    of_dialect,
    only_mount,
    route,
)
from proxy.core.url.original_urls import DIRECTORY, OriginalLocation, S3Location, WebLocation


def mount(name: str, **changes: object) -> Mount:
    values = {"source": "s", "allowed_px": (100, 200), "max_age_s": 1, **changes}
    return Mount(name=name, **values)  # type: ignore[arg-type]


MOUNTS = [
    mount("all"),
    mount("shop", prefix="/shop/"),
    mount("deep", prefix="/shop/deep/"),
    mount("own", host="img.example"),
    mount("own-blog", host="img.example", prefix="/blog/"),
    mount("only-blog", host="blog.example", prefix="/blog/"),
]


@pytest.mark.parametrize(
    ("host", "raw", "name", "below"),
    [
        ("", "/w_1/a", "all", "/w_1/a"),
        ("any.example", "/shop/w_1/a", "shop", "/w_1/a"),
        ("any.example", "/shop/deep/w_1/a", "deep", "/w_1/a"),
        ("any.example", "/shopping/w_1/a", "all", "/shopping/w_1/a"),
        ("any.example", "/shop", "all", "/shop"),
        ("img.example", "/shop/w_1/a", "own", "/shop/w_1/a"),
        ("img.example", "/blog/w_1/a", "own-blog", "/w_1/a"),
        ("blog.example", "/blog/", "only-blog", "/"),
    ],
)
def test_host_and_path_select_the_mount(host: str, raw: str, name: str, below: str) -> None:
    chosen = route(MOUNTS, host, raw)
    assert (chosen.name, chosen.below(raw)) == (name, below)


def several(name: str, *dialects: str, **changes: object) -> list[Mount]:
    return [mount(name, dialect=DIALECTS[each], **changes) for each in dialects]


@pytest.mark.parametrize(
    ("raw", "dialect"),
    [
        ("/shop/unsafe/300x200/a.jpg", "thumbor"),
        ("/shop/w_300/a.jpg", "native"),
        ("/shop/_next/image?url=%2Fa.jpg&w=640&q=75", "next"),
        ("/shop/neither", "thumbor"),
    ],
)
def test_the_first_dialect_that_recognises_a_target_reads_it(raw: str, dialect: str) -> None:
    mounts = [*several("shop", "thumbor", "native", "next", prefix="/shop/"), mount("all")]
    assert route(mounts, "", raw).dialect.name == dialect
    rules = Rules(mounts=mounts, presets={}, url_max_bytes=9999, max_side_px=9999, session="")
    assert of_dialect(rules, mount_named(rules, "shop"), raw).dialect.name == dialect
    assert of_dialect(rules, mount_named(rules, "all"), raw).name == "all"


def test_a_name_without_a_url_means_the_native_dialect() -> None:
    rules = Rules(
        mounts=several("shop", "thumbor", "native"),
        presets={},
        url_max_bytes=9999,
        max_side_px=9999,
        session="",
    )
    only = only_mount(rules)
    assert only is not None
    assert only.is_native
    assert mount_named(rules, "shop") is mount_named(rules, "") is only
    vendors = rules._replace(mounts=several("shop", "thumbor", "next"))
    assert mount_named(vendors, "shop").dialect.name == "thumbor"


def test_a_host_with_its_own_mounts_has_no_fallback() -> None:
    with pytest.raises(UnknownRoute):
        route(MOUNTS, "blog.example", "/w_1/a")


WEB = WebLocation(frozenset({"img.example", "10.0.0.1:8090"}))
BASED = WebLocation(frozenset({"img.example"}), "https://base.example/p/")


@pytest.mark.parametrize(
    ("location", "locator", "key"),
    [
        (WEB, "img.example/a.jpg", "http://img.example/a.jpg"),
        (WEB, "10.0.0.1:8090/a b.jpg", "http://10.0.0.1:8090/a%20b.jpg"),
        (WEB, "https://img.example/a.jpg", "https://img.example/a.jpg"),
        (BASED, "a.jpg", "a.jpg"),
        (BASED, "IMG.example/a.jpg", "http://img.example/a.jpg"),
        (BASED, "https://img.example/a.jpg", "https://img.example/a.jpg"),
        (DIRECTORY, "img.example/a.jpg", "img.example/a.jpg"),
    ],
)
def test_an_original_of_the_web_needs_no_scheme_where_the_dialect_omits_it(
    location: OriginalLocation, locator: str, key: str
) -> None:
    assert mount("t", location=location, dialect=THUMBOR).ref(locator).key == key


def test_a_host_without_a_scheme_is_one_of_the_source() -> None:
    with pytest.raises(SourceNotAllowed):
        mount("t", location=WEB, dialect=THUMBOR).ref("other.example/a.jpg")
    with pytest.raises(BadUrl):
        mount("native", location=WEB).ref("img.example/a.jpg")


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Img.Example:8080", "img.example"),
        ("img.example.", "img.example"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "[::1]"),
        (" a ", "a"),
        ("", ""),
    ],
)
def test_host_names_are_normalized(header: str, host: str) -> None:
    assert host_name(header) == host


def rules_of(*names: str) -> Rules:
    mounts = [mount(name) for name in names]
    return Rules(mounts=mounts, presets={}, url_max_bytes=4096, max_side_px=4000, session="")


@pytest.mark.parametrize(
    ("rules", "name", "expected"),
    [
        (rules_of("a"), "", "a"),
        (rules_of("a"), "a", "a"),
        (rules_of("a", "b"), "b", "b"),
        (rules_of("a", "b"), "", BadRequest),
        (rules_of("a", "b"), "c", UnknownRoute),
        (rules_of("a"), "c", UnknownRoute),
    ],
)
def test_a_mount_is_found_by_name_or_as_the_only_one(
    rules: Rules, name: str, expected: str | type[CalotypeError]
) -> None:
    if isinstance(expected, str):
        assert mount_named(rules, name).name == expected
        return
    with pytest.raises(expected, match=", ".join(each.name for each in rules.mounts)):
        mount_named(rules, name)


BUCKET = S3Location(bucket="pics")
OTHER_BUCKET = S3Location(bucket="other", prefix="p/")
WEB = WebLocation(frozenset({"cdn.example"}))


@pytest.mark.parametrize(
    ("own", "remote", "locator", "source", "key"),
    [
        (DIRECTORY, BUCKET, "a.jpg", "own", "a.jpg"),
        (DIRECTORY, BUCKET, "local:///a.jpg", "own", "a.jpg"),
        (DIRECTORY, BUCKET, "s3://pics/a.jpg", "remote", "a.jpg"),
        (DIRECTORY, BUCKET, "https://s3.amazonaws.com/pics/a.jpg", "remote", "a.jpg"),
        (BUCKET, DIRECTORY, "a.jpg", "own", "a.jpg"),
        (BUCKET, DIRECTORY, "local:///a.jpg", "remote", "a.jpg"),
        (BUCKET, DIRECTORY, "s3://pics/a.jpg", "own", "a.jpg"),
        (BUCKET, OTHER_BUCKET, "s3://pics/a.jpg", "own", "a.jpg"),
        (BUCKET, OTHER_BUCKET, "s3://other/p/a.jpg", "remote", "a.jpg"),
        (WEB, BUCKET, "s3://pics/a#b.jpg", "remote", "a#b.jpg"),
        (BUCKET, WEB, "https://cdn.example/a?versionId=1", "remote", "https://cdn.example/a?versionId=1"),
    ],
)
def test_an_original_is_of_the_source_that_its_url_names(
    own: OriginalLocation, remote: OriginalLocation, locator: str, source: str, key: str
) -> None:
    chosen = mount("m", source="own", location=own, remote=RemoteSource("remote", remote))
    ref = chosen.ref(locator)
    assert ref == OriginalRef(source, key)
    again = chosen.locator(ref)
    assert again is not None
    assert chosen.ref(again) == ref
    assert chosen.locator(OriginalRef("third", key)) is None


@pytest.mark.parametrize(
    ("own", "remote", "locator"),
    [
        (BUCKET, WEB, "local:///a.jpg"),
        (BUCKET, None, "local:///a.jpg"),
        (BUCKET, OTHER_BUCKET, "s3://third/a.jpg"),
        (BUCKET, OTHER_BUCKET, "s3://other/q/a.jpg"),
        (DIRECTORY, None, "s3://pics/a.jpg"),
        (DIRECTORY, BUCKET, "https://cdn.example/a.jpg"),
    ],
)
def test_an_original_of_neither_source_is_refused(
    own: OriginalLocation, remote: OriginalLocation | None, locator: str
) -> None:
    chosen = mount(
        "m", source="own", location=own, remote=None if remote is None else RemoteSource("remote", remote)
    )
    with pytest.raises(SourceNotAllowed) as refused:
        chosen.ref(locator)
    assert ("neither the source of this mount nor" in refused.value.detail) is (remote is not None)
