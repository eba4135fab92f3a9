"""`calotype warm`: variants before they are asked for, by a node that runs or here, into the same tiers."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

import click
import msgspec

from proxy.cli.admin_client import AdminClient
from proxy.cli.options import config_option, example, json_option, one_line, run, settings_of, token_option
from proxy.cli.progress import ProgressBar, progress_bar
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.admin.access_log import logged_variants
from proxy.core.admin.commands import AdminCommand, CancelJob, JobStatus, Warm
from proxy.core.errors import BadUrl, CalotypeError
from proxy.core.url.dialects.native import parse_tokens
from proxy.core.url.mounts import Mount, Rules, mount_named
from proxy.core.url.target import checked_locator
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.engine import Engine
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics

_KEYS_A_JOB = 5000
_POLL_S = 0.25
_ENDED = ("done", "cancelled")
_NAMES_FORMAT = re.compile(r"(?:^|[,~])f_(?!auto)")


class OriginalSelection(NamedTuple):
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
    originals: OriginalSelection,
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
    for transform in transforms:
        parse_tokens(transform, presets)
    rules = factory.rules(settings)
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
        async with AdminClient(settings, node, token) as admin:
            return await _follow(bodies, admin, refused)
    engine = Engine(settings, PrometheusMetrics(), silent_log(), disk=settings.disk_path(), is_exclusive=True)
    async with engine:
        await engine.caught_up()
        engine.pregeneration.start(engine.caught_up)
        return await _follow(bodies, _LocalJobs(engine), refused)


class JobApi(Protocol):
    """Who does jobs."""

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The admin's call of that name."""
        ...


class _LocalJobs:
    """Satisfies Jobs with an engine of our own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        job = path.rpartition("/")[2]
        command: AdminCommand = CancelJob(job) if method == "DELETE" else JobStatus(job)
        if body is not None:
            command = msgspec.convert(body, Warm)
        answers: dict[str, Any] = msgspec.to_builtins(await self._engine.dispatch.execute(command))
        return answers


async def _follow(bodies: Iterator[dict[str, Any]], jobs: JobApi, refused: list[str]) -> Counts:
    """All jobs, from their start to their end. Broken off, they are cancelled; what was made is found the next time."""
    counts = Counts()
    answers: dict[str, dict[str, Any]] = {}
    ids: list[str] = []

    async def begin(body: dict[str, Any]) -> None:
        ids.append(str((await jobs.call("POST", "/v1/warm", body))["id"]))

    with progress_bar("warming", None) as shown:
        try:
            for body in bodies:
                await _whole(begin(body))
            for key in refused:
                shown.say(f"{key!a}: is no key of an original")
            for job in ids:
                while answers.get(job, {}).get("state") not in _ENDED:
                    await asyncio.sleep(_POLL_S)
                    answers[job] = await jobs.call("GET", f"/v1/warm/{job}")
                    done, skipped, failed, total = (
                        sum(each[name] for each in answers.values())
                        for name in ("done", "skipped", "failed", "total")
                    )
                    counts = Counts(done, skipped, failed)
                    shown.set(done=done + skipped + failed, total=total, failed=failed)
                for failure in answers[job]["failures"]:
                    shown.say(_said(failure))
                if answers[job]["state"] == "cancelled":
                    raise ConfigError(f"--node: job {job} was cancelled there: {counts}")
        except asyncio.CancelledError:
            await _cancel(ids, jobs, shown)
            shown.say(f"broken off: {counts}; the same command goes on where this one was")
            raise
    failures = [failure for each in answers.values() for failure in each["failures"]]
    failures += [{"key": key, "slug": BadUrl.slug, "detail": "is no key of an original"} for key in refused]
    return counts._replace(failed=counts.failed + len(refused), failures=tuple(failures))


async def _whole(call: Coroutine[Any, Any, None]) -> None:
    """To its end, also where the command is broken off: a job that was taken on has an id to cancel it by."""
    calling = Tasks().start(call, "job")
    try:
        await asyncio.shield(calling)
    except asyncio.CancelledError:
        with suppress(ConfigError, CalotypeError):
            await calling
        raise


async def _cancel(ids: list[str], jobs: JobApi, shown: ProgressBar) -> None:
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
    originals: OriginalSelection,
    transforms: tuple[str, ...],
    mount: Mount | None,
    rules: Rules,
    refused: list[str],
) -> Iterator[dict[str, Any]]:
    """The jobs, as bodies of POST /v1/warm; what is no key at all is `refused`."""
    if originals.log is not None:
        alike: dict[tuple[str, str], list[str]] = {}
        for found in logged_variants(originals.log, rules, mount):
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


@click.command(
    "warm",
    short_help="Make variants before they are asked for.",
    epilog=example(
        "calotype warm --source shop --preset card --config shop.toml --node http://127.0.0.1:8081"
    ),
)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read keys from standard input, one a line.")
@click.option(
    "--file",
    "file",
    type=click.File("r", "utf-8-sig", errors="replace"),
    help="Read keys from this file, one a line; lines that begin with # are comments.",
)
@click.option("--source", help="All pictures of this source.")
@click.option("--prefix", default="", help="With --source: those whose keys begin so.")
@click.option(
    "--access-log",
    "log",
    type=click.File("r", "utf-8", errors="replace"),
    help="What a log of nginx's or of a node's says was asked for.",
)
@click.option("--preset", "presets", multiple=True, help="Make this preset; may repeat.")
@click.option("--transform", "transforms", multiple=True, help="Make this, as in w_400,f_auto; may repeat.")
@click.option("--mount", help="Name of the mount, where there are several.")
@click.option("--node", help="Admin URL of a running node, which does it; else it is done here.")
@token_option
@json_option
@config_option
def command(
    keys: tuple[str, ...],
    from_stdin: bool,
    file: TextIO | None,
    source: str | None,
    prefix: str,
    log: TextIO | None,
    presets: tuple[str, ...],
    transforms: tuple[str, ...],
    mount: str | None,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Make variants before they are asked for, of the originals KEY or of those that an option names.

    What is there already is skipped. Exit 1 if anything failed.
    """
    given = [bool(keys), from_stdin, file is not None, source is not None, log is not None]
    if sum(given) != 1:
        raise click.UsageError("give one of KEY..., --stdin, --file, --source and --access-log")
    if prefix and source is None:
        raise click.UsageError("--prefix goes with --source")
    if token is not None and node is None:
        raise click.UsageError("--token goes with --node")
    lines = io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "replace") if from_stdin else file
    named = keys if lines is None else keys_of(lines)
    originals = OriginalSelection(keys=named, source=source, prefix=prefix, log=log)
    wanted = (*(f"t_{name}" for name in presets), *transforms)
    with one_line():
        settings = settings_of(config)
    counts = run(warm(settings, originals, wanted, mount=mount, node=node, token=token))
    if as_json:
        click.echo(json.dumps(counts._asdict()))
    else:
        click.echo(str(counts), err=True)
    sys.exit(1 if counts.failed else 0)
