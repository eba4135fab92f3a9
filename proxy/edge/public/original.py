"""Serves an original byte for byte, or a range of it."""

import asyncio
import os

from aiohttp import hdrs, web

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Outcome
from proxy.core.cache.http_caching import Whole, byte_range, etag, is_unmodified, matches, precondition_fails
from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, sniff
from proxy.edge import responses
from proxy.edge.headers import joined, list_of, range_of
from proxy.ports.originals import Original, OriginalFile

_CHUNK_BYTES = 256 * 1024


async def stream(
    request: web.BaseRequest,
    record: AccessRecord,
    original: Original,
    caching: responses.CachingHeaders,
    *,
    now_s: float,
) -> web.StreamResponse:
    """200, 206, 304, 412 or 416, streamed. Raises UnsupportedFormat if the file is not a picture."""
    file = original.file
    kind = sniff(await asyncio.to_thread(os.pread, file.fileno(), SNIFF_BYTES, 0))
    if kind is None:
        raise UnsupportedFormat(NO_PICTURE)
    record.outcome, record.tier, record.format = Outcome.HIT, "source", kind
    record.key = original.name
    tag = etag(record.key)
    modified_s = _modified_s(file, now_s)
    headers = responses.original_headers(kind, tag, modified_s, caching)
    conditions = list_of(request.headers, hdrs.IF_MATCH), request.headers.get(hdrs.IF_UNMODIFIED_SINCE)
    if precondition_fails(*conditions, tag, modified_s):
        return responses.refused_condition(caching, headers["Cache-Status"])
    none_match = joined(request.headers, hdrs.IF_NONE_MATCH)
    if (
        is_unmodified(request.headers.get(hdrs.IF_MODIFIED_SINCE, ""), modified_s)
        if hdrs.IF_NONE_MATCH not in request.headers
        else none_match.strip() == "*" or matches(none_match, tag)
    ):
        del headers[hdrs.CONTENT_TYPE]
        return web.Response(status=304, headers=headers)
    part = byte_range(range_of(request), request.headers.get(hdrs.IF_RANGE), tag, file.size_bytes)
    if part is None:
        return responses.range_not_satisfiable(file.size_bytes, caching, headers["Cache-Status"])
    if part is Whole.WHOLE:
        response = web.StreamResponse(headers=headers)
        part = range(file.size_bytes)
    else:
        headers[hdrs.CONTENT_RANGE] = responses.content_range(part, file.size_bytes)
        response = web.StreamResponse(status=206, headers=headers)
    response.content_length = len(part)
    try:
        await response.prepare(request)
        if request.method == hdrs.METH_GET:
            await _send(response, file, part)
    except OSError:
        break_off(request, record)
    return response


def break_off(request: web.BaseRequest, record: AccessRecord) -> None:
    """Aborts the connection after the header has been sent: nothing else can report an error."""
    record.outcome, record.error = Outcome.FAILED, "broken-off"
    if request.transport is not None:
        request.transport.abort()


def _modified_s(file: OriginalFile, now_s: float) -> int | None:
    """The modification time in Unix seconds; None for a date in the future (RFC 9110 8.8.2.1)."""
    modified_s = int(os.fstat(file.fileno()).st_mtime)
    return modified_s if 0 < modified_s <= now_s else None


async def _send(response: web.StreamResponse, file: OriginalFile, part: range) -> None:
    """Sends the bytes of `part`. Raises OSError if the file has changed or the connection is closed."""
    at = part.start
    while at < part.stop:
        length = min(_CHUNK_BYTES, part.stop - at)
        chunk = await asyncio.to_thread(os.pread, file.fileno(), length, at)
        if not chunk or not file.unchanged():
            raise ConnectionResetError("the original changed while it was sent")
        await response.write(chunk)
        at += len(chunk)
