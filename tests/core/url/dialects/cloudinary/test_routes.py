"""The parts of a Cloudinary path are found with and without a cloud name, and its form is recognised."""

import pytest

from proxy.core.errors import BadUrl, UnknownRoute
from proxy.core.url.dialects.cloudinary.routes import Route, recognises, route_of, version_of

SIGNATURE = "s--AbCd_-12--"


def route(head: str, rest: str = "", **changes: str | bool) -> Route:
    """The expected parts; `rest` is `components | version | source`, each with its slashes."""
    components, version, source = (part.strip() for part in rest.split("|"))
    values = {"delivery": "upload", "is_seo": False, "signature": "", "unsupported": ""} | changes
    return Route(
        head=tuple(head.split("/")) if head else (),
        components=tuple(components.split("/")) if components else (),
        version=version,
        source=tuple(source.split("/")),
        **values,  # type: ignore[arg-type] # The names are those of the fields.
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/demo/image/upload/lake.jpg", route("demo/image/upload", "||lake.jpg")),
        ("/image/upload/lake.jpg", route("image/upload", "||lake.jpg")),
        ("/demo/image/upload/v1/a/lake.jpg", route("demo/image/upload", "|v1|a/lake.jpg")),
        ("/image/upload/w_300/q_auto/v7/lake.jpg", route("image/upload", "w_300/q_auto|v7|lake.jpg")),
        (f"/demo/image/upload/{SIGNATURE}/w_3/lake", route("demo/image/upload", "w_3||lake", signature=SIGNATURE)),
        ("/demo/iu/w_300/lake.jpg", route("demo/iu", "w_300||lake.jpg")),
        ("/iu/lake.jpg", route("iu", "||lake.jpg")),
        ("/demo/images/w_3/a/lake/name.jpg", route("demo/images", "w_3||a/lake/name.jpg", is_seo=True)),
        ("/private_images/lake/name.jpg", route("private_images", "||lake/name.jpg", is_seo=True, delivery="private")),
        ("/demo/authenticated_images/a/b.jpg", route("demo/authenticated_images", "||a/b.jpg", is_seo=True, delivery="authenticated")),
        ("/demo/image/private/lake.jpg", route("demo/image/private", "||lake.jpg", delivery="private")),
        ("/demo/image/authenticated/w_3/x.jpg", route("demo/image/authenticated", "w_3||x.jpg", delivery="authenticated")),
        ("/demo/image/fetch/w_3/https://x.org/a.jpg", route("demo/image/fetch", "w_3||https://x.org/a.jpg", delivery="fetch")),
        ("/demo/lake.jpg", route("demo", "||lake.jpg")),
        ("/lake.jpg", route("", "||lake.jpg")),
        ("/w_300/lake.jpg", route("", "w_300||lake.jpg")),
        ("/demo/w_300/v1/a/lake.jpg", route("demo", "w_300|v1|a/lake.jpg")),
        ("/v1/a/lake.jpg", route("", "|v1|a/lake.jpg")),
        (f"/{SIGNATURE}/lake.jpg", route("", "||lake.jpg", signature=SIGNATURE)),
        (f"/demo/{SIGNATURE}/lake.jpg", route("demo", "||lake.jpg", signature=SIGNATURE)),
        ("/image/upload/$a_1,w_$a/%24b_2/if_1_eq_1,w_3/lake", route("image/upload", "$a_1,w_$a/%24b_2/if_1_eq_1,w_3||lake")),
        ("/image/upload/fo_o/w_3/lake", route("image/upload", "||fo_o/w_3/lake")),
        ("/image/upload/v12", route("image/upload", "||v12")),
        ("/image/upload/w_300", route("image/upload", "||w_300")),
        ("/image/upload/v1/w_300/lake", route("image/upload", "|v1|w_300/lake")),
        ("/demo/video/upload/a.mp4", route("demo/video/upload", "||a.mp4", unsupported="assets of type video are not supported: only images are")),
        ("/demo/files/a/b.pdf", route("demo/files", "||a/b.pdf", delivery="", unsupported="assets of type files are not supported: only images are")),
        ("/demo/image/youtube/a.jpg", route("demo/image/youtube", "||a.jpg", delivery="youtube", unsupported="the delivery type youtube is not supported")),
    ],
)  # fmt: skip
def test_the_parts_of_a_path(path: str, expected: Route) -> None:
    assert route_of(path) == expected


def test_no_routes() -> None:
    for path in ("/", "//image/upload/a.jpg"):
        with pytest.raises(UnknownRoute):
            route_of(path)
    for path in ("/demo/image/w_3/a.jpg", "/image", "/demo/image/lake.jpg"):
        with pytest.raises(BadUrl, match="the delivery type after image must be"):
            route_of(path)


@pytest.mark.parametrize(("text", "version"), [("v1", None), ("", None), ("v17", "17"), ("v01", "01")])
def test_v1_is_no_version(text: str, version: str | None) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    "target",
    [
        *("/demo/image/upload/a.jpg", "/image/upload/x", "/demo/video/upload/a.mp4", "/iu/a.jpg", "/demo/images/a/b.jpg"),
        *("/w_300/lake.jpg?x=1", "/demo/w_300/lake.jpg", "/demo/lake.jpg", "/lake.jpg"),
        *("/lake.jpg?_a=DATA", "/demo/v1/a/b.jpg", "/s--AbCd_-12--/a.jpg?x", "/lake?__cld_token__=exp=1~hmac=0"),
    ],
)  # fmt: skip
def test_its_form_is_recognised(target: str) -> None:
    assert recognises(target)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?url=x",
        "/cdn-cgi/image/width=80/lake.jpg?x",
        "/_ipx/w_300/lake.jpg?x",
        "/image/nonsense/x",
        "/a/image",
        "/lake.jpg?w=300",
        "/_next/image?url=%2Fa.jpg&w=64&q=75",
        "/thumbnail?url=lake.jpg",
    ],
)
def test_other_forms_are_declined(target: str) -> None:
    assert not recognises(target)
