"""What an admin may have a node do, each in a line: the one door to uploads, pre-generation, purges and events."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from proxy.core.admin.commands import (
    AdminAsked,
    AskedFor,
    Explain,
    Notified,
    PurgeAsked,
    SomeOriginals,
    Upload,
    Warm,
    WarmAgain,
    WarmCancel,
    WarmState,
)
from proxy.core.admin.jobs import Asked, Progress
from proxy.core.admin.s3_events import parse as parse_events
from proxy.core.cache.generations import Reach, Scope
from proxy.core.errors import BadRequest, CalotypeError, Conflict, PurgeIncomplete, UnknownRoute
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import Plan, Recipe, canonical, resolve
from proxy.core.url.dialects.native import OriginalAsked, VariantAsked, no_preset
from proxy.core.url.mounts import Rules, admit, host_name, route
from proxy.core.url.signing import unsigned
from proxy.core.url.target import checked_locator, checked_prefix, cut, origin_and_target
from proxy.ports.operations import Jobs
from proxy.service.admin.pregeneration import Warming, mount_named
from proxy.service.admin.purges import Purged, Purges
from proxy.service.admin.s3_events import Events
from proxy.service.admin.uploads import Uploads

LATEST_JOBS = 100


class Operate:
    """Satisfies Operator. What is begun is finished, whoever has asked for it is still there or not, but for uploads."""

    def __init__(
        self,
        uploads: Uploads,
        warming: Warming,
        jobs: Jobs,
        purges: Purges,
        events: Events,
        rules: Callable[[], Rules],
        recipe: Recipe,
        explain: Callable[[str, str], Awaitable[object]],
        used: Callable[[Iterable[str]], None],
    ) -> None:
        self._uploads = uploads
        self._warming = warming
        self._jobs = jobs
        self._purges = purges
        self._events = events
        self._rules = rules
        self._recipe = recipe
        self._explain = explain
        self._used = used

    async def do(self, asked: AdminAsked, *, content: int | None = None, size_bytes: int = 0) -> object:
        match asked:
            case Upload():
                assert content is not None
                return await self._uploads.upload(asked, content, size_bytes)
            case Warm():
                return await self._warm(asked)
            case WarmState(""):
                return await self._jobs.latest(LATEST_JOBS)
            case WarmState(job):
                return await self._state(job)
            case WarmAgain(job):
                return await self._again(job)
            case WarmCancel(job):
                return await self._cancel(job)
            case PurgeAsked():
                return await asyncio.shield(self._purge(asked))
            case Notified(body):
                return await asyncio.shield(self._events.hear(parse_events(body)))
            case Explain(url, accept):
                return await self._explain(url, accept)
            case AskedFor(keys):
                return self._used(keys)
            case SomeOriginals(most):
                return await self._warming.some(most)
        assert_never(asked)

    async def _warm(self, asked: Warm) -> dict[str, str]:
        presets = self._rules().presets
        for place, name in enumerate(asked.presets, start=1):
            if name not in presets:
                raise no_preset("presets", name, place, presets)
        transforms = (*(f"t_{name}" for name in asked.presets), *asked.transforms)
        job = await self._warming.add(
            Asked(mount=asked.mount, transforms=transforms, keys=asked.keys, prefix=asked.prefix)
        )
        return {"id": job}

    async def _state(self, job: str) -> Progress:
        progress = await self._jobs.progress(job)
        if progress is None:
            raise UnknownRoute("there is no job of this id")
        return progress

    async def _cancel(self, job: str) -> Progress:
        if not await self._warming.cancel(job):
            raise UnknownRoute("there is no job of this id")
        return await self._state(job)

    async def _again(self, job: str) -> dict[str, str]:
        if (await self._state(job)).state == "cancelled":
            raise Conflict("this job was cancelled; ask for what it was to make as a new one")
        if not await self._jobs.again(job):
            raise UnknownRoute("there is no job of this id")
        self._warming.wake()
        return {"id": job}

    async def _purge(self, asked: PurgeAsked) -> Purged:
        if asked.url is not None:
            purged = await self._purges.renew(*self._of_url(asked, asked.url))
        else:
            purged = await self._purges.purge(self._scopes(asked))
        if purged.open:
            raise PurgeIncomplete(
                f"{purged.removed} entries were removed, but what is old may still be served; try again",
                retry_after_s=1,
                open=tuple(purged.open),
            )
        return purged

    def _scopes(self, asked: PurgeAsked) -> list[Scope]:
        mount = mount_named(self._rules(), asked.mount)
        if asked.all:
            return [Scope(mount.source, Reach.PREFIX, "")]
        if asked.original is not None:
            return [Scope.of_original(mount.ref(checked_locator(asked.original)))]
        if asked.prefix is not None:
            return [Scope(mount.source, Reach.PREFIX, checked_prefix(asked.prefix))]
        presets = self._rules().presets
        name = asked.preset or ""
        if name not in presets:
            raise no_preset("preset", name, 1, presets)
        plans = self._plans(presets[name])
        return [Scope(mount.source, Reach.PLAN, canonical(plan)) for plan in plans]

    def _of_url(self, asked: PurgeAsked, url: str) -> tuple[OriginalRef, list[Scope]]:
        """The original of that path, and what a client gets there, in whatever format."""
        rules = self._rules()
        origin, raw = origin_and_target(url)
        cut(raw)
        host = host_name(origin.partition("://")[2])
        if asked.mount:
            mount = mount_named(rules, asked.mount)
            if not raw.startswith(mount.prefix):
                raise BadRequest("parameter url is not of this mount")
        elif len(rules.mounts) == 1:
            mount = rules.mounts[0]
        else:
            mount = route(rules.mounts, host, raw)
        found = mount.asked(unsigned(raw), rules.presets)
        ref = mount.ref(found.key)
        if isinstance(found, OriginalAsked):
            return ref, [Scope.of_original(ref)]
        transforms = [found.transform(rules.presets)]
        if isinstance(found, VariantAsked):
            with suppress(CalotypeError):
                # As it is without a signature: sizes and strengths may have been moved.
                transforms.append(admit(mount, found, rules.presets, signed=False))
        return ref, [Scope.of_variant(ref, plan) for plan in self._plans(*transforms)]

    def _plans(self, *asked: Transform) -> list[Plan]:
        """The Plans it may come to, each once, whatever the original is and the client accepts."""
        recipe = replace(self._recipe, max_side_px=self._rules().max_side_px)
        plans: dict[Plan, None] = {}
        for transform in asked:
            kinds = (
                [transform.format]
                if isinstance(transform.format, Format)
                else [kind for kind in Format if TRAITS[kind].shown]
            )
            for kind in kinds:
                plans[resolve(transform, kind, recipe)] = None
        return list(plans)
