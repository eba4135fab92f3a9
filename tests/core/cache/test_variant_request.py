"""Two requests are for the same variant if original, transform and accept class are equal."""

from dataclasses import replace

from proxy.core.cache.freshness import Freshness
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.original import OriginalRef
from proxy.core.transform.negotiate import accept_class
from proxy.core.url.dialects.native.urls import parse_transform


def request(tokens: str, accept: str = "") -> VariantRequest:
    ref = OriginalRef("photos", "a.jpg")
    return VariantRequest(ref, parse_transform(tokens, {}), accept_class(accept), 4000)


def test_the_version_in_a_url_does_not_distinguish_variants() -> None:
    assert request("w_9,v_2").version == "2"
    assert request("w_9").version is None
    assert request("w_9,v_2").by_value == request("w_9,v_3").by_value == request("w_9").by_value


def test_transform_and_accept_class_distinguish_variants() -> None:
    assert request("w_9").by_value != request("w_10").by_value
    assert request("w_9,f_auto").by_value != request("w_9,f_auto", "image/webp").by_value


def test_requests_are_compared_by_identity() -> None:
    one = request("w_9")
    assert one == one
    assert one != request("w_9")


def test_further_originals_distinguish_variants() -> None:
    alone, logo = request("w_9"), OriginalRef("logos", "logo.png")
    both = replace(alone, transform=replace(alone.transform, further=(logo,)))
    assert alone.refs == (alone.ref,)
    assert both.refs == (alone.ref, logo)
    assert both.by_value != alone.by_value


def test_candidates_for_an_original_are_part_of_a_request() -> None:
    alone, logo = request("w_9"), OriginalRef("logos", "logo")
    named = replace(alone, alternatives=(OriginalRef("photos", "a.webp"), OriginalRef("photos", "a.png")))
    assert alone.candidates == (alone.ref,)
    assert named.candidates == (alone.ref, *named.alternatives)
    assert named.by_value != alone.by_value
    with_logo = replace(named, transform=replace(named.transform, further=(logo,)))
    assert with_logo.refs == (*named.candidates, logo)


def test_a_default_is_the_last_candidate() -> None:
    other, default = OriginalRef("photos", "a.png"), OriginalRef("photos", "none.png")
    one = replace(request("w_9"), alternatives=(other,), defaults=(default,))
    assert one.candidates == (one.ref, other, default)
    fresh = Freshness("1", 9.0)
    assert [one.is_default((fresh,) * count) for count in (1, 2, 3)] == [False, False, True]


def test_a_default_that_is_the_original_itself_is_one_candidate() -> None:
    alone = request("w_9")
    same = replace(alone, defaults=(alone.ref,))
    assert same.candidates == alone.candidates
    assert not same.is_default((Freshness("1", 9.0),))
