"""Uploads: a picture that was looked at, into a source, under a key that was never used and never will be again."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from proxy.core.admin.commands import Upload, safe_name
from proxy.core.admin.jobs import PregenerationSpec
from proxy.core.cache.generations import PurgeScope
from proxy.core.errors import CalotypeError, Conflict, PurgeIncomplete
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.image.size import Size
from proxy.core.transform.operations import WHITE, Transform
from proxy.core.transform.plan import Encode, Plan, ScaleInside
from proxy.core.url.dialects.native import path_url
from proxy.core.url.mounts import Mount, Rules, client_url, mount_named
from proxy.core.url.target import checked_key
from proxy.ports.clock import Clock
from proxy.ports.originals import WritableSource
from proxy.ports.rendering import Priority, Renderer
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purges import Purges
from proxy.service.request.facts import OriginalFacts
from proxy.service.request.originals import Originals

PATIENCE_S = 60.0
_NAMESPACE = uuid.UUID("6f1c2c1e-6d0a-4a39-9f0e-0d3a4f4c5b11")
_LOOK = Plan(
    scale=ScaleInside(box=Size(32, 32), enlarge=False),
    steps=(),
    output=Encode(format=Format.JPEG, quality=50, effort=0, flatten=WHITE),
)
"""To draw a picture small is to read all of it: what is damaged is found before it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """An original that is stored; `urls` are those of its eager presets, which job `warm` makes, if there are any."""

    key: str
    width: int
    height: int
    format: str
    bytes: int
    urls: dict[str, str]
    warm: str = ""


class UploadedOriginal:
    """Satisfies Original: what was uploaded, before it has a place. `descriptor` is closed by whoever opened it."""

    tag = ""

    def __init__(self, descriptor: int, ref: OriginalRef, size_bytes: int) -> None:
        self._descriptor = descriptor
        self.identity = Identity(ref, "uploaded")
        self.size_bytes = size_bytes

    def fileno(self) -> int:
        return self._descriptor

    def unchanged(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing of its own is open."""


class Uploads:
    """The use case. `renderer` is asked in vain for nothing that is remembered: an upload has no place yet."""

    def __init__(
        self,
        sources: Mapping[str, WritableSource],
        originals: Originals,
        original_facts: OriginalFacts,
        renderer: Renderer,
        pregeneration: Pregeneration,
        purges: Purges,
        rules: Callable[[], Rules],
        eager: tuple[str, ...],
        clock: Clock,
    ) -> None:
        self._shelves = sources
        self._originals = originals
        self._facts = original_facts
        self._renderer = renderer
        self._pregeneration = pregeneration
        self._purges = purges
        self._rules = rules
        self._eager = eager
        self._clock = clock
        self._under_way: dict[str, tuple[asyncio.Lock, int]] = {}

    async def upload(self, command: Upload, descriptor: int, size_bytes: int) -> UploadResult:
        """Raises UnsupportedFormat, Undecodable, OriginalTooLarge, Conflict, or what a source raises."""
        mount = mount_named(self._rules(), command.mount)
        key = checked_key(command.key) if command.key else ""
        folder = uuid.uuid5(_NAMESPACE, f"{mount.name}\n{command.once}") if command.once else uuid.uuid4()
        deadline = self._clock() + PATIENCE_S
        facts = await self._look(
            UploadedOriginal(descriptor, OriginalRef(mount.source, f"{uuid.uuid4()}"), size_bytes), deadline
        )
        source = self._shelves[mount.source]
        async with self._seat(key or str(folder)):
            if not key:
                # Once more is what it was the first time, whatever it is called now.
                before = (
                    [key async for keys in source.keys(f"{folder}/") for key in keys] if command.once else []
                )
                key = before[0] if before else f"{folder}/{safe_name(command.name, facts.format)}"
            content = UploadedOriginal(descriptor, OriginalRef(mount.source, key), size_bytes)
            try:
                await self._keep(command, source, content, facts)
                return await self._stored(command, mount, content, facts, deadline)
            except BaseException:
                if not (command.once or command.key):
                    # Nobody will ever hear of its key. With a name of its own a second try is on its way.
                    await asyncio.shield(self._take_back(source, key))
                raise

    async def _keep(
        self, command: Upload, source: WritableSource, content: UploadedOriginal, facts: Facts
    ) -> None:
        ref = content.identity.ref
        generation = self._purges.generation(ref)
        if not command.overwrite:
            if command.key and not command.once and await source.exists(ref.key):
                raise Conflict("there is an original under this key already; overwrite=true replaces it")
            try:
                await source.store(ref.key, content, kind=facts.format, generation=generation)
            except Conflict:
                if command.once:
                    raise Conflict("other bytes were uploaded under this Idempotency-Key") from None
                raise
            return
        scopes = [PurgeScope.of_original(ref)]
        await self._purges.intend(scopes)
        try:
            await source.store(ref.key, content, kind=facts.format, generation=generation, overwrite=True)
        finally:
            # Whatever came of it, and whoever still waits for it: what was there may be there no more.
            purged = await asyncio.shield(self._purges.purge(scopes))
        if purged.open:
            raise PurgeIncomplete(
                "the original was replaced, but what is old may still be served; purge it again",
                retry_after_s=1,
                open=tuple(purged.open),
            )

    async def _take_back(self, source: WritableSource, key: str) -> None:
        with suppress(CalotypeError):
            await source.delete(key)

    @asynccontextmanager
    async def _seat(self, folder: str) -> AsyncIterator[None]:
        """One after the other, of those that mean the same upload."""
        lock, users = self._under_way.get(folder, (asyncio.Lock(), 0))
        self._under_way[folder] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._under_way[folder]
            self._under_way[folder] = lock, users - 1
            if users == 1:
                del self._under_way[folder]

    async def _stored(
        self, command: Upload, mount: Mount, content: UploadedOriginal, facts: Facts, deadline: float
    ) -> UploadResult:
        ref = content.identity.ref
        if command.key:
            await self._purges.original_changed([ref])
        else:
            self._originals.drop_negative(ref)
        self._facts.store(await self._originals.identify(ref, deadline=deadline), facts)
        with suppress(CalotypeError):
            # What the store has now, and made of it here, is the same.
            await self._originals.publish_tag(
                ref, (await self._originals.revalidate(ref, deadline=deadline)).tag
            )
        version = self._purges.generation(ref) if command.overwrite else None
        transforms = tuple(f"t_{name}" for name in self._eager)
        job = ""
        if transforms:
            job = await self._pregeneration.add(
                PregenerationSpec(mount=mount.name, transforms=transforms, keys=(ref.key,))
            )
        return UploadResult(
            key=ref.key,
            width=facts.width_px,
            height=facts.height_px,
            format=facts.format,
            bytes=content.size_bytes,
            urls={
                name: client_url(mount, path_url(ref.key, Transform(version=version), name))
                for name in self._eager
            },
            warm=job,
        )

    async def _look(self, content: UploadedOriginal, deadline: float) -> Facts:
        facts = await self._renderer.probe(content, deadline=deadline)
        await self._renderer.render(
            content, _LOOK, deadline=deadline, on_start=lambda: None, priority=Priority.BACKGROUND
        )
        return facts
