"""The bytes of each format at the default quality, and what `f_auto` chooses: `python -m benchmarks.formats PICTURE...`.

For pictures of each kind and size: how many bytes the formats take in all, by the smallest of all formats of each picture; how
many of the pictures get more than 3 % above their smallest format, and the worst of them. The kind is that of
`Facts.drawing`, with or without alpha. A client that takes every format is assumed.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.config.settings import load
from proxy.core.errors import CalotypeError
from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.negotiate import choose
from proxy.core.transform.operations import Auto, Resize, Transform
from proxy.core.transform.plan import resolve
from proxy.node.factory import input_limits, render_defaults
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import harden, render

WIDTHS_PX = (80, 160, 320, 640, 960, 1280)
KINDS = (Format.AVIF, Format.WEBP, Format.JPEG, Format.PNG)
MUCH = 1.03


class Sizes(NamedTuple):
    """The bytes of one picture at one width by format, and the format that is chosen."""

    name: str
    by_kind: dict[Format, int]
    chosen: Format

    @property
    def smallest(self) -> int:
        return min(self.by_kind.values())

    @property
    def excess(self) -> float:
        return self.by_kind[self.chosen] / self.smallest


def measure(paths: Sequence[str]) -> dict[tuple[str, int], list[Sizes]]:
    settings = load()
    limits, defaults = input_limits(settings), render_defaults(settings)
    found: dict[tuple[str, int], list[Sizes]] = defaultdict(list)
    for path in paths:
        content = Path(path).read_bytes()
        try:
            facts = CheckedOriginal.of(content, limits).facts
        except CalotypeError as failure:
            print(f"{path}: {failure.detail}", file=sys.stderr)
            continue
        kind = f"{'drawing' if facts.drawing else 'photograph'}{' with alpha' if facts.alpha else ''}"
        for width in WIDTHS_PX:
            if width > facts.width_px:
                continue
            transform = Transform(ops=(Resize(width=width),), format=Auto.AUTO)
            sizes = {
                each: len(
                    render(CheckedOriginal.of(content, limits), resolve(transform, each, defaults), limits)
                )
                for each in KINDS
                if TRAITS[each].alpha or not facts.alpha
            }
            chosen = choose(transform, frozenset(KINDS), settings.formats.auto, facts)
            found[kind, width].append(Sizes(Path(path).name, sizes, chosen))
    return found


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    harden()
    for (kind, width), pictures in sorted(measure(sys.argv[1:]).items()):
        smallest = sum(each.smallest for each in pictures)
        totals = {
            each: sum(picture.by_kind[each] for picture in pictures) / smallest
            for each in KINDS
            if all(each in picture.by_kind for picture in pictures)
        }
        worst = max(pictures, key=lambda each: each.excess)
        too_large = sum(each.excess > MUCH for each in pictures)
        print(
            f"{kind}, {width} px, {len(pictures)} pictures:",
            ", ".join(f"{each} {total:.2f}" for each, total in totals.items()),
            f"; chosen {sum(each.by_kind[each.chosen] for each in pictures) / smallest:.3f};"
            f" {too_large} above {MUCH:g}, the worst {worst.excess:.2f} ({worst.name}, {worst.smallest} bytes)",
        )


if __name__ == "__main__":
    main()
