"""Compares what two servers answer to the same URL."""

from typing import NamedTuple

import msgspec

from proxy.core.comparing.comparison import Compared, Side
from proxy.core.comparing.response import Response, error_message
from proxy.core.errors import CalotypeError
from proxy.local.tasks import all_of
from proxy.ports.comparing import PictureJudge, Responder

_NAMES = "node", "vendor"


class Pair(NamedTuple):
    """The bodies of both responses with their comparison."""

    compared: Compared
    ours: bytes
    theirs: bytes


async def compare(target: str, ours: Responder, theirs: Responder, judge: PictureJudge) -> Pair:
    """Asks both servers for `target` at the same time, and compares their pictures."""
    our, their = await all_of([ours.ask(target), theirs.ask(target)])
    (our_side, our_reason), (their_side, their_reason) = await all_of(
        [_described(name, response, judge) for name, response in zip(_NAMES, (our, their), strict=True)]
    )
    difference, reason = None, our_reason or their_reason
    if our_side.is_success and our_side.status == their_side.status and our.body == their.body:
        difference, reason = 0.0, ""
    elif our_side.is_picture and their_side.is_picture:
        try:
            difference = await judge.difference(our.body, their.body)
        except CalotypeError as failure:
            reason = _reason(_NAMES[failure.original], failure)
    compared = Compared(target=target, ours=our_side, theirs=their_side, difference=difference, reason=reason)
    return Pair(compared, our.body, their.body)


async def _described(name: str, response: Response, judge: PictureJudge) -> tuple[Side, str]:
    """A response as a side of the comparison; and why a success is no picture."""
    side = Side(
        status=response.status,
        format=response.media_type,
        size_bytes=len(response.body),
        fault=response.fault,
    )
    if not side.is_success:
        return msgspec.structs.replace(side, message=error_message(response)), ""
    try:
        facts = await judge.facts(response.body)
    except CalotypeError as failure:
        return side, _reason(name, failure)
    picture = msgspec.structs.replace(
        side,
        format=facts.format.value,
        width_px=facts.width_px,
        height_px=facts.height_px,
        frames=facts.pages if facts.animated else 1,
    )
    return picture, ""


def _reason(name: str, failure: CalotypeError) -> str:
    """The detail of an error of an original, which here is a response."""
    return f"{name}: {failure.detail.replace('the original', 'the response')}"
