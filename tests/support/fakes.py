"""Hand-written fakes of the ports, for tests of the use cases. Each keeps its contract and counts its calls."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy.core.cache.delivery import Timings, Variant
from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey, Entry, LastEvent, original_key
from proxy.core.errors import CalotypeError, Conflict, OriginalNotFound
from proxy.core.image.faces import Face, Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef, forms
from proxy.core.transform.plan import Plan
from proxy.core.transform.plan_text import canonical
from proxy.ports.operations import NotAcknowledged
from proxy.ports.originals import Fetched, Original, Version
from proxy.ports.rendering import Schedule
from proxy.ports.tiers import Presence
from proxy.remote.errors import RemoteError
from proxy.tiers.bucket import StoredObject


class FakeMetrics:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def rendered(self, ref: OriginalRef, format: str, timings: Timings) -> None:
        self.counts[f"rendered {format}"] += 1

    def fetched(self, source: str, outcome: str) -> None:
        self.counts[f"fetched {source} {outcome}"] += 1

    def tier_failed(self, tier: str, kind: str) -> None:
        self.counts[f"{tier} {kind}"] += 1


class FakeClock:
    """The loop's clock, moved ahead at will."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_s


class FakeInstantTier:
    name = "memory"

    def __init__(self, max_entry_bytes: int = 10**9) -> None:
        self.entries: dict[CacheKey, Variant] = {}
        self.max_entry_bytes = max_entry_bytes

    def lookup(self, key: CacheKey) -> Variant | None:
        return self.entries.get(key)

    def store(self, key: CacheKey, variant: Variant) -> bool:
        if len(variant.body) > self.max_entry_bytes:
            return False
        self.entries[key] = variant
        return True

    def remove(self, key: CacheKey) -> bool:
        return self.entries.pop(key, None) is not None

    def usage(self) -> tuple[int, int]:
        return sum(len(variant.body) for variant in self.entries.values()), len(self.entries)


class FakeTier:
    """`release`, while not set, holds every store; `lookups` counts."""

    def __init__(self, name: str = "disk", writers: int = 1) -> None:
        self.name = name
        self.writers = writers
        self.entries: dict[CacheKey, Variant] = {}
        self.lookups = 0
        self.closed = False
        self.release = asyncio.Event()
        self.release.set()

    async def lookup(self, key: CacheKey) -> Variant | None:
        self.lookups += 1
        await asyncio.sleep(0)
        return self.entries.get(key)

    async def store(self, key: CacheKey, variant: Variant) -> bool:
        await self.release.wait()
        self.entries[key] = variant
        return True

    async def contains(self, key: CacheKey) -> bool:
        return key in self.entries

    async def remove(self, key: CacheKey) -> bool:
        return self.entries.pop(key, None) is not None

    def usage(self) -> tuple[int, int]:
        return 0, len(self.entries)

    async def close(self) -> None:
        self.closed = True


class FakeLeases:
    """Leases: `others` has the leases of other nodes, each with the result of `acquire` once it ends."""

    def __init__(self) -> None:
        self.others: dict[str, asyncio.Future[bool]] = {}
        self.held: set[str] = set()
        self.done: list[str] = []
        self.released: list[str] = []

    async def acquire(self, key: str, *, deadline: float) -> bool:
        ours = key not in self.others or await self.others[key]
        if ours:
            self.held.add(key)
        return ours

    def complete(self, key: str) -> None:
        self.done.append(key)

    async def release(self, key: str) -> None:
        self.held.discard(key)
        self.released.append(key)


class FakeOriginalStore:
    """An OriginalStore of the ports over FakeOriginalFiles."""

    def __init__(self) -> None:
        self.stored: dict[Identity, bytes] = {}
        self.opened: list[FakeOriginalFile] = []

    name = "originals"

    async def remove(self, name: str) -> bool:
        found = [identity for identity in self.stored if original_key(identity) == name]
        for identity in found:
            del self.stored[identity]
        return bool(found)

    async def lookup(self, identity: Identity) -> "FakeOriginalFile | None":
        if identity not in self.stored:
            return None
        self.opened.append(FakeOriginalFile(self.stored[identity]))
        return self.opened[-1]


class FakeRedirects:
    def __init__(self) -> None:
        self.known: dict[CacheKey, str] = {}

    async def location(self, key: CacheKey, *, until_s: float) -> str:
        return self.known.get(key, "")


class FakeOriginalFile:
    def __init__(self, content: bytes) -> None:
        self.size_bytes = len(content)
        self.content = content
        self.closed = False
        self.changed = False
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._file.write(content)
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def unchanged(self) -> bool:
        return not self.changed

    def close(self) -> None:
        self.closed = True
        self._file.close()


class FakeSource:
    """Originals in a dict; `release`, while not set, holds every fetch; `failure` is raised instead."""

    freshness_lifetime_s = 1.0
    negative_ttl_s = 60.0
    serves_stale = False

    def __init__(self, name: str = "photos") -> None:
        self.name = name
        self.originals: dict[str, bytes] = {}
        self.versions: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.identified = self.tag_requests = 0
        self.fetched: list[FakeOriginalFile] = []
        self.failure: CalotypeError | None = None
        self.release = asyncio.Event()
        self.release.set()

    def put(self, key: str, content: bytes, version: str = "1") -> OriginalRef:
        self.originals[key], self.versions[key] = content, version
        return OriginalRef(self.name, key)

    async def identify(self, key: str, known: str | None = None) -> Version:
        self.identified += 1
        self.last_known = known
        await asyncio.sleep(0)
        if self.serves_stale and self.failure is not None:
            raise self.failure
        return self._version(key)

    async def fetch(self, key: str) -> Fetched:
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        version = self._version(key)
        self.fetched.append(FakeOriginalFile(self.originals[version.key]))
        return Fetched(version, self.fetched[-1], self.tags.get(key, ""))

    async def tag(self, key: str) -> str:
        self.tag_requests += 1
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        self._version(key)
        return self.tags.get(key, "")

    def _version(self, key: str) -> Version:
        found = next(filter(self.originals.__contains__, forms(key)), None)
        if found is None:
            raise OriginalNotFound("there is no original under this key")
        return Version(found, self.versions[found])


class FakeRenderer:
    """Renders a text of originals and plan; `failures` are raised in turn; `release`, while not set, holds started
    renders. Also a FaceDetector."""

    version = "fake 1"

    def __init__(self) -> None:
        self.renders = 0
        self.probes = 0
        self.searches = 0
        self.faces = Faces((Face(1000, 2000, 300, 400),))
        self.rendered_faces: list[Faces | None] = []
        self.failures: list[BaseException] = []
        self.release = asyncio.Event()
        self.release.set()
        self.slots = asyncio.Semaphore(1000)
        self.facts = Facts(format=Format.JPEG, width_px=40, height_px=30, pages=1, alpha=False)
        self.during: Callable[[Any], None] = lambda file: None

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        self.probes += 1
        await self._read(original)
        return self.facts

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        self.searches += 1
        await self._read(original)
        return self.faces

    async def _read(self, original: Original) -> None:
        await asyncio.sleep(0)
        self.during(original.file)
        if self.failures:
            raise self.failures.pop(0)

    async def render(self, originals: Sequence[Original], plan: Plan, schedule: Schedule) -> Variant:
        async with self.slots:
            schedule.on_start()
            self.renders += 1
            self.rendered_faces.append(plan.faces)
            await self.release.wait()
            files = [original.file for original in originals]
            for file in files:
                self.during(file)
            if self.failures:
                raise self.failures.pop(0)
            assert not any(getattr(file, "closed", False) for file in files)
            content = b"".join(getattr(file, "content", b"") for file in files)
            return Variant(body=content + canonical(plan).encode())


def temporary_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class FakePresenceFlags:
    """Presence flags in a dict, and the keys of the leases that were ended."""

    def __init__(self) -> None:
        self.flags: dict[str, Presence] = {}
        self.ended: list[str] = []

    async def presence(self, key: str) -> Presence:
        return self.flags.get(key, Presence.UNKNOWN)

    async def mark_absent(self, key: str) -> None:
        self.flags.setdefault(key, Presence.ABSENT)

    async def mark_present(self, key: str) -> None:
        self.flags[key] = Presence.PRESENT

    async def unmark(self, key: str) -> None:
        self.flags.pop(key, None)

    async def release(self, key: str) -> None:
        self.ended.append(key)


class FakeObjectStore:
    """Objects in a dict; `release`, while not set, holds every call; `fault` is raised, `faults_left` times if set."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.puts = self.metadata_calls = 0
        self.fault: RemoteError | None = None
        self.faults_left: int | None = None
        self.release = asyncio.Event()
        self.release.set()

    async def get(self, name: str) -> StoredObject | None:
        await self._pass()
        return self.objects.get(name)

    async def put(self, name: str, stored: StoredObject) -> None:
        self.puts += 1
        await self._pass()
        self.objects[name] = stored

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        self.metadata_calls += 1
        await self._pass()
        return self.objects[name].metadata if name in self.objects else None

    async def delete(self, name: str) -> bool:
        await self._pass()
        return self.objects.pop(name, None) is not None

    async def signed(self, name: str, seconds: int) -> str:
        return f"signed:{name}:{seconds}"

    def swap(self, name: str, body: bytes | None) -> None:
        if body is None:
            del self.objects[name]
        else:
            self.objects[name] = replace(self.objects[name], body=body)

    async def _pass(self) -> None:
        await self.release.wait()
        if self.fault is not None and self.faults_left != 0:
            if self.faults_left is not None:
                self.faults_left -= 1
            raise self.fault


class FakeWritableSource(FakeSource):
    """A FakeSource that can be listed and put into."""

    async def store(
        self, key: str, content: FakeOriginalFile, *, kind: Format, overwrite: bool = False
    ) -> None:
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        body = os.pread(content.fileno(), content.size_bytes, 0)
        if overwrite:
            self.originals[key] = body
        elif self.originals.setdefault(key, body) != body:
            raise Conflict("other bytes")
        self.versions.setdefault(key, "1")

    async def exists(self, key: str) -> bool:
        return key in self.originals

    async def delete(self, key: str) -> None:
        self.originals.pop(key, None)

    async def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        if self.failure is not None:
            raise self.failure
        found = sorted(key for key in self.originals if key.startswith(prefix))
        for at in range(0, len(found), 2):
            yield found[at : at + 2]


class FakeEntryIndex:
    """Notes in lists."""

    def __init__(self) -> None:
        self.notes: list[tuple[OriginalRef, Entry, str]] = []
        self.events: dict[OriginalRef, LastEvent] = {}

    def note(self, refs: Sequence[OriginalRef], entry: Entry, plan: str = "") -> None:
        if entry.key not in [noted.key for _, noted, _ in self.notes]:
            self.notes += [(ref, entry, plan) for ref in refs]

    async def find(self, purges: Sequence[Purge]) -> list[Entry]:
        return [
            entry
            for ref, entry, plan in self.notes
            if any(_covers(each.scope, ref, plan) and entry.generation < each.token for each in purges)
        ]

    async def drop(self, entries: Sequence[Entry]) -> None:
        self.notes = [note for note in self.notes if note[1] not in entries]

    async def last_event(self, ref: OriginalRef) -> LastEvent | None:
        known = any(noted == ref for noted, _, _ in self.notes)
        return self.events.get(ref, LastEvent("", "") if known else None)

    async def record_event(self, ref: OriginalRef, event: LastEvent) -> None:
        self.events[ref] = event


def _covers(scope: PurgeScope, ref: OriginalRef, plan: str) -> bool:
    if scope.source != ref.source:
        return False
    match scope.kind:
        case ScopeKind.ORIGINAL:
            return ref.key == scope.text
        case ScopeKind.PREFIX:
            return ref.key.startswith(scope.text)
        case ScopeKind.PLAN:
            return plan == scope.text
        case ScopeKind.VARIANT:
            return f"{ref.key}\n{plan}" == scope.text


class FakePurgeJournal:
    def __init__(self) -> None:
        self.purges: list[Purge] = []
        self.fault: OSError | None = None

    def append(self, purges: Iterable[Purge]) -> None:
        if self.fault is not None:
            raise self.fault
        self.purges += purges


class FakeSharedPurgeLog:
    def __init__(self) -> None:
        self.published: list[Purge] = []
        self.unconfirmed: list[str] = []

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        self.published += purges
        return self.unconfirmed


class FakePurgeSubscriber:
    """Records the scopes and keys that it has dropped; None stands for everything. It acknowledges while `answers` is
    set, and raises NotAcknowledged if it `fails`."""

    def __init__(self, *, fails: bool = False) -> None:
        self.scopes: list[list[PurgeScope] | None] = []
        self.keys: list[CacheKey] = []
        self.fails = fails
        self.answers = asyncio.Event()
        self.answers.set()

    async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
        await self.answers.wait()
        if self.fails:
            raise NotAcknowledged
        if scopes or scopes is None:
            self.scopes.append(scopes if scopes is None else list(scopes))
        self.keys += keys
        return len(keys)
