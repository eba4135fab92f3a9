"""`calotype explain`: explains a URL with the settings of a node."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, originals_option, run, settings_of
from proxy.config.errors import ConfigError
from proxy.node import factory
from proxy.node.request_path import open_request_path
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics


@click.command(
    "explain",
    epilog=example("calotype explain /w_100,f_auto/photo.jpg --accept image/webp --originals ~/Pictures"),
)
@click.argument("url")
@click.option("--accept", default="", help="The Accept header to negotiate f_auto with.")
@json_option
@originals_option
@config_option
def command(url: str, accept: str, as_json: bool, originals: Path | None, config: Path | None) -> None:
    """Explain URL: its signature, original, transform, plan and cache key, and ignored or clamped parameters.

    Exit 1 if the node would refuse the URL. The output then has every reason, and the parts that are known.
    """

    async def explained() -> dict[str, Any]:
        settings = settings_of(config, originals)
        if not settings.sources:
            raise ConfigError("sources: give --originals DIR or --config FILE")
        one = factory.one_worker(settings)
        async with open_request_path(one, PrometheusMetrics(), silent_log(), disk=None) as path:
            return msgspec.structs.asdict(await path.explain(url, accept))

    explanation = run(explained())
    if as_json:
        click.echo(json.dumps(explanation))
    for name, value in () if as_json else explanation.items():
        for line in value if isinstance(value, list) else [value]:
            click.echo(f"{name:10} {line or ''}".rstrip())
    sys.exit(1 if explanation["refused"] else 0)
