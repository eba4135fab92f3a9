"""aiohttp's server with its error answers replaced: what the HTTP parser refuses is a problem like any other.

Nothing of the request is repeated, in the answer or in the log.
"""

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.core.errors import BadUrl, Internal
from proxy.edge import respond

CANCEL_S = 0.1


class QuietHandler(RequestHandler):
    """The hook aiohttp offers: a protocol that answers for a request that could not be read."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status == 500:
            self.logger.error("internal error", exc_info=exc)
            response = respond.problem(Internal("an unexpected error was logged"))
        else:
            response = respond.problem(BadUrl("the request is not valid HTTP, or its head is too large"))
        response.force_close()
        return response

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 (aiohttp's own)
        """Waits `timeout` seconds for the request under way, and no more: aiohttp's own would wait that long again
        for one that does not end."""
        if self._task_handler is not None:
            await asyncio.wait({self._task_handler}, timeout=timeout)
        await super().shutdown(CANCEL_S)


class QuietServer(web.Server):
    """Makes a QuietHandler for each connection; takes the options of `web.Server`."""

    def __call__(self) -> RequestHandler:
        return QuietHandler(self, loop=self._loop, **self._kwargs)
