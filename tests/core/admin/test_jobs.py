"""A pre-generation job requests one variant for each possible output format."""

import pytest

from proxy.core.admin.jobs import format_of, requests_of, variants_of
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.native.urls import parse_transform

AUTO = (Format.AVIF, Format.WEBP, Format.JPEG)
REF = OriginalRef("photos", "a.jpg")


@pytest.mark.parametrize(
    ("tokens", "formats"),
    [
        ("w_90,f_auto", ["avif", "webp", "jpeg"]),
        ("w_90,f_png", ["png"]),
        ("w_90", [""]),
    ],
)
def test_a_job_makes_one_variant_for_each_format_that_clients_may_get(
    tokens: str, formats: list[str]
) -> None:
    transform = parse_transform(tokens, {})
    requests = list(requests_of([REF], transform, AUTO, 4000))
    assert [format_of(request) for request in requests] == formats
    assert variants_of(transform, AUTO) == len(requests)
    assert {request.ref for request in requests} == {REF}
