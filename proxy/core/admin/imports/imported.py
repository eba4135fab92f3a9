"""The result of reading a vendor's configuration: settings, and notes about what they do not do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Value = str | int | bool | tuple[str, ...] | tuple[int, ...]
SettingPath = tuple[str, ...]
"""Section, table and key, as in `("mounts", "images", "source")`."""

MOUNT = "images"
EXAMPLE_HOST = "images.example"
"""The host in place of one that the vendor's configuration does not name."""
LOCAL, BUCKET, WEB = "local", "bucket", "web"
"""The names of the sources."""

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?", re.ASCII)
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)


@dataclass(slots=True)
class Imported:
    """`settings` are in the order in which they are written."""

    settings: dict[SettingPath, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, subject: str, text: str) -> None:
        """Reports what the settings do not do; `subject` is the name that the vendor has for it. A note is one line."""
        self.notes.append(_UNFIT.sub("?", f"{subject}: {text}"))

    def note_unknown(self, name: str, reasons: Sequence[tuple[str, str]] = (), *, prefix: str = "") -> None:
        """Reports a setting that was not imported; `reasons` have the starts of names,
        which are written with `prefix`."""
        reason = next((text for start, text in reasons if name.startswith(start)), "")
        self.note(f"{prefix}{name}", reason or "there is no such setting")

    def mount(self, **values: Value) -> None:
        """Sets keys of the mount."""
        self.settings |= {("mounts", MOUNT, key): value for key, value in values.items()}

    def source(self, name: str, **values: Value) -> None:
        """Sets keys of a source."""
        self.settings |= {("sources", name, key): value for key, value in values.items()}

    def web_source(self, hosts: Sequence[str], *, base_url: str = "") -> None:
        """The source of web servers. Without a host and a base URL it has EXAMPLE_HOST, and a note."""
        if not hosts and not base_url:
            self.note(
                f"sources.{WEB}.hosts",
                f"put the hosts of the originals in place of {EXAMPLE_HOST}: the node fetches from listed hosts only",
            )
            hosts = (EXAMPLE_HOST,)
        self.source(WEB, kind="http")
        if base_url:
            self.source(WEB, base_url=base_url)
        if hosts:
            self.source(WEB, hosts=tuple(dict.fromkeys(hosts)))

    def mounted(self, sources: Sequence[str], dialect: str) -> None:
        """The mount with the first source, and the second as the remote one."""
        self.mount(dialect=dialect, source=sources[0])
        if len(sources) > 1:
            self.mount(remote=sources[1])
        for name in sources[2:]:
            self.note(f"sources.{name}", "a mount has two sources at most: give this one a mount of its own")

    def unsigned(self) -> None:
        """Any size for unsigned URLs, as the vendor grants them."""
        self.mount(dimensions="any", open=True)
        self.note(
            f"mounts.{MOUNT}.open",
            "every client can request any size, as before; `dimensions` and `signing` limit that",
        )

    def missing_key(self, key_id: str) -> None:
        """A key of the mount that the vendor's configuration does not show: the node does not start without it."""
        self.note(
            f"signing.keys.{key_id}",
            f"set CALOTYPE_SIGNING__KEYS__{key_id.upper()} to the key: the node does not start without it",
        )

    def preset(self, name: str, transform: str) -> bool:
        """Sets a preset; False, and a note, if its name is not possible."""
        if not _NAME.fullmatch(name):
            self.note(
                f"preset {name!r}", "a name has 1 to 63 letters, digits, - and _, and no - or _ at its start"
            )
            return False
        self.settings["presets", name] = transform
        return True


def plain_host(text: str) -> str | None:
    """A host, with its port unless it is 80 or 443; None for a pattern or other text."""
    host = text.lower().removesuffix(":80").removesuffix(":443")
    return host if _HOST.fullmatch(host) else None
