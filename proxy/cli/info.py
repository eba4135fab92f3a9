"""`calotype info`: prints what is known of an original: its size and format, EXIF data, placeholders and colours."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, run, settings_of
from proxy.cli.render import INPUT_SOURCE, request_path
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Transform
from proxy.node import factory
from proxy.node.request_path import RequestPath, open_request_path
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics


async def info(settings: Settings, original: str, mount: str | None) -> dict[str, Any]:
    """The document of a file, or of a key in the source of `mount`. Raises ConfigError and CalotypeError."""
    settings = factory.one_worker(settings)
    if (file := _file(original)) is not None:
        async with request_path(settings, file.parent) as path:
            return await _described(path, OriginalRef(INPUT_SOURCE, file.name))
    mounts = settings.named_mounts()
    if not mounts:
        raise ConfigError(f"{original}: no such file, and no configured source could have a key of this name")
    name = next(iter(mounts)) if mount is None and len(mounts) == 1 else mount
    if name not in mounts:
        raise ConfigError(f"--mount: must be one of {', '.join(mounts)}")
    async with open_request_path(settings, PrometheusMetrics(), silent_log(), disk=None) as path:
        return await _described(path, OriginalRef(mounts[name].source, original))


def _file(name: str) -> Path | None:
    with suppress(OSError):  # Such as that the name is too long: then it is a key.
        if (file := Path(name).resolve()).is_file():
            return file
    return None


async def _described(path: RequestPath, ref: OriginalRef) -> dict[str, Any]:
    requested = VariantRequest(
        ref, Transform(format=Format.INFO), frozenset(), path.settings.limits.output_max_side
    )
    delivered = await path.produce.variant(requested, deadline=factory.clock() + 3600, redirect_until_s=0)
    assert delivered.variant is not None
    document: dict[str, Any] = json.loads(delivered.variant.body)
    return document


def _lines(document: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        elif value is not None:
            yield f"{indent}{name}: {' '.join(map(str, value)) if isinstance(value, list) else value}"


@click.command("info", epilog=example("calotype info photo.jpg"))
@click.argument("original", metavar="FILE|KEY")
@click.option("--mount", help="Name of the mount whose source has KEY; required if there are several.")
@json_option
@config_option
def command(original: str, mount: str | None, as_json: bool, config: Path | None) -> None:
    """Print what is known of a FILE, or of the original that has KEY in a configured source.

    Size, format, EXIF data, ThumbHash and BlurHash, and colours, as the node answers them under /info/. No server is needed.
    """
    document = run(info(settings_of(config), original, mount))
    click.echo(json.dumps(document) if as_json else "\n".join(_lines(document)))
