"""A response of a server, and how a folder of saved responses holds it: an HTTP message (RFC 9112), as `curl -i` prints
it, in a file named after the request target.
"""

import hashlib
import json
import re
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

SUFFIX = ".http"
_MAX_NAME = 200
"""Characters of a name without its suffix; file systems allow 255 bytes."""
_READABLE = 120
_MAX_MESSAGE = 200
_TARGET = "Calotype-Target"
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_STATUS = re.compile(rb"HTTP/[0-9.]{1,3} ([1-5][0-9]{2})(?=[ \r\n])")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class Response(NamedTuple):
    """A complete response; or none, with `fault` as the reason and status 0."""

    status: int = 0
    media_type: str = ""
    body: bytes = b""
    fault: str = ""


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header, without parameters (RFC 9110, 8.3.1); empty if it is invalid."""
    found = content_type.partition(";")[0].strip(" \t").lower()
    return found if _MEDIA_TYPE.fullmatch(found) else ""


def error_message(response: Response) -> str:
    """The reason that an error response gives, on one line: the detail of problem details (RFC 9457), or the beginning of a
    plain text; else empty."""
    text = ""
    match response.media_type:
        case "application/problem+json":
            with suppress(ValueError, RecursionError):
                problem = json.loads(response.body)
                text = str(problem.get("detail", "")) if isinstance(problem, dict) else ""
        case "text/plain":
            text = response.body[: 4 * _MAX_MESSAGE].decode("utf-8", "replace")
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:_MAX_MESSAGE]


def file_name(target: str) -> str:
    """The name of the file of a request target: percent-encoded, a long one cut and completed by its SHA-256."""
    name = quote(target, safe="").replace("~", "%7E")
    if len(name) > _MAX_NAME:
        name = f"{name[:_READABLE]}~{hashlib.sha256(target.encode()).hexdigest()}"
    return name + SUFFIX


def to_message(target: str, response: Response) -> bytes:
    """The content of the file of a response to a valid target, which a header repeats."""
    kind = f"Content-Type: {response.media_type}\r\n" if response.media_type else ""
    head = f"HTTP/1.1 {response.status} \r\n{_TARGET}: {target}\r\n{kind}\r\n"
    return head.encode("ascii") + response.body


def from_message(target: str, content: bytes) -> Response:
    """The response of a file. Interim responses and redirects before it are skipped; content that is no HTTP message is a
    body with status 200."""
    status, headers, body = 200, dict[str, str](), content
    while match := _STATUS.match(body):
        end = _END_OF_HEAD.search(body)
        if end is None:
            return Response(fault="its saved response has no end of its headers")
        lines = body[: end.start()].decode("latin-1").splitlines()[1:]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        status, body = int(match[1]), body[end.end() :]
        if status // 100 not in (1, 3):
            break
    # A file system that ignores case gives the file of another URL.
    if headers.get(_TARGET.lower(), target) != target:
        return Response(fault="its saved response is of another URL")
    return Response(status, media_type(headers.get("content-type", "")), body)
