"""The access log states the reason of a failed request."""

import json
import os

import pytest
from prometheus_client import CollectorRegistry

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Outcome
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.last_errors import LastErrors
from proxy.telemetry.log_writer import LogWriter


@pytest.mark.parametrize("readable", [False, True])
def test_a_failed_request_is_logged_with_its_reason(readable: bool) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as lines:
        out = LogWriter(stream)
        out.readable = readable
        access_log = AccessLog(CollectorRegistry(), out, last_errors=LastErrors())
        failed = AccessRecord("GET", "/w_10/a.jpg", Outcome.FAILED, error="source-unavailable", status=502)
        failed.detail = "the source did not give the original: it answers 503"
        for record in (failed, AccessRecord("GET", "/w_10/b.jpg", Outcome.HIT, "memory", status=200)):
            access_log._records.append((0.0, record))
        access_log.flush()
        out.close()
        log_lines = [lines.readline(), lines.readline()]
    if readable:
        assert log_lines[0].endswith(f"/w_10/a.jpg  ({failed.detail})\n")
        assert log_lines[1].endswith("/w_10/b.jpg\n")
    else:
        assert json.loads(log_lines[0])["detail"] == failed.detail
        assert "detail" not in json.loads(log_lines[1])
