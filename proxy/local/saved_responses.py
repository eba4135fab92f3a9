"""A folder of saved responses of a server, so that it need not be asked again."""

from pathlib import Path

from proxy.core.comparing.response import Response, file_name, from_message, to_message
from proxy.local.files import open_regular, replacing
from proxy.ports.comparing import Responder

_MAX_HEAD_BYTES = 64 * 1024


class SavedResponses:
    """Satisfies Responder. Raises OSError if the folder cannot be written."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """A body has at most `max_bytes`."""
        self._folder = folder
        self._max_bytes = max_bytes

    async def ask(self, target: str) -> Response:
        limit = self._max_bytes + _MAX_HEAD_BYTES
        try:
            with open_regular(self._folder / file_name(target)) as file:
                content = b""
                while len(content) <= limit and (part := file.read(limit + 1 - len(content))):
                    content += part
        except FileNotFoundError:
            return Response(fault="no response to this URL is saved")
        except OSError as fault:
            return Response(fault=f"its saved response cannot be read: {fault.strerror}")
        if len(content) > limit:
            return Response(fault=f"it is larger than {self._max_bytes} bytes")
        return from_message(target, content)

    def save(self, target: str, response: Response) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / file_name(target), self._folder) as file:
            file.write(to_message(target, response))


class SavingResponder:
    """Satisfies Responder: asks another one and saves its responses."""

    def __init__(self, responder: Responder, saved: SavedResponses) -> None:
        self._responder = responder
        self._saved = saved

    async def ask(self, target: str) -> Response:
        response = await self._responder.ask(target)
        if not response.fault:
            self._saved.save(target, response)
        return response
