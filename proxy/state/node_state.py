"""The folder in which a node writes things down, opened in order: who shares the disk, what was purged, the databases."""

import fcntl
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple

import structlog

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.ports.telemetry import Metrics
from proxy.state.database import Database
from proxy.state.entry_index import SCHEMA as INDEX_SCHEMA
from proxy.state.entry_index import SqliteEntryIndex
from proxy.state.instances import Instances
from proxy.state.job_store import SCHEMA as JOBS_SCHEMA
from proxy.state.job_store import SqliteJobStore
from proxy.state.purge_journal import PurgeJournalFile

_NAME = re.compile(rb"[0-9a-f]{16}\n?")


class InUse(Exception):
    """Somebody is at work in this directory: a node, or a command that shares it with nobody."""


class NodeState(NamedTuple):
    """What a node writes down; `name` is its own, the same after a restart, `instance` of this start."""

    name: str
    instances: Instances
    journal: PurgeJournalFile
    entry_index: SqliteEntryIndex
    jobs: SqliteJobStore
    databases: tuple[Database, ...]
    lock: IO[str]

    @classmethod
    def open(
        cls,
        folder: Path,
        sources: Iterable[str],
        generations: Generations,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        jobs_directory: Path,
        is_exclusive: bool,
        salt: Callable[[], str],
    ) -> "NodeState":
        """What is written in `folder`, with the purges it tells of applied to `generations`; jobs are in `jobs_at`. Nodes
        may share it, as in a restart; who `is_alone` shares it with nobody. Raises InUse, OSError or sqlite3.Error."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InUse from None
        # Before anything is read: whoever purges from now on knows of us.
        instances = Instances(folder / "instances", salt())
        journal = PurgeJournalFile(folder / "purges")
        if not journal.read(generations):
            log.error("the journal of purges is damaged: everything that is kept here is made anew")
            token = generations.next_token(time.time_ns(), salt())
            for source in sources:
                generations.apply(Purge(PurgeScope(source, ScopeKind.PREFIX, ""), token))
            journal.rewrite(generations)
        index = Database(folder / "index.db", INDEX_SCHEMA, metrics)
        jobs = Database(jobs_directory / "jobs.db", JOBS_SCHEMA, metrics)
        name = _node_name(folder, salt)
        return cls(
            name, instances, journal, SqliteEntryIndex(index), SqliteJobStore(jobs), (index, jobs), lock
        )

    async def close(self) -> None:
        """Writes what is left."""
        await self.entry_index.flush()
        for database in self.databases:
            await database.close()
        self.instances.close()
        self.lock.close()


def _node_name(folder: Path, salt: Callable[[], str]) -> str:
    """The same after a restart, and another where the disk was copied from another node's."""
    named = folder / "node"
    if not named.exists() or not _NAME.fullmatch(named.read_bytes()):
        part = folder / f"node.{salt()}"
        part.write_text(secrets.token_hex(8))
        part.replace(named)
    return f"{named.read_text().strip()}-{named.stat().st_ino}"
