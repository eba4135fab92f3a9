"""What a URL requests after its dialect has parsed it: a variant, an original or a description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.image.formats import Format
from proxy.core.image.metadata import InfoDocument, selection
from proxy.core.transform.operations import NOTHING, Transform
from proxy.core.url.dialects.native.params import PATH, Param
from proxy.core.url.notice import Notice


class Unused(NamedTuple):
    """A parameter without an effect, and why. `applied` is the value in place of the `requested` one, if that says more.
    `is_option`: it is an option of a vendor's URL, which the answer names as ignored."""

    parameter: str
    reason: str
    requested: str = ""
    applied: str = ""
    is_option: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantUrl:
    """`transform` has the presets of the URL applied; `of_presets` is what they request alone, and `is_preset` whether the
    URL requests nothing else. `clamped` has the parameters that were out of range, with the requested value. `params` is
    the parameter table of the form. `reduced` has the values that the dialect has changed. `key` may be an absolute URL;
    the mount interprets it. If there is no original `key`, `alternatives` are other keys to look for, in order; without
    any of them, `defaults` are the keys of the picture that is shown in its place. From the Unix time `until_s` on the URL has expired. `disposition` is the value of Content-Disposition; empty for none.
    `max_age_s` is that of Cache-Control; None for the mount's."""

    key: str
    transform: Transform
    of_presets: Transform = NOTHING
    is_preset: bool = False
    clamped: tuple[tuple[str, str], ...] = ()
    unused: tuple[Unused, ...] = field(default=(), compare=False)
    reduced: tuple[Notice, ...] = field(default=(), compare=False)
    params: Mapping[str, Param] = field(default_factory=lambda: PATH, compare=False, repr=False)
    until_s: int | None = None
    disposition: str = ""
    max_age_s: int | None = None
    alternatives: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OriginalUrl:
    """The original itself, byte for byte. The fields are as in VariantUrl."""

    key: str
    until_s: int | None = None
    disposition: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InfoUrl:
    """The description of an original; all of it without `fields`. `own` is the document of a vendor in its place.
    `alternatives` and `until_s` are as in VariantUrl."""

    key: str
    fields: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    own: InfoDocument | None = None
    until_s: int | None = None

    @property
    def document(self) -> InfoDocument | None:
        """What is made of the whole description; None for the description itself."""
        return selection(self.fields) if self.fields else self.own

    @property
    def transform(self) -> Transform:
        """A description is rendered and cached like a variant."""
        return Transform(format=Format.INFO)


ParsedUrl = VariantUrl | OriginalUrl | InfoUrl
