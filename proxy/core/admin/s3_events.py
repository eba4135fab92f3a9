"""Event notifications of object stores: records as AWS, MinIO, Ceph and others send them, bare or in an SNS message,
and events of EventBridge.

Events of other types are skipped. A body in another form is an error.
"""

import json
import re
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from proxy.core.errors import BadRequest

_SEQUENCER = re.compile(r"[0-9A-Fa-f]{1,64}")
_CREATED = ("ObjectCreated:", "s3:ObjectCreated:", "ObjectRestore:Completed", "s3:ObjectRestore:Completed")
_REMOVED = ("ObjectRemoved:", "s3:ObjectRemoved:", "s3:LifecycleExpiration:", "LifecycleExpiration:")


class Event(NamedTuple):
    """An object that was written or removed. `sequencer` orders the events of one object; empty if the store sends
    none."""

    bucket: str
    key: str
    is_created: bool
    etag: str = ""
    sequencer: str = ""

    def is_before(self, sequencer: str) -> bool:
        """Whether this event is not newer than the one with `sequencer`, a hexadecimal number of any length."""
        if not self.sequencer or not sequencer:
            return False
        width = max(len(self.sequencer), len(sequencer))
        return self.sequencer.upper().rjust(width, "0") <= sequencer.upper().rjust(width, "0")


def parse(body: bytes) -> list[Event]:
    """The events of one message, in order. Raises BadRequest."""
    try:
        return _events(json.loads(body), wrapped=False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadRequest("the body must be an S3 event notification: JSON with Records") from None


def _events(document: Any, *, wrapped: bool) -> list[Event]:
    if document.get("Type") == "Notification" and not wrapped:
        return _events(json.loads(document["Message"]), wrapped=True)
    if document.get("Event") == "s3:TestEvent" or document.get("Type") in (
        "SubscriptionConfirmation",
        "UnsubscribeConfirmation",
    ):
        return []
    if "detail" in document:
        return _event_bridge_events(document)
    records = document["Records"]
    if not isinstance(records, list):
        raise TypeError
    return [event for record in records if (event := _record_event(record)) is not None]


def _record_event(record: Any) -> Event | None:
    name = record["eventName"]
    if not isinstance(name, str):
        raise TypeError
    if not name.startswith(_CREATED + _REMOVED):
        return None
    stored = record["s3"]["object"]
    return Event(
        bucket=str(record["s3"]["bucket"]["name"]),
        key=unquote_plus(str(stored["key"]), errors="surrogateescape"),
        is_created=name.startswith(_CREATED),
        etag=str(stored.get("eTag", "")).strip('"'),
        sequencer=_sequencer(stored),
    )


def _sequencer(stored: Any) -> str:
    document = str(stored.get("sequencer", ""))
    return document if _SEQUENCER.fullmatch(document) else ""


def _event_bridge_events(document: Any) -> list[Event]:
    kind, detail = document["detail-type"], document["detail"]
    if not isinstance(kind, str) or not isinstance(detail, dict):
        raise TypeError
    if kind not in ("Object Created", "Object Deleted"):
        return []
    stored = detail["object"]
    return [
        Event(
            bucket=str(detail["bucket"]["name"]),
            key=str(stored["key"]),
            is_created=kind == "Object Created",
            etag=str(stored.get("etag", "")).strip('"'),
            sequencer=_sequencer(stored),
        )
    ]
