"""`calotype render`: one picture or a directory of them through the engine, without a server."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from proxy.bars import bar
from proxy.config import ConfigError, Settings
from proxy.core.delivery import Delivered
from proxy.core.dialects.native import parse_tokens
from proxy.core.errors import CalotypeError
from proxy.core.formats import SNIFF_BYTES, TRAITS, Format, sniff
from proxy.core.keys import OriginalRef
from proxy.core.transform import Transform
from proxy.core.wanted import Wanted
from proxy.engine import Engine
from proxy.sections import Directory
from proxy.telemetry.log import quiet
from proxy.telemetry.metrics import PrometheusMetrics

_SOURCE = "input"
_BY_SUFFIX = {f".{TRAITS[kind].suffix}": kind for kind in Format if TRAITS[kind].shown} | {
    ".jpeg": Format.JPEG
}


async def render(settings: Settings, source: Path, transform: str, out: Path | None) -> int:
    """Renders `source` to `out`; returns how many pictures failed, each told in a line on standard error."""
    source = source.resolve()
    presets = settings.parsed_presets()
    asked = parse_tokens(transform, presets).transform(presets)
    if source.is_dir():
        if out is not None and out.exists() and not out.is_dir():
            raise ConfigError("-o: must be a directory, as INPUT is one")
        return await _render_all(settings, source, asked, out or source.with_name(f"{source.name}-rendered"))
    if out is not None and out.is_dir():
        raise ConfigError("-o: is a directory; name a file, as INPUT is one")
    if out is not None and asked.format is None:
        asked = replace(asked, format=_BY_SUFFIX.get(out.suffix.lower()))
    async with _engine(settings, source.parent, workers=1) as engine:
        delivered = await _deliver(engine, source.name, asked)
    try:
        _write(out or Path(f"{source.stem}-rendered{_suffix(delivered)}"), delivered)
    except OSError as fault:
        raise ConfigError(f"-o: cannot be written: {fault.strerror}") from None
    return 0


async def _render_all(settings: Settings, source: Path, asked: Transform, out: Path) -> int:
    pictures = list(_pictures(source, out.resolve()))
    shared = Counter(path.with_suffix("") for path in pictures)
    waiting = iter(pictures)
    failed = 0
    with bar("rendering", len(pictures)) as shown:

        async def work(engine: Engine) -> None:
            nonlocal failed
            for path in waiting:
                key = path.relative_to(source).as_posix()
                try:
                    delivered = await _deliver(engine, key, asked)
                    # Two originals that differ in their suffix alone keep it, or one would overwrite the other.
                    stem = path.name if shared[path.with_suffix("")] > 1 else path.stem
                    folder = out / path.relative_to(source).parent
                    _write(folder / (stem + _suffix(delivered)), delivered)
                except (CalotypeError, OSError) as failure:
                    failed += 1
                    shown.say(f"{key}: {_reason(failure)}")
                    shown.advance(failed=True)
                else:
                    shown.advance()

        async with _engine(settings, source) as engine, asyncio.TaskGroup() as group:
            for _ in range(2 * settings.workers()):
                group.create_task(work(engine))
    click.echo(f"{len(pictures) - failed} rendered to {out}, {failed} failed", err=True)
    return failed


def _engine(settings: Settings, root: Path, *, workers: int | None = None) -> Engine:
    lone = settings.model_copy(update={"sources": {_SOURCE: Directory(path=root)}, "mounts": {}})
    return Engine(lone, PrometheusMetrics(), quiet(), disk=None, workers=workers)


async def _deliver(engine: Engine, key: str, asked: Transform) -> Delivered:
    # Nobody negotiates here: f_auto is the best the configuration has.
    modern = frozenset(engine.settings.formats.auto) - {Format.JPEG}
    most_px = engine.settings.limits.output_max_side
    wanted = Wanted(OriginalRef(_SOURCE, key), asked, modern, most_px)
    # The deadline bounds a request's wait; here there is only the render's own timeout.
    return await engine.produce.variant(wanted, deadline=engine.clock() + 3600, redirect_until_s=0)


def _pictures(source: Path, out: Path) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_relative_to(out):
            with path.open("rb") as file:
                if sniff(file.read(SNIFF_BYTES)) is not None:
                    yield path


def _suffix(delivered: Delivered) -> str:
    return f".{TRAITS[delivered.delivery.format].suffix}"


def _write(path: Path, delivered: Delivered) -> None:
    assert delivered.variant is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(delivered.variant.body)
    part.replace(path)


def _reason(failure: Exception) -> str:
    return f"{failure.slug}: {failure.detail}" if isinstance(failure, CalotypeError) else str(failure)
