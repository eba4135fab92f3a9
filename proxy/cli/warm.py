"""`calotype warm`: generates variants before clients request them, on a node or here, into the same tiers."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click
import msgspec

from proxy.cli.admin_client import AdminClient
from proxy.cli.examples import example
from proxy.cli.options import (
    config_option,
    json_option,
    mount_option,
    one_line,
    run,
    settings_of,
    token_option,
)
from proxy.cli.progress import ProgressBar, progress_bar
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.admin.access_log import logged_variants
from proxy.core.admin.commands import AdminCommand, CancelJob, JobStatus, Warm
from proxy.core.errors import BadUrl, CalotypeError
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.mounts import Mount, Rules, mount_named
from proxy.core.url.target import checked_locator
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.back import open_back
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics

_KEYS_A_JOB = 5000
_POLL_S = 0.25
_ENDED = ("done", "cancelled")
_NAMES_FORMAT = re.compile(r"(?:^|[,~])f_(?!auto)")


class OriginalSelection(NamedTuple):
    """The source of the keys: a list, the listing of a source, or an access log, whose lines name variants."""

    keys: Iterable[str] = ()
    source: str | None = None
    prefix: str = ""
    log: Iterable[str] | None = None


def keys_of(lines: Iterable[str]) -> list[str]:
    """The keys of a list with one key a line, without empty lines and comments."""
    keys = (line.rstrip("\r\n") for line in lines)
    return [key for key in keys if key.strip() and not key.lstrip().startswith("#")]


class Counts(NamedTuple):
    """The result, in variants."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    failures: tuple[dict[str, Any], ...] = ()
    """At most a thousand of each job."""

    def __str__(self) -> str:
        return f"{self.done} rendered, {self.skipped} already cached, {self.failed} failed"


async def warm(
    settings: Settings,
    originals: OriginalSelection,
    transforms: tuple[str, ...],
    *,
    mount: str | None,
    node: str | None,
    token: str | None = None,
) -> Counts:
    """Generates the variants; prints each failure as a line on standard error. Raises ConfigError, or the error of a
    transform."""
    if originals.log is None and not transforms:
        raise ConfigError("--preset or --transform: give at least one")
    if originals.log is not None and transforms:
        raise ConfigError("--access-log: names the variants itself; remove --preset and --transform")
    presets = settings.parsed_presets()
    for transform in transforms:
        parse_tokens(transform, presets)
    rules = factory.rules(settings)
    if originals.source is not None:
        mounts = [one for one in rules.mounts if one.source == originals.source]
        if not mounts:
            raise ConfigError(f"--source: no mount serves the source {originals.source}")
        chosen: Mount | None = mounts[0]
    elif originals.log is not None and mount is None:
        chosen = None
    else:
        chosen = mount_named(rules, mount or "")
    invalid_keys: list[str] = []
    bodies = _bodies(originals, transforms, chosen, rules, invalid_keys)
    if node is not None:
        return await _follow(bodies, AdminClient(settings, node, token), invalid_keys)
    async with open_back(settings, PrometheusMetrics(), silent_log(), is_exclusive=True) as back:
        await back.caught_up()
        return await _follow(bodies, _LocalJobs(back.dispatch), invalid_keys)


class _LocalJobs:
    """Runs jobs in this process, with the job calls of `AdminClient`."""

    def __init__(self, dispatcher: CommandDispatcher) -> None:
        self._dispatcher = dispatcher

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        job = path.rpartition("/")[2]
        command: AdminCommand = CancelJob(job) if method == "DELETE" else JobStatus(job)
        if body is not None:
            command = msgspec.convert(body, Warm)
        answers: dict[str, Any] = msgspec.to_builtins(await self._dispatcher.execute(command))
        return answers


async def _follow(
    bodies: Iterator[dict[str, Any]], jobs: AdminClient | _LocalJobs, invalid_keys: list[str]
) -> Counts:
    """Starts all jobs and waits for their end; cancels them if interrupted. The next run skips existing variants."""
    counts = Counts()
    answers: dict[str, dict[str, Any]] = {}
    ids: list[str] = []

    async def begin(body: dict[str, Any]) -> None:
        ids.append(str((await jobs.call("POST", "/v1/warm", body))["id"]))

    with progress_bar("warming", None) as bar:
        try:
            for body in bodies:
                await _shielded(begin(body))
            for key in invalid_keys:
                bar.print(f"{key!a}: is not a valid key")
            for job in ids:
                while answers.get(job, {}).get("state") not in _ENDED:
                    await asyncio.sleep(_POLL_S)
                    answers[job] = await jobs.call("GET", f"/v1/warm/{job}")
                    done, skipped, failed, total = (
                        sum(each[name] for each in answers.values())
                        for name in ("done", "skipped", "failed", "total")
                    )
                    counts = Counts(done, skipped, failed)
                    bar.set(done=done + skipped + failed, total=total, failed=failed)
                for failure in answers[job]["failures"]:
                    bar.print(_failure_line(failure))
                if answers[job]["state"] == "cancelled":
                    raise ConfigError(f"--node: job {job} was cancelled on the node: {counts}")
        except asyncio.CancelledError:
            await _cancel(ids, jobs, bar)
            bar.print(f"interrupted: {counts}; the same command continues from here")
            raise
    failures = [failure for each in answers.values() for failure in each["failures"]]
    failures += [{"key": key, "slug": BadUrl.slug, "detail": "is not a valid key"} for key in invalid_keys]
    return counts._replace(failed=counts.failed + len(invalid_keys), failures=tuple(failures))


async def _shielded(call: Coroutine[Any, Any, None]) -> None:
    """Completes `call` even if the command is interrupted, so that an accepted job has an id to cancel it by."""
    calling = Tasks().start(call, "job")
    try:
        await asyncio.shield(calling)
    except asyncio.CancelledError:
        with suppress(ConfigError, CalotypeError):
            await calling
        raise


async def _cancel(ids: list[str], jobs: AdminClient | _LocalJobs, bar: ProgressBar) -> None:
    for job in ids:
        try:
            await jobs.call("DELETE", f"/v1/warm/{job}")
        except (ConfigError, CalotypeError) as failure:
            bar.print(f"job {job} could not be cancelled: {failure}")


def _failure_line(failure: dict[str, Any]) -> str:
    """A line about a failed variant, with its format if the transform does not set it."""
    transform, made = failure["transform"], failure.get("format", "")
    made = "" if _NAMES_FORMAT.search(transform) or not made else f" ({made})"
    return f"{failure['key']} {transform}{made}: {failure['slug']}: {failure['detail']}"


def _bodies(
    originals: OriginalSelection,
    transforms: tuple[str, ...],
    mount: Mount | None,
    rules: Rules,
    invalid_keys: list[str],
) -> Iterator[dict[str, Any]]:
    """The jobs, as bodies of POST /v1/warm. Invalid keys are added to `invalid_keys`."""
    if originals.log is not None:
        by_transform: dict[tuple[str, str], list[str]] = {}
        for found in logged_variants(originals.log, rules, mount):
            by_transform.setdefault((found.mount, found.transform), []).append(found.key)
        for (name, transform), keys in by_transform.items():
            for some in _batches(keys):
                yield {"keys": some, "transforms": [transform], "mount": name}
        return
    assert mount is not None
    common = {"transforms": list(transforms), "mount": mount.name}
    if originals.source is not None:
        yield {"prefix": originals.prefix, **common}
    else:
        for some in _batches(dict.fromkeys(originals.keys)):
            valid = [key for key in some if _is_key(key, mount)]
            invalid_keys.extend(set(some) - set(valid))
            if valid:
                yield {"keys": valid, **common}


def _is_key(key: str, mount: Mount) -> bool:
    with suppress(CalotypeError):
        return bool(mount.ref(checked_locator(key)))
    return False


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while some := list(islice(remaining, _KEYS_A_JOB)):
        yield some


@click.command(
    "warm",
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
@click.option("--source", help="Use all pictures of this source.")
@click.option("--prefix", default="", help="With --source: only keys that begin with this prefix.")
@click.option(
    "--access-log",
    "log",
    type=click.File("r", "utf-8", errors="replace"),
    help="Use the variants that an access log of nginx or of a node names.",
)
@click.option("--preset", "presets", multiple=True, help="Preset to generate; may repeat.")
@click.option("--transform", "transforms", multiple=True, help="Transform, as in w_400,f_auto; may repeat.")
@mount_option
@click.option("--node", help="Admin URL of a running node to run the jobs. Default: this process.")
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
    """Generate variants before clients request them, of the originals KEY or of those that an option selects.

    Cached variants are skipped. Exit 1 if a variant failed.
    """
    given = [bool(keys), from_stdin, file is not None, source is not None, log is not None]
    if sum(given) != 1:
        raise click.UsageError("give one of KEY..., --stdin, --file, --source and --access-log")
    if prefix and source is None:
        raise click.UsageError("--prefix requires --source")
    if token is not None and node is None:
        raise click.UsageError("--token requires --node")
    lines = io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "replace") if from_stdin else file
    selected = keys if lines is None else keys_of(lines)
    originals = OriginalSelection(keys=selected, source=source, prefix=prefix, log=log)
    all_transforms = (*(f"t_{name}" for name in presets), *transforms)
    with one_line():
        settings = settings_of(config)
    counts = run(warm(settings, originals, all_transforms, mount=mount, node=node, token=token))
    if as_json:
        click.echo(json.dumps(counts._asdict()))
    else:
        click.echo(str(counts), err=True)
    sys.exit(1 if counts.failed else 0)
