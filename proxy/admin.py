"""The admin calls of a node that runs, for the command line."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from proxy.config import ConfigError, Settings

CALL_S = 150.0


class Admin:
    """An async context. Raises ConfigError for what cannot be reached or is refused, in a line."""

    def __init__(self, settings: Settings, url: str | None) -> None:
        admin = settings.admin
        host = f"[{admin.host}]" if ":" in admin.host else admin.host
        self._url = (url or f"http://{host}:{admin.port}").rstrip("/")
        token = admin.token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Admin":
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
                told: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise ConfigError(f"--node: no node answers at {self._url}") from None
        if answer.status >= 300:
            open_ = "".join(f"\n  {line}" for line in told.get("open", ()))
            raise ConfigError(f"{told.get('detail', answer.status)}{open_}")
        return told
