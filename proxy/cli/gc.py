"""`calotype gc`: lists or removes unneeded variants in the bucket: those whose original is gone, and those that no
client has requested since a given day."""

import asyncio
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, run, settings_of
from proxy.cli.progress import progress_bar
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.core.errors import CalotypeError
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import Tasks
from proxy.node.stores import Stores, open_stores
from proxy.remote.errors import RemoteError
from proxy.state.usage import used_since
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.tiers.bucket import Stored

_AT_ONCE = 16


class GcEntry(NamedTuple):
    """An unneeded entry and the reason."""

    name: str
    reason: str
    is_removed: bool


class GcReport(NamedTuple):
    """The number of examined entries, of those that could not be examined, and the unneeded entries."""

    examined: int
    unknown: int
    found: list[GcEntry]


async def collect(settings: Settings, *, gone: bool, unused_since: date | None, delete: bool) -> GcReport:
    """Examines every entry of the bucket; removes unneeded ones only with `delete`. Raises ConfigError."""
    if settings.cache.bucket.kind == "none":
        raise ConfigError("cache.bucket.kind: is none; gc needs a bucket")
    with TemporaryDirectory(prefix="calotype-") as scratch:
        async with open_stores(settings, Path(scratch), PrometheusMetrics(), Generations()) as stores:
            try:
                return await _Collector(stores, gone=gone, delete=delete).run(unused_since)
            except RemoteError as fault:
                raise ConfigError(f"cache.bucket: cannot be listed ({fault.kind})") from None


class _Collector:
    def __init__(self, stores: Stores, *, gone: bool, delete: bool) -> None:
        assert stores.bucket is not None
        self._sources = stores.sources
        self._bucket = stores.bucket
        self._gone = gone
        self._delete = delete
        self._originals: dict[OriginalRef, asyncio.Future[bool]] = {}
        self._tasks = Tasks()
        self._used: set[bytes] = set()
        self._since: date | None = None
        self._examined = self._unknown = 0
        self._found: list[GcEntry] = []

    async def run(self, since: date | None) -> GcReport:
        if since is not None:
            self._used, first = await used_since(self._bucket, since)
            if first is None or first > since:
                raise ConfigError(
                    f"--unused-since: usage is recorded since {first}; choose that day or a later one"
                    if first
                    else "--unused-since: no node has recorded usage yet; try again in some days"
                )
            self._since = since
        failure: RemoteError | None = None
        with progress_bar("examining", None) as bar:
            async with asyncio.TaskGroup() as group:
                limit = asyncio.Semaphore(_AT_ONCE)

                async def examine(stored: Stored) -> None:
                    try:
                        await self._examine(stored)
                    finally:
                        limit.release()

                try:
                    async for stored in self._bucket.stored():
                        await limit.acquire()
                        group.create_task(examine(stored))
                        bar.set(done=self._examined, total=self._examined + 1, failed=self._unknown)
                except RemoteError as fault:
                    failure = fault
        if failure is not None:
            raise failure
        return GcReport(self._examined, self._unknown, sorted(self._found))

    async def _examine(self, stored: Stored) -> None:
        self._examined += 1
        reason = self._unused_reason(stored)
        if not reason and self._gone:
            try:
                reason = await self._gone_reason(stored)
            except (RemoteError, CalotypeError):
                self._unknown += 1
                return
        if reason:
            removed = self._delete and bool(await self._bucket.remove(stored.key))
            name = self._bucket.object_name(stored.key)
            self._found.append(GcEntry(name, reason, removed))

    def _unused_reason(self, stored: Stored) -> str:
        """Facts are not removed as unused: they are small, save a fetch, and their use is not recorded."""
        if self._since is None or stored.key.format is None or bytes.fromhex(stored.key.digest) in self._used:
            return ""
        day = datetime.fromtimestamp(stored.stored_s, UTC).date()
        return f"not requested since {self._since}" if day < self._since else ""

    async def _gone_reason(self, stored: Stored) -> str:
        ref = await self._bucket.original_of(stored.key)
        if ref is None:
            return ""
        if ref.source not in self._sources:
            return ""  # It may belong to another configuration with the same bucket.
        if ref not in self._originals:
            self._originals[ref] = self._tasks.start(
                self._sources[ref.source].exists(ref.key), f"look for {ref}"
            )
        return "" if await asyncio.shield(self._originals[ref]) else "its original is gone"


@click.command(
    "gc",
    epilog=example("calotype gc --gone --unused-since 2026-06-01 --config shop.toml"),
)
@click.option("--gone", is_flag=True, help="Variants whose original does not exist any more.")
@click.option(
    "--unused-since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Variants that no client has requested from any node since this day.",
)
@click.option("--delete", is_flag=True, help="Remove the variants instead of listing them.")
@json_option
@config_option
def command(
    gone: bool, unused_since: datetime | None, delete: bool, as_json: bool, config: Path | None
) -> None:
    """List or remove variants in the bucket whose original is gone or that no client requests."""
    if not gone and unused_since is None:
        raise click.UsageError("give --gone, --unused-since or both")

    async def collected_report() -> GcReport:
        since = None if unused_since is None else unused_since.date()
        return await collect(settings_of(config), gone=gone, unused_since=since, delete=delete)

    collected = run(collected_report())
    removed = sum(found.is_removed for found in collected.found)
    if as_json:
        click.echo(
            json.dumps({**collected._asdict(), "found": [found._asdict() for found in collected.found]})
        )
    for found in () if as_json else collected.found:
        click.echo(f"{'removed' if found.is_removed else 'unneeded'}  {found.name}: {found.reason}")
    summary = f"{removed} removed" if delete else "add --delete to remove them"
    click.echo(
        f"{len(collected.found)} of {collected.examined} entries are unneeded; {summary}"
        + (f"; {collected.unknown} could not be examined" if collected.unknown else ""),
        err=True,
    )
    sys.exit(1 if collected.unknown or (delete and removed < len(collected.found)) else 0)
