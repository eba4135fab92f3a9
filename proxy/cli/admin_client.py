"""A client for the operations API of a running node."""

import re
from collections.abc import Mapping
from typing import IO, Any

import aiohttp

from proxy.cli.options import listener_url
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings

CALL_S = 150.0
_PARAMETER = re.compile(r"\bparameter (mount|original|prefix|url|preset|all|key|overwrite)\b")
"""Parameters that the commands have as flags of the same names."""


class AdminClient:
    """Raises ConfigError, with one line, if the node cannot be reached or refuses the call."""

    def __init__(self, settings: Settings, url: str | None, token: str | None = None) -> None:
        """`url` and `token` are those of the node; the defaults come from the configuration."""
        admin = settings.admin
        self._url = (url or listener_url(admin.host, admin.port)).rstrip("/")
        token = admin.token.get_secret_value() if token is None else token
        if not token.isascii() or not token.isprintable():
            raise ConfigError("--token: must be printable ASCII")
        if not self._url.startswith(("http://", "https://")):
            raise ConfigError("--node: must begin with http:// or https://")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        file: IO[bytes] | None = None,
    ) -> dict[str, Any]:
        """The JSON object of the response. The request has `body` as JSON, or the bytes of `file`."""
        timeout = aiohttp.ClientTimeout(total=CALL_S)
        content: dict[str, Any] = {"data": file} if file is not None else {"json": body}
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout, trust_env=False) as session,
                session.request(
                    method, self._url + path, params=query, allow_redirects=False, **content
                ) as answer,
            ):
                document: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise ConfigError(f"--node: no node answers at {self._url}") from None
        if answer.status >= 300:
            detail = _PARAMETER.sub(r"--\1", str(document.get("detail", answer.status)))
            detail = detail.replace("overwrite=true", "--overwrite")
            if answer.status == 401:
                detail = f"--token: the node refuses it: {detail}" if self._headers else f"--token: {detail}"
            open_ = "".join(f"\n  {line}" for line in document.get("open", ()))
            raise ConfigError(detail + open_)
        return document
