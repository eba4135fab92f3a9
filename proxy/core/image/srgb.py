"""The transfer function of sRGB (IEC 61966-2-1), between values and linear light, both from 0 to 1."""


def light(value: float) -> float:
    """The linear light of a value."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def value(light: float) -> float:
    """The value of linear light; that of black or white for light out of range."""
    light = max(0.0, min(1.0, light))
    return light * 12.92 if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)
