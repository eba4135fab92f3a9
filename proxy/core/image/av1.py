"""Reads the colour description in the sequence header of an AV1 stream (AV1 specification, 5.5)."""

_SEQUENCE_HEADER = 1


class _Bits:
    """Reads bits, the most significant first; past the end they are zero. `left` counts the bits not read yet."""

    def __init__(self, content: bytes) -> None:
        self._number = int.from_bytes(content, "big")
        self.left = 8 * len(content)

    def take(self, count: int) -> int:
        self.left -= count
        shifted = self._number >> self.left if self.left >= 0 else self._number << -self.left
        return shifted & ((1 << count) - 1)


def colour_codes(stream: bytes) -> tuple[int, int] | None:
    """Colour primaries and transfer characteristics (ITU-T H.273) of the first sequence header; None if it has none."""
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size, shift = len(stream) - at, 0
        if head & 2:
            size = 0
            while at < len(stream) and shift < 56:
                byte, at = stream[at], at + 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            return _colour_codes(_Bits(stream[at : at + size]))
        at += size
    return None


def _colour_codes(bits: _Bits) -> tuple[int, int] | None:
    profile = bits.take(3)
    bits.take(1)
    if is_reduced := bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width_bits + height_bits)
    if not is_reduced and bits.take(1):
        bits.take(7)
    bits.take(3)
    if not is_reduced:
        bits.take(4)
        has_order_hint = bits.take(1)
        if has_order_hint:
            bits.take(2)
        screen_content = 2 if bits.take(1) else bits.take(1)
        if screen_content and not bits.take(1):
            bits.take(1)
        if has_order_hint:
            bits.take(3)
    bits.take(3)
    is_deep = bits.take(1)
    if profile == 2 and is_deep:
        bits.take(1)
    if profile != 1:
        bits.take(1)
    return (bits.take(8), bits.take(8)) if bits.take(1) else None


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing_info
        bits.take(64)
        if bits.take(1):
            _skip_uvlc(bits)
        if bits.take(1):  # decoder_model_info
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)


def _skip_uvlc(bits: _Bits) -> None:
    zeros = 0
    while bits.left > 0 and not bits.take(1):
        zeros += 1
    bits.take(zeros if zeros < 32 else 0)
