"""`calotype import`: a vendor's configuration as TOML, and the transforms of an access log."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, one_line, settings_of
from proxy.config.errors import ConfigError
from proxy.config.settings import load
from proxy.config.toml import document, toml
from proxy.core.admin.access_log import logged_transforms
from proxy.core.admin.imports.imgproxy_env import read_imgproxy
from proxy.core.admin.imports.imported import Imported
from proxy.core.admin.imports.next_config import read_next
from proxy.core.admin.imports.preset_file import read_presets
from proxy.core.admin.imports.thumbor_conf import read_thumbor
from proxy.core.url.mounts import mount_named
from proxy.node import factory

READERS: Mapping[str, Callable[[str], Imported]] = {
    "imgproxy": read_imgproxy,
    "thumbor": read_thumbor,
    "next": read_next,
    "presets": read_presets,
}
_BY_SUFFIX = {
    ".env": "imgproxy",
    ".conf": "thumbor",
    ".py": "thumbor",
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts", ".mts"), "next"),
}


def kind_of(path: Path) -> str:
    """Whose configuration a file is, by its name: a JSON file is presets, unless `next` is in its name. Raises
    ConfigError."""
    if path.name.startswith("next.config") or (path.suffix == ".json" and "next" in path.stem):
        return "next"
    kind = "imgproxy" if path.name == ".env" else _BY_SUFFIX.get(path.suffix, "")
    if not kind and path.suffix == ".json":
        kind = "presets"
    if not kind:
        raise ConfigError(
            f"{path}: the name does not say whose file it is; add --from imgproxy, thumbor, next or presets"
        )
    return kind


def read(path: Path, kind: str) -> Imported:
    """The settings of a vendor's file. Raises ConfigError."""
    try:
        return READERS[kind](path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except ValueError as reason:
        raise ConfigError(f"{path}: {reason}") from None
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from None


def written(imported: Imported) -> str:
    """The settings as TOML; the notes are comments at its beginning."""
    notes = "".join(f"# - {note}\n" for note in imported.notes)
    heading = f"# Not carried over, or to be looked at:\n{notes}\n" if notes else ""
    return f"{heading}{document(imported.settings)}".encode("utf-8", "replace").decode()


def refusal(text: str) -> str:
    """The reason for which a node does not start with these settings; empty if it does."""
    try:
        load(None, tomllib.loads(text))
    except ConfigError as failure:
        return str(failure)
    return ""


def transforms(log: TextIO, config: Path | None, mount: str | None) -> dict[str, dict[str, int]]:
    """By mount, the transforms of an access log, the most frequent one first. Raises ConfigError or CalotypeError."""
    rules = factory.rules(settings_of(config))
    counts = logged_transforms(log, rules, mount_named(rules, mount) if mount else None)
    return {name: dict(count.most_common()) for name, count in counts.items()}


def _print_transforms(found: Mapping[str, Mapping[str, int]]) -> None:
    for name, counts in found.items():
        lines = [f"    {toml(tokens)},  # {count}\n" for tokens, count in counts.items()]
        click.echo(f"[mounts.{name}]\ntransforms = [\n{''.join(lines)}]")
    click.echo(f"{sum(map(len, found.values()))} transforms", err=True)


@click.command(
    "import",
    epilog=example("calotype import imgproxy.env --from imgproxy > calotype.toml"),
)
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--from",
    "kind",
    type=click.Choice([*READERS]),
    help="Whose file it is. Default: by the name of the file.",
)
@click.option(
    "--transforms",
    "log",
    type=click.File("r", "utf-8", errors="replace"),
    help="Print the transforms that an access log of nginx or of a node names, for [mounts.NAME].",
)
@click.option("--mount", help="With --transforms: only the transforms of this mount.")
@json_option
@config_option
def command(
    file: Path | None,
    kind: str | None,
    log: TextIO | None,
    mount: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Convert FILE to settings of Calotype, as TOML: imgproxy's environment variables, a thumbor.conf, the images of a
    next.config, or presets as JSON.

    FILE is read and never executed. Settings that cannot be converted, such as values that are not literals, are listed
    in comments at the top of the output and on standard error. The output contains the secrets of URLs: keep it as safe
    as FILE.
    """
    if (file is None) == (log is None):
        raise click.UsageError("give one of FILE and --transforms")
    if log is None and (mount is not None or config is not None):
        raise click.UsageError("--mount and --config require --transforms")
    with one_line():
        if log is not None:
            found = transforms(log, config, mount)
            click.echo(json.dumps(found)) if as_json else _print_transforms(found)
            return
        assert file is not None
        imported = read(file, kind or kind_of(file))
    if reason := refusal(document(imported.settings)):
        imported.note("calotype", f"a node does not start with these settings: {reason}")
    text = written(imported)
    if as_json:
        click.echo(json.dumps({"toml": text, "notes": imported.notes}))
        return
    click.echo(text, nl=False)
    for note in imported.notes:
        click.echo(note, err=True)
