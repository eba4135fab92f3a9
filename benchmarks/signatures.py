"""A million mutants of signed URLs, none of which may be accepted; and the timing of refusals.

`python -m benchmarks.signatures [mutants] [seed]`. Exits with 1 if a mutant was accepted or raised another error.
"""

import random
import statistics
import sys
import time
from collections import Counter
from urllib.parse import quote

from proxy.core.errors import BadSignature, BadUrl, SignatureRequired
from proxy.core.url.interpret import verify_signature
from proxy.core.url.mounts import Mount, Signing
from proxy.core.url.signing import sign
from proxy.core.url.target import cut

MUTANTS, SEED, SAMPLES = 1_000_000, 11, 100_000
KEYS = {"old": b"o" * 32, "new": b"n" * 32}
MOUNT = Mount(name="m", source="s", signing=Signing.REQUIRED, keys=KEYS, allowed_px=(100,), max_age_s=1)
SOUND = (
    sign("/w_400,h_300,f_auto/product-123.jpg", KEYS["old"]),
    sign("/original/a/b%20c.jpg", KEYS["old"], domain="shop.example", session="a b"),
    sign("/thumbnail?url=product-123.jpg&w=400", KEYS["new"], until_s=4_000_000_000, key_id="new"),
    sign("/thumbnail?url=https%3A%2F%2Fcdn.example%2Fa.jpg&w=4&fit=cover&h=4", KEYS["new"]),
)
PIECES = (
    "&sig=",
    "?sig=",
    "&",
    "?",
    "=",
    "%",
    "/",
    ";",
    "+",
    "-",
    "_",
    "A",
    "\x00",
    "é",
    "\udcff",
    "&exp=1",
    "&kid=old",
    "#",
)


def mutant(chance: random.Random) -> str:
    """A valid URL, changed in one to three positions; always differs from the original."""
    sound = chance.choice(SOUND)
    text = sound
    while text == sound or text in SOUND:
        for _ in range(chance.randint(1, 3)):
            text = _changed(text, chance)
    return text


def _changed(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text)) if text else 0
    end = min(len(text), at + chance.choice((1, 1, 1, 2, 5, 43)))
    match chance.randrange(9):
        case 0:
            return (
                text[:at] + chr(ord(text[at : at + 1] or "a") ^ (1 << chance.randrange(7))) + text[at + 1 :]
            )
        case 1:
            return text[:at] + text[end:]
        case 2:
            return text[:end] + text[at:end] + text[end:]
        case 3:
            return text[:at] + chance.choice(PIECES) + text[at:]
        case 4:
            return text[:at] + quote(text[at:end].encode("utf-8", "surrogateescape"), safe="") + text[end:]
        case 5:
            return (
                text[:at]
                + "".join(f"%{byte:02x}" for byte in text[at:end].encode("utf-8", "surrogateescape"))
                + text[end:]
            )
        case 6:
            return text[:at] + text[at:end].swapcase() + text[end:]
        case 7:
            return text.rpartition("sig=")[0] + "sig=" + chance.choice(SOUND).rpartition("sig=")[2]
        case _:
            path, _, query = text.partition("?")
            parts = query.split("&")
            chance.shuffle(parts)
            return f"{path}?{'&'.join(parts)}"


def refused(raw: str) -> str:
    """The error slug for `raw`; `accepted` if there is none."""
    try:
        cut(raw)
        verify_signature(MOUNT, raw)
    except (BadSignature, BadUrl, SignatureRequired) as refusal:
        return refusal.slug
    return "accepted"


def welch(chance: random.Random) -> float:
    """Welch's t of the times of refusals: signatures wrong in the first or the last letter, alternating."""
    prefix, _, mac = SOUND[0].rpartition("sig=")
    other = {letter: "B" if letter == "A" else "A" for letter in mac}
    wrong = (f"{prefix}sig={other[mac[0]]}{mac[1:]}", f"{prefix}sig={mac[:-1]}{other[mac[-1]]}")
    times: tuple[list[int], list[int]] = ([], [])
    for _ in range(2 * SAMPLES):
        which = chance.randrange(2)
        began = time.perf_counter_ns()
        refused(wrong[which])
        times[which].append(time.perf_counter_ns() - began)
    # The slowest tenth is noise of the machine.
    first, last = (sorted(taken)[: len(taken) * 9 // 10] for taken in times)
    spread = statistics.variance(first) / len(first) + statistics.variance(last) / len(last)
    return (statistics.fmean(first) - statistics.fmean(last)) / float(spread**0.5)


def main() -> None:
    arguments = [int(word) for word in sys.argv[1:]]
    count, seed = arguments + [MUTANTS, SEED][len(arguments) :]
    chance = random.Random(seed)
    assert all(refused(raw) == "accepted" for raw in SOUND)
    answers = Counter(refused(mutant(chance)) for _ in range(count))
    print(f"seed {seed}, {count} mutants: " + ", ".join(f"{what} {n}" for what, n in answers.most_common()))
    print(f"accepted: {answers['accepted']}")
    print(
        f"Welch's t of first against last letter, {SAMPLES} samples each: {welch(chance):+.2f} (below 4.5 tells nothing)"
    )
    sys.exit(1 if answers["accepted"] else 0)


if __name__ == "__main__":
    main()
