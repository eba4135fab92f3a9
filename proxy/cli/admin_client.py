"""The admin calls of a node that runs, for the command line."""

import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings

CALL_S = 150.0
_PARAMETER = re.compile(r"\bparameter (mount|original|prefix|url|preset|all)\b")
"""What the commands have as flags of the same names."""


class AdminClient:
    """An async context. Raises ConfigError for what cannot be reached or is refused, in a line."""

    def __init__(self, settings: Settings, url: str | None, token: str | None = None) -> None:
        """`url` and `token` are those of the node; by default this configuration's own."""
        admin = settings.admin
        host = f"[{admin.host}]" if ":" in admin.host else admin.host
        self._url = (url or f"http://{host}:{admin.port}").rstrip("/")
        token = admin.token.get_secret_value() if token is None else token
        if not token.isascii() or not token.isprintable():
            raise ConfigError("--token: must be printable ASCII")
        if not self._url.startswith(("http://", "https://")):
            raise ConfigError("--node: must begin with http:// or https://")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "AdminClient":
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=CALL_S), trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """What it answers."""
        assert self._session is not None
        try:
            async with self._session.request(
                method, self._url + path, json=body, allow_redirects=False
            ) as answer:
                document: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise ConfigError(f"--node: no node answers at {self._url}") from None
        if answer.status >= 300:
            detail = _PARAMETER.sub(r"--\1", str(document.get("detail", answer.status)))
            if answer.status == 401:
                detail = (
                    f"--token: the node does not take it: {detail}" if self._headers else f"--token: {detail}"
                )
            open_ = "".join(f"\n  {line}" for line in document.get("open", ()))
            raise ConfigError(detail + open_)
        return document
