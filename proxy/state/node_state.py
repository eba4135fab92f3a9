"""Opens the state directory of a node in order: lock, instances, purge journal, databases."""

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
    """Another process holds the directory: a running node, or a command that needs it exclusively."""


class NodeState(NamedTuple):
    """The persistent state of a node. `name` identifies the node and survives a restart."""

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
        """Opens the state in `folder` and applies the journal's purges to `generations`. Jobs are in
        `jobs_directory`. Nodes may share `folder`, as during a restart, unless `is_exclusive`. Raises InUse, OSError
        or sqlite3.Error."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InUse from None
        # Registered before the journal is read, so that later purges of other instances count this one.
        instances = Instances(folder / "instances", salt())
        journal = PurgeJournalFile(folder / "purges")
        if not journal.read(generations):
            log.error("the purge journal is damaged: all cached variants and originals are purged")
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
        """Writes pending rows and closes everything."""
        await self.entry_index.flush()
        for database in self.databases:
            await database.close()
        self.instances.close()
        self.lock.close()


def _node_name(folder: Path, salt: Callable[[], str]) -> str:
    """A name that survives a restart. It contains the inode number, so that a copied directory has another name."""
    path = folder / "node"
    if not path.exists() or not _NAME.fullmatch(path.read_bytes()):
        temporary = folder / f"node.{salt()}"
        temporary.write_text(secrets.token_hex(8))
        temporary.replace(path)
    return f"{path.read_text().strip()}-{path.stat().st_ino}"
