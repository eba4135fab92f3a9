"""A folder of saved responses answers as the server did, and never beyond the folder."""

import os
from pathlib import Path

from proxy.core.comparing.response import Response, file_name
from proxy.local.saved_responses import SavedResponses, SavingResponder


async def test_saved_responses_are_answered(tmp_path: Path) -> None:
    saved = SavedResponses(tmp_path / "new" / "folder", max_bytes=100)
    for target, response in (
        ("/a?b=c", Response(200, "image/png", b"picture")),
        ("/" + "long/" * 200, Response(404, "", b"")),
        ("/../../etc/passwd", Response(200, "", b"x")),
    ):
        assert (await saved.ask(target)).fault == "no response to this URL is saved"
        saved.save(target, response)
        assert await saved.ask(target) == response
    assert [path.parent for path in tmp_path.rglob("*.http")] == [tmp_path / "new" / "folder"] * 3


async def test_what_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    saved = SavedResponses(tmp_path, max_bytes=100)
    (tmp_path / file_name("/large")).write_bytes(bytes(70_000))
    assert (await saved.ask("/large")).fault == "it is larger than 100 bytes"
    os.symlink("/etc/hostname", tmp_path / file_name("/link"))
    assert (await saved.ask("/link")).fault.startswith("its saved response cannot be read: ")
    os.mkfifo(tmp_path / file_name("/pipe"))
    assert (await saved.ask("/pipe")).fault.startswith("its saved response cannot be read: ")


async def test_responses_are_saved_and_faults_are_not(tmp_path: Path) -> None:
    class Server:
        async def ask(self, target: str) -> Response:
            return Response(200, "image/png", b"x") if target == "/a" else Response(fault="no answer")

    saved = SavedResponses(tmp_path, max_bytes=100)
    saving = SavingResponder(Server(), saved)
    assert await saving.ask("/a") == await saved.ask("/a") == Response(200, "image/png", b"x")
    assert (await saving.ask("/b")).fault == "no answer"
    assert (await saved.ask("/b")).fault == "no response to this URL is saved"
