"""Options that commands share, and how commands read settings and report errors."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from proxy.config.errors import ConfigError
from proxy.config.sections import duration_s
from proxy.config.settings import Layer, Settings, traced
from proxy.core.errors import CalotypeError
from proxy.node.runtime import loop_factory

T = TypeVar("T")

_EXISTING_DIR = click.Path(exists=True, file_okay=False, path_type=Path)
config_option = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    help="TOML file with the settings. Default: the value of CALOTYPE_CONFIG.",
)
originals_option = click.option(
    "--originals", type=_EXISTING_DIR, help="Directory of the originals; needs no configuration."
)


mount_option = click.option("--mount", help="Name of the mount; required if there are several.")
node_option = click.option("--node", help="Admin URL of a running node. Default: admin.host and admin.port.")
token_option = click.option(
    "--token", help="Token for the node's admin listener. Default: admin.token of the configuration."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def settings_of(config: Path | None, originals: Path | None = None, **flags: Any) -> Settings:
    return traced_settings(config, originals, **flags)[0]


def traced_settings(
    config: Path | None, originals: Path | None, **flags: Any
) -> tuple[Settings, tuple[Layer, ...]]:
    if originals is not None:
        flags["sources"] = {"originals": {"path": str(originals)}}
    settings, layers = traced(config, {section: values for section, values in flags.items() if values})
    if originals is not None and all(m.source != "originals" for m in settings.named_mounts().values()):
        raise ConfigError('--originals: no mount of the configuration has source = "originals"; add one')
    return settings, layers


def listener_url(host: str, port: int) -> str:
    """The URL of a listener of this machine."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{port}"


@contextmanager
def one_line() -> Iterator[None]:
    """Reports an error as one line with exit code 1."""
    try:
        yield
    except CalotypeError as failure:
        raise click.ClickException(f"{failure.slug}: {failure.detail}") from None
    except ConfigError as failure:
        raise click.ClickException(str(failure)) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end, on uvloop if it is installed."""
    with one_line(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


class Duration(click.ParamType[float]):
    """Seconds, written as in the configuration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return duration_s(value)
        except ValueError as reason:
            self.fail(str(reason), param, ctx)


def node_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options for settings of a node; the command receives them as `flags`, by section."""

    @wraps(command)
    def sectioned(
        cache: Path | None, host: str | None, port: int | None, processes: int | None, **rest: Any
    ) -> None:
        server = {"host": host, "port": port, "processes": processes}
        flags: dict[str, Any] = {"server": {key: value for key, value in server.items() if value is not None}}
        if cache is not None:
            flags["cache"] = {"disk": {"path": str(cache)}}
        command(flags=flags, **rest)

    for option in (
        click.option("--processes", type=int, help="Processes that answer requests (1)."),
        click.option("--port", type=int, help="Port of the public listener (8080); 0 takes a free one."),
        click.option("--host", help="Address of the public listener (127.0.0.1)."),
        click.option("--cache", type=click.Path(path_type=Path), help="Directory of the disk tier."),
        originals_option,
        config_option,
    ):
        sectioned = option(sectioned)
    return sectioned


def sign_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--session", default="", help="Sign for this value of the session cookie or header."),
        click.option("--domain", default="", help="Sign for pages of this domain and its subdomains."),
        click.option(
            "--expires", "seconds", type=Duration(), help="Validity from now on, such as 30m, 1h or 7d."
        ),
        click.option("--key", "key_id", help="Id of the signing key; the URL then names it."),
        mount_option,
    ):
        command = option(command)
    return command
