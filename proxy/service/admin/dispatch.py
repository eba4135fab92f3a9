"""Dispatches admin commands to the use cases: uploads, pre-generation, purges, events, explain."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

from proxy.core.admin.commands import (
    AdminCommand,
    CancelJob,
    Explain,
    JobStatus,
    ListOriginals,
    PurgeCommand,
    RecordUsage,
    RetryJob,
    S3Notification,
    Upload,
    Warm,
)
from proxy.core.admin.jobs import JobProgress, PregenerationSpec
from proxy.core.admin.s3_events import parse as parse_events
from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.errors import BadRequest, CalotypeError, Conflict, PurgeIncomplete, UnknownRoute
from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import Plan, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.url.dialects.component import transform_of
from proxy.core.url.dialects.native.urls import no_preset
from proxy.core.url.interpret import admit, interpret, trusted
from proxy.core.url.mounts import Rules, host_name, mount_named, only_mount
from proxy.core.url.parsed_url import OriginalUrl, VariantUrl
from proxy.core.url.target import checked_locator, checked_prefix, origin_and_target
from proxy.ports.operations import JobStore
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purges import PurgeResult, Purges
from proxy.service.admin.s3_events import S3Events
from proxy.service.admin.uploads import Uploads

LATEST_JOBS = 100


@dataclass(slots=True, eq=False)
class Dispatch:
    """Satisfies CommandDispatcher. Purges and notifications are finished even if the client disconnects."""

    uploads: Uploads
    pregeneration: Pregeneration
    jobs: JobStore
    purges: Purges
    events: S3Events
    rules: Callable[[], Rules]
    defaults: Callable[[], RenderDefaults]
    explain: Callable[[str, str], Awaitable[object]]
    record_usage: Callable[[Iterable[str]], None]

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        match command:
            case Upload():
                assert content is not None
                return await self.uploads.upload(command, content, size_bytes)
            case Warm():
                return await self._warm(command)
            case JobStatus(""):
                return await self.jobs.recent(LATEST_JOBS)
            case JobStatus(job):
                return await self._progress(job)
            case RetryJob(job):
                return await self._retry(job)
            case CancelJob(job):
                return await self._cancel(job)
            case PurgeCommand():
                return await asyncio.shield(self._purge(command))
            case S3Notification(body):
                return await asyncio.shield(self.events.apply(parse_events(body)))
            case Explain(url, accept):
                return await self.explain(url, accept)
            case RecordUsage(keys):
                self.record_usage(keys)
                return None
            case ListOriginals(count):
                return await self.pregeneration.sample_originals(count)
        assert_never(command)

    async def _warm(self, command: Warm) -> dict[str, str]:
        presets = self.rules().presets
        for position, name in enumerate(command.presets, start=1):
            if name not in presets:
                raise no_preset("presets", name, position, presets)
        transforms = (*(f"t_{name}" for name in command.presets), *command.transforms)
        job = await self.pregeneration.add(
            PregenerationSpec(
                mount=command.mount, transforms=transforms, keys=command.keys, prefix=command.prefix
            )
        )
        return {"id": job}

    async def _progress(self, job: str) -> JobProgress:
        progress = await self.jobs.progress(job)
        if progress is None:
            raise UnknownRoute("there is no job of this id")
        return progress

    async def _cancel(self, job: str) -> JobProgress:
        await self.pregeneration.cancel(job)
        return await self._progress(job)

    async def _retry(self, job: str) -> dict[str, str]:
        if (await self._progress(job)).state == "cancelled":
            raise Conflict("this job was cancelled; create a new job instead")
        if not await self.jobs.retry(job):
            raise UnknownRoute("there is no job of this id")
        self.pregeneration.wake()
        return {"id": job}

    async def _purge(self, command: PurgeCommand) -> PurgeResult:
        if command.url is not None:
            purged = await self._purge_url(command, command.url)
        else:
            purged = await self.purges.purge(self._scopes(command))
        if purged.open:
            raise PurgeIncomplete(
                f"{purged.removed} entries were removed, but old variants may still be served; try again",
                retry_after_s=1,
                open=tuple(purged.open),
            )
        return purged

    def _scopes(self, command: PurgeCommand) -> list[PurgeScope]:
        mount = mount_named(self.rules(), command.mount)
        if command.all:
            return [PurgeScope(mount.source, ScopeKind.PREFIX, "")]
        if command.original is not None:
            return list(map(PurgeScope.of_original, mount.candidates(checked_locator(command.original))))
        if command.prefix is not None:
            return [PurgeScope(mount.source, ScopeKind.PREFIX, checked_prefix(command.prefix))]
        presets = self.rules().presets
        name = command.preset or ""
        if name not in presets:
            raise no_preset("preset", name, 1, presets)
        plans = self._plans(mount.layered(transform_of(presets[name])))
        return [PurgeScope(mount.source, ScopeKind.PLAN, canonical(plan)) for plan in plans]

    async def _purge_url(self, command: PurgeCommand, url: str) -> PurgeResult:
        """Purges the variants that clients get at a URL, in all formats, and revalidates its originals."""
        rules = self.rules()
        origin, raw = origin_and_target(url)
        mount = mount_named(rules, command.mount) if command.mount else only_mount(rules)
        if command.mount and mount and not raw.startswith(mount.prefix):
            raise BadRequest("parameter url does not belong to this mount")
        host = host_name(origin.partition("://")[2])
        interpreted = interpret(rules, host, raw, mount=mount, verify=trusted, refuse=lambda _: None)
        parsed, ref = interpreted.parsed, interpreted.ref
        names = (*interpreted.candidates, *interpreted.defaults)
        if len(names) > 1:
            found = await self.purges.find(names)
            if found is None:
                return await self.purges.purge(list(map(PurgeScope.of_original, names)))
            ref = found
        if isinstance(parsed, OriginalUrl):
            return await self.purges.purge_and_revalidate([ref], [PurgeScope.of_original(ref)])
        transforms = [parsed.transform]
        if isinstance(parsed, VariantUrl):
            with suppress(CalotypeError):
                # Without a signature the policy may round sizes and strengths.
                transforms.append(admit(interpreted.mount, parsed, signed=False))
        drawn = [interpreted.mount.layered(transform) for transform in transforms]
        scopes = [PurgeScope.of_variant(ref, plan) for plan in self._plans(*drawn)]
        return await self.purges.purge_and_revalidate([ref, *drawn[0].further], scopes)

    def _plans(self, *transforms: Transform) -> list[Plan]:
        """All Plans of the transforms, each once, for any original and Accept header."""
        defaults = self.defaults()
        plans: dict[Plan, None] = {}
        for transform in transforms:
            kinds = (
                [transform.format]
                if isinstance(transform.format, Format)
                else [kind for kind in Format if TRAITS[kind].shown]
            )
            for kind in kinds:
                plans[resolve(transform, kind, defaults)] = None
        return list(plans)
