"""What the pages show of the node: the gallery of a demo; its mounts and originals, the gallery of a mount, and the URLs of
other vendors for a picture."""

from pathlib import Path
from typing import Any, NamedTuple

import proxy
from proxy.config.sections import DirectorySection
from proxy.config.settings import Settings
from proxy.core.admin.commands import ListOriginals
from proxy.core.errors import BadRequest, UnknownRoute
from proxy.core.url.dialects.native.examples import path_parameters
from proxy.core.url.equivalents import equivalents
from proxy.core.url.mounts import Mount, Rules, Signing
from proxy.core.url.parsed_url import VariantUrl
from proxy.edge.gallery import File, Gallery, demo_originals, documents, listed_originals, parts
from proxy.ports.operations import CommandDispatcher

_LISTED_ORIGINALS = 300
"""The most originals that the playground lists; others can be typed."""


def public_pages(settings: Settings) -> dict[str, File]:
    """The pages of the public listener, by path."""
    if not settings.server.gallery:
        return {}
    admin = settings.admin
    host = f"[{admin.host}]" if ":" in admin.host else admin.host
    admin_url = f"http://{host}:{admin.port}" if admin.port else None
    folders = [source.path for source in settings.sources.values() if isinstance(source, DirectorySection)]
    folder = str(folders[0]) if folders else ""
    node = f" --node {admin_url}" if admin_url else ""
    replacing = f'cp another.jpg "{folder}/lake.jpg"\n./run purge --original lake.jpg{node}'
    checkout = Path(proxy.__file__).parents[1]
    texts = documents(checkout / "docs") if (checkout / "pyproject.toml").exists() else {}
    gallery = Gallery(base="", admin_url=admin_url, replacing=replacing, documents="/docs/" if texts else "")
    return {"/": File(gallery.page(demo_originals(folder)), "text/html"), **parts(), **texts}


class AdminPages(NamedTuple):
    """The pages of the admin listener for the present `rules`."""

    rules: Rules
    dispatcher: CommandDispatcher

    async def playground(self) -> dict[str, object]:
        """What the playground chooses from."""
        native = self._native()
        return {
            "mounts": [
                {"name": each.name, "prefix": each.prefix, "signing": each.signing} for each in native
            ],
            "originals": await self._originals({each.name for each in native}),
            "parameters": path_parameters(),
        }

    async def gallery(self, public_origin: str) -> str:
        """The gallery of the first mount that answers unsigned native URLs of any transform, whose pictures are at
        `public_origin`. Raises UnknownRoute if there is none, or if it has no originals that can be listed."""
        shown = {
            each.name: each
            for each in self._native()
            if each.signing is not Signing.REQUIRED and not each.presets_only
        }
        listed = await self._originals(set(shown)) if public_origin else []
        if not listed:
            raise UnknownRoute(
                "the gallery requires a mount of native URLs with signing off or optional, without presets_only, whose"
                " originals can be listed, and server.port"
            )
        mount = shown[listed[0][0]]
        keys = [key for name, key in listed if name == mount.name]
        replacing = f"calotype purge --original {keys[0]} --mount {mount.name}"
        gallery = Gallery(
            base=f"{public_origin}{mount.prefix.rstrip('/')}", admin_url="", replacing=replacing
        )
        return gallery.page(listed_originals(keys))

    def vendor_urls(self, name: str, target: str) -> list[dict[str, object]]:
        """For each other dialect the unsigned URL of the picture at `target` of the native mount `name`, below the mount
        of that dialect with the same source, or as below a mount at `/`. Raises BadRequest, BadUrl or BadTransform."""
        native = next((each for each in self._native() if each.name == name), None)
        if native is None or not target.startswith(native.prefix):
            raise BadRequest("parameters mount and target: must be a mount of native URLs and a URL of it")
        parsed = native.parse(target, self.rules.presets)
        if not isinstance(parsed, VariantUrl):
            raise BadRequest("parameter target: must be the URL of a variant")
        serving = {
            each.dialect.name: each
            for each in self.rules.mounts
            if each.source == native.source and each.host == "*"
        }
        return [
            _vendor_url(dialect, below, serving.get(dialect))
            for dialect, below in equivalents(parsed.transform, parsed.key)
        ]

    def _native(self) -> list[Mount]:
        return [each for each in self.rules.mounts if each.is_native and each.host == "*"]

    async def _originals(self, names: set[str]) -> list[tuple[str, str]]:
        """Mount and key of originals of the mounts called `names`."""
        listed: Any = await self.dispatcher.execute(ListOriginals(_LISTED_ORIGINALS))
        return [(name, key) for name, key in listed if name in names]


def _vendor_url(dialect: str, below: str, mount: Mount | None) -> dict[str, object]:
    """The target `below` a mount of the dialect, empty if there is none; `can_sign` of a mount that takes signatures."""
    target = f"{mount.prefix.rstrip('/')}{below}" if mount and below else below
    can_sign = mount is not None and mount.signing is not Signing.OFF
    return {"dialect": dialect, "target": target, "is_served": mount is not None, "can_sign": can_sign}
