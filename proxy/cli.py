"""The commands. No logic: read words, build settings, call a room, print.

Exit codes: 0 done, 1 something failed or is wrong, 2 the command line is, 130 broken off with Ctrl-C. Longer than other files: it is one list.
"""

import asyncio
import io
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

import proxy
from proxy import batch, collect, demo, effective, links, pregenerate
from proxy.admin import Admin
from proxy.app import leave, loop_factory
from proxy.config import ConfigError, Layer, Settings, traced
from proxy.core.errors import CalotypeError
from proxy.engine import Engine
from proxy.sections import duration_s
from proxy.serve import prepare, serve_until_signal
from proxy.telemetry.log import quiet
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.outlet import Outlet

T = TypeVar("T")
_INTERRUPTED = 128 + signal.SIGINT

_EXISTING_DIR = click.Path(exists=True, file_okay=False, path_type=Path)
_config_option = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    help="TOML file with the settings; CALOTYPE_CONFIG names it too.",
)
_originals_option = click.option(
    "--originals", type=_EXISTING_DIR, help="Serve the pictures of this directory, without a configuration."
)


_token_option = click.option(
    "--token", help="Token of the node's admin listener; else admin.token of this configuration."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _settings(config: Path | None, originals: Path | None = None, **flags: Any) -> Settings:
    return _traced(config, originals, **flags)[0]


def _traced(config: Path | None, originals: Path | None, **flags: Any) -> tuple[Settings, tuple[Layer, ...]]:
    if originals is not None:
        flags["sources"] = {"originals": {"path": str(originals)}}
    settings, layers = traced(config, {section: values for section, values in flags.items() if values})
    if originals is not None and all(m.source != "originals" for m in settings.named_mounts().values()):
        raise ConfigError(
            '--originals: the configuration mounts other sources; give one source = "originals"'
        )
    return settings, layers


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _one_line() -> Iterator[None]:
    """What is wrong becomes one line and exit code 1."""
    try:
        yield
    except CalotypeError as failure:
        raise click.ClickException(f"{failure.slug}: {failure.detail}") from None
    except ConfigError as failure:
        raise click.ClickException(str(failure)) from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    """`work` to its end, on uvloop where it is installed."""
    with _one_line(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


class _Duration(click.ParamType[float]):
    """Seconds, written as in the configuration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return duration_s(value)
        except ValueError as reason:
            self.fail(str(reason), param, ctx)


def _example(line: str) -> str:
    """As it is typed, on one line."""
    return f"\b\nExample:\n  {line}"


class _Program(click.Group):
    """The commands under the program's name, however it was started. Ctrl-C is exit code 130."""

    def main(self, *args: Any, **extra: Any) -> Any:
        return super().main(*args, **{"prog_name": "calotype", **extra})

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            sys.exit(_INTERRUPTED)


@click.group(
    cls=_Program,
    epilog=_example("calotype serve --originals ~/Pictures"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(proxy.__version__, prog_name="calotype")
def main() -> None:
    """Calotype: a self-hosted image CDN node.

    URLs say what a picture should be, as in /w_400,h_300,c_fill,f_auto/photo.jpg; the node renders it once and
    serves it from its tiers ever after.
    """


def _node_options(command: Callable[..., None]) -> Callable[..., None]:
    """What a node's settings take from the command line; the command gets `flags`, by section."""

    @wraps(command)
    def sectioned(
        cache: Path | None, host: str | None, port: int | None, processes: int | None, **rest: Any
    ) -> None:
        flags: dict[str, Any] = {"server": _given(host=host, port=port, processes=processes)}
        if cache is not None:
            flags["cache"] = {"disk": {"path": str(cache)}}
        command(flags=flags, **rest)

    for option in (
        click.option("--processes", type=int, help="Processes that answer requests (1)."),
        click.option("--port", type=int, help="Port of the public listener (8080); 0 takes a free one."),
        click.option("--host", help="Address of the public listener (127.0.0.1)."),
        click.option("--cache", type=click.Path(path_type=Path), help="Directory of the disk tier."),
        _originals_option,
        _config_option,
    ):
        sectioned = option(sectioned)
    return sectioned


@main.command(
    short_help="Run the node.", epilog=_example("calotype serve --originals ~/Pictures --port 8000")
)
@_node_options
@click.option("--demo", "is_demo", is_flag=True, help="Paint originals to try it on, and print URLs to open.")
def serve(config: Path | None, originals: Path | None, flags: dict[str, Any], is_demo: bool) -> None:
    """Run the node until it is told to stop (SIGTERM or Ctrl-C), then let what is under way finish."""
    announce: Callable[[str, str], str] | None = None
    if not sys.stdout.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until there is something to read anew.
    with _one_line():
        if is_demo and config is None:
            config = demo.configuration()

        def read() -> Settings:
            settings = _settings(config, originals, **flags)
            return demo.with_originals(settings) if is_demo else settings

        settings = read()
        if is_demo:
            demo.paint(settings)
            announce = demo.announce
        children = prepare(settings)
    out = Outlet(form=settings.log.format)
    try:
        _run(serve_until_signal(settings, out, children, read=read, announce=announce))
    finally:
        out.close()
    leave()


@main.command(
    short_help="Render pictures without a server.",
    epilog=_example("calotype render photo.jpg w_300,h_300,c_fill -o card.webp"),
)
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.argument("transform", metavar="TRANSFORM")
@click.option(
    "-o",
    "out",
    type=click.Path(path_type=Path),
    help="File, or - for standard output (the default); the directory if INPUT is one.",
)
@_json_option
@_config_option
def render(source: Path, transform: str, out: Path | None, config: Path | None, as_json: bool) -> None:
    """Render INPUT, a picture or a directory of them, through the same engine without a server.

    TRANSFORM is the first segment of a path URL, as in w_400,h_300,c_fill,f_webp. INPUT - is standard input. Without f_
    the suffix of the output decides, then the format of the original. Standard error has a line for each variant.
    """
    with _one_line():
        settings = _settings(config)
    failed = _run(batch.render(settings, source, transform, out, as_json=as_json))
    sys.exit(1 if failed else 0)


def _sign_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--session", default="", help="Sign for this value of the session cookie or header."),
        click.option("--domain", default="", help="Sign for pages of this host and those below it."),
        click.option(
            "--expires", "seconds", type=_Duration(), help="Sign for so long from now, as in 30m, 1h, 7d."
        ),
        click.option("--key", "key_id", help="Id of the key to sign with, and name it in the URL."),
        click.option("--mount", help="Name of the mount, where there are several."),
    ):
        command = option(command)
    return command


@main.command(
    short_help="Print the URL of a variant.",
    epilog=_example("calotype url shoes/red.jpg w_400,f_auto --sign --expires 1h --config shop.toml"),
)
@click.argument("key", metavar="KEY")
@click.argument("transform", metavar="TRANSFORM")
@_json_option
@click.option("--query", is_flag=True, help="Print the /thumbnail?url= form.")
@click.option("--sign", "is_signed", is_flag=True, help="Sign it.")
@_sign_options
@_config_option
def url(
    key: str,
    transform: str,
    mount: str | None,
    query: bool,
    is_signed: bool,
    as_json: bool,
    config: Path | None,
    **how: Any,
) -> None:
    """Print the URL of a variant: KEY of the original, TRANSFORM as in w_400,h_300,c_fill,f_auto."""
    if not is_signed and any(how.values()):
        raise click.UsageError("--key, --expires, --domain and --session go with --sign")
    wish = links.Wish(**how) if is_signed else None
    with _one_line():
        settings = _settings(config)
        made = links.variant_url(settings, key, transform, mount=mount, query=query, wish=wish)
    click.echo(json.dumps({"url": made}) if as_json else made)


@main.command(
    short_help="Sign a URL.",
    epilog=_example('calotype sign "/thumbnail?url=shoes/red.jpg&w=1234" --expires 1h --config shop.toml'),
)
@click.argument("url", metavar="URL")
@_json_option
@_sign_options
@_config_option
def sign(url: str, mount: str | None, config: Path | None, as_json: bool, **how: Any) -> None:
    """Print URL, absolute or from its first slash on, with its signature."""
    with _one_line():
        made = links.signed_url(_settings(config), url, mount=mount, wish=links.Wish(**how))
    click.echo(json.dumps({"url": made}) if as_json else made)


@main.command(
    short_help="Tell what a URL means.",
    epilog=_example("calotype explain /w_100,f_auto/photo.jpg --accept image/webp --originals ~/Pictures"),
)
@click.argument("url")
@click.option("--accept", default="", help="The Accept header to negotiate f_auto with.")
@_json_option
@_originals_option
@_config_option
def explain(url: str, accept: str, as_json: bool, originals: Path | None, config: Path | None) -> None:
    """Tell what URL means: its signature, original, transform, plan, cache key, and what was ignored or clamped.

    Exit 1 if the node would refuse the URL. The output then has every reason, and all that can still be said.
    """

    async def tell() -> dict[str, Any]:
        settings = _settings(config, originals)
        if not settings.sources:
            raise ConfigError("sources: give --originals DIR or --config FILE")
        async with Engine(settings, PrometheusMetrics(), quiet(), disk=None, workers=1) as engine:
            return dict(await engine.explain(url, accept))

    told = _run(tell())
    if as_json:
        click.echo(json.dumps(told))
    for name, value in () if as_json else told.items():
        for line in value if isinstance(value, list) else [value]:
            click.echo(f"{name:10} {line}".rstrip())
    sys.exit(1 if told["refused"] else 0)


@main.command(
    short_help="Make variants before they are asked for.",
    epilog=_example(
        "calotype warm --source shop --preset card --config shop.toml --node http://127.0.0.1:8081"
    ),
)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read keys from standard input, one a line.")
@click.option(
    "--file",
    "file",
    type=click.File("r", "utf-8-sig", errors="replace"),
    help="Read keys from this file, one a line; lines that begin with # are comments.",
)
@click.option("--source", help="All pictures of this source.")
@click.option("--prefix", default="", help="With --source: those whose keys begin so.")
@click.option(
    "--access-log",
    "log",
    type=click.File("r", "utf-8", errors="replace"),
    help="What a log of nginx's or of a node's says was asked for.",
)
@click.option("--preset", "presets", multiple=True, help="Make this preset; may repeat.")
@click.option("--transform", "transforms", multiple=True, help="Make this, as in w_400,f_auto; may repeat.")
@click.option("--mount", help="Name of the mount, where there are several.")
@click.option("--node", help="Admin URL of a running node, which does it; else it is done here.")
@_token_option
@_json_option
@_config_option
def warm(
    keys: tuple[str, ...],
    from_stdin: bool,
    file: TextIO | None,
    source: str | None,
    prefix: str,
    log: TextIO | None,
    presets: tuple[str, ...],
    transforms: tuple[str, ...],
    mount: str | None,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Make variants before they are asked for, of the originals KEY or of those that an option names.

    What is there already is skipped. Exit 1 if anything failed.
    """
    given = [bool(keys), from_stdin, file is not None, source is not None, log is not None]
    if sum(given) != 1:
        raise click.UsageError("give one of KEY..., --stdin, --file, --source and --access-log")
    if prefix and source is None:
        raise click.UsageError("--prefix goes with --source")
    if token is not None and node is None:
        raise click.UsageError("--token goes with --node")
    lines = io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "replace") if from_stdin else file
    named = keys if lines is None else pregenerate.keys_of(lines)
    originals = pregenerate.Originals(keys=named, source=source, prefix=prefix, log=log)
    wanted = (*(f"t_{name}" for name in presets), *transforms)
    with _one_line():
        settings = _settings(config)
    counts = _run(pregenerate.warm(settings, originals, wanted, mount=mount, node=node, token=token))
    if as_json:
        click.echo(json.dumps(counts._asdict()))
    else:
        click.echo(str(counts), err=True)
    sys.exit(1 if counts.failed else 0)


@main.command(
    short_help="Have no node serve what was made before.",
    epilog=_example("calotype purge --original shoes/red.jpg --config shop.toml"),
)
@click.option("--original", help="All of this original, which is then fetched anew.")
@click.option("--prefix", help="All originals whose keys begin so.")
@click.option("--url", help="What is at this URL, in every format.")
@click.option("--preset", help="What this preset makes, of all originals.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--mount", help="Name of the mount, where there are several.")
@click.option("--node", help="Admin URL of a running node; else that of admin.host and admin.port.")
@_token_option
@_json_option
@_config_option
def purge(
    everything: bool,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
    **what: str | None,
) -> None:
    """Have no node serve any more what was made before.

    A node tells the others. Exit 1 where not every node has confirmed; the lines say which.
    """
    asked = {name: value for name, value in what.items() if value is not None}
    if everything:
        asked["all"] = True  # type: ignore[assignment]

    async def call() -> dict[str, Any]:
        if len(asked.keys() - {"mount"}) != 1:
            raise ConfigError("give one of --original, --prefix, --url, --preset and --all")
        async with Admin(_settings(config), node, token) as admin:
            return await admin.call("POST", "/v1/purge", asked)

    told = _run(call())
    if as_json:
        click.echo(json.dumps(told))
        return
    tiers = ", ".join(f"{name} {count}" for name, count in told["tiers"].items())
    behind = f"; {told['behind']} more are being removed" if told["behind"] else ""
    click.echo(f"purged: {told['removed']} entries removed{f' ({tiers})' if tiers else ''}{behind}")


@main.command(
    short_help="List or remove unneeded variants of the bucket.",
    epilog=_example("calotype gc --gone --unused-since 2026-06-01 --config shop.toml"),
)
@click.option("--gone", is_flag=True, help="Variants whose original is gone.")
@click.option(
    "--unused-since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Variants that nobody has asked any node for since this day.",
)
@click.option("--delete", is_flag=True, help="Remove them; without it they are only listed.")
@_json_option
@_config_option
def gc(gone: bool, unused_since: datetime | None, delete: bool, as_json: bool, config: Path | None) -> None:
    """List, or remove, variants in the bucket whose original is gone, or that no client asks for."""
    if not gone and unused_since is None:
        raise click.UsageError("give --gone, --unused-since or both")

    async def tidy() -> collect.Collected:
        since = None if unused_since is None else unused_since.date()
        return await collect.collect(_settings(config), gone=gone, unused_since=since, delete=delete)

    collected = _run(tidy())
    removed = sum(found.is_removed for found in collected.found)
    if as_json:
        click.echo(
            json.dumps({**collected._asdict(), "found": [found._asdict() for found in collected.found]})
        )
    for found in () if as_json else collected.found:
        click.echo(f"{'removed' if found.is_removed else 'unneeded'}  {found.name}: {found.reason}")
    said = f"{removed} removed" if delete else "add --delete to remove them"
    click.echo(
        f"{len(collected.found)} of {collected.looked_at} entries are needed by nobody; {said}"
        + (f"; {collected.unknown} could not be looked at" if collected.unknown else ""),
        err=True,
    )
    sys.exit(1 if collected.unknown or (delete and removed < len(collected.found)) else 0)


@main.command(
    "config",
    short_help="Print the effective configuration.",
    epilog=_example("calotype config --config shop.toml"),
)
@_json_option
@_node_options
def show(config: Path | None, originals: Path | None, flags: dict[str, Any], as_json: bool) -> None:
    """Print every setting that counts, and whether its value comes from a default, a file, the environment or a flag.

    The lines are those of a TOML file. Secrets are masked.
    """
    with _one_line():
        values = effective.effective(*_traced(config, originals, **flags))
    if as_json:
        click.echo(json.dumps({each.name: each.told() for each in values}))
        return
    for each in values:
        click.echo(each.line())


@main.command(
    short_help="Validate the configuration, and reach every part.",
    epilog=_example("calotype check --config shop.toml"),
)
@_json_option
@_config_option
@_originals_option
def check(config: Path | None, originals: Path | None, as_json: bool) -> None:
    """Validate the configuration, try every format, reach every source and tier. Exit 0 if all is well."""

    from proxy import checkup

    async def examine() -> list[checkup.Finding]:
        return await checkup.examine(_settings(config, originals))

    findings = _run(examine())
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings]))
    for finding in () if as_json else findings:
        click.echo(f"{'ok  ' if finding.well else 'FAIL'}  {finding.part}: {finding.said}")
    sys.exit(0 if all(finding.well for finding in findings) else 1)
