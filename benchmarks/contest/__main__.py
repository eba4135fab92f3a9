"""Every contender that is installed, on the same originals, in one run.

`python -m benchmarks.contest [all] [--originals FOLDER] [--report FOLDER]`. Takes about five minutes; `all` has more rounds
and the sets of a large original. FOLDER has .jpg originals in place of generated ones. Needs wrk.
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.contest import report, scenarios
from benchmarks.contest.contenders import contest, working_folder
from benchmarks.contest.usage import peak_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extent", nargs="?", choices=["all"])
    parser.add_argument("--originals", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    is_all = given.extent == "all"
    rounds = given.rounds or (9 if is_all else 4)
    with working_folder() as made:
        originals = scenarios.Originals(Path(made, "originals"), given.originals)
        with contest(originals.folder, Path(made)) as running:
            trees = {each.name: each.roots for each in running.running}
            with peak_memory(trees) as peak_bytes:
                found = [
                    *(
                        scenarios.misses(running.running, originals, rounds, kind)
                        for kind in scenarios.FORMATS
                    ),
                    scenarios.further_sizes(running.running, originals, rounds),
                    scenarios.hits(running.running, rounds, 4 if is_all else 2),
                ]
                if is_all:
                    found += [
                        scenarios.responsive_set(running.running, originals, 3, kind)
                        for kind in ("jpg", "png")
                    ]
            print("\n".join(report.lines(running, found, peak_bytes)))
            if given.report:
                for path in report.write(given.report, running, found, peak_bytes):
                    print(path)


if __name__ == "__main__":
    main()
