"""`calotype warm`: variants before they are asked for, by a node that runs or here, into the same tiers."""

import asyncio
import re
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, Protocol

import msgspec

from proxy import parts
from proxy.admin import Admin
from proxy.bars import Bar, bar
from proxy.config import ConfigError, Settings
from proxy.core.admin import AdminAsked, Warm, WarmCancel, WarmState
from proxy.core.asked_for import variations
from proxy.core.dialects.native import parse_tokens
from proxy.core.dialects.target import checked_locator
from proxy.core.errors import BadUrl, CalotypeError
from proxy.core.mounts import Mount, Rules
from proxy.engine import Engine
from proxy.service.warming import mount_named
from proxy.telemetry.log import quiet
from proxy.telemetry.metrics import PrometheusMetrics

_KEYS_A_JOB = 5000
_POLL_S = 0.25
_ENDED = ("done", "cancelled")
_NAMES_FORMAT = re.compile(r"(?:^|[,~])f_(?!auto)")


class Originals(NamedTuple):
    """Where the keys come from: themselves, the listing of a source, or an access log, whose lines name variants."""

    keys: Iterable[str] = ()
    source: str | None = None
    prefix: str = ""
    log: Iterable[str] | None = None


def keys_of(lines: Iterable[str]) -> list[str]:
    """The keys of a list of them, one a line, without empty lines and those of comments."""
    keys = (line.rstrip("\r\n") for line in lines)
    return [key for key in keys if key.strip() and not key.lstrip().startswith("#")]


class Counts(NamedTuple):
    """What came of it, in variants."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    failures: tuple[dict[str, Any], ...] = ()
    """The first thousand of each job."""

    def __str__(self) -> str:
        return f"{self.done} made, {self.skipped} were there, {self.failed} failed"


async def warm(
    settings: Settings,
    originals: Originals,
    transforms: tuple[str, ...],
    *,
    mount: str | None,
    node: str | None,
    token: str | None = None,
) -> Counts:
    """Has all of them made; each failure is told in a line on standard error. Raises ConfigError and what is wrong with
    a transform."""
    if originals.log is None and not transforms:
        raise ConfigError("--preset or --transform: say what is to be made")
    if originals.log is not None and transforms:
        raise ConfigError("--access-log: tells itself what was asked for; leave out --preset and --transform")
    presets = settings.parsed_presets()
    for said in transforms:
        parse_tokens(said, presets)
    rules = parts.rules(settings)
    if originals.source is not None:
        mounts = [one for one in rules.mounts if one.source == originals.source]
        if not mounts:
            raise ConfigError(f"--source: no mount serves a source {originals.source}")
        chosen: Mount | None = mounts[0]
    elif originals.log is not None and mount is None:
        chosen = None
    else:
        chosen = mount_named(rules, mount or "")
    refused: list[str] = []
    bodies = _bodies(originals, transforms, chosen, rules, refused)
    if node is not None:
        async with Admin(settings, node, token) as admin:
            return await _follow(bodies, admin, refused)
    engine = Engine(settings, PrometheusMetrics(), quiet(), disk=settings.disk_path(), is_alone=True)
    async with engine:
        await engine.caught_up()
        engine.warming.start(engine.caught_up)
        return await _follow(bodies, _Here(engine), refused)


class Jobs(Protocol):
    """Who does jobs."""

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The admin's call of that name."""
        ...


class _Here:
    """Satisfies Jobs with an engine of our own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        job = path.rpartition("/")[2]
        asked: AdminAsked = WarmCancel(job) if method == "DELETE" else WarmState(job)
        if body is not None:
            asked = msgspec.convert(body, Warm)
        told: dict[str, Any] = msgspec.to_builtins(await self._engine.operate.do(asked))
        return told


async def _follow(bodies: Iterator[dict[str, Any]], jobs: Jobs, refused: list[str]) -> Counts:
    """All jobs, from their start to their end. Broken off, they are cancelled; what was made is found the next time."""
    counts = Counts()
    told: dict[str, dict[str, Any]] = {}
    ids: list[str] = []

    async def begin(body: dict[str, Any]) -> None:
        ids.append(str((await jobs.call("POST", "/v1/warm", body))["id"]))

    with bar("warming", None) as shown:
        try:
            for body in bodies:
                await _whole(begin(body))
            for key in refused:
                shown.say(f"{key!a}: is no key of an original")
            for job in ids:
                while told.get(job, {}).get("state") not in _ENDED:
                    await asyncio.sleep(_POLL_S)
                    told[job] = await jobs.call("GET", f"/v1/warm/{job}")
                    done, skipped, failed, total = (
                        sum(each[name] for each in told.values())
                        for name in ("done", "skipped", "failed", "total")
                    )
                    counts = Counts(done, skipped, failed)
                    shown.set(done=done + skipped + failed, total=total, failed=failed)
                for failure in told[job]["failures"]:
                    shown.say(_said(failure))
                if told[job]["state"] == "cancelled":
                    raise ConfigError(f"--node: job {job} was cancelled there: {counts}")
        except asyncio.CancelledError:
            await _cancel(ids, jobs, shown)
            shown.say(f"broken off: {counts}; the same command goes on where this one was")
            raise
    failures = [failure for each in told.values() for failure in each["failures"]]
    failures += [{"key": key, "slug": BadUrl.slug, "detail": "is no key of an original"} for key in refused]
    return counts._replace(failed=counts.failed + len(refused), failures=tuple(failures))


async def _whole(call: Coroutine[Any, Any, None]) -> None:
    """To its end, also where the command is broken off: a job that was taken on has an id to cancel it by."""
    calling = asyncio.create_task(call, name="job")
    try:
        await asyncio.shield(calling)
    except asyncio.CancelledError:
        with suppress(ConfigError, CalotypeError):
            await calling
        raise


async def _cancel(ids: list[str], jobs: Jobs, shown: Bar) -> None:
    for job in ids:
        try:
            await jobs.call("DELETE", f"/v1/warm/{job}")
        except (ConfigError, CalotypeError) as failure:
            shown.say(f"job {job} could not be cancelled: {failure}")


def _said(failure: dict[str, Any]) -> str:
    """A line about a variant; its format, where the transform does not name it."""
    transform, made = failure["transform"], failure.get("format", "")
    made = "" if _NAMES_FORMAT.search(transform) or not made else f" ({made})"
    return f"{failure['key']} {transform}{made}: {failure['slug']}: {failure['detail']}"


def _bodies(
    originals: Originals,
    transforms: tuple[str, ...],
    mount: Mount | None,
    rules: Rules,
    refused: list[str],
) -> Iterator[dict[str, Any]]:
    """The jobs, as bodies of POST /v1/warm; what is no key at all is `refused`."""
    if originals.log is not None:
        alike: dict[tuple[str, str], list[str]] = {}
        for found in variations(originals.log, rules, mount):
            alike.setdefault((found.mount, found.transform), []).append(found.key)
        for (name, transform), keys in alike.items():
            for some in _parted(keys):
                yield {"keys": some, "transforms": [transform], "mount": name}
        return
    assert mount is not None
    how = {"transforms": list(transforms), "mount": mount.name}
    if originals.source is not None:
        yield {"prefix": originals.prefix, **how}
    else:
        for some in _parted(dict.fromkeys(originals.keys)):
            sound = [key for key in some if _is_key(key, mount)]
            refused.extend(set(some) - set(sound))
            if sound:
                yield {"keys": sound, **how}


def _is_key(key: str, mount: Mount) -> bool:
    with suppress(CalotypeError):
        return bool(mount.ref(checked_locator(key)))
    return False


def _parted(keys: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(keys)
    while some := list(islice(waiting, _KEYS_A_JOB)):
        yield some
