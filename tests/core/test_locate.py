"""What an absolute URL names under a mount, and that a credential goes no further."""

import pytest

from proxy.core.errors import BadUrl, SourceNotAllowed
from proxy.core.locate import S3Place, key_of

MINIO = S3Place(bucket="pics", prefix="shop/", endpoint_url="http://minio.example:9000", region="eu-1")
AWS = S3Place(bucket="pics", region="eu-west-1")
SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F2026&X-Amz-Signature=abc"


@pytest.mark.parametrize(
    ("place", "url", "key"),
    [
        (None, "a/b.jpg", "a/b.jpg"),
        (MINIO, "a/b.jpg", "a/b.jpg"),
        (MINIO, "s3://pics/shop/a b+%é.jpg", "a b+%é.jpg"),
        (MINIO, f"http://minio.example:9000/pics/shop/a%20b%2B%25%C3%A9.jpg?{SIGNED}", "a b+%é.jpg"),
        (MINIO, f"http://pics.minio.example:9000/shop/a.jpg?{SIGNED}", "a.jpg"),
        (MINIO, "HTTP://MINIO.example:9000/pics/shop/a.jpg", "a.jpg"),
        (AWS, f"https://pics.s3.eu-west-1.amazonaws.com/a/b.jpg?{SIGNED}", "a/b.jpg"),
        (AWS, "https://pics.s3.amazonaws.com/a.jpg", "a.jpg"),
        (AWS, "https://s3.eu-west-1.amazonaws.com/pics/a.jpg", "a.jpg"),
        (AWS, "https://s3.dualstack.eu-west-1.amazonaws.com:443/pics/a.jpg", "a.jpg"),
        (S3Place(bucket="pics"), "https://s3.amazonaws.com/pics/a.jpg", "a.jpg"),
    ],
)
def test_a_key_of_the_mounts_own_source(place: S3Place | None, url: str, key: str) -> None:
    assert key_of(url, place) == key


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (None, "s3://pics/a.jpg"),
        (None, "https://evil.example/a.jpg"),
        (MINIO, "s3://other/shop/a.jpg"),
        (MINIO, "s3://pics/elsewhere/a.jpg"),
        (MINIO, "http://minio.example/pics/shop/a.jpg"),
        (MINIO, "http://minio.example:9000/other/shop/a.jpg"),
        (MINIO, "http://evil.minio.example:9000/shop/a.jpg"),
        (MINIO, "http://evil.example/pics/shop/a.jpg"),
        (MINIO, "http://169.254.169.254/latest"),
        (MINIO, "ftp://minio.example:9000/pics/shop/a.jpg"),
        (AWS, "https://pics.s3.us-east-1.amazonaws.com/a.jpg"),
        (AWS, "https://evil.s3.eu-west-1.amazonaws.com/a.jpg"),
        (AWS, "https://pics.s3.eu-west-1.amazonaws.com.evil.example/a.jpg"),
    ],
)
def test_elsewhere(place: S3Place | None, url: str) -> None:
    with pytest.raises(SourceNotAllowed):
        key_of(url, place)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw@minio.example:9000/pics/shop/a.jpg",
        "http://minio.example:9000/pics/shop/a.jpg#x",
        "http://minio.example:port/pics/shop/a.jpg",
        "http://minio.example:9000.evil.example/pics/shop/a.jpg",
        "http://[::1/pics/shop/a.jpg",
        "http://minio.example:9000/pics/shop/a.jpg?versionId=3",
        "http://minio.example:9000/pics/shop/%zz",
        "http://minio.example:9000/pics/shop/%2e%2e/a.jpg",
        "http://minio.example:9000/pics/shop/",
        "s3://pics/shop/",
        "s3://pics/shop/a//b",
        "s3://pics/shop/../a",
    ],
)
def test_no_url_of_an_original(url: str) -> None:
    with pytest.raises(BadUrl):
        key_of(url, MINIO)


def test_credentials_make_no_other_original() -> None:
    plain = "http://minio.example:9000/pics/shop/a.jpg"
    assert key_of(plain, MINIO) == key_of(f"{plain}?{SIGNED}", MINIO) == key_of("s3://pics/shop/a.jpg", MINIO)
