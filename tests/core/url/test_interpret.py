"""What a raw target means: the order of the steps, and what a caller that does not refuse gets."""

from typing import NoReturn

import pytest

from proxy.core.errors import BadSignature, BadTransform, DimensionNotAllowed, SourceNotAllowed, UnknownRoute
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.native import InfoUrl, OriginalUrl
from proxy.core.url.interpret import Verified, interpret, trusted
from proxy.core.url.mounts import Mount, Rules, only_mount

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
    assert meaning.transform is not None
    assert meaning.transform.width_px == 320


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
    assert meaning.transform is not None
    assert meaning.transform.width_px == 321


def test_nothing_is_parsed_before_it_is_verified() -> None:
    def refuse(_: Mount, raw: str) -> NoReturn:
        raise BadSignature(raw)

    with pytest.raises(BadSignature):
        interpret(RULES, "*", "/shop/w_no/a.jpg", verify=refuse)
    with pytest.raises(BadTransform):
        interpret(RULES, "*", "/shop/w_no/a.jpg", verify=unsigned)


def test_a_caller_that_goes_on_gets_all_that_is_asked() -> None:
    refusals: list[object] = []
    meaning = interpret(RULES, "*", "/shop/w_321/a.jpg", verify=unsigned, refuse=refusals.append)
    assert [type(refusal) for refusal in refusals] == [DimensionNotAllowed]
    assert meaning.transform is not None
    assert meaning.transform.width_px == 321


def test_the_url_of_an_operator_loses_its_signature() -> None:
    assert trusted(SHOP, "/shop/w_1/a.jpg?sig=x") == ("/shop/w_1/a.jpg", True, None)
    assert trusted(SHOP, "/shop/w_1/a.jpg") == ("/shop/w_1/a.jpg", False, None)


def test_a_mount_that_is_given_is_not_looked_for() -> None:
    meaning = interpret(RULES, "elsewhere", "/shop/w_320/a.jpg", mount=SHOP, verify=unsigned)
    assert meaning.mount is SHOP


def test_an_original_of_another_host_is_refused_when_it_is_wanted() -> None:
    meaning = interpret(
        RULES, "*", "/shop/thumbnail?url=https%3A%2F%2Fb.example%2Fa.jpg&w=320", verify=unsigned
    )
    with pytest.raises(SourceNotAllowed):
        _ = meaning.ref


def test_a_single_mount_needs_no_name() -> None:
    assert only_mount(RULES) is None
    assert only_mount(RULES._replace(mounts=[SHOP])) is SHOP
