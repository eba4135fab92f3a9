"""Texts as originals: each is the key of an original in one source, which draws it."""

import msgspec

from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Text

SOURCE = "drawn texts"
"""No configured source has a space in its name."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Text)


def text_ref(text: Text) -> OriginalRef:
    return OriginalRef(SOURCE, _encoder.encode(text).decode())


def text_of(key: str) -> Text:
    """The text of a key that `text_ref` made."""
    return _decoder.decode(key)
