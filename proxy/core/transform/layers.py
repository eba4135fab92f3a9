"""The originals of layers. A text is one too: its description is the key of an original in a source that draws it."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from proxy.core.errors import BadTransform
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Choice, Operation, Overlay, Text, Transform, with_branches

MAX_LAYERS = 8
"""Each layer may be an original that is fetched and decoded."""
TEXTS = "drawn texts"
"""The source of texts. No configured source has a space in its name."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Text)


def with_originals(transform: Transform, ref: Callable[[str], OriginalRef]) -> Transform:
    """`transform` with the originals of its layers, and the layers numbered in their order. `ref` gives the original for a
    key. Raises BadTransform for more than `MAX_LAYERS`."""
    count = sum(isinstance(op, Overlay) for op in with_branches(transform.ops))
    if not count:
        return transform
    if count > MAX_LAYERS:
        raise BadTransform(f"a URL may have {MAX_LAYERS} layers")
    refs: list[OriginalRef] = []

    def numbered(ops: tuple[Operation, ...]) -> tuple[Operation, ...]:
        found: list[Operation] = []
        for op in ops:
            match op:
                case Overlay(of=str() | Text() as of):
                    original = (
                        text_ref(_times(of, transform.dpr_percent or 100))
                        if isinstance(of, Text)
                        else ref(of)
                    )
                    if original not in refs:
                        refs.append(original)
                    found.append(replace(op, number=refs.index(original) + 1))
                case Choice(condition, then, otherwise):
                    found.append(Choice(condition, numbered(then), numbered(otherwise)))
                case _:
                    found.append(op)
        return tuple(found)

    return replace(transform, ops=numbered(transform.ops), further=tuple(refs))


def _times(text: Text, dpr_percent: int) -> Text:
    """`text` with its lengths times a device pixel ratio in per cent."""
    lengths = {
        field: (length * dpr_percent + 50) // 100
        for field in ("size_px", "width_px", "letter_px", "line_px", "stroke_px", "padding_px")
        if (length := getattr(text, field))
    }
    return replace(text, **lengths)


def text_ref(text: Text) -> OriginalRef:
    return OriginalRef(TEXTS, _encoder.encode(text).decode())


def text_of(key: str) -> Text:
    """The text of a key that `text_ref` made."""
    return _decoder.decode(key)
