"""Reads the requested variants from access logs: nginx's combined format, the JSON format of `nginx/`, and the node's
own."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from proxy.core.errors import CalotypeError
from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.url.dialects.component import components_of
from proxy.core.url.dialects.native.urls import spell
from proxy.core.url.interpret import Interpreted, interpret, trusted
from proxy.core.url.mounts import Mount, Rules, host_name, only_mount
from proxy.core.url.parsed_url import VariantUrl

_COMBINED = re.compile(r'"(?:GET|HEAD) (\S+) HTTP/[0-9.]+" ([0-9]{3}) ')
_SERVED = frozenset({200, 206, 302, 304})


class Line(NamedTuple):
    """A logged request that was answered with a picture."""

    target: str
    host: str
    format: str


class LoggedVariant(NamedTuple):
    """A variant to generate: mount, key, and the transform as in a path URL."""

    mount: str
    key: str
    transform: str


def logged_variants(lines: Iterable[str], rules: Rules, mount: Mount | None) -> Iterator[LoggedVariant]:
    """The logged variants in the order of their first request, each once; only those of `mount`, if given. Lines that
    are not a request for a variant of this node are skipped."""
    seen_variants: set[LoggedVariant] = set()
    for meaning, transform, format_name in _requests(lines, rules, mount):
        with suppress(CalotypeError):
            key = meaning.mount.locator(meaning.ref) or meaning.parsed.key
            answered = _answered(transform, format_name)
            found = LoggedVariant(meaning.mount.name, key, spell(components_of(answered)))
            if found not in seen_variants:
                seen_variants.add(found)
                yield found


def logged_transforms(lines: Iterable[str], rules: Rules, mount: Mount | None) -> dict[str, Counter[str]]:
    """By mount, how often each transform was requested, as in a path URL; only those of `mount`, if given. URLs of a
    preset alone do not count, because every mount grants them."""
    counts: dict[str, Counter[str]] = {}
    for meaning, transform, _ in _requests(lines, rules, mount):
        tokens = spell(components_of(without_no_ops(transform)))
        if tokens and isinstance(meaning.parsed, VariantUrl) and not meaning.parsed.is_preset:
            counts.setdefault(meaning.mount.name, Counter())[tokens] += 1
    return counts


def _requests(
    lines: Iterable[str], rules: Rules, mount: Mount | None
) -> Iterator[tuple[Interpreted, Transform, str]]:
    """The requests for a variant, each with its transform and the logged output format. Refusals of the policy are
    ignored: the node answered the request, and logs do not show signatures."""
    for line in served(lines):
        with suppress(CalotypeError):
            meaning = interpret(
                rules,
                host_name(line.host),
                line.target,
                mount=only_mount(rules),
                verify=trusted,
                refuse=lambda _: None,
            )
            transform = meaning.transform if isinstance(meaning.parsed, VariantUrl) else None
            if transform is not None and (mount is None or meaning.mount.name == mount.name):
                yield meaning, transform, line.format


def served(lines: Iterable[str]) -> Iterator[Line]:
    """The requests that were answered with a picture; other lines are skipped."""
    for text in lines:
        line = _line(text)
        if line is not None:
            yield line


def _line(text: str) -> Line | None:
    if not text.lstrip().startswith("{"):
        match = _COMBINED.search(text)
        return Line(match[1], "", "") if match and int(match[2]) in _SERVED else None
    try:
        entry = json.loads(text)
        if (
            not isinstance(entry, dict)
            or not isinstance(status := entry.get("status"), int)
            or status not in _SERVED
        ):
            return None
        return Line(str(entry["target"]), str(entry.get("host", "")), str(entry.get("format", "")))
    except (ValueError, KeyError, RecursionError):
        return None


def _answered(transform: Transform, format_name: str) -> Transform:
    """`transform` with the logged output format, if the log has one."""
    with suppress(ValueError):
        kind = Format(format_name)
        if transform.needs_facts and TRAITS[kind].shown:
            return replace(transform, format=kind)
    return transform
