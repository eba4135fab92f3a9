"""How alike an encoded picture and its source look: an estimate of SSIMULACRA2 (github.com/cloudinary/ssimulacra2).

It is that metric, but for three shortcuts: planes whose weight is nearly 0 are left out, a blur ends where it is below a
hundredth, and the finest of six scales, which has three quarters of the pixels, is estimated from the other five.
`python -m benchmarks.auto_quality` measures how far both are apart.
"""

import math
import struct
from collections.abc import Mapping, Sequence

import pyvips

from proxy.core.image import srgb
from proxy.core.image.formats import Format
from proxy.core.transform.quality_level import ALL_SCALES, MIN_SCALES

_MIN_SIDE_PX = 8
"""The least side of a scale."""
_SIGMA_PX, _LEAST_OF_BLUR = 1.5, 0.01
_C2 = 0.0009
_LARGE = 1e6
_CHANNELS, _NORMS, _MAPS = 3, 2, 3
_WEIGHTS = {
    9: 1.10417,
    15: 1.84225,
    16: 11.44117,
    21: 1.87876,
    22: 10.94907,
    25: 0.96779,
    28: 0.99818,
    39: 7.46689,
    41: 17.44583,
    45: 6.68368,
    47: 1.02789,
    48: 225.20515,
    51: 19.21324,
    54: 176.39318,
    57: 24.43301,
    58: 0.28521,
    63: 34.77906,
    64: 44.83563,
    93: 8.82698,
    94: 23.19243,
    96: 95.10805,
    97: 0.98640,
    98: 0.98344,
    100: 171.26673,
    101: 0.98078,
}
"""By position in the metric's list: channel, scale, norm and map (SSIM, artifact, lost detail). With fewer than six scales the same list is read from its
beginning, which gives the weights to other planes; the metric does so too."""
_OFFSETS, _FACTORS = (0.0, 0.167, 0.18), (1.0, 1.332, 1.49)
"""The distortion at all six scales from that without the finest, or the two finest."""
_MANY_PX = 400_000
"""Above it the second finest scale is skipped too."""
_EXCESS = {Format.JPEG: 1.3, Format.WEBP: -0.9, Format.AVIF: 0.8}
"""By how many points an estimate without the finest scale is too high in the mean."""

_OPSIN = [
    [0.3, 0.622, 0.078],
    [0.23, 0.692, 0.078],
    [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
]
_OPSIN_BIAS = 0.0037930732552754493
_XYB = [[7.0, -7.0, 0.0], [0.5, 0.5, 0.0], [-0.5, -0.5, 1.0]]
"""To X, Y and B - Y, with the factors of the metric."""
_ZERO = [0.42, 0.01 - math.cbrt(_OPSIN_BIAS), 0.55]
_LINEAR = [srgb.light(level / 255) for level in range(256)]
_COLUMNS_OF_STATS, _MEAN, _SUM_OF_SQUARES = 10, 4, 3


def score(source: pyvips.Image, encoded: pyvips.Image, kind: Format) -> float | None:
    """About the SSIMULACRA2 score of `encoded`, which was encoded as `kind`, against `source`: 100 if both are equal, 70
    where differences are hard to see. Both are 8-bit sRGB of the same size without alpha. None if a side is too short for
    a meaningful score, below 113 px. Raises pyvips.Error."""
    scales = scales_of(source)
    if scales < MIN_SCALES:
        return None
    skipped = 0 if scales < ALL_SCALES else 1 if source.width * source.height <= _MANY_PX else 2
    estimated = score_of(_OFFSETS[skipped] + _FACTORS[skipped] * distortion(source, encoded, skipped))
    return estimated - _EXCESS[kind] if skipped else estimated


def distortion(source: pyvips.Image, encoded: pyvips.Image, skipped: int) -> float:
    """The weighted sum of all norms of all maps, without the `skipped` finest scales."""
    scales = scales_of(source)
    both = source.bandjoin(encoded).maplut(pyvips.Image.new_from_array([_LINEAR]).cast("float"))
    total, shrink = 0.0, 2**skipped
    for scale in range(skipped, scales):
        both, shrink = both.shrink(shrink, shrink, ceil=True).copy_memory(), 2
        if weights := _weights(scale, scales):
            total += _weighted(_xyb(both), weights)
    return total


def scales_of(image: pyvips.Image) -> int:
    """How many scales the metric has for pictures of this size."""
    found, side_px = 0, min(image.width, image.height)
    while found < ALL_SCALES and side_px >= _MIN_SIDE_PX:
        found, side_px = found + 1, -(-side_px // 2)
    return found


def _weights(scale: int, scales: int) -> dict[tuple[int, int, int], float]:
    """The weights at a scale, by channel, map and norm."""
    found = {}
    for position, weight in _WEIGHTS.items():
        rest, kind = divmod(position, _MAPS)
        rest, norm = divmod(rest, _NORMS)
        channel, of_scale = divmod(rest, scales)
        if of_scale == scale and channel < _CHANNELS:
            found[channel, kind, norm] = weight
    return found


def _twice(matrix: Sequence[Sequence[float]]) -> pyvips.Image:
    """A matrix that does the same with the colours of two pictures."""
    none = [0.0] * _CHANNELS
    return pyvips.Image.new_from_array(
        [*([*row, *none] for row in matrix), *([*none, *row] for row in matrix)]
    )


def _xyb(both: pyvips.Image) -> pyvips.Image:
    """Two pictures of linear light in the colour space XYB, as the metric scales it."""
    mixed = (both.recomb(_twice(_OPSIN)) + _OPSIN_BIAS).math2_const("pow", [1 / 3])
    return (mixed.recomb(_twice(_XYB)) + _ZERO * 2).copy_memory()


def _weighted(both: pyvips.Image, weights: Mapping[tuple[int, int, int], float]) -> float:
    """The weighted sum of the norms of all maps at one scale."""
    channels = [channel for channel, _, _ in weights]
    first, count = min(channels), max(channels) - min(channels) + 1
    one, other = both.extract_band(first, n=count), both.extract_band(_CHANNELS + first, n=count)
    stacked = one.bandjoin([other, one * one, other * other, one * other])
    blurred = stacked.gaussblur(_SIGMA_PX, min_ampl=_LEAST_OF_BLUR, precision="float").copy_memory()
    mean_one, mean_other, square_one, square_other, product = (
        blurred.extract_band(at * count, n=count) for at in range(5)
    )
    means, apart = mean_one * mean_other, mean_one - mean_other
    covariance = (product - means) * 2 + _C2
    variances = square_one + square_other - means * 2 - apart * apart + _C2
    ssim = 1 - (1 - apart * apart) * covariance / variances
    edges = ((other - mean_other).abs() + 1) / ((one - mean_one).abs() + 1) - 1
    maps = ssim.bandjoin([edges, edges * -1]).clamp(min=0, max=_LARGE).copy_memory()
    pixels = maps.width * maps.height
    of_maps, of_squares = (
        struct.unpack(f"{_COLUMNS_OF_STATS * (1 + maps.bands)}d", bytes(each.stats().write_to_memory()))
        for each in (maps, maps * maps)
    )
    total = 0.0
    for (channel, kind, norm), weight in weights.items():
        row = _COLUMNS_OF_STATS * (1 + kind * count + channel - first)
        if norm == 0:
            total += weight * of_maps[row + _MEAN]
        else:
            total += weight * (of_squares[row + _SUM_OF_SQUARES] / pixels) ** 0.25
    return total


def score_of(distortion: float) -> float:
    """The score of a distortion at all scales."""
    scaled = 0.9562382616834844 * distortion
    scaled = 2.326765642916932 * scaled - 0.020884521182843837 * scaled**2 + 6.248496625763138e-05 * scaled**3
    return 100.0 - 10.0 * float(scaled) ** 0.6276336467831387 if scaled > 0 else 100.0
