"""The log of purges: on disk first, then in the table of generations, then at a position."""

import asyncio
import errno
from collections.abc import Iterable

import pytest

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.core.errors import PurgeIncomplete
from proxy.core.image.original import OriginalRef
from proxy.service.admin.purge_log import PurgeLog
from tests.support.fakes import FakePurgeJournal

A, B = OriginalRef("photos", "a"), OriginalRef("photos", "b")
OF_A, OF_B = PurgeScope.of_original(A), PurgeScope.of_original(B)
DISK_FULL = OSError(errno.ENOSPC, "No space left on device")
NOT_WRITTEN = "this node: the purge could not be written (No space left on device); a restart loses it"


@pytest.fixture
def journal() -> FakePurgeJournal:
    return FakePurgeJournal()


@pytest.fixture
def log(journal: FakePurgeJournal) -> PurgeLog:
    return PurgeLog(Generations(), journal, lambda: 1_800_000_000.0, lambda: "5a17")


async def append(log: PurgeLog, *scopes: PurgeScope) -> int:
    return await log.append(log.purges_of(scopes))


async def test_a_purge_is_on_disk_before_anything_else(log: PurgeLog, journal: FakePurgeJournal) -> None:
    generations_at_write, positions_at_write = [], []
    write = journal.append

    def recording(purges: Iterable[Purge]) -> None:
        generations_at_write.append(log.generations.original_generation(A))
        positions_at_write.append(log.position)
        write(purges)

    journal.append = recording  # type: ignore[method-assign]
    assert await append(log, OF_A) == 1
    assert (generations_at_write, positions_at_write) == ([""], [0])
    (written,) = journal.purges
    assert (written.scope, written.token) == (OF_A, log.generations.original_generation(A))


async def test_each_purge_has_a_position_and_a_greater_token(
    log: PurgeLog, journal: FakePurgeJournal
) -> None:
    assert [await append(log, OF_A), await append(log, OF_B, OF_A), await append(log)] == [1, 3, 3]
    first, second, third = journal.purges
    assert first.token < second.token == third.token
    assert log.scopes_after(0) == [OF_B, OF_A], "each scope once"
    assert log.scopes_after(1) == [OF_B, OF_A]
    assert log.scopes_after(2) == [OF_A]
    assert log.scopes_after(3) == []


async def test_a_purge_covers_every_normal_form_of_its_key(log: PurgeLog) -> None:
    (first, second) = log.purges_of([PurgeScope("photos", ScopeKind.ORIGINAL, "gr\u00fcn")])
    assert {first.scope.text, second.scope.text} == {"gr\u00fcn", "gru\u0308n"}
    assert first.token == second.token


async def test_a_failed_write_is_reported_and_repeated_with_the_next_purge(
    log: PurgeLog, journal: FakePurgeJournal
) -> None:
    journal.fault = DISK_FULL
    assert await append(log, OF_A) == 1
    assert log.unwritten == [NOT_WRITTEN]
    assert log.generations.original_generation(A), "it applies to this process all the same"
    await append(log, OF_B)
    assert log.unwritten == [NOT_WRITTEN]
    journal.fault = None
    await append(log)
    assert log.unwritten == []
    assert [purge.scope for purge in journal.purges] == [OF_A, OF_B]
    await append(log)
    assert len(journal.purges) == 2, "each is written once"


async def test_two_purges_at_once_are_written_one_after_the_other(
    log: PurgeLog, journal: FakePurgeJournal
) -> None:
    assert await asyncio.gather(append(log, OF_A), append(log, OF_B)) == [1, 2]
    assert [purge.scope for purge in journal.purges] == [OF_A, OF_B]


async def test_an_intent_is_on_disk_and_applies_after_a_restart_only(
    log: PurgeLog, journal: FakePurgeJournal
) -> None:
    await log.record_intent([OF_A])
    assert [purge.scope for purge in journal.purges] == [OF_A]
    assert (log.position, log.generations.original_generation(A)) == (0, "")
    journal.fault = DISK_FULL
    with pytest.raises(PurgeIncomplete, match="nothing was changed: No space left"):
        await log.record_intent([OF_A])
