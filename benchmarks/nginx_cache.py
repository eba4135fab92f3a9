"""A hot 25 kB variant through nginx, against the same nginx serving the same bytes as a static file under the same log,
limits and TLS: from the disk's page cache, and from the tmpfs that the micro-cache is in too.

`python -m benchmarks.nginx_cache [rounds]`. The figure is the median of the ratios. Needs wrk and nginx.
"""

import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.common import free_port, node, photograph, spread, wrk
from proxy.cli.nginx_demo import NGINX, Ports, arrange, nginx

ROUNDS = 8
STATIC = """
    server {{
        listen 127.0.0.1:{tls} ssl http2 backlog=4096 sndbuf=256k;
        listen 127.0.0.1:{clear} backlog=4096 sndbuf=256k;
        ssl_certificate site/certificate.pem;
        ssl_certificate_key site/certificate.key;
        access_log {folder}/static.log calotype buffer=32k flush=1s;
        include parts/tls.conf;
        types {{ }}
        default_type image/jpeg;
        location /disk/ {{ alias {folder}/static/; }}
        location /tmpfs/ {{ alias {hot}-static/; }}
    }}
"""


def get(url: str) -> bytes:
    trust = ssl._create_unverified_context()
    with urllib.request.urlopen(url, context=trust if url.startswith("https") else None) as answer:
        body: bytes = answer.read()
        return body


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        folder, hot = Path(made), Path(memory) / "hot"
        photograph(folder / "in/photo.jpg", 1600, 1200)
        # The same limits on both sides, too high to be reached.
        limits = (NGINX / "site/limits.conf").read_text()
        for low, high in (
            ("rate=100r/s", "rate=1000000r/s"),
            ("burst=400", "burst=1000000"),
            ("256", "60000"),
        ):
            limits = limits.replace(low, high)
        ports = Ports(*(free_port() for _ in range(4)))
        with node(folder / "in") as (public, _):
            configuration = arrange(
                folder / "nginx", hot, ports, [public.removeprefix("http://")], {"limits": limits}
            )
            tls, clear = free_port(), free_port()
            static = STATIC.format(tls=tls, clear=clear, folder=folder / "nginx", hot=hot)
            text = configuration.read_text().rstrip().removesuffix("}")
            configuration.write_text(f"{text}{static}}}\n")
            sized = [
                (quality, get(f"{public}/w_600,q_{quality},f_jpg/photo.jpg")) for quality in range(20, 96, 5)
            ]
            quality, body = min(sized, key=lambda one: abs(len(one[1]) - 25_000))
            target = f"/w_600,q_{quality},f_jpg/photo.jpg"
            for place in (folder / "nginx/static", Path(f"{hot}-static")):
                place.mkdir()
                (place / "x.jpg").write_bytes(body)
            with subprocess.Popen(nginx(configuration)) as front:
                time.sleep(1)
                try:
                    measure(ports, target, body, tls, clear, rounds)
                finally:
                    front.terminate()


def measure(ports: Ports, target: str, body: bytes, tls: int, clear: int, rounds: int) -> None:
    print(f"{len(body)} bytes, wrk -t1 -c32, {rounds} rounds")
    for name, ours, theirs in (
        ("over TLS", f"https://127.0.0.1:{ports.https}{target}", f"https://127.0.0.1:{tls}"),
        ("in the clear", f"http://127.0.0.1:{ports.clear}{target}", f"http://127.0.0.1:{clear}"),
    ):
        assert all(
            get(url) == body for url in (ours, ours, ours, f"{theirs}/disk/x.jpg", f"{theirs}/tmpfs/x.jpg")
        )
        rates: dict[str, list[float]] = {"front": [], "disk": [], "tmpfs": []}
        for _ in range(rounds):
            rates["front"].append(wrk(ours, seconds=3))
            for place in ("disk", "tmpfs"):
                rates[place].append(wrk(f"{theirs}/{place}/x.jpg", seconds=3))
        for place in ("disk", "tmpfs"):
            ratios = [a / b for a, b in zip(rates["front"], rates[place], strict=True)]
            print(
                f"{name}: {statistics.median(rates['front']):.0f} to {statistics.median(rates[place]):.0f}"
                f" requests/s of a file on {place}, ratio {spread(ratios)}"
            )


if __name__ == "__main__":
    main()
