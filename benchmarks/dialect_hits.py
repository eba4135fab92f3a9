"""A memory hit by the URL of each dialect, against the native one.

`python -m benchmarks.dialect_hits`. All URLs ask for the same size; that of ipx has an entry of its own, because it never
enlarges beyond the original. Prints the median ratio of the requests per second. Needs wrk.
"""

import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.common import ROOT, node, photograph, spread, wrk

ROUNDS = 5
URLS = {
    "native": "/w_600,h_450,f_jpg/photo.jpg",
    "imgproxy": "/imgproxy/_/rs:fit:600:450/f:jpg/plain/photo.jpg",
    "thumbor": "/thumbor/unsafe/fit-in/600x450/filters:format(jpeg)/photo.jpg",
    "next": "/next/_ipx/s_600x450,fit_inside,f_jpg/photo.jpg",
    "cloudflare": "/cloudflare/cdn-cgi/image/w=600,h=450,f=jpeg/photo.jpg",
    "cloudinary": "/cloudinary/image/upload/c_limit,w_600,h_450,f_jpg/photo.jpg",
    "imgix": "/imgix/photo.jpg?w=600&h=450&fit=max&fm=jpg",
    "imagekit": "/imagekit/tr:w-600,h-450,c-at_max,f-jpg/photo.jpg",
}


def main() -> None:
    mounts = {
        f"CALOTYPE_MOUNTS__{name.upper()}__{key}": value
        for name in URLS
        if name != "native"
        for key, value in {
            "SOURCE": "originals",
            "PREFIX": f"/{name}/",
            "DIALECT": name,
            "DIMENSIONS": "any",
        }.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        photograph(Path(folder, "photo.jpg"), 1600, 1200)
        with node(Path(folder), **mounts) as (public, _):
            tags = set()
            for url in URLS.values():
                for _ in range(2):
                    with urllib.request.urlopen(public + url) as answer:
                        tags.add(answer.headers["ETag"])
                assert "hit; detail=memory" in answer.headers["Cache-Status"], (url, answer.headers)
            print(f"entries: {len(tags)}, wrk -t1 -c32, {ROUNDS} rounds")
            rates: dict[str, list[float]] = {name: [] for name in URLS}
            for _ in range(ROUNDS):
                for name, url in URLS.items():
                    rates[name].append(wrk(public + url))
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, rates["native"], strict=True)]
        print(f"{name:10} {statistics.median(found):6.0f} requests/s, of native {spread(ratios)}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
