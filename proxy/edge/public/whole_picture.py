"""The 200 of a picture from memory: the bytes of its headers are made once for all requests of a URL.

aiohttp would copy, check and serialize the same headers for each response, which takes longer than all else of a hit.
"""

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import StreamWriter, _serialize_headers
from multidict import CIMultiDict

_STATUS_LINE = "HTTP/1.1 200 OK"
_END_OF_HEADERS = b"\r\n"
_NO_HEADERS: CIMultiDict[str] = CIMultiDict()


def head_of(headers: CIMultiDict[str]) -> bytes:
    """The status line and `headers` as they are sent, without the empty line. Raises ValueError for a line break in one."""
    return _serialize_headers(_STATUS_LINE, headers).removesuffix(_END_OF_HEADERS)


def may_have_whole(request: web.BaseRequest) -> bool:
    """Whether a WholePicture answers `request`."""
    return request.version == HttpVersion11 and hdrs.RANGE not in request.headers


class WholePicture(web.StreamResponse):
    """A response to a request of `may_have_whole`: `head` from `head_of`, the headers that differ between responses, and
    `body`. `timing` is the value of Server-Timing."""

    def __init__(self, head: bytes, body: bytes, timing: str) -> None:
        super().__init__(_real_headers=_NO_HEADERS)
        self._head = head
        self._whole = body
        self._timing = timing

    @property  # type: ignore[misc] # aiohttp's setter is never called
    def content_length(self) -> int:
        return len(self._whole)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        self._req = request
        self._payload_writer = request._payload_writer
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        return request._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:
        request, writer = self._req, self._payload_writer
        if self._eof_sent or request is None:
            return
        self._eof_sent = True
        assert isinstance(writer, StreamWriter)
        connection = b"" if self._keep_alive else b"Connection: close\r\n"
        head = b"%bServer-Timing: %b\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n" % (
            self._head,
            self._timing.encode(),
            len(self._whole),
            rfc822_formatted_time().encode(),
            connection,
        )
        if request.method == hdrs.METH_HEAD:
            writer._write(head)
        else:
            writer._writelines((head, self._whole))
        await writer.drain()
