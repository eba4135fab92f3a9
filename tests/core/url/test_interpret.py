"""The order in which a raw target is interpreted, its verification, and what a mount grants."""

from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

import pytest

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    DimensionNotAllowed,
    NotAllowed,
    NotSupported,
    SignatureRequired,
    SourceNotAllowed,
    UnknownRoute,
)
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import CENTER, Fit, Watermark, without_no_ops
from proxy.core.url.dialects.component import Component, components_of, transform_of
from proxy.core.url.dialects.dialect import Unsupported
from proxy.core.url.dialects.native.urls import parse, parse_transform, spell
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.interpret import Verified, admit, admit_original, interpret, trusted, verify_signature
from proxy.core.url.mounts import Mount, MountWatermark, Rules, Signing, only_mount
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, VariantUrl
from proxy.core.url.policy import Dimensions
from proxy.core.url.signing import Restrictions, Signed, sign
from proxy.core.url.upstream import Upstream
from tests.support.strategies import flat

SHOP = Mount(name="shop", prefix="/shop/", source="photos", allowed_px=(320, 640), max_age_s=60)
CARDS = Mount(
    name="cards", prefix="/cards/", source="photos", allowed_px=(320,), presets_only=True, max_age_s=60
)
RULES = Rules(mounts=[SHOP, CARDS], presets={}, url_max_bytes=4096, max_side_px=4000, session="")


def unsigned(_: Mount, raw: str) -> Verified:
    return Verified(raw, False)


def signed(_: Mount, raw: str) -> Verified:
    return Verified(raw, True)


def test_a_variant_has_its_mount_transform_and_original() -> None:
    meaning = interpret(RULES, "*", "/shop/w_320/a.jpg", verify=unsigned)
    assert (meaning.mount, meaning.ref) == (SHOP, OriginalRef("photos", "a.jpg"))
    assert meaning.transform == flat(width=320)


@pytest.mark.parametrize(("target", "kind"), [("original", OriginalUrl), ("info", InfoUrl)])
def test_original_and_info_urls_are_admitted_alike(target: str, kind: type) -> None:
    meaning = interpret(RULES, "*", f"/shop/{target}/a.jpg", verify=unsigned)
    assert isinstance(meaning.parsed, kind)
    assert (meaning.transform is None) is (kind is OriginalUrl)
    with pytest.raises(UnknownRoute, match="presets only"):
        interpret(RULES, "*", f"/cards/{target}/a.jpg", verify=unsigned)


def test_a_signature_lifts_the_limits_of_a_mount() -> None:
    with pytest.raises(DimensionNotAllowed):
        interpret(RULES, "*", "/shop/w_321/a.jpg", verify=unsigned)
    meaning = interpret(RULES, "*", "/shop/w_321/a.jpg", verify=signed)
    assert meaning.transform == flat(width=321)


def test_the_signature_is_verified_before_parsing() -> None:
    def refuse(_: Mount, raw: str) -> NoReturn:
        raise BadSignature(raw)

    with pytest.raises(BadSignature):
        interpret(RULES, "*", "/shop/w_no/a.jpg", verify=refuse)
    with pytest.raises(BadTransform):
        interpret(RULES, "*", "/shop/w_no/a.jpg", verify=unsigned)


def test_a_caller_that_collects_refusals_gets_the_whole_transform() -> None:
    refusals: list[object] = []
    meaning = interpret(RULES, "*", "/shop/w_321/a.jpg", verify=unsigned, refuse=refusals.append)
    assert [type(refusal) for refusal in refusals] == [DimensionNotAllowed]
    assert meaning.transform == flat(width=321)


def test_trusted_removes_the_signature_without_checking_it() -> None:
    assert trusted(SHOP, "/shop/w_1/a.jpg?sig=x") == ("/shop/w_1/a.jpg", True, None)
    assert trusted(SHOP, "/shop/w_1/a.jpg") == ("/shop/w_1/a.jpg", False, None)


def test_a_given_mount_is_used_without_routing() -> None:
    meaning = interpret(RULES, "elsewhere", "/shop/w_320/a.jpg", mount=SHOP, verify=unsigned)
    assert meaning.mount is SHOP


def test_ref_refuses_an_original_of_another_host() -> None:
    meaning = interpret(
        RULES, "*", "/shop/thumbnail?url=https%3A%2F%2Fb.example%2Fa.jpg&w=320", verify=unsigned
    )
    with pytest.raises(SourceNotAllowed):
        _ = meaning.ref


def test_a_single_mount_needs_no_name() -> None:
    assert only_mount(RULES) is None
    assert only_mount(RULES._replace(mounts=[SHOP])) is SHOP


CARD = Component(width=333, height=222, fit=Fit.COVER, quality=71)
PRESETS = {"card": [CARD]}


def mount(name: str, **changes: object) -> Mount:
    values = {"source": "s", "allowed_px": (100, 200), "max_age_s": 1, **changes}
    return Mount(name=name, **values)  # type: ignore[arg-type]


def variant_url(tokens: str) -> VariantUrl:
    parsed = parse(f"/{tokens}/a", PRESETS)
    assert isinstance(parsed, VariantUrl)
    return parsed


def test_the_policy_restricts_the_url_but_not_its_preset() -> None:
    assert admit(mount("m"), variant_url("t_card"), signed=False) == transform_of([CARD])
    assert admit(mount("m"), variant_url("t_card,w_100"), signed=False) == transform_of(
        [CARD._replace(width=100)]
    )
    with pytest.raises(DimensionNotAllowed):
        admit(mount("m"), variant_url("t_card,w_101"), signed=False)
    for policy, width_px in ((Dimensions.SNAP, 200), (Dimensions.ANY, 101)):
        granted = admit(mount("m", dimensions=policy), variant_url("w_101"), signed=False)
        assert granted == flat(width=width_px)


TRANSFORMS = frozenset(
    {without_no_ops(variant_url(text).transform) for text in ("w_333,f_jpg,e_sepia,e_blur:2", "t_card,q_60")}
)


@pytest.mark.parametrize(
    "text", ["e_sepia:80,e_blur:2,f_jpeg,w_333,v_7", "w_333,c_fill,f_jpg,e_sepia,e_blur:2.0", "t_card,q_60"]
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"dimensions": Dimensions.SNAP}, {"presets_only": True}],
    ids=["listed", "snap", "presets_only"],
)
def test_a_transform_of_the_mount_needs_no_signature(text: str, changes: dict[str, object]) -> None:
    url = variant_url(text)
    granted = admit(mount("m", transforms=TRANSFORMS, **changes), url, signed=False)
    assert granted == url.transform


@pytest.mark.parametrize(
    "text", ["w_333,f_jpg,e_sepia", "w_333,f_jpg,e_blur:2,e_sepia", "w_333,f_png,e_sepia,e_blur:2"]
)
def test_any_other_transform_needs_a_signature(text: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        admit(mount("m", transforms=TRANSFORMS), variant_url(text), signed=False)
    assert caught.value.settings[-2:] == ("mounts.m.dimensions", "mounts.m.transforms")
    admit(mount("m", transforms=TRANSFORMS), variant_url(text), signed=True)


URLS = {
    "native": ["/w_333,h_222,c_fill,f_webp/a.jpg", "/c_crop,x_1,w_99~w_333~e_sepia,f_auto/a.jpg"],
    "imgproxy": [
        "/_/rs:fill:333:222:1/f:webp/plain/a.jpg",
        "/_/w:333/dpr:1.3/g:no:0:5/bl:1.3/sh:0.7/pd:5:6/q:71/rot:90/plain/a.jpg@png",
    ],
    "thumbor": [
        "/unsafe/333x222/filters:format(webp)/a.jpg",
        "/unsafe/trim/10x10:200x200/-333x0/top/filters:quality(71):sharpen(1,1,true):grayscale():rgb(9,0,3)/a.jpg",
    ],
    "next": ["/_next/image?url=%2Fa.jpg&w=333&q=71", "/_ipx/s_333x222&blur_3&gamma_3_1&tint_teal/a.jpg"],
    "cloudinary": [
        "/demo/image/upload/c_fill,w_333,h_222,f_webp/a.jpg",
        "/demo/image/upload/c_fit,w_333/e_sepia/q_71,f_auto/v1234567890/a.jpg",
    ],
    "imgix": ["/a.jpg?w=333&h=222&fit=crop&fm=webp", "/a.jpg?w=333&dpr=1.3&sepia=50&q=71"],
    "cloudflare": ["/cdn-cgi/image/width=333,height=222,fit=cover,format=webp/a.jpg"],
    "imagekit": ["/tr:w-333,h-222,f-webp/a.jpg", "/tr:w-333,q-71:rt-90/a.jpg"],
}
"""URLs, by dialect, with sizes that a mount does not list."""


@pytest.mark.parametrize(("dialect", "url"), [(name, url) for name in DIALECTS for url in URLS[name]])
def test_transforms_are_spelled_natively_for_every_dialect(dialect: str, url: str) -> None:
    strict = mount("m", dialect=DIALECTS[dialect])
    parsed = strict.parse(url, {})
    assert isinstance(parsed, VariantUrl)
    with pytest.raises(NotAllowed):
        admit(strict, parsed, signed=False)
    tokens = spell(components_of(replace(parsed.transform, version=None)))
    allowed = replace(strict, transforms=frozenset({without_no_ops(parse_transform(tokens, {}))}))
    assert admit(allowed, parsed, signed=False) == parsed.transform
    other = allowed.parse(url.replace("333", "334"), {})
    assert isinstance(other, VariantUrl)
    with pytest.raises(NotAllowed):
        admit(allowed, other, signed=False)


NOT_SUPPORTED = [
    ("imgproxy", "/_/wm:0.5/plain/a.jpg"),
    ("imgproxy", "/_/sm:0/plain/a.jpg"),
    ("thumbor", "/unsafe/filters:text(Hello,0,0)/a.jpg"),
    ("thumbor", "/unsafe/filters:dpi(100)/a.jpg"),
    ("thumbor", "/unsafe/filters:rotate(45)/a.jpg"),
    ("next", "/_ipx/rotate_45/a.jpg"),
    ("next", "/_ipx/trim_10/a.jpg"),
    ("cloudflare", "/cdn-cgi/image/draw=x/a.jpg"),
    ("cloudflare", "/cdn-cgi/image/no-such-option=1/a.jpg"),
    ("cloudflare", "/cdn-cgi/image/upscale=generate/a.jpg"),
]
WRONG = [
    ("imgproxy", "/_/w:x/plain/a.jpg"),
    ("thumbor", "/unsafe/filters:quality(x)/a.jpg"),
    ("next", "/_next/image?url=%2Fa.jpg&w=0&q=75"),
    ("cloudflare", "/cdn-cgi/image/width=x/a.jpg"),
]


@pytest.mark.parametrize(("dialect", "url"), NOT_SUPPORTED)
def test_what_a_dialect_does_not_do_is_for_the_upstream(dialect: str, url: str) -> None:
    reasons: list[str] = []
    old = Upstream(url="https://old.example", takes_unsupported=True)
    one = mount("m", dialect=DIALECTS[dialect], upstream=old, unsupported=Unsupported.UPSTREAM)
    rules = RULES._replace(mounts=[one])
    with pytest.raises(NotSupported) as caught:
        interpret(rules, "*", url, verify=unsigned, pass_on=lambda _, reason: reasons.append(reason))
    assert reasons == [caught.value.detail]


@pytest.mark.parametrize(("dialect", "url"), WRONG)
def test_a_wrong_value_is_not_for_the_upstream(dialect: str, url: str) -> None:
    old = Upstream(url="https://old.example", takes_unsupported=True)
    one = mount("m", dialect=DIALECTS[dialect], upstream=old, unsupported=Unsupported.UPSTREAM)
    rules = RULES._replace(mounts=[one])
    with suppress(BadTransform):
        interpret(
            rules,
            "*",
            url,
            verify=unsigned,
            refuse=lambda _: None,
            pass_on=lambda *_: pytest.fail("passed on"),
        )


@pytest.mark.parametrize(
    ("text", "slug", "setting"),
    [
        ("w_101", "dimension-not-allowed", "dimensions.allowed"),
        ("w_100,b_f00", "colour-not-allowed", "dimensions.colours"),
        ("e_sepia,e_blur:1", "bad-transform", "mounts.m.dimensions"),
    ],
)
def test_a_refusal_names_the_setting_in_the_log_only(text: str, slug: str, setting: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        admit(mount("m"), variant_url(text), signed=False)
    assert (caught.value.slug, caught.value.settings[0]) == (slug, setting)
    assert "mounts" not in caught.value.detail
    assert "dimensions." not in caught.value.detail


@pytest.mark.parametrize(
    "tokens", ["w_100", "t_card,w_100", "t_card,f_auto", "f_auto", "t_card~e_sepia", "t_card~t_card"]
)
def test_presets_only_refuses_other_transforms(tokens: str) -> None:
    with pytest.raises(BadTransform, match="presets only"):
        admit(mount("m", presets_only=True), variant_url(tokens), signed=False)


@pytest.mark.parametrize(
    ("dialect", "cure"),
    [
        ("native", "the URL must be /t_<preset>/<key>"),
        ("imgproxy", "the URL must be /<signature>/<preset>/plain/<URL>"),
        ("thumbor", "URLs of thumbor have none"),
        ("next", "URLs of next have none"),
    ],
)
def test_presets_only_names_the_url_of_a_preset(dialect: str, cure: str) -> None:
    with pytest.raises(BadTransform, match=f"this mount serves presets only: {cure}"):
        admit(mount("m", presets_only=True, dialect=DIALECTS[dialect]), variant_url("w_100"), signed=False)


def test_presets_only_grants_presets_also_with_a_version() -> None:
    closed = mount("m", presets_only=True)
    assert admit(closed, variant_url("t_card"), signed=False) == transform_of([CARD])
    assert admit(closed, variant_url("t_card,v_2"), signed=False).version == "2"


SECRET = b"k" * 32
SIGNED = sign("/w_1/a", SECRET)


@pytest.mark.parametrize("raw", ["/w_1/a", SIGNED, SIGNED[:-1], "/w_1/a?sig="])
def test_a_mount_with_signing_off_verifies_nothing(raw: str) -> None:
    assert verify_signature(mount("m", keys={"k": SECRET}), raw) is None


@pytest.mark.parametrize("signing", [Signing.OPTIONAL, Signing.REQUIRED])
def test_an_invalid_signature_is_refused_also_if_optional(signing: Signing) -> None:
    signing_mount = mount("m", signing=signing, keys={"k": SECRET})
    assert verify_signature(signing_mount, SIGNED) == Signed(
        target="/w_1/a", key_id="k", restrictions=Restrictions()
    )
    for raw in (sign("/w_1/a", b"x" * 32), SIGNED.replace("w_1", "w_2"), SIGNED[:-1]):
        with pytest.raises(BadSignature):
            verify_signature(signing_mount, raw)


def test_a_signature_is_needed_only_if_required() -> None:
    assert verify_signature(mount("m", signing=Signing.OPTIONAL, keys={"k": SECRET}), "/w_1/a") is None
    with pytest.raises(SignatureRequired, match="signed URLs only"):
        verify_signature(mount("m", signing=Signing.REQUIRED, keys={"k": SECRET}), "/w_1/a")


@pytest.mark.parametrize("signing", Signing)
def test_a_dialect_may_need_a_signature_whatever_the_mount_requires(signing: Signing) -> None:
    dialect = replace(DIALECTS["native"], is_always_signed=lambda target: target.startswith("/w_1/"))
    private = mount("m", prefix="/m/", signing=signing, dialect=dialect, keys={"k": SECRET})
    with pytest.raises(SignatureRequired, match="native requires a signature"):
        verify_signature(private, "/m/w_1/a")
    assert verify_signature(private, sign("/m/w_1/a", SECRET))


def test_presets_only_serves_no_originals() -> None:
    original, info = (mount("m").parse(target, {}) for target in ("/original/a", "/info/a"))
    for parsed in (original, info):
        admit_original(mount("m"), parsed)
        with pytest.raises(UnknownRoute, match="presets only"):
            admit_original(mount("m", presets_only=True), parsed)


def test_a_mount_with_a_watermark_serves_no_originals() -> None:
    mark = MountWatermark(OriginalRef("s", "logo.png"), Watermark(0.2, CENTER, 0.0, 60, 0))
    marked = mount("m", watermark=mark)
    admit_original(marked, marked.parse("/info/a", {}))
    with pytest.raises(UnknownRoute, match="watermark"):
        admit_original(marked, marked.parse("/original/a", {}))


@pytest.mark.parametrize("signing", Signing)
def test_a_refusal_mentions_signed_urls_unless_signing_is_off(signing: Signing) -> None:
    with pytest.raises(DimensionNotAllowed) as caught:
        admit(mount("m", signing=signing), variant_url("w_150"), signed=False)
    assert ("needs a signed URL" in caught.value.detail) is (signing is not Signing.OFF)
