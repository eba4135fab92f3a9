"""What the log says of a request."""

import json
import os

import pytest
from prometheus_client import CollectorRegistry

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Outcome
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.log_writer import LogWriter


@pytest.mark.parametrize("readable", [False, True])
def test_a_failure_says_its_reason(readable: bool) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as lines:
        out = LogWriter(stream)
        out.readable = readable
        ledger = AccessLog(CollectorRegistry(), out)
        failed = AccessRecord("GET", "/w_10/a.jpg", Outcome.FAILED, error="source-unavailable", status=502)
        failed.detail = "the source did not give the original: it answers 503"
        for visit in (failed, AccessRecord("GET", "/w_10/b.jpg", Outcome.HIT, "memory", status=200)):
            ledger._records.append((0.0, visit))
        ledger.flush()
        out.close()
        told = [lines.readline(), lines.readline()]
    if readable:
        assert told[0].endswith(f"/w_10/a.jpg  ({failed.detail})\n")
        assert told[1].endswith("/w_10/b.jpg\n")
    else:
        assert json.loads(told[0])["detail"] == failed.detail
        assert "detail" not in json.loads(told[1])
