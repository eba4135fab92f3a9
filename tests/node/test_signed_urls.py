"""URLs that the node signs, verified by the mount that answers them."""

import pytest

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings, load
from proxy.core.errors import BadUrl
from proxy.node.factory import mounts
from proxy.node.signed_urls import SignOptions, signed_urls

KEYS = {
    "native": "n" * 32,
    "thumbor": "secret",
    "imagor": "sha256:40:secret",
    "imgproxy": "943b421c9eb07c830af81030552c86009268de4e532ba2ee2eab8247c6da0881:520f986b998545b4785e0defbc4f3c1203f22de2374a3d53cb7a7fe9fea309c5",
    "trusted": "trusted:letmein",
    "imgix": "token",
    "imagekit": "private",
    "cloudinary": "secret",
    "cloudinary256": "sha256:secret",
    "token": "token:00112233445566778899aabbccddeeff",
    "cloudflare": "shared",
}


def settings_of(dialect: str, key: str, prefix: str) -> Settings:
    mount = {"source": "photos", "prefix": prefix, "dialect": dialect, "signing": "required", "keys": [key]}
    return load(
        None,
        {
            "sources": {"photos": {"path": "/photos"}},
            "signing": {"keys": {key: KEYS[key]}},
            "mounts": {"all": {"source": "photos", "prefix": "/rest/"}, "shop": mount},
        },
    )


@pytest.mark.parametrize("prefix", ["/", "/shop/"])
@pytest.mark.parametrize(
    ("dialect", "key", "target"),
    [
        ("native", "native", "/w_80,f_webp/a%20b.jpg"),
        ("thumbor", "thumbor", "/unsafe/80x60/filters:format(webp)/a%20b.jpg"),
        ("thumbor", "imagor", "/unsafe/80x60/filters:format(webp)/a%20b.jpg"),
        ("imgproxy", "imgproxy", "/unsafe/rs:fit:80:0/plain/a%20b.jpg@webp"),
        ("imgproxy", "trusted", "/unsafe/rs:fit:80:0/plain/a%20b.jpg@webp"),
        ("imgix", "imgix", "/a%20b.jpg?w=80&fm=webp"),
        ("imgix", "imgix", "/a%20b.jpg"),
        ("imagekit", "imagekit", "/tr:w-80:f-webp/a%20b.jpg"),
        ("imagekit", "imagekit", "/a%20b.jpg?tr=w-80"),
        ("cloudinary", "cloudinary", "/image/upload/c_limit,w_80/f_webp/a%20b.jpg"),
        ("cloudinary", "cloudinary", "/demo/image/upload/c_limit,w_80/v1234/deep/a%20b.jpg"),
        ("cloudinary", "cloudinary256", "/images/c_limit,w_80/id/a-name.jpg"),
        ("cloudflare", "cloudflare", "/Vi7wi5KSItxGFsWRG2Us6Q/photo.jpg/w=80"),
    ],
)
def test_the_mount_verifies_what_the_node_signed(dialect: str, key: str, target: str, prefix: str) -> None:
    settings = settings_of(dialect, key, prefix)
    raw = prefix.rstrip("/") + target
    [signed] = signed_urls(settings, [f"https://img.example{raw}"], mount=None, signing=SignOptions())
    signed = signed.removeprefix("https://img.example")
    assert signed != raw
    mount = next(each for each in mounts(settings) if each.name == "shop")
    verified = mount.verify(signed)
    assert verified is not None
    assert verified.key_id == key
    assert mount.unsigned(signed) == raw
    with pytest.raises(BadUrl, match="already signed"):
        signed_urls(settings, [signed], mount=None, signing=SignOptions())


@pytest.mark.parametrize(
    "options",
    [SignOptions(seconds=60), SignOptions(domain="shop.example"), SignOptions(session="s")],
)
def test_restrictions_are_of_native_urls(options: SignOptions) -> None:
    settings = settings_of("thumbor", "thumbor", "/")
    with pytest.raises(ConfigError, match="are of native URLs"):
        signed_urls(settings, ["/unsafe/80x60/a.jpg"], mount=None, signing=options)


@pytest.mark.parametrize(
    ("key", "error", "reason"),
    [
        ("token", ConfigError, "signing.keys.token: is of tokens"),
        ("missing", ConfigError, "no key with this id"),
    ],
)
def test_a_key_that_signs_no_urls_is_refused(key: str, error: type[Exception], reason: str) -> None:
    settings = settings_of("cloudinary", "token", "/")
    with pytest.raises(error, match=reason):
        signed_urls(settings, ["/image/upload/w_80/a.jpg"], mount=None, signing=SignOptions(key_id=key))


def test_only_hosted_urls_of_cloudflare_are_signed() -> None:
    settings = settings_of("cloudflare", "cloudflare", "/")
    with pytest.raises(BadUrl, match="can be signed"):
        signed_urls(settings, ["/cdn-cgi/image/w=80/a.jpg"], mount=None, signing=SignOptions())
