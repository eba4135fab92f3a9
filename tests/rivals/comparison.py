"""Asks a rival and a node the same URLs, and says in what their answers differ.

Two answers are compared in three steps: the class of the status, the size, the pictures. Where a rival fails (500), the
argument is either a wrong one, which the node refuses, or nothing is compared. The distance of two pictures is the mean
absolute difference of their premultiplied samples, alpha included, in levels of 0 to 255. Pictures are the same when the
distance is at most

- LOSSLESS: Pillow's and libvips' Lanczos differ by 0.3 to 1.1 levels on the gallery, a shift by one pixel makes 2 to 17;
- LOSSY, where the answer is a JPEG, a lossy WebP, an AVIF or a GIF: two encoders, or two palettes, are compared too;
- what a shift by one pixel makes, where the picture was enlarged: libvips shifts it by half a pixel in both axes;
- what a shift by one pixel makes, and by one of the original if that is larger, if the rival is COARSE: it cuts whole pixels
  of the original before it resizes, from halves rounded down or to even, and reduces a JPEG as far as it can by decoding
  fewer pixels.
"""

import contextlib
import http.client
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import pyvips

LOSSLESS, LOSSY = 2.0, 6.0

TIMEOUT_S = 120

WRONG = "wrong"
"""The part of a URL that is to be refused."""


class Case(NamedTuple):
    """A URL to ask for, the size of the picture that it resizes, and the parts that the generator made it of."""

    target: str
    region: tuple[int, int]
    parts: tuple[str, ...] = ()


class Reply(NamedTuple):
    status: int
    content_type: str
    body: bytes

    @property
    def is_picture(self) -> bool:
        return self.status == 200 and self.content_type.startswith("image/")

    @property
    def is_lossless(self) -> bool:
        return self.content_type == "image/png" or b"VP8L" in self.body[:64]


class Answering(Protocol):
    def ask(self, target: str) -> Reply: ...


class Server:
    """Where one of the two listens; the path of its URL is put before each target, `host` is asked for."""

    def __init__(self, url: str, host: str = "") -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/")
        self.headers = {"Accept": "*/*", "Host": host or parts.netloc}
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S
        )

    def ask(self, target: str) -> Reply:
        """A rival that closed the idle connection is asked again."""
        try:
            return self._ask(target)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            return self._ask(target)

    def _ask(self, target: str) -> Reply:
        self._connection.request("GET", self.path + target, headers=self.headers)
        response = self._connection.getresponse()
        content_type = response.getheader("Content-Type") or ""
        return Reply(response.status, content_type.partition(";")[0], response.read())

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def connected(*urls: str) -> Iterator[list[Server]]:
    servers = [Server(url) for url in urls]
    try:
        yield servers
    finally:
        for server in servers:
            server.close()


def samples(body: bytes) -> pyvips.Image:
    """The first frame as four bands, red, green and blue multiplied by alpha."""
    image = pyvips.Image.new_from_buffer(body, "").colourspace("srgb")
    if not image.hasalpha():
        image = image.bandjoin(255)
    alpha = image[3]
    return (image[0:3] * alpha / 255).bandjoin(alpha).copy_memory()


def distance(ours: pyvips.Image, theirs: pyvips.Image) -> float:
    return float(abs(ours - theirs).avg())


def distance_of_shift(image: pyvips.Image, pixels: int = 1) -> float:
    """The larger one of what a shift to the right and one down make; 0 for a picture that is not longer than the shift."""
    wide, high = image.width - pixels, image.height - pixels
    if min(wide, high) < 1:
        return 0.0
    return max(
        distance(image.crop(0, 0, wide, image.height), image.crop(pixels, 0, wide, image.height)),
        distance(image.crop(0, 0, image.width, high), image.crop(0, pixels, image.width, high)),
    )


COARSE = frozenset({"thumbor"})
"""Rivals whose cuts are whole pixels of the original."""

KINDS = ("status", "size", "type", "picture", "code")
"""The class of the status, the size, the content type, the picture; the status within its class."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is one of KINDS; `text` tells both answers."""

    kind: str
    case: Case
    text: str


class Comparison:
    """What was counted of a run, and what differed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requested = 0
        self.answered = 0
        """Pairs of pictures; only they have sizes."""
        self.failed = 0
        """URLs at which the rival fails although they are not wrong."""
        self.distances: list[float] = []
        """Of the pairs of equal size."""
        self.differences: list[Difference] = []

    def add(self, case: Case, our: Reply, their: Reply) -> None:
        self.requested += 1
        if their.status == 500 and our.status < 500 and WRONG not in case.parts:
            self.failed += 1
        elif our.status // 100 != min(their.status // 100, 4):
            self._note("status", case, f"{our.status} instead of {their.status}: {our.body[:120]!r}")
        elif our.is_picture and their.is_picture:
            self._add_pictures(case, our, their)
        elif our.status != their.status:
            self._note("code", case, f"{our.status} instead of {their.status}")

    def _add_pictures(self, case: Case, our: Reply, their: Reply) -> None:
        self.answered += 1
        if our.content_type != their.content_type:
            self._note("type", case, f"{our.content_type} instead of {their.content_type}")
        ours, theirs = samples(our.body), samples(their.body)
        if (ours.width, ours.height) != (theirs.width, theirs.height):
            text = f"{ours.width}x{ours.height} instead of {theirs.width}x{theirs.height}"
            self._note("size", case, text)
            return
        apart = distance(ours, theirs)
        self.distances.append(apart)
        tolerance = LOSSLESS if our.is_lossless and their.is_lossless else LOSSY
        scale = max(theirs.width / case.region[0], theirs.height / case.region[1])
        if scale > 1 or self.name in COARSE:
            pixels = max(1, math.ceil(scale)) if self.name in COARSE else 1
            tolerance = max(tolerance, distance_of_shift(theirs, pixels))
        if apart > tolerance:
            self._note("picture", case, f"{theirs.width}x{theirs.height}, distance {apart:.1f} levels")

    def _note(self, kind: str, case: Case, text: str) -> None:
        self.differences.append(Difference(kind, case, text))

    def share(self, kind: str) -> float:
        """The part of the URLs, or of the pictures that can be compared, which do not differ in this respect."""
        pairs = {"size": self.answered, "type": self.answered, "picture": len(self.distances)}
        differ = sum(difference.kind == kind for difference in self.differences)
        return 1 - differ / (pairs.get(kind, self.requested) or 1)

    def lines(self) -> Iterator[str]:
        """The report: shares, distances, then the differences by kind and by the parts of their URLs."""
        ordered = sorted(self.distances) or [0.0]
        yield (
            f"{self.name}: {self.requested} URLs, the same status class for {self.share('status'):.1%}; {self.answered} "
            f"pictures, the same size for {self.share('size'):.1%}; {len(self.distances)} of them compared, the same "
            f"for {self.share('picture'):.1%} (distance: median {statistics.median(ordered):.2f}, 95 % below "
            f"{ordered[int(0.95 * (len(ordered) - 1))]:.2f} levels); {self.name} itself fails at {self.failed}"
        )
        for kind in KINDS:
            found = [difference for difference in self.differences if difference.kind == kind]
            if not found:
                continue
            parts = Counter(part for difference in found for part in difference.case.parts)
            often = ", ".join(f"{part} {number}" for part, number in parts.most_common(8))
            yield f"  {kind} differs {len(found)} times ({often}), such as:"
            yield from (f"    {difference.case.target}  {difference.text}" for difference in found[:12])


def compared(name: str, cases: Iterable[Case], ours: Answering, theirs: Answering) -> Comparison:
    """Asks both at the same time, one case after the other."""
    comparison = Comparison(name)
    both = (ours, theirs)
    with ThreadPoolExecutor(len(both)) as threads:
        for case in cases:
            our, their = threads.map(lambda server, target=case.target: server.ask(target), both)
            comparison.add(case, our, their)
    return comparison
