"""Accept headers of browsers and of hostile clients, and the output format for each."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.transform.negotiate import accept_class, choose
from proxy.core.transform.operations import Auto, Colour, Fit, Transform
from proxy.core.url.dialects.native.urls import parse_transform
from tests.support.strategies import flat

AUTO = (Format.AVIF, Format.WEBP, Format.JPEG)
BOTH, WEBP, AVIF, NONE = {Format.AVIF, Format.WEBP}, {Format.WEBP}, {Format.AVIF}, set[Format]()


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        # Chrome, Edge, Opera for <img>
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", BOTH),
        # Chrome for a page
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7",
            BOTH,
        ),
        # Firefox 128 and later for <img>, Firefox 92
        ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", BOTH),
        ("image/avif,image/webp,*/*", BOTH),
        # Firefox 65, Chrome 40
        ("image/webp,*/*", WEBP),
        ("image/webp,*/*;q=0.8", WEBP),
        # Safari 17, Safari 14 (which shows WebP but does not say so), Safari 16
        (
            "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/*;q=0.5,*/*;q=0.3",
            BOTH,
        ),
        ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", NONE),
        # Internet Explorer, curl, nothing
        ("image/png, image/svg+xml, image/jxr, image/*;q=0.8, */*;q=0.5", NONE),
        ("*/*", NONE),
        ("", NONE),
        # Weights
        ("image/avif;q=0,image/webp", WEBP),
        ("image/webp;q=0.0, image/avif;q=0.001", AVIF),
        ("image/webp;q=1.000", WEBP),
        ("IMAGE/WEBP ; Q=0.5", WEBP),
        ("image/webp;v=1;q=0.3", WEBP),
        ("image/webp;q=0.5;ext=1", WEBP),
        # Refusal wins wherever it stands
        ("image/webp, image/webp;q=0", NONE),
        ("image/webp;q=0, image/webp", NONE),
        # Hostile
        ("image/webp;q=abc", NONE),
        ("image/webp;q=", NONE),
        ("image/webp;q=1.5", NONE),
        ("image/webp;q=-1", NONE),
        ("image/webp;q=0.0001", NONE),
        ("image/webp;q=٣", NONE),
        ("image/webpx, ximage/webp", NONE),
        ('text/html;x="image/webp, image/avif"', NONE),
        ('text/html;x=", image/avif, "', NONE),
        ('text/html;x="a\\", image/avif, "', NONE),
        ('text/html;x="unclosed, image/avif', NONE),
        (",,,;;;===", NONE),
        ("image/avif" + ",image/x" * 10_000, AVIF),
    ],
)
def test_accept_headers_of_browsers(accept: str, accepted: set[Format]) -> None:
    assert accept_class(accept) == accepted


@given(st.text(alphabet=st.sampled_from(list('image/avifwebp,;=q01."\\ *\t')), max_size=80))
def test_any_header_falls_into_one_of_four_classes(accept: str) -> None:
    assert accept_class(accept) <= BOTH


def facts(kind: Format = Format.JPEG, *, alpha: bool = False, pages: int = 1) -> Facts:
    return Facts(format=kind, width_px=10, height_px=10, pages=pages, alpha=alpha)


@pytest.mark.parametrize(
    ("accepted", "of", "kind"),
    [
        (BOTH, facts(), Format.AVIF),
        (WEBP, facts(), Format.WEBP),
        (AVIF, facts(), Format.AVIF),
        (NONE, facts(), Format.JPEG),
        (BOTH, facts(Format.PNG, alpha=True), Format.AVIF),
        (NONE, facts(Format.PNG, alpha=True), Format.PNG),
        (NONE, facts(Format.PNG), Format.JPEG),
        (BOTH, facts(Format.GIF, pages=3), Format.WEBP),
        (AVIF, facts(Format.GIF, pages=3, alpha=True), Format.GIF),
        (NONE, facts(Format.WEBP, pages=3), Format.GIF),
        (NONE, facts(Format.GIF, alpha=True), Format.PNG),
        # A HEIC's second picture is no animation.
        (BOTH, facts(Format.HEIC, pages=2), Format.AVIF),
    ],
)
def test_auto_selects_the_format(accepted: set[Format], of: Facts, kind: Format) -> None:
    assert choose(Transform(format=Auto.AUTO), frozenset(accepted), AUTO, of) is kind


@pytest.mark.parametrize(
    ("tokens", "drawing", "alpha", "kind"),
    [
        ("w_80,f_auto", True, False, Format.WEBP),
        ("w_100,h_100,c_fill,f_auto", True, False, Format.WEBP),
        ("w_101,f_auto", True, False, Format.AVIF),
        ("w_100,dpr_3,f_auto", True, False, Format.AVIF),
        ("w_60,h_60,c_fill,dpr_4,f_auto", True, False, Format.AVIF),
        ("w_600,h_100,f_auto", True, False, Format.AVIF),
        ("if_w_gt_300~w_80~if_end~f_auto", True, False, Format.WEBP),
        ("f_auto", True, False, Format.AVIF),
        ("w_80,f_auto", False, False, Format.AVIF),
        ("w_80,f_auto", True, True, Format.AVIF),
        ("w_80,f_avif", True, False, Format.AVIF),
    ],
)
def test_a_small_opaque_drawing_is_no_avif(tokens: str, *, drawing: bool, alpha: bool, kind: Format) -> None:
    of = Facts(format=Format.PNG, width_px=900, height_px=600, pages=1, alpha=alpha, drawing=drawing)
    transform = parse_transform(tokens, {})
    assert choose(transform, frozenset(BOTH), AUTO, of) is kind
    assert choose(transform, frozenset(AVIF), AUTO, of) is Format.AVIF, "it is still better than a JPEG"


def test_an_original_that_is_small_itself_is_a_small_drawing() -> None:
    icon = Facts(format=Format.PNG, width_px=64, height_px=48, pages=1, alpha=False, drawing=True)
    assert choose(Transform(format=Auto.AUTO), frozenset(BOTH), AUTO, icon) is Format.WEBP


@pytest.mark.parametrize("tokens", ["f_auto,pg_1", "f_auto,pg_2", "f_auto,frames_1", "f_auto,frames_2,pg_3"])
def test_auto_selects_the_format_of_a_still_for_a_page(tokens: str) -> None:
    film, still = facts(Format.GIF, pages=3), parse_transform(tokens, {})
    assert choose(still, frozenset(BOTH), AUTO, film) is Format.AVIF
    assert choose(still, frozenset(), AUTO, film) is Format.JPEG
    assert choose(replace(still, format=None), frozenset(BOTH), AUTO, film) is Format.GIF


SEEN_THROUGH = Colour(255, 0, 0, 254)


@pytest.mark.parametrize(
    ("transform", "kind"),
    [
        (flat(fit=Fit.CONTAIN, width=9, height=8, background=SEEN_THROUGH), Format.PNG),
        (flat(fit=Fit.CONTAIN, width=9, height=8, background=Colour(0, 0, 0, 0)), Format.PNG),
        (flat(fit=Fit.CONTAIN, width=9, height=8, background=Colour(9, 9, 9)), Format.JPEG),
        (flat(fit=Fit.CONTAIN, width=9, height=8), Format.JPEG),
        # There are no bars.
        (flat(fit=Fit.CONTAIN, width=9, height=9, background=SEEN_THROUGH), Format.JPEG),
        (flat(fit=Fit.CONTAIN, width=9, background=SEEN_THROUGH), Format.JPEG),
        (flat(fit=Fit.COVER, width=9, height=8, background=SEEN_THROUGH), Format.JPEG),
        (flat(background=SEEN_THROUGH), Format.JPEG),
        # The original is square, and what is cut before it is padded is not.
        (parse_transform("w_9,h_9,c_pad,b_00000000", {}), Format.JPEG),
        (parse_transform("w_5,h_3,c_crop~w_9,h_9,c_pad,b_00000000", {}), Format.PNG),
        (parse_transform("w_5,h_4,c_fill,g_auto~a_90~w_4,h_5,c_pad,b_00000000", {}), Format.JPEG),
        # Which branch is drawn depends on dpr, limits and the orientation too.
        (parse_transform("w_500~if_w_gt_600~pad_10,b_ffffff00~if_end", {}), Format.PNG),
        (parse_transform("w_500~if_w_gt_600~e_ellipse~if_end", {}), Format.PNG),
        (parse_transform("w_500~if_w_gt_600~e_rotate:20~if_end", {}), Format.PNG),
        (parse_transform("if_w_gt_600~w_9~if_else~ext_9x9,b_ffffff00~if_end~w_5", {}), Format.PNG),
        (parse_transform("if_w_gt_600~pad_10,b_ffffff00~e_flatten:fff~if_else~w_9~if_end", {}), Format.JPEG),
        (parse_transform("if_w_gt_600~pad_10,b_ffffff00~if_end~e_flatten:fff", {}), Format.JPEG),
        (parse_transform("if_w_gt_600~ext_9x9:edges~if_else~pad_5,b_fff~if_end", {}), Format.JPEG),
    ],
)
def test_auto_considers_the_alpha_of_the_variant(transform: Transform, kind: Format) -> None:
    auto = replace(transform, format=Auto.AUTO)
    assert choose(auto, frozenset(), AUTO, facts()) is kind
    assert choose(auto, frozenset(BOTH), AUTO, facts()) is Format.AVIF
    assert choose(transform, frozenset(), AUTO, facts(Format.HEIC)) is kind
    assert choose(auto, frozenset(), AUTO, facts(Format.GIF, pages=2)) is Format.GIF


def test_auto_selects_only_configured_formats() -> None:
    transform = Transform(format=Auto.AUTO)
    assert choose(transform, frozenset(BOTH), (Format.WEBP, Format.AVIF, Format.JPEG), facts()) is Format.WEBP
    assert choose(transform, frozenset(BOTH), (Format.JPEG,), facts()) is Format.JPEG
    assert choose(transform, frozenset(BOTH), (Format.JPEG,), facts(Format.GIF, pages=2)) is Format.GIF


@pytest.mark.parametrize(
    ("of", "kind"),
    [
        (facts(Format.GIF), Format.GIF),
        (facts(Format.AVIF), Format.AVIF),
        (facts(Format.HEIC), Format.JPEG),
        (facts(Format.HEIC, alpha=True), Format.PNG),
    ],
)
def test_without_a_format_the_variant_has_the_format_of_the_original(of: Facts, kind: Format) -> None:
    assert choose(Transform(), frozenset(), AUTO, of) is kind


@pytest.mark.parametrize(
    ("tokens", "of", "kind"),
    [
        ("w_9", facts(Format.PNG), Format.JPEG),
        ("w_9", facts(Format.PNG, alpha=True), Format.PNG),
        ("e_flatten:fff", facts(Format.PNG, alpha=True), Format.JPEG),
        ("w_9,h_8,c_pad,b_00000000", facts(Format.PNG), Format.PNG),
        ("w_9,e_corners:3", facts(Format.PNG), Format.PNG),
        ("w_9,e_ellipse", facts(Format.PNG), Format.PNG),
        ("w_9,e_opacity:50", facts(Format.PNG), Format.PNG),
        ("w_9,e_rotate:20", facts(Format.PNG), Format.PNG),
        ("w_9,e_rotate:20:ff0000", facts(Format.PNG), Format.JPEG),
        ("w_9,e_ellipse,e_flatten:fff", facts(Format.PNG), Format.JPEG),
        ("w_9", facts(Format.WEBP), Format.WEBP),
        ("w_9", facts(Format.GIF), Format.GIF),
        ("w_9", facts(Format.HEIC), Format.JPEG),
    ],
)
def test_a_png_without_transparency_becomes_a_jpeg(tokens: str, of: Facts, kind: Format) -> None:
    transform = parse_transform(f"{tokens},f_autojpg", {})
    assert transform.needs_facts
    assert choose(transform, frozenset(BOTH), AUTO, of) is kind


def test_a_named_format_needs_no_facts() -> None:
    transform = Transform(format=Format.PNG)
    assert not transform.needs_facts
    assert choose(transform, frozenset(BOTH), AUTO, None) is Format.PNG
