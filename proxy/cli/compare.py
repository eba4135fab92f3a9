"""`calotype compare`: asks another server and a node for the same URLs, and reports in what their responses differ."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from proxy.cli.comparison_journal import ComparisonHead, ComparisonJournal
from proxy.cli.comparison_report import write_report
from proxy.cli.comparison_servers import is_url, node_server, open_responders, server_name
from proxy.cli.examples import example
from proxy.cli.options import Duration, config_option, json_option, run, settings_of
from proxy.cli.progress import ProgressBar, progress_bar
from proxy.cli.url import chosen_mount
from proxy.cli.warm import keys_of
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.comparing.comparison import (
    Compared,
    Differing,
    Kind,
    Summary,
    Tolerance,
    differences,
    severity,
    summary,
)
from proxy.core.comparing.report import Heading
from proxy.core.comparing.targets import Targets, given_targets, logged_targets
from proxy.core.masking import without_secrets
from proxy.core.url.mounts import Mount
from proxy.node import factory
from proxy.node.picture_judge import open_judge
from proxy.remote.comparison_client import Server
from proxy.service.admin.compare import Pair, compare

BROWSER_ACCEPT = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
"""The Accept header of Chromium for an <img>."""
MAX_JOBS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """The options of the command, without the URLs. `vendor` is a URL or a folder."""

    vendor: str
    node: str | None
    accept: str
    jobs: int
    timeout_s: float
    tolerance: Tolerance
    report: Path | None
    save: Path | None


Found = Sequence[tuple[Compared, Sequence[Differing]]]
"""URLs with the differences that count, the worst first."""


async def compare_all(
    settings: Settings, mount: Mount | None, targets: Targets, options: CompareOptions
) -> tuple[Summary, Found]:
    """Compares `targets` and writes the report, also of what was compared before an interruption. Raises ConfigError and
    WorkerDied."""
    server = node_server(settings, options.node, mount)
    async with AsyncExitStack() as stack:
        judge, unsandboxed = await stack.enter_async_context(open_judge(settings))
        if unsandboxed:
            click.echo(unsandboxed, err=True)
        ours, theirs = await open_responders(
            stack,
            settings,
            server,
            options.vendor,
            save=options.save,
            accept=options.accept,
            timeout_s=options.timeout_s,
        )
        journal = None
        if options.report is not None:
            journal = stack.enter_context(closing(_journal(options, server, options.report)))
        earlier = {} if journal is None else journal.earlier
        done = {target: earlier[target] for target in targets.found if target in earlier}
        interruption: asyncio.CancelledError | None = None
        try:
            with progress_bar("comparing", len(targets.found)) as bar:
                asking = partial(compare, ours=ours, theirs=theirs, judge=judge)
                await _compare_rest(asking, targets, options, done, journal, bar)
        except asyncio.CancelledError as cancelled:
            interruption = cancelled
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        summed, found = _found([done[each] for each in targets.found if each in done], options.tolerance)
        text = _missing(targets, len(done))
        if journal is not None and options.report is not None:
            heading = Heading(server_name(server), options.vendor, options.accept, _now(), text)
            await write_report(options.report, heading, summed, found, journal, judge)
    if text:
        click.echo(text, err=True)
    if interruption is not None:
        if journal is not None:
            click.echo("the same command continues from here", err=True)
        raise interruption
    if journal is not None:
        journal.remove()
    return summed, found


async def _compare_rest(
    asking: Callable[[str], Awaitable[Pair]],
    targets: Targets,
    options: CompareOptions,
    done: dict[str, Compared],
    journal: ComparisonJournal | None,
    bar: ProgressBar,
) -> None:
    """Compares the targets that `done` lacks, and adds the results to it. Prints a line for each URL that differs."""
    pending = iter([target for target in targets.found if target not in done])
    differ = sum(bool(differences(each, options.tolerance)) for each in done.values())

    async def work() -> None:
        nonlocal differ
        for target in pending:
            try:
                pair = await asking(target)
                if journal is not None:
                    journal.add(pair)
            except OSError as fault:
                raise ConfigError(f"--save or --report: cannot be written: {fault.strerror}") from None
            done[target] = pair.compared
            if found := differences(pair.compared, options.tolerance):
                differ += 1
                bar.print(f"{without_secrets(target)}: {'; '.join(each.text for each in found)}")
            bar.set(done=len(done), total=len(targets.found), failed=differ)

    async with asyncio.TaskGroup() as group:
        for _ in range(options.jobs):
            group.create_task(work())


def _found(compared: list[Compared], tolerance: Tolerance) -> tuple[Summary, Found]:
    """The sum, and the URLs in order; those that differ alike stay in the order that they were given in."""
    found = [(each, differences(each, tolerance)) for each in compared]
    return summary(compared, tolerance), sorted(found, key=lambda each: severity(*each))


def _missing(targets: Targets, done: int) -> str:
    """A sentence about the URLs that were not compared; empty if there is none."""
    texts = []
    if done < len(targets.found):
        texts.append(f"interrupted: {done:,} of {len(targets.found):,} URLs were compared")
    if targets.masked:
        texts.append(f"{targets.masked:,} URLs of the log were left out, because their signatures are masked")
    return "; ".join(texts)


def _now() -> str:
    return datetime.fromtimestamp(factory.wall(), UTC).strftime("%Y-%m-%d %H:%M UTC")


def _journal(options: CompareOptions, server: Server, report: Path) -> ComparisonJournal:
    folder = report.with_name(f"{report.name}.journal")
    head = ComparisonHead(f"{server.url} {server.host} {server.socket_path}", options.vendor, options.accept)
    tolerance = options.tolerance
    return ComparisonJournal(folder, head, lambda each: severity(each, differences(each, tolerance)))


def _sentence(summed: Summary) -> str:
    kinds = ", ".join(f"{name} {count}" for name, count in summed.kinds.items() if count)
    return f"{summed.differ:,} of {summed.urls:,} URLs differ" + (f" ({kinds})" if kinds else "")


@click.command(
    "compare",
    epilog=example(
        "calotype compare --access-log access.log --vendor https://images.example.com --report out.html"
    ),
)
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option(
    "--file",
    "file",
    type=click.File("r", "utf-8-sig", errors="replace"),
    help="Read URLs from this file, one a line; lines that begin with # are comments.",
)
@click.option(
    "--access-log",
    "log",
    type=click.File("r", "utf-8", errors="replace"),
    help="Use the URLs that an access log of nginx or of a node names, each once.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Compare the first URLs only, so many.")
@click.option(
    "--vendor", required=True, help="URL of the server to compare with, or a folder of its saved responses."
)
@click.option("--node", help="URL of the node. Default: the public listener of the configuration.")
@click.option("--mount", "mount_name", help="Mount that answers the URLs: its host and path are asked for.")
@click.option("--accept", default=BROWSER_ACCEPT, help="Accept header for both. Default: that of Chromium.")
@click.option("--jobs", type=click.IntRange(1, MAX_JOBS), default=4, help="URLs at the same time (4).")
@click.option(
    "--timeout", "timeout_s", type=Duration(), default="60s", help="Longest time of a response (60s)."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100),
    default=Tolerance().difference,
    help="Visual difference in percent that does not count (5).",
)
@click.option(
    "--growth",
    type=click.FloatRange(min=0),
    default=Tolerance().growth,
    help="Percent by which a response of the node may be larger (50).",
)
@click.option(
    "--ignore",
    type=click.Choice([kind.value for kind in Kind]),
    multiple=True,
    help="Kind of difference that does not count; may repeat.",
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="HTML file to write, with pictures."
)
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to save the vendor's responses in, for a later --vendor.",
)
@json_option
@config_option
def command(
    urls: tuple[str, ...],
    file: TextIO | None,
    log: TextIO | None,
    limit: int | None,
    mount_name: str | None,
    threshold: float,
    growth: float,
    ignore: tuple[str, ...],
    as_json: bool,
    config: Path | None,
    **others: Any,
) -> None:
    """Ask the vendor and the node for each URL, and report differences of status, size, format, bytes and picture.

    URL is absolute or begins with a slash; its scheme and host are replaced. Signatures are sent unchanged. Standard
    error has a line for each URL that differs, with signatures masked. The report, the folders beside it and --json hold
    the whole URLs. A command that was stopped continues if it is given the same --report.

    Exit 1 if a URL differs by more than the thresholds.
    """
    if sum([bool(urls), file is not None, log is not None]) != 1:
        raise click.UsageError("give one of URL..., --file and --access-log")
    options = CompareOptions(
        tolerance=Tolerance(difference=threshold, growth=growth, ignored=frozenset(map(Kind, ignore))),
        **others,
    )
    if not is_url(options.vendor) and not Path(options.vendor).is_dir():
        raise click.UsageError("--vendor must be a URL or an existing folder")
    if options.save is not None and not is_url(options.vendor):
        raise click.UsageError("--save requires a --vendor that is a URL")

    async def compared() -> tuple[Summary, Found]:
        settings = settings_of(config)
        # Another node may have mounts that this configuration lacks.
        is_named = options.node is None or mount_name is not None
        mount = chosen_mount(factory.rules(settings), mount_name) if is_named else None
        if log is not None:
            targets = logged_targets(log, mount)
        else:
            targets = given_targets(urls if file is None else keys_of(file), mount)
        return await compare_all(settings, mount, targets._replace(found=targets.found[:limit]), options)

    summed, found = run(compared())
    if as_json:
        differing = [
            {"differences": [each.text for each in of_url], **msgspec.to_builtins(one)}
            for one, of_url in found
            if of_url
        ]
        click.echo(json.dumps({**msgspec.to_builtins(summed), "differing": differing}))
    else:
        click.echo(_sentence(summed), err=True)
    sys.exit(1 if summed.differ else 0)
