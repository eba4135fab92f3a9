"""Rendering runs in real worker processes; tests that concern only pixels call the steps in this process."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from proxy.core.image.facts import Facts
from proxy.core.image.formats import SNIFF_BYTES, Format, sniff
from proxy.core.image.limits import InputLimits
from proxy.core.transform.negotiate import choose
from proxy.core.transform.plan import Plan, RenderDefaults, resolve
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.local.files import OpenFile
from proxy.ports.originals import Original
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import render
from proxy.render.pool import Pool
from proxy.render.spawn import WorkerLimits
from tests.support.waiting import LONGEST_S

LIMITS = InputLimits(
    max_bytes=50_000_000,
    max_side_px=10_000,
    max_pixels=100_000_000,
    max_pixels_heif=25_000_000,
    max_frames=128,
)
WORKER_LIMITS = WorkerLimits(memory_bytes=2**30, cpu_s=int(LONGEST_S * 1000), sandboxed=True)
DEFAULTS = RenderDefaults(
    quality=80,
    effort={Format.WEBP: 4, Format.PNG: 6, Format.GIF: 4, Format.AVIF: 0},
    max_side_px=4000,
)


def probe(content: bytes, limits: InputLimits) -> Facts:
    return CheckedOriginal.of(content, limits).facts


def plan_for(tokens: str, content: bytes) -> Plan:
    transform = parse_transform(tokens, {})
    facts = CheckedOriginal.of(content, LIMITS).facts if transform.needs_facts else None
    return resolve(transform, choose(transform, frozenset(), (Format.JPEG,), facts), DEFAULTS)


def draw(content: bytes, tokens: str) -> bytes:
    """What the URL tokens make of a picture, in this process."""
    drawn = render(CheckedOriginal.of(content, LIMITS), plan_for(tokens, content), LIMITS)
    assert sniff(drawn[:SNIFF_BYTES]) is not None
    return drawn


def opened(content: bytes) -> Original:
    descriptor, path = tempfile.mkstemp()
    os.write(descriptor, content)
    Path(path).unlink()
    return Original(uuid4().hex, OpenFile(open(descriptor, "rb", buffering=0), len(content)))


@pytest.fixture
async def make_pool() -> AsyncIterator[Callable[..., Pool]]:
    """A started pool of one worker, with any of its settings changed; stopped at the end."""
    pools: list[Pool] = []

    def make(**changes: object) -> Pool:
        values = {
            "workers": 1, "queue": 8, "timeout_s": LONGEST_S, "recycle_after": 1000, "limits": LIMITS,
            "worker_limits": WORKER_LIMITS,
            "clock": asyncio.get_running_loop().time, **changes,
        }  # fmt: skip
        pools.append(Pool(**values))  # type: ignore[arg-type]
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()
