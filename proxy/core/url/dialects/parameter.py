"""Tables of named parameters, as imgix and ImageKit have them, and how the value of one is read by its row.

A reader raises ValueError for a value that is a mistake, and UnsupportedValue, OnlyPolishes or UnsupportedFormat for
one that the vendor knows and the node does not do. The reasons repeat no byte of the request.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from proxy.core.errors import BadTransform, NotSupported
from proxy.core.url.dialects.dialect import DocumentedOption, OnlyPolishes, Support, UnsupportedValue
from proxy.core.url.dialects.shared_values import Number
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import Unused


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """`read` gives the value of `field`. Without it the parameter is ignored if its support is that; else it is
    refused, or ignored if it only `polishes` and the mount ignores such options, and the words of `off` ask for
    nothing. A number is moved within `least` and `most`, and `make` makes the value of it. The parameter has no effect
    without one of `needs`, each a parameter, or a parameter=word."""

    names: tuple[str, ...]
    field: str = ""
    read: Callable[[str], Any] | None = None
    least: Number = 0
    most: Number | None = None
    make: Callable[[Any], Any] | None = None
    needs: tuple[str, ...] = ()
    support: Support = Support.DONE
    note: str = ""
    polishes: bool = False
    off: frozenset[str] = frozenset()


def row(
    names: str, field: str, read: Callable[[str], Any], note: str = "", *needs: str, **more: Any
) -> Parameter:
    """A parameter by its names, separated by blanks."""
    return Parameter(names=tuple(names.split()), field=field, read=read, note=note, needs=needs, **more)


_OFF = frozenset({"0", "false"})
RULE = "Follows the rule `unsupported`."
ALWAYS = "Changes what the picture shows, and is always refused."


def polishing(*names: str) -> tuple[Parameter, ...]:
    """Parameters that are refused by the rule of the mount."""
    return _others(names, Support.REFUSED, RULE, polishes=True, off=_OFF)


def changing(*names: str) -> tuple[Parameter, ...]:
    """Parameters that are refused, unless they are 0 or false."""
    return _others(names, Support.REFUSED, ALWAYS, off=_OFF)


def showing(*names: str) -> tuple[Parameter, ...]:
    """Parameters that are refused with every value."""
    return _others(names, Support.REFUSED, ALWAYS)


def ignored(note: str, *names: str) -> tuple[Parameter, ...]:
    """Parameters that are ignored for the reason `note`."""
    return _others(names, Support.IGNORED, note)


def belonging(needed: str, *names: str) -> tuple[Parameter, ...]:
    """Parameters that describe another one, which is refused."""
    return _others(
        names, Support.REFUSED, f"Has no effect without `{needed}`, which is refused.", needs=(needed,)
    )


def _others(names: Iterable[str], support: Support, note: str, **more: Any) -> tuple[Parameter, ...]:
    return tuple(Parameter(names=tuple(each.split()), support=support, note=note, **more) for each in names)


def documented(parameters: Iterable[Parameter]) -> tuple[DocumentedOption, ...]:
    """The rows of the dialect's page."""
    return tuple(
        DocumentedOption(names=each.names, support=each.support, note=each.note) for each in parameters
    )


class Given(NamedTuple):
    """A parameter of a URL, its name as it is written, and its value."""

    name: str
    parameter: Parameter
    value: str


class ParameterReader:
    """Reads the parameters of one URL, and keeps those without an effect, and those out of range. `ignores_polishing`
    says whether the mount ignores what only polishes, `ignores_mistakes` whether the vendor ignores invalid values,
    and the mount does as well."""

    def __init__(self, *, ignores_polishing: bool, ignores_mistakes: bool = False) -> None:
        self._ignores_polishing = ignores_polishing
        self._ignores_mistakes = ignores_mistakes
        self.unused: list[Unused] = []
        self.reduced: list[Notice] = []

    def read(self, given: Given, words: set[str]) -> Any:
        """The value of the field of a parameter; None if it has no effect. `words` are what `needs` may name. Raises
        BadTransform, NotSupported or UnsupportedFormat."""
        name, parameter, text = given
        if parameter.support is Support.IGNORED:
            return self.ignore(name, parameter.note)
        if parameter.needs and words.isdisjoint(parameter.needs):
            return self.ignore(name, f"it needs {' or '.join(parameter.needs)}")
        try:
            if parameter.read is None:
                if text in parameter.off:
                    return None
                raise (OnlyPolishes if parameter.polishes else UnsupportedValue)("is not supported")
            return self._within(name, parameter, parameter.read(text))
        except UnsupportedValue as reason:
            raise NotSupported(f"parameter {name} {reason}") from None
        except ValueError as reason:
            if not self._ignores_mistakes:
                raise BadTransform(f"parameter {name} {reason}") from None
            return self.ignore(name, f"it {reason}")
        except OnlyPolishes as reason:
            if not self._ignores_polishing:
                raise NotSupported(f"parameter {name} {reason}") from None
            return self.ignore(name, str(reason))

    def _within(self, name: str, parameter: Parameter, value: Any) -> Any:
        """What the parameter makes of `value`, which is first moved into its range."""
        if parameter.most is not None:
            within = max(parameter.least, min(parameter.most, value))
            if within != value:
                self.reduced.append(Notice(name, f"{float(value):g}", f"{float(within):g}"))
            value = within
        return value if parameter.make is None else parameter.make(value)

    def ignore(self, name: str, reason: str) -> None:
        """Notes a parameter without an effect."""
        self.unused.append(Unused(name, reason, is_option=True))
