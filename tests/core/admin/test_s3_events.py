"""Event notifications of S3 stores are parsed: AWS, MinIO, SNS and EventBridge."""

import json
from typing import Any

import pytest

from proxy.core.admin.s3_events import Event, parse
from proxy.core.errors import BadRequest


def record(name: str, key: str = "a.jpg", **more: str) -> dict[str, Any]:
    return {"eventName": name, "s3": {"bucket": {"name": "photos"}, "object": {"key": key, **more}}}


def message(*records: dict[str, Any]) -> bytes:
    return json.dumps({"Records": records}).encode()


def test_records_become_events() -> None:
    events = parse(
        message(
            record("ObjectCreated:Put", "deep/a+b%C3%A9.jpg", eTag='"e1"', sequencer="0A"),
            record("s3:ObjectCreated:CompleteMultipartUpload", "c.jpg"),
            record("ObjectRemoved:DeleteMarkerCreated", "d.jpg", sequencer="0B"),
            record("s3:LifecycleExpiration:Delete", "e.jpg"),
            record("s3:ObjectAccessed:Get", "f.jpg"),
        )
    )
    assert events == [
        Event("photos", "deep/a bé.jpg", True, "e1", "0A"),
        Event("photos", "c.jpg", True),
        Event("photos", "d.jpg", False, "", "0B"),
        Event("photos", "e.jpg", False),
    ]


def test_events_of_sns_and_eventbridge_are_read() -> None:
    inner = message(record("ObjectCreated:Put")).decode()
    assert parse(json.dumps({"Type": "Notification", "Message": inner}).encode()) == [
        Event("photos", "a.jpg", True)
    ]
    bridge = {
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "photos"}, "object": {"key": "a+b.jpg", "etag": "e", "sequencer": "1"}},
    }
    assert parse(json.dumps(bridge).encode()) == [Event("photos", "a+b.jpg", True, "e", "1")]
    assert not parse(json.dumps({**bridge, "detail-type": "Object Deleted"}).encode())[0].is_created
    assert parse(json.dumps({**bridge, "detail-type": "Object Tags Added"}).encode()) == []
    assert parse(b'{"Service":"Amazon S3","Event":"s3:TestEvent"}') == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"Records": 1}',
        b'{"Records": [1]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        b'{"Records": [{"eventName": 1}]}',
        b'{"Records": [{"eventName": ["ObjectCreated:Put"]}]}',
        b'{"Type":"Notification","Message":"x"}',
        b'{"detail-type":"Object Created","detail":{}}',
        b'{"detail-type":"Object Created","detail":[]}',
        b'{"detail-type":1,"detail":{}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body)


def test_sequencers_are_compared_as_numbers_of_any_length() -> None:
    event = Event("b", "k", True, sequencer="0FF")
    assert event.is_before("100")
    assert event.is_before("0ff")
    assert not event.is_before("0FE")
    assert not event.is_before("FE")
    assert not event.is_before("")
    assert not Event("b", "k", True).is_before("1")
