"""Which tenant, and what it grants."""

import pytest

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    DimensionNotAllowed,
    NotAllowed,
    SignatureRequired,
    UnknownRoute,
)
from proxy.core.transform.operations import Fit, Transform
from proxy.core.url.dialects.native import VariantUrl, parse_tokens
from proxy.core.url.mounts import Mount, Signing, admit, admit_original, host_name, route, verify_signature
from proxy.core.url.policy import Dimensions, without_no_ops
from proxy.core.url.signing import Restrictions, Signed, sign

PRESETS = {"card": Transform(width_px=333, height_px=222, fit=Fit.COVER, quality=71)}


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
def test_routes(host: str, raw: str, name: str, below: str) -> None:
    chosen = route(MOUNTS, host, raw)
    assert (chosen.name, chosen.below(raw)) == (name, below)


def test_a_host_of_its_own_does_not_fall_back_to_the_others() -> None:
    with pytest.raises(UnknownRoute):
        route(MOUNTS, "blog.example", "/w_1/a")


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
def test_host_names(header: str, host: str) -> None:
    assert host_name(header) == host


def asked(tokens: str) -> VariantUrl:
    return parse_tokens(tokens, PRESETS)


def test_the_policy_binds_the_url_not_the_preset() -> None:
    assert admit(mount("m"), asked("t_card"), PRESETS, signed=False) == PRESETS["card"]
    assert admit(mount("m"), asked("t_card,w_100"), PRESETS, signed=False).width_px == 100
    with pytest.raises(DimensionNotAllowed):
        admit(mount("m"), asked("t_card,w_101"), PRESETS, signed=False)
    assert (
        admit(mount("m", dimensions=Dimensions.SNAP), asked("w_101"), PRESETS, signed=False).width_px == 200
    )
    assert admit(mount("m", dimensions=Dimensions.ANY), asked("w_101"), PRESETS, signed=False).width_px == 101


TRANSFORMS = frozenset(
    {
        without_no_ops(asked(text).transform(PRESETS))
        for text in ("w_333,f_jpg,e_sepia,e_blur:2", "t_card,q_60")
    }
)


@pytest.mark.parametrize(
    "text", ["e_sepia:80,e_blur:2,f_jpeg,w_333,v_7", "w_333,c_fill,f_jpg,e_sepia,e_blur:2.0", "t_card,q_60"]
)
@pytest.mark.parametrize(
    "changes",
    [{}, {"dimensions": Dimensions.SNAP}, {"presets_only": True}],
    ids=["listed", "snap", "presets_only"],
)
def test_an_exact_transform_of_the_mount_needs_no_signature(text: str, changes: dict[str, object]) -> None:
    wanted = asked(text)
    granted = admit(mount("m", transforms=TRANSFORMS, **changes), wanted, PRESETS, signed=False)
    assert granted == wanted.transform(PRESETS)


@pytest.mark.parametrize(
    "text", ["w_333,f_jpg,e_sepia", "w_333,f_jpg,e_blur:2,e_sepia", "w_333,f_png,e_sepia,e_blur:2"]
)
def test_another_one_does(text: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        admit(mount("m", transforms=TRANSFORMS), asked(text), PRESETS, signed=False)
    assert caught.value.settings[-2:] == ("mounts.m.dimensions", "mounts.m.transforms")
    admit(mount("m", transforms=TRANSFORMS), asked(text), PRESETS, signed=True)


@pytest.mark.parametrize(
    ("text", "slug", "setting"),
    [
        ("w_101", "dimension-not-allowed", "dimensions.allowed"),
        ("w_100,b_f00", "colour-not-allowed", "dimensions.colours"),
        ("e_sepia,e_blur:1", "bad-transform", "mounts.m.dimensions"),
    ],
)
def test_a_refusal_names_the_setting_for_the_owner_alone(text: str, slug: str, setting: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        admit(mount("m"), asked(text), PRESETS, signed=False)
    assert (caught.value.slug, caught.value.settings[0]) == (slug, setting)
    assert "mounts" not in caught.value.detail
    assert "dimensions." not in caught.value.detail


@pytest.mark.parametrize("tokens", ["w_100", "t_card,w_100", "t_card,f_auto", "f_auto"])
def test_presets_only_means_only(tokens: str) -> None:
    with pytest.raises(BadTransform, match="presets only"):
        admit(mount("m", presets_only=True), asked(tokens), PRESETS, signed=False)


def test_presets_only_lets_presets_through_with_a_version() -> None:
    closed = mount("m", presets_only=True)
    assert admit(closed, asked("t_card"), PRESETS, signed=False) == PRESETS["card"]
    assert admit(closed, asked("t_card,v_2"), PRESETS, signed=False).version == "2"


SECRET = b"k" * 32
SIGNED = sign("/w_1/a", SECRET)


@pytest.mark.parametrize("raw", ["/w_1/a", SIGNED, SIGNED[:-1], "/w_1/a?sig="])
def test_a_mount_without_signatures_proves_nothing(raw: str) -> None:
    assert verify_signature(mount("m", keys={"k": SECRET}), raw) is None


@pytest.mark.parametrize("signing", [Signing.OPTIONAL, Signing.REQUIRED])
def test_a_signature_that_is_there_has_to_be_right(signing: Signing) -> None:
    signing_mount = mount("m", signing=signing, keys={"k": SECRET})
    assert verify_signature(signing_mount, SIGNED) == Signed(
        target="/w_1/a", key_id="k", restrictions=Restrictions()
    )
    for raw in (sign("/w_1/a", b"x" * 32), SIGNED.replace("w_1", "w_2"), SIGNED[:-1]):
        with pytest.raises(BadSignature):
            verify_signature(signing_mount, raw)


def test_a_signature_is_needed_only_where_it_is_required() -> None:
    assert verify_signature(mount("m", signing=Signing.OPTIONAL, keys={"k": SECRET}), "/w_1/a") is None
    with pytest.raises(SignatureRequired, match="signed URLs only"):
        verify_signature(mount("m", signing=Signing.REQUIRED, keys={"k": SECRET}), "/w_1/a")


def test_originals_themselves_are_no_presets() -> None:
    admit_original(mount("m"))
    with pytest.raises(UnknownRoute, match="presets only"):
        admit_original(mount("m", presets_only=True))


@pytest.mark.parametrize("signing", Signing)
def test_a_refusal_tells_of_signed_urls_where_the_mount_takes_them(signing: Signing) -> None:
    with pytest.raises(DimensionNotAllowed) as caught:
        admit(mount("m", signing=signing), asked("w_150"), PRESETS, signed=False)
    assert ("needs a signed URL" in caught.value.detail) is (signing is not Signing.OFF)
