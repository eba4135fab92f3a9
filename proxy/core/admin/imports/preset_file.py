"""Presets as transforms of the native dialect: native ones as they are, those of imgproxy translated."""

import json
from contextlib import suppress
from typing import NamedTuple

from proxy.core.admin.imports.imported import Imported
from proxy.core.errors import BadTransform, CalotypeError
from proxy.core.url.dialects.component import Presets, components_of, expanded
from proxy.core.url.dialects.dialect import Reading, Unsupported
from proxy.core.url.dialects.imgproxy import urls as imgproxy
from proxy.core.url.dialects.native.urls import parse_tokens, spell
from proxy.core.url.parsed_url import VariantUrl

_NO_CHANGE = "dpr_1"
"""A transform that changes nothing: a preset cannot be empty."""
DEFAULT = "default"
"""The preset that applies to every URL of imgproxy."""


def read_presets(text: str) -> Imported:
    """The presets of a JSON object of names and transforms, native or of imgproxy. Raises ValueError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("presets"), dict):
        document = document["presets"]
    if not isinstance(document, dict):
        raise ValueError("must be a JSON object of names and transforms")
    imported = Imported()
    for name, transform in document.items():
        if not isinstance(transform, str):
            imported.note(f"preset {name!r}", "must be a text")
    add_presets(imported, {name: each for name, each in document.items() if isinstance(each, str)})
    return imported


class _Native(NamedTuple):
    """A transform as a path URL has it, and the options that it does not do."""

    tokens: str
    lost: str = ""


def add_presets(imported: Imported, written: dict[str, str], separator: str = ":") -> None:
    """Adds the presets to `imported`, and a note for each that is not carried over as a whole. A preset may name others."""
    presets: Presets = {}
    waiting, failures = dict(written), dict[str, str]()
    while waiting:
        found: dict[str, _Native] = {}
        for name, text in waiting.items():
            try:
                found[name] = _native(text, presets, separator)
            except CalotypeError as failure:
                failures[name] = failure.detail
        if not found:
            break
        presets = {
            **presets,
            **{name: parse_tokens(each.tokens, {}).components for name, each in found.items()},
        }
        for name, native in found.items():
            if imported.preset(name, native.tokens) and native.lost:
                imported.note(f"preset {name!r}", native.lost)
        waiting = {name: text for name, text in waiting.items() if name not in found}
    for name in waiting:
        imported.note(f"preset {name!r}", failures[name])


def _native(text: str, presets: Presets, separator: str) -> _Native:
    """The native transform. Raises CalotypeError."""
    with suppress(CalotypeError):
        components = parse_tokens(text, presets).components
        names_another = any(component.preset is not None for component in components)
        return _Native(spell(expanded(components, presets)) if names_another else text)
    # The preset `default` would apply to every other one.
    known = {name: components for name, components in presets.items() if name != DEFAULT}
    reading = Reading(presets=known, unsupported=Unsupported.IGNORE, arguments_separator=separator)
    parsed = imgproxy.parse(f"/_/{text}/plain/a", reading)
    if not isinstance(parsed, VariantUrl):
        raise BadTransform("the original itself is no transform")
    tokens = spell(components_of(parsed.transform))
    if not tokens:
        return _Native(_NO_CHANGE, "it requests nothing by itself; options in URLs cannot complete it")
    names = ", ".join(each.parameter for each in parsed.unused)
    return _Native(tokens, f"without {names}" if names else "")
