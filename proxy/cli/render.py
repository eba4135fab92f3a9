"""`calotype render`: renders a picture or a directory of pictures without a server."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, one_line, run, settings_of
from proxy.cli.progress import progress_bar
from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection
from proxy.config.settings import Settings
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import CalotypeError
from proxy.core.image.facts import Facts
from proxy.core.image.formats import SNIFF_BYTES, TRAITS, Format, sniff
from proxy.core.image.original import OriginalRef
from proxy.core.transform.layers import with_originals
from proxy.core.transform.operations import Transform
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.core.url.target import is_hidden
from proxy.local.files import temporary
from proxy.node import factory
from proxy.node.request_path import RequestPath, open_request_path
from proxy.ports.originals import Original
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics

STANDARD = Path("-")
"""Standard input, or standard output."""
INPUT_SOURCE = "input"
"""The name of the source that has the files of the command line."""
_BY_SUFFIX = {
    **{f".{TRAITS[kind].suffix}": kind for kind in Format if TRAITS[kind].shown},
    **dict.fromkeys((".jpeg", ".jpe", ".jfif"), Format.JPEG),
}
_OTHER_SUFFIXES = frozenset(
    {".bmp", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".pdf", ".svg", ".tif", ".tiff"}
)


async def render(
    settings: Settings, source: Path, transform: str, out: Path | None, *, as_json: bool = False
) -> int:
    """Renders `source` to `out`; returns the number of failed pictures. Standard error has one line, or with
    `as_json` one JSON object, for each variant and failure. Raises ConfigError and CalotypeError."""
    presets = settings.parsed_presets()
    requested = parse_transform(transform, presets)
    if source != STANDARD and source.is_dir():
        return await _render_all(settings, source.resolve(), requested, _folder(source, out), as_json=as_json)
    if out is not None and out.is_dir():
        raise ConfigError("-o: is a directory; name a file, because INPUT is a file")
    if out in (None, STANDARD):
        if sys.stdout.isatty():
            raise ConfigError("-o: name a file; standard output is a terminal")
    else:
        requested = _of_suffix(requested, out.suffix.lower())
    with _input_file(source, int(settings.limits.original_max_bytes)) as file:
        async with request_path(factory.one_worker(settings), file.parent) as path:
            made = await _deliver(path, file.name, requested)
    try:
        if out in (None, STANDARD):
            sys.stdout.buffer.write(made.body)
            sys.stdout.buffer.flush()
        else:
            _write(out, made.body)
    except OSError as fault:
        raise ConfigError(f"-o: cannot be written: {fault.strerror}") from None
    click.echo(
        made.line("standard output" if out in (None, STANDARD) else str(out), as_json=as_json), err=True
    )
    return 0


def _of_suffix(requested: Transform, suffix: str) -> Transform:
    """The transform with the format of the output's suffix if it has none. Raises ConfigError if both contradict each
    other."""
    of_suffix = _BY_SUFFIX.get(suffix)
    if isinstance(requested.format, Format):
        if (of_suffix or requested.format) is not requested.format or suffix in _OTHER_SUFFIXES:
            raise ConfigError(f"-o: the suffix {suffix} contradicts f_{TRAITS[requested.format].suffix}")
        return requested
    if of_suffix is None and suffix:
        known = ", ".join(sorted(_BY_SUFFIX))
        raise ConfigError(f"-o: no format has this suffix; use {known}, or set the format with f_")
    return replace(requested, format=of_suffix or requested.format)


def _folder(source: Path, out: Path | None) -> Path:
    if out is None:
        raise ConfigError("-o: name a directory, because INPUT is a directory")
    if out == STANDARD or (out.exists() and not out.is_dir()):
        raise ConfigError("-o: must be a directory, because INPUT is a directory")
    if out.resolve() == source.resolve():
        raise ConfigError("-o: must differ from INPUT, whose pictures would be replaced")
    return out


@contextmanager
def _input_file(source: Path, max_bytes: int) -> Iterator[Path]:
    """The file to render; standard input is copied to a temporary file."""
    if source != STANDARD:
        yield source.resolve()
        return
    with TemporaryDirectory(prefix="calotype-") as folder:
        file = Path(folder, "input")
        file.write_bytes(sys.stdin.buffer.read(max_bytes + 1))
        yield file


async def _render_all(
    settings: Settings, source: Path, requested: Transform, out: Path, *, as_json: bool
) -> int:
    pictures = list(_pictures(source, out.resolve()))
    shared = Counter(path.with_suffix("") for path in pictures)
    pending = iter(pictures)
    done = failed = 0
    with progress_bar("rendering", len(pictures)) as bar:

        async def work(opened: RequestPath) -> None:
            nonlocal done, failed
            for path in pending:
                key = path.relative_to(source).as_posix()
                try:
                    made = await _deliver(opened, key, requested)
                    # Originals that differ in their suffix only keep it in the name, to get different outputs.
                    stem = path.name if shared[path.with_suffix("")] > 1 else path.stem
                    folder = out / path.relative_to(source).parent
                    path_out = folder / f"{stem}.{TRAITS[made.facts.format].suffix}"
                    _write(path_out, made.body)
                except (CalotypeError, OSError) as failure:
                    failed += 1
                    reason = _reason(failure)
                    bar.print(json.dumps({"input": key, "error": reason}) if as_json else f"{key}: {reason}")
                else:
                    bar.print(made.line(str(path_out), as_json=as_json))
                done += 1
                bar.set(done=done, total=len(pictures), failed=failed)

        async with request_path(settings, source) as opened, asyncio.TaskGroup() as group:
            for _ in range(2 * settings.workers()):
                group.create_task(work(opened))
    counts = {"rendered": len(pictures) - failed, "failed": failed}
    summary = f"{counts['rendered']} rendered to {out}, {failed} failed"
    click.echo(json.dumps(counts) if as_json else summary, err=True)
    return failed


def request_path(settings: Settings, root: Path) -> AbstractAsyncContextManager[RequestPath]:
    of_input = settings.model_copy(
        update={"sources": {INPUT_SOURCE: DirectorySection(path=root)}, "mounts": {}}
    )
    return open_request_path(of_input, PrometheusMetrics(), silent_log(), disk=None)


class _RenderedVariant(NamedTuple):
    """A variant, the facts of its header, and the time it took in seconds."""

    body: bytes
    facts: Facts
    seconds: float

    def line(self, out: str, *, as_json: bool) -> str:
        """The message that the variant was written to `out`."""
        facts = self.facts
        if as_json:
            return json.dumps(
                {
                    "output": out,
                    "width": facts.width_px,
                    "height": facts.height_px,
                    "format": facts.format,
                    "frames": facts.pages,
                    "bytes": len(self.body),
                    "seconds": round(self.seconds, 3),
                }
            )
        frames = f", {facts.pages} frames" if facts.animated else ""
        return (
            f"{out}: {facts.width_px}x{facts.height_px} {facts.format}{frames}, {len(self.body)} bytes,"
            f" {self.seconds:.2f} s"
        )


async def _deliver(path: RequestPath, key: str, requested: Transform) -> _RenderedVariant:
    # There is no Accept header: f_auto negotiates as if every format of formats.auto were accepted.
    modern = frozenset(path.settings.formats.auto) - {Format.JPEG}
    most_px = path.settings.limits.output_max_side
    # A layer is a file beside the input.
    drawn = with_originals(requested, partial(OriginalRef, INPUT_SOURCE))
    request = VariantRequest(OriginalRef(INPUT_SOURCE, key), drawn, modern, most_px)
    # No client waits: only render.timeout limits the render.
    began_s = factory.clock()
    deadline = began_s + 3600
    delivered = await path.produce.variant(request, deadline=deadline, redirect_until_s=0)
    took_s = factory.clock() - began_s
    assert delivered.variant is not None
    body = delivered.variant.body
    with temporary(body) as file:
        facts = await path.pool.probe(Original(uuid4().hex, file), deadline=deadline)
    return _RenderedVariant(body, facts, took_s)


def _pictures(source: Path, out: Path) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        hidden = is_hidden(path.relative_to(source).as_posix())
        if path.is_file() and not hidden and not path.is_relative_to(out):
            with path.open("rb") as file:
                if sniff(file.read(SNIFF_BYTES)) is not None:
                    yield path


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(body)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _reason(failure: Exception) -> str:
    return f"{failure.slug}: {failure.detail}" if isinstance(failure, CalotypeError) else str(failure)


@click.command(
    "render",
    epilog=example("calotype render photo.jpg w_300,h_300,c_fill -o card.webp"),
)
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.argument("transform", metavar="TRANSFORM")
@click.option(
    "-o",
    "out",
    type=click.Path(path_type=Path),
    help="File, or - for standard output (the default); the directory if INPUT is one.",
)
@json_option
@config_option
def command(source: Path, transform: str, out: Path | None, config: Path | None, as_json: bool) -> None:
    """Render INPUT, a picture or a directory of pictures, without a server.

    TRANSFORM is the first segment of a path URL, as in w_400,h_300,c_fill,f_webp. INPUT - is standard input. Without f_
    the suffix of the output sets the format, else the original does. Standard error has a line for each variant.
    """
    with one_line():
        settings = settings_of(config)
    failed = run(render(settings, source, transform, out, as_json=as_json))
    sys.exit(1 if failed else 0)
