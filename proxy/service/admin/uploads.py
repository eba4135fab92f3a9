"""Uploads: stores a validated picture in a source, under a new unique key or the key of the request."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from proxy.core.admin.commands import Upload, safe_name
from proxy.core.admin.jobs import PregenerationSpec
from proxy.core.cache.generations import PurgeScope
from proxy.core.errors import CalotypeError, Conflict, PurgeIncomplete
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import WHITE, Resize
from proxy.core.transform.plan import Encode, Plan
from proxy.core.url.dialects.component import Component
from proxy.core.url.dialects.native.urls import path_url
from proxy.core.url.mounts import Mount, Rules, client_url, mount_named
from proxy.core.url.target import checked_key
from proxy.local.files import OpenFile, read_only
from proxy.ports.clock import Clock
from proxy.ports.originals import Original, WritableSource
from proxy.ports.rendering import Priority, Renderer, Schedule
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purges import Purges
from proxy.service.request.original_content import OriginalFact
from proxy.service.request.originals import Originals

UPLOAD_TIMEOUT_S = 60.0
_NAMESPACE = uuid.UUID("6f1c2c1e-6d0a-4a39-9f0e-0d3a4f4c5b11")
_CHECK_PLAN = Plan(
    ops=(Resize(width=32, height=32),),
    limit_px=32,
    output=Encode(format=Format.JPEG, quality=50, effort=0, flatten=WHITE),
)
"""A small rendering decodes the whole picture, so that damage is detected before the picture is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """A stored original, sizes in pixels and bytes. `urls` are the URLs of the eager presets, by preset, where the mount has native URLs; `warm` is the job
    that renders them, empty if there are none."""

    key: str
    width: int
    height: int
    format: str
    bytes: int
    urls: dict[str, str]
    warm: str = ""


@dataclass(slots=True, eq=False)
class Uploads:
    """Validates and stores uploads. Each upload has a new name during validation, so that `renderer` has no rejection
    for it."""

    sources: Mapping[str, WritableSource]
    originals: Originals
    original_facts: OriginalFact[Facts]
    renderer: Renderer
    pregeneration: Pregeneration
    purges: Purges
    rules: Callable[[], Rules]
    eager: tuple[str, ...]
    clock: Clock
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)
    """One lock for uploads with the same key or Idempotency-Key, while one of them holds it."""

    async def upload(self, command: Upload, descriptor: int, size_bytes: int) -> UploadResult:
        """Validates and stores the `size_bytes` of `descriptor`. Raises UnsupportedFormat, Undecodable, OriginalTooLarge,
        Conflict, PurgeIncomplete, and the errors of the source."""
        # Workers must not write to the file that is stored afterwards.
        with read_only(descriptor) as file:
            return await self._upload(command, OpenFile(file, size_bytes))

    async def _upload(self, command: Upload, file: OpenFile) -> UploadResult:
        mount = mount_named(self.rules(), command.mount)
        key = checked_key(command.key) if command.key else ""
        folder = uuid.uuid5(_NAMESPACE, f"{mount.name}\n{command.once}") if command.once else uuid.uuid4()
        deadline = self.clock() + UPLOAD_TIMEOUT_S
        facts = await self._check(Original(uuid.uuid4().hex, file), deadline)
        source = self.sources[mount.source]
        async with self._locks.setdefault(key or str(folder), asyncio.Lock()):
            if not key:
                # A repeated request has the key of the first one, even if its file name differs.
                existing = (
                    [key async for keys in source.keys(f"{folder}/") for key in keys] if command.once else []
                )
                key = existing[0] if existing else f"{folder}/{safe_name(command.name, facts.format)}"
            ref = OriginalRef(mount.source, key)
            try:
                await self._store(command, source, ref, file, facts.format)
                return await self._finish(command, mount, ref, file.size_bytes, facts, deadline)
            except BaseException:
                if not (command.once or command.key):
                    # The client never learns this key. An upload with its own key or Idempotency-Key can be repeated.
                    await asyncio.shield(self._delete(source, key))
                raise

    async def _store(
        self, command: Upload, source: WritableSource, ref: OriginalRef, file: OpenFile, kind: Format
    ) -> None:
        if not command.overwrite:
            if command.key and not command.once and await source.exists(ref.key):
                raise Conflict("there is an original under this key already; overwrite=true replaces it")
            try:
                await source.store(ref.key, file, kind=kind)
            except Conflict:
                if command.once:
                    raise Conflict("other bytes were uploaded under this Idempotency-Key") from None
                raise
            return
        scopes = [PurgeScope.of_original(ref)]
        await self.purges.purge_log.record_intent(scopes)
        try:
            await source.store(ref.key, file, kind=kind, overwrite=True)
        finally:
            # Also after an error or a disconnect: the old original may be overwritten already.
            purged = await asyncio.shield(self.purges.purge(scopes))
        if purged.open:
            raise PurgeIncomplete(
                "the original was replaced, but old variants may still be served; purge it again",
                retry_after_s=1,
                open=tuple(purged.open),
            )

    async def _delete(self, source: WritableSource, key: str) -> None:
        with suppress(CalotypeError):
            await source.delete(key)

    async def _finish(
        self, command: Upload, mount: Mount, ref: OriginalRef, size_bytes: int, facts: Facts, deadline: float
    ) -> UploadResult:
        if command.key:
            await self.purges.original_changed([ref])
        else:
            self.originals.drop_record(ref)
        self.original_facts.store(await self.originals.identify(ref, deadline=deadline), facts)
        with suppress(CalotypeError):
            # Records the tag of the upload, so that the event of the store for it purges nothing.
            await self.originals.publish_tag(
                ref, (await self.originals.revalidate(ref, deadline=deadline)).tag
            )
        version = self.purges.purge_log.generations.original_generation(ref) if command.overwrite else None
        transforms = tuple(f"t_{name}" for name in self.eager)
        job = ""
        if transforms:
            job = await self.pregeneration.add(
                PregenerationSpec(mount=mount.name, transforms=transforms, keys=(ref.key,))
            )
        return UploadResult(
            key=ref.key,
            width=facts.width_px,
            height=facts.height_px,
            format=facts.format,
            bytes=size_bytes,
            urls={
                name: client_url(mount, path_url(ref.key, Component(version=version, preset=name)))
                for name in (self.eager if mount.is_native else ())
            },
            warm=job,
        )

    async def _check(self, upload: Original, deadline: float) -> Facts:
        facts = await self.renderer.probe(upload, deadline=deadline)
        schedule = Schedule(deadline=deadline, priority=Priority.BACKGROUND)
        await self.renderer.render([upload], _CHECK_PLAN, schedule)
        return facts
