"""What a Cloudinary URL requests, filled while it is read: the parameters of a component, and those of the URL."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from proxy.core.errors import NotSupported
from proxy.core.transform.lengths import Length
from proxy.core.transform.operations import (
    WHITE,
    Backdrop,
    Background,
    Colour,
    Effect,
    Ellipse,
    FocalPoint,
    Operation,
    Rotate,
    Rounded,
    Smart,
    Trim,
    Turn,
)
from proxy.core.url.dialects.cloudinary.scope import Scope
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import OnlyPolishes, Support, UnsupportedValue, refusal
from proxy.core.url.parsed_url import Unused


class OffsetPoint(NamedTuple):
    """The gravity whose point is `x` and `y`."""


class Border(NamedTuple):
    """A border around the picture, which follows its corners."""

    width_px: int
    colour: Colour


@dataclass(slots=True)
class Parameters:
    """The parameters of one component; None where it has none. `first` are the operations of its named transformation.
    `auto_turn` applies if the picture and the requested size are not both wide or both high."""

    first: tuple[Operation, ...] = ()
    width: Length | None = None
    height: Length | None = None
    mode: str | None = None
    ratio: Fraction | None = None
    gravity: FocalPoint | Smart | OffsetPoint | None = None
    x: Length | None = None
    y: Length | None = None
    zoom: Fraction | None = None
    ignores_ratio: bool = False
    as_stored: bool = False
    auto_turn: Turn | None = None
    turns: tuple[Turn | Rotate, ...] = ()
    trim: Trim | None = None
    background: Colour | None = None
    backdrop: Backdrop | None = None
    colour: Colour | None = None
    effects: tuple[Callable[["Parameters"], Effect | None], ...] = ()
    opacity_percent: int = 100
    shape: Rounded | Ellipse | None = None
    border: Border | None = None

    @property
    def has_size(self) -> bool:
        """Whether it has a side or a ratio."""
        return self.width is not None or self.height is not None or self.ratio is not None

    @property
    def filling(self) -> Background:
        """What fills padding."""
        return self.backdrop or self.background or WHITE


@dataclass(slots=True, kw_only=True)
class CloudinaryRequested:
    """`here` is the component that is read, `ops` are those of the components before it. `output` has fields of a
    Transform. `is_preset` says that only named transformations and options of the delivery were read."""

    presets: Presets
    ignores_polish: bool = False
    scope: Scope = field(default_factory=Scope)
    here: Parameters = field(default_factory=Parameters)
    ops: list[Operation] = field(default_factory=list)
    output: dict[str, object] = field(default_factory=dict)
    dpr_percent: Fraction | int | None = None
    named: list[str] = field(default_factory=list)
    is_preset: bool = True
    is_attachment: bool = False
    file_name: str = ""
    default: str = ""
    keeps_transparency: bool = False
    unused: list[Unused] = field(default_factory=list)

    def ignore(self, name: str, reason: str) -> None:
        """Notes an option without effect, which answers list as ignored."""
        self.unused.append(Unused(name, reason, is_option=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudinaryOption:
    """A parameter, effect or flag. `read` takes the text after its name; None if the option is refused, or ignored
    where the mount ignores options that only polish and it `polishes`. With `is_delivery` a URL of presets may have it
    too. `forms` are how documents write it, if not by its names."""

    names: tuple[str, ...]
    read: Callable[[CloudinaryRequested, str], None] | None
    support: Support = Support.DONE
    note: str = ""
    polishes: bool = False
    is_delivery: bool = False
    forms: tuple[str, ...] = ()

    def apply(self, requested: CloudinaryRequested, kind: str, name: str, text: str) -> None:
        """Reads the option, whose `name` is one of the table of its `kind`. Raises BadTransform, or NotSupported."""
        requested.is_preset &= self.is_delivery
        try:
            if self.read is None:
                raise (
                    OnlyPolishes("is not supported")
                    if self.polishes
                    else UnsupportedValue("is not supported")
                )
            self.read(requested, text)
        except ValueError as reason:
            raise refusal(reason, f"{kind} {name} {reason}") from None
        except OnlyPolishes as reason:
            if not requested.ignores_polish:
                raise NotSupported(f"{kind} {name} {reason}") from None
            requested.ignore(name, str(reason))
