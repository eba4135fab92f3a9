"""The miss path: identify the originals, resolve, look up, collapse, render, store.

One instance per node, in one of its processes; `deliver` calls it from every process that answers requests.
"""

from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from proxy.core.cache.delivery import NO_TIMINGS, Delivered, Delivery, Outcome, Timings, Variant, VersionCheck
from proxy.core.cache.freshness import Freshness
from proxy.core.cache.generations import Generations
from proxy.core.cache.http_caching import etag
from proxy.core.cache.keys import CacheKey, Entry, original_key, variant_key
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.errors import BadTransform, CalotypeError, Internal, OriginalNotFound, WorkerDied
from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.metadata import with_etag
from proxy.core.image.original import Identity, OriginalRef, shown
from proxy.core.memo import Memo
from proxy.core.transform.negotiate import choose
from proxy.core.transform.operations import hides_faces
from proxy.core.transform.plan import Plan, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.url.diagnostics import without_faces
from proxy.core.url.notice import notice_list
from proxy.local.tasks import all_of
from proxy.ports.clock import Clock
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import Original
from proxy.ports.rendering import Priority, Renderer, Schedule
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Redirects
from proxy.service.request.original_content import OpenOriginals, OriginalFact
from proxy.service.request.originals import OriginalChanged, Originals
from proxy.service.request.singleflight import Flight, FlightResult, Flights
from proxy.service.request.tier_chain import Leased, Made, TierChain
from proxy.service.request.version_checks import NOT_CHECKED, VersionChecks

_MEMO_ENTRIES = 20_000

T = TypeVar("T")


class Resolved(NamedTuple):
    """A VariantRequest, resolved for one identity of each of its originals. `missing` are the candidates that were not
    found before the first of these."""

    identities: tuple[Identity, ...]
    plan: Plan
    key: CacheKey
    plan_text: str
    """The canonical text of `plan`."""
    generation: str
    """The last purge before it that covers the variant."""
    plan_purge_count: int
    """`Generations.plan_purge_count` at the time."""
    missing: tuple[OriginalRef, ...] = ()


class _Produced(NamedTuple):
    """The result of a flight."""

    made: Made
    timings: Timings


class OriginalServices(NamedTuple):
    """What is known of originals: their identities, bytes and facts, and the versions that URLs may name, if any; and where
    faces are, needed only if the render defaults have a face detector."""

    originals: Originals
    opened: OpenOriginals
    facts: OriginalFact[Facts]
    versions: VersionChecks | None = None
    faces: OriginalFact[Faces] | None = None


class VariantStores(NamedTuple):
    """Where variants are: the tiers, the leases of the nodes that share the last tier, the index of entries by original, and
    the tier to which clients may be redirected, if any."""

    chain: TierChain
    leased: Leased
    entries: EntryIndex
    redirects: Redirects | None = None


class Rendering(NamedTuple):
    """How variants are made; `auto` is the order of preference for f_auto."""

    renderer: Renderer
    defaults: RenderDefaults
    auto: tuple[Format, ...]


class Produce:
    """Satisfies Producer."""

    def __init__(
        self,
        originals: OriginalServices,
        variants: VariantStores,
        rendering: Rendering,
        flights: Flights,
        generations: Generations,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._originals, self._opened, self._facts, self._versions, self._faces = originals
        self._chain, self._leased, self._index, self._redirects = variants
        self._renderer, self._defaults, self._auto = rendering
        self._flights = flights
        self._generations = generations
        self._clock = clock
        self._metrics = metrics
        self._resolved: Memo[tuple[object, ...], Resolved] = Memo(_MEMO_ENTRIES)

    def reload(self, defaults: RenderDefaults) -> None:
        """Replaces the defaults; requests in progress continue with the old ones."""
        self._defaults = defaults
        self._resolved.clear()

    async def resolve_key(self, request: VariantRequest, *, deadline: float) -> ResolvedKey:
        resolved = await self.resolve(request, deadline=deadline)
        return ResolvedKey(resolved.key, self._freshness(resolved))

    async def check_version(
        self, refs: Sequence[OriginalRef], version: str, *, deadline: float
    ) -> VersionCheck:
        if self._versions is None:
            return NOT_CHECKED
        return await self._versions.check(refs, version, deadline=deadline)

    async def variant(
        self, request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        async def attempt() -> Delivered:
            return await self._deliver(await self._resolve(request, deadline), deadline, redirect_until_s)

        return await self._originals.retry_if_changed(attempt)

    async def prepare(self, request: VariantRequest, *, deadline: float) -> bool:
        """Renders the variant at background priority and waits until the last tier has it. Returns whether this call has
        rendered it. Raises Internal if no tier stores it, and the errors of rendering."""

        async def attempt() -> bool:
            resolved = await self._resolve(request, deadline)
            if await self._chain.contains(resolved.key):
                return False
            (made, _), collapsed = await self._fly(resolved, deadline, Priority.BACKGROUND)
            receipt = made.receipt or self._chain.store(resolved.key, made.variant, into_memory=False)
            if not await receipt.durable():
                if (
                    self._is_purged(resolved.identities)
                    or self._generations.plan_purge_count != resolved.plan_purge_count
                ):
                    raise OriginalChanged
                raise Internal("the variant was rendered, but no tier could store it: check the disk space")
            return not made.tier and not collapsed

        return await self._originals.retry_if_changed(attempt)

    def _is_purged(self, identities: Sequence[Identity]) -> bool:
        """Whether a purge since then covers one of the originals."""
        generation_of = self._generations.original_generation
        return any(generation_of(identity.ref) != identity.generation for identity in identities)

    def _freshness(self, resolved: Resolved) -> tuple[Freshness, ...]:
        missing = map(self._originals.freshness_of_missing, resolved.missing)
        return *missing, *map(self._originals.freshness, resolved.identities)

    def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AbstractAsyncContextManager[Original]:
        return self._opened.open_current(ref, *alternatives, deadline=deadline)

    async def resolve(self, request: VariantRequest, *, deadline: float) -> Resolved:
        """Identities, Plan and key; does not look up the variant."""
        return await self._originals.retry_if_changed(lambda: self._resolve(request, deadline))

    def plan(self, request: VariantRequest, facts: Facts | None) -> Plan:
        """The Plan; `facts` may be None only if the transform needs none."""
        transform = request.transform
        defaults = replace(self._defaults, max_side_px=request.max_side_px)
        return resolve(transform, choose(transform, request.accepted, self._auto, facts), defaults)

    async def _deliver(self, resolved: Resolved, deadline: float, redirect_until_s: float) -> Delivered:
        key = resolved.key
        if (hit := self._chain.peek(key)) is not None:
            return self._delivered(resolved, Outcome.HIT, Made(*hit))
        if (
            redirect_until_s
            and self._redirects
            and (location := await self._redirects.location(key, until_s=redirect_until_s))
        ):
            delivery = Delivery(
                key=key,
                outcome=Outcome.HIT,
                tier="bucket",
                freshness=self._freshness(resolved),
                location=location,
            )
            return Delivered(delivery, None)
        (made, timings), collapsed = await self._fly(resolved, deadline, Priority.INTERACTIVE)
        outcome = Outcome.HIT if made.tier else Outcome.COLLAPSED if collapsed else Outcome.MISS
        return self._delivered(resolved, outcome, made, timings if outcome is Outcome.MISS else NO_TIMINGS)

    async def _fly(self, resolved: Resolved, deadline: float, priority: Priority) -> FlightResult[_Produced]:
        return await self._flights.run(
            resolved.key,
            lambda flight: self._make(resolved, flight, deadline),
            deadline=deadline,
            priority=priority,
        )

    def _delivered(
        self, resolved: Resolved, outcome: Outcome, made: Made, timings: Timings = NO_TIMINGS
    ) -> Delivered:
        delivery = Delivery(
            key=resolved.key,
            outcome=outcome,
            tier=made.tier,
            stored=made.receipt is not None and made.receipt.stored,
            timings=timings,
            freshness=self._freshness(resolved),
            notice=made.variant.notice,
            original_bytes=made.variant.original_bytes,
        )
        return Delivered(delivery, made.variant)

    async def _resolve(self, request: VariantRequest, deadline: float) -> Resolved:
        """Cached until an identity changes or plans are purged."""
        names = request.lookups
        found = await _of_each(
            [each[0] for each in names], [self._originals.find(each, deadline=deadline) for each in names]
        )
        identities = tuple(each.identity for each in found)
        cached = self._resolved.get(request.by_value)
        purge_count = self._generations.plan_purge_count
        if cached is not None and cached.identities == identities and cached.plan_purge_count == purge_count:
            return cached
        needs_facts = request.transform.needs_facts
        facts = await self._facts.of(identities[0], deadline=deadline) if needs_facts else None
        plan = self.plan(request, facts)
        of_plan = self._generations.plan_generation(identities[0].ref, plan)
        resolved = Resolved(
            identities,
            plan,
            variant_key(identities, plan, of_plan),
            canonical(plan),
            max(of_plan, *(identity.generation for identity in identities)),
            purge_count,
            found[0].missing,
        )
        return self._resolved.store(request.by_value, resolved)

    async def _make(self, resolved: Resolved, flight: Flight, deadline: float) -> _Produced:
        """Looks up again inside the flight, because an earlier flight may have stored the variant since the first lookup.
        Pre-generation has just checked the last tier, so memory and the write queues suffice."""
        timings = NO_TIMINGS

        async def render() -> Variant:
            nonlocal timings
            variant, timings = await self._render(resolved, flight, deadline)
            body, first = variant.body, resolved.identities[0]
            if resolved.key.format is Format.INFO:
                body = with_etag(body, etag(original_key(first)))
            return replace(variant, body=body, of=str(first.ref))

        key = resolved.key
        is_background = flight.priority is Priority.BACKGROUND
        hit = self._chain.peek(key) if is_background else await self._chain.lookup(key)
        if hit is not None:
            made = Made(*hit)
        else:
            made = await self._leased.make(key, render, deadline=deadline, into_memory=not is_background)
        await self._index_entry(resolved)
        return _Produced(made, timings)

    async def _index_entry(self, resolved: Resolved) -> None:
        """Adds the variant to the index, so that a purge deletes it. Removes it if a purge came meanwhile."""
        if self._is_purged(resolved.identities):
            await self._chain.remove(resolved.key)
        else:
            refs = [identity.ref for identity in resolved.identities]
            self._index.note(refs, Entry(resolved.key, generation=resolved.generation), resolved.plan_text)

    async def _render(self, resolved: Resolved, flight: Flight, deadline: float) -> tuple[Variant, Timings]:
        began_s = self._clock()
        started_s = began_s

        def start() -> None:
            nonlocal started_s
            started_s = self._clock()
            flight.keep_running()

        refs = [identity.ref for identity in resolved.identities]
        async with AsyncExitStack() as stack:
            opened = [self._opened.open(identity, deadline=deadline) for identity in resolved.identities]
            originals = await _of_each(refs, [stack.enter_async_context(each) for each in opened])
            fetched_s = started_s = self._clock()
            faces = await self._faces_of(resolved, deadline)
            schedule = Schedule(
                deadline=deadline, on_start=start, priority=flight.priority, on_promote=flight.on_promote
            )
            plan = replace(resolved.plan, faces=faces)
            try:
                variant = await self._renderer.render(originals, plan, schedule)
            except CalotypeError as failure:
                raise _named(failure, refs, failure.original) from None
            variant = replace(variant, original_bytes=originals[0].file.size_bytes)
            changed = [ref for ref, each in zip(refs, originals, strict=True) if not each.file.unchanged()]
            if changed:
                raise OriginalChanged(*changed)
        timings = Timings(
            fetch_s=fetched_s - began_s, queue_s=started_s - fetched_s, render_s=self._clock() - started_s
        )
        self._metrics.rendered(refs[0], resolved.plan.output.format, timings)
        if faces is not None and not faces.boxes:
            variant = replace(variant, notice=notice_list(without_faces(resolved.plan.ops)))
        return variant, timings

    async def _faces_of(self, resolved: Resolved, deadline: float) -> Faces | None:
        """The faces of the original; None if the Plan looks for none. An original that the detector fails on has none from
        now on; an overloaded detector fails this job only. Raises Internal for a Plan that hides them if the detector fails."""
        if not resolved.plan.face_detector:
            return None
        assert self._faces is not None
        try:
            faces = await self._faces.of(resolved.identities[0], deadline=deadline)
        except (WorkerDied, Internal):
            self._faces.store(resolved.identities[0], faces := Faces(found=False))
        if not faces.found and hides_faces(resolved.plan.ops):
            raise Internal("the face detector fails on the original, so that its faces cannot be hidden")
        return faces


async def _of_each(refs: Sequence[OriginalRef], works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of concurrent work on each of the originals of a variant; an error is that of its original."""

    async def of_one(position: int, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except CalotypeError as failure:
            raise _named(failure, refs, position) from None

    return await all_of([of_one(position, work) for position, work in enumerate(works)])


def _named(failure: CalotypeError, refs: Sequence[OriginalRef], position: int) -> CalotypeError:
    """`failure` as that of the original at `position`. The URL names the first; OriginalNotFound its own, BadTransform a text."""
    if not position:
        return failure
    is_named = isinstance(failure, OriginalNotFound | BadTransform)
    return failure.at(position, "" if is_named else shown(refs[position]))
