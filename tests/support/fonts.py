"""Fonts that tests draw themselves: every letter is a square that fills the em above the base line, so that each pixel of a text is
known."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

EM = 1000
LETTERS = "ABCabcאב"


@contextmanager
def font_folder(*families: str) -> Iterator[Path]:
    """A folder with a font of each family that every user may read, as the worker of a node of root has to."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for family in families:
            write_font(folder, family).chmod(0o644)
        yield folder


def write_font(folder: Path, family: str = "Squares", letters: str = LETTERS) -> Path:
    """A font whose letters are squares of the em with a quarter of it empty behind them; a space is as wide."""
    names = {ord(letter): f"uni{ord(letter):04X}" for letter in letters}
    order = [".notdef", "space", *names.values()]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(" "): "space", **names})
    empty = TTGlyphPen(None).glyph()
    builder.setupGlyf({name: empty if name in (".notdef", "space") else _square() for name in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (EM * 5 // 4, 0)))
    builder.setupHorizontalHeader(ascent=EM, descent=0)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=EM, sTypoDescender=0, usWinAscent=EM, usWinDescent=0)
    builder.setupPost()
    path = folder / f"{family.lower().replace(' ', '-')}.ttf"
    builder.save(path)
    return path


def _square() -> object:
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, EM), (EM, EM), (EM, 0)):
        pen.lineTo(corner)
    pen.closePath()
    return pen.glyph()
