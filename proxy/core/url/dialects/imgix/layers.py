"""The layers of imgix: a picture by `mark`, a text by `txt`, and a colour by `blend`, with the parameters that belong to each."""

from collections.abc import Iterator
from fractions import Fraction

from proxy.core.errors import BadUrl, SourceNotAllowed
from proxy.core.nearest import meant, nearest
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import Blend, Colour, Fit, FocalPoint, Overlay, Placing, Shifted, Text
from proxy.core.url.dialects.dialect import Support, UnsupportedValue
from proxy.core.url.dialects.imgix.parameter_values import ParameterValues
from proxy.core.url.dialects.imgix.values import COLUMNS, ROWS, colour
from proxy.core.url.dialects.native.filters import MAX_OUTLINE_PX
from proxy.core.url.dialects.parameter import Parameter, row
from proxy.core.url.dialects.shared_values import choice, length, number
from proxy.core.url.dialects.texts import GENERIC_FONT, MAX_FONT_PX, MAX_WIDTH_PX, STYLES, checked_text
from proxy.core.url.target import checked_locator

_UPPER_LEFT = FocalPoint(0.0, 0.0)
_BLENDS = {
    **{each.value: each for each in Blend if "-" not in each},
    "burn": Blend.COLOR_BURN,
    "dodge": Blend.COLOR_DODGE,
    "hardlight": Blend.HARD_LIGHT,
    "softlight": Blend.SOFT_LIGHT,
}
_MOST_PX = 9999
_APPROXIMATED = Support.APPROXIMATED


def layers(of: ParameterValues) -> Iterator[Overlay]:
    """The layers that the values of the parameters request, in the order in which imgix draws them."""
    if of.blend is not None:
        yield Overlay(of=of.blend, fit=Fit.FILL, blend=of.blend_mode, opacity_percent=of.blend_alpha)
    if of.mark:
        width, height = of.mark_width, of.mark_height
        if of.mark_scale and width is None and height is None:
            width = Part(Fraction(of.mark_scale) / 100)
        stretches = of.mark_fit == "scale" and width is not None and height is not None
        yield Overlay(
            of=of.mark,
            width=width,
            height=height,
            fit=Fit.FILL if stretches else Fit.INSIDE,
            at=_UPPER_LEFT if of.mark_tile else _at(of.mark_align, of.mark_pad, of.mark_x, of.mark_y),
            opacity_percent=of.mark_alpha,
            placing=Placing.TILE if of.mark_tile else Placing.OVER,
        )
    if of.text:
        family, style = of.text_font
        text = Text(
            text=of.text,
            family=family,
            size_px=of.text_size,
            colour=of.text_colour,
            width_px=of.text_width,
            letter_px=of.text_track,
            line_px=of.text_lead,
            stroke_px=of.text_line,
            stroke=of.text_line_colour,
            **style,
        )
        yield Overlay(of=text, at=_at(of.text_align, of.text_pad, of.text_x, of.text_y))


def _at(point: FocalPoint, pad_px: int, x_px: int | None, y_px: int | None) -> FocalPoint | Shifted:
    """The position at an edge, `pad_px` away from it, or at an offset from the upper left corner."""
    if x_px is not None or y_px is not None:
        return Shifted(_UPPER_LEFT, x_px or 0, y_px or 0)
    x, y = (pad_px * (1 - int(2 * part)) for part in (point.x, point.y))
    return Shifted(point, x, y) if x or y else point


def _align(text: str) -> FocalPoint:
    words = text.split(",")
    if len(words) > 2 or not set(words) <= COLUMNS.keys() | ROWS.keys():
        raise ValueError(f"must be one or two of {', '.join((*COLUMNS, *ROWS))}, separated by a comma")
    columns = [COLUMNS[word] for word in words if word in COLUMNS]
    rows = [ROWS[word] for word in words if word in ROWS]
    return FocalPoint((columns or [0.5])[0], (rows or [0.5])[0])


def _mark(text: str) -> str:
    try:
        return checked_locator(text if "://" in text else text.removeprefix("/"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be the path or the URL of a picture") from None


def _blend(text: str) -> Colour:
    try:
        return colour(text)
    except ValueError:
        raise UnsupportedValue("is supported with a colour only; mark draws pictures") from None


def _blend_mode(text: str) -> Blend:
    if text not in _BLENDS:
        raise UnsupportedValue(f"is supported as {', '.join(_BLENDS)} only{meant(nearest(text, _BLENDS))}")
    return _BLENDS[text]


def _font(text: str) -> tuple[str, dict[str, object]]:
    """A family, and words for its style, separated by commas."""
    family, *words = text.split(",")
    found: dict[str, object] = {}
    for word in words:
        if word.lower() not in STYLES:
            raise UnsupportedValue(f"is supported with {', '.join(STYLES)} behind the family")
        name, value = STYLES[word.lower()]
        found[name] = value
    if family in STYLES:
        return _font(f"{GENERIC_FONT},{text}")
    return checked_text(family), found


def _whole(text: str) -> int:
    return round(number(text))


PARAMETERS: tuple[Parameter, ...] = (
    row("mark m", "mark", _mark, "The path of an original, or a URL that the mount has. Over the effects, below a text.",
        support=_APPROXIMATED),
    row("mark-w markw mw", "mark_width", length, "", "mark"),
    row("mark-h markh mh", "mark_height", length, "", "mark"),
    row("mark-scale markscale ms", "mark_scale", number, "Per cent of the width of the picture, without mark-w and mark-h.", "mark",
        least=0, most=100),
    row("mark-fit markfit mf", "mark_fit", choice("clip", "max", "scale"), "crop and fill are always refused.", "mark",
        support=_APPROXIMATED),
    row("mark-align markalign ma", "mark_align", _align, "", "mark"),
    row("mark-pad markpad mp", "mark_pad", _whole, "", "mark", most=_MOST_PX),
    row("mark-x markx mx", "mark_x", _whole, "", "mark", most=_MOST_PX),
    row("mark-y marky my", "mark_y", _whole, "", "mark", most=_MOST_PX),
    row("mark-alpha markalpha malph", "mark_alpha", _whole, "", "mark", most=100),
    row("mark-tile marktile mtile", "mark_tile", choice("grid"), "From the upper left corner.", "mark", support=_APPROXIMATED),
    row("txt t", "text", checked_text, "Drawn last. Its font must be one of the node's.", support=_APPROXIMATED),
    row("txt-font txtfont tf", "text_font", _font,
        "A family, and behind commas bold, italic and other weights; sans-serif without it.", "txt", support=_APPROXIMATED),
    row("txt-size txtsize tsz", "text_size", _whole, "", "txt", least=1, most=MAX_FONT_PX),
    row("txt-color txtcolor txt-clr txtclr tc", "text_colour", colour, "", "txt"),
    row("txt-width txtwidth", "text_width", _whole, "Where lines wrap.", "txt", least=1, most=MAX_WIDTH_PX),
    row("txt-align txtalign ta", "text_align", _align, "", "txt"),
    row("txt-pad txtpad tp", "text_pad", _whole, "", "txt", most=_MOST_PX),
    row("txt-x txtx", "text_x", _whole, "", "txt", most=_MOST_PX),
    row("txt-y txty", "text_y", _whole, "", "txt", most=_MOST_PX),
    row("txt-line txtline tl", "text_line", _whole, "", "txt", most=MAX_OUTLINE_PX),
    row("txt-line-color txtlinecolor txt-line-clr txtlineclr", "text_line_colour", colour, "", "txt-line"),
    row("txt-track txttrack tt", "text_track", _whole, "", "txt", least=-4, most=500),
    row("txt-lead txtlead", "text_lead", _whole, "Pixels between lines.", "txt", most=500, support=_APPROXIMATED),
    row("blend b", "blend", _blend, "A colour over the whole picture, below mark and txt; pictures are always refused.",
        support=_APPROXIMATED),
    row("blend-mode blendmode bm", "blend_mode", _blend_mode, "hue, saturation, color and luminosity are always refused.", "blend",
        support=_APPROXIMATED),
    row("blend-alpha blendalpha balph", "blend_alpha", _whole, "", "blend", most=100),
)  # fmt: skip
"""`ParameterValues` has the defaults."""
