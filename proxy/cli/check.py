"""`calotype check`: tests every part that the configuration names, and reports each problem with its cure."""

import asyncio
import json
import math
import os
import secrets
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import click

from proxy.cli.options import config_option, example, json_option, originals_option, run, settings_of
from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection, HttpSection, S3Section
from proxy.config.settings import Settings
from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.core.errors import WorkerDied
from proxy.core.image.formats import OUTPUTS, Format
from proxy.fleet.presence import RedisFault
from proxy.node import factory, stores
from proxy.ports.tiers import Presence
from proxy.remote.errors import AccessDenied, AddressNotAllowed, RemoteError, RequestRefused
from proxy.remote.s3 import S3Bucket
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.tiers.bucket import BucketTier, NoFlags

CHECK_TIMEOUT_S = 20.0


class Finding(NamedTuple):
    """The result for one part."""

    part: str
    ok: bool
    message: str


class _AlwaysPresent(NoFlags):
    """Presence flags for the test of redirects."""

    async def presence(self, key: str) -> Presence:
        return Presence.PRESENT


async def examine(settings: Settings) -> list[Finding]:
    """Tests every part once. The configuration is valid if this runs."""
    findings = [
        Finding("configuration", True, "valid"),
        *await _rendering(settings),
    ]
    for name, source in settings.sources.items():
        part = f"sources.{name}"
        if isinstance(source, DirectorySection):
            findings.append(_directory(part, f"{part}.path", source.path, os.R_OK | os.X_OK))
        elif isinstance(source, HttpSection):
            hosts = sorted(factory.web_location(source).reached)
            findings += [await _within_timeout(part, _host(part, host, settings, source)) for host in hosts]
        else:
            findings.append(await _within_timeout(part, _s3_source(part, source)))
    if not settings.sources:
        findings.append(Finding("sources", False, "there is none; add a [sources.NAME] table"))
    findings.append(_disk(settings))
    if settings.cache.bucket.kind != "none":
        findings.append(await _within_timeout("cache.bucket", _bucket(settings)))
    if settings.redis.url.get_secret_value():
        findings.append(await _within_timeout("redis", _redis(settings)))
    return findings


async def _within_timeout(part: str, finding: Awaitable[Finding]) -> Finding:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await finding
    except TimeoutError:
        return Finding(part, False, f"no answer within {CHECK_TIMEOUT_S:.0f} s; check the firewalls")


async def _rendering(settings: Settings) -> list[Finding]:
    pool = factory.pool(factory.one_worker(settings))
    try:
        hello = await pool.start()
        factory.check_worker(settings, hello)
    except (WorkerDied, ConfigError) as failure:
        return [Finding("render", False, str(failure))]
    finally:
        await pool.close()
    missing = sorted(OUTPUTS - set(hello.formats))
    formats = f"libvips {'.'.join(map(str, hello.libvips))}: {' '.join(hello.formats)}"
    if missing:
        formats += f"; not {' '.join(missing)}: install pyvips-binary"
    whole = "whole" if settings.render.sandbox != "off" else "off: workers have all permissions of this user"
    sandbox = factory.unsandboxed(hello) or whole
    return [Finding("formats", not missing, formats), Finding("sandbox", True, sandbox)]


def _directory(part: str, key: str, path: Path, mode: int) -> Finding:
    if not path.is_dir():
        return Finding(part, False, f"{path} is not a directory; create it or change {key}")
    if not os.access(path, mode):
        access = "written" if mode & os.W_OK else "read"
        return Finding(part, False, f"{path} cannot be {access} by this user; change its permissions")
    return Finding(part, True, str(path))


def _disk(settings: Settings) -> Finding:
    part = "cache.disk"
    try:
        path = settings.disk_path()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (ConfigError, OSError) as failure:
        return Finding(part, False, f"{failure}; change cache.disk.path")
    return Finding(part, True, f"{path} is writable")


def _location(s3: S3Section) -> str:
    return f"bucket {s3.bucket} at {s3.endpoint_url or 'AWS'}"


def _failed(part: str, where: str, failure: RemoteError) -> Finding:
    cure = "" if isinstance(failure, RequestRefused) else f"; check {part}.endpoint_url and the store"
    return Finding(part, False, f"{where}: {failure}{cure}")


async def _s3_source(part: str, source: S3Section) -> Finding:
    where = _location(source)
    try:
        async with stores.s3_bucket(source) as bucket:
            await bucket.check()
    except AccessDenied:
        message = "reached, but listing is not permitted: 404 for a missing original and for a forbidden one"
        return Finding(part, True, f"{where}: {message}")
    except RemoteError as failure:
        return _failed(part, where, failure)
    return Finding(part, True, f"{where}: reached")


async def _host(part: str, host: str, settings: Settings, source: HttpSection) -> Finding:
    try:
        async with stores.web(settings, source) as web:
            await web.check(host)
    except AddressNotAllowed as failure:
        return Finding(part, False, f"{host}: {failure}; set {part}.allow_private to allow it")
    except RemoteError as failure:
        return Finding(part, False, f"{host}: {failure}")
    return Finding(part, True, f"{host}: reached")


async def _bucket(settings: Settings) -> Finding:
    part = "cache.bucket"
    bucket = settings.cache.bucket
    if bucket.kind == "directory":
        found = _directory(part, f"{part}.path", Path(bucket.path), os.R_OK | os.W_OK | os.X_OK)
        return found if not found.ok else await _round_trip(part, str(bucket.path), settings, None)
    s3 = bucket.as_s3()
    try:
        async with stores.s3_bucket(s3) as opened:
            return await _round_trip(part, _location(s3), settings, opened)
    except AccessDenied:
        return Finding(part, False, f"{_location(s3)}: no permission to write, read and list")
    except RemoteError as failure:
        return _failed(part, _location(s3), failure)


async def _round_trip(part: str, where: str, settings: Settings, s3: S3Bucket | None) -> Finding:
    """Stores an object, reads it, follows a redirect to it, and removes it. Raises RemoteError."""
    tier = stores.bucket(settings, s3, _AlwaysPresent(), PrometheusMetrics())
    assert tier is not None
    key, variant = CacheKey(secrets.token_hex(32), Format.PNG), Variant(body=b"calotype check")
    name = tier.object_name(key)
    if s3 is not None:
        await s3.put(name, b"", content_type="image/png", cache_control="no-store", metadata={})
    try:
        await tier.store(key, variant)
        if await tier.lookup(key) != variant:
            return Finding(part, False, f"{where}: the object that was written cannot be read")
        if settings.cache.bucket.delivery == "redirect" and not await _redirect_works(tier, key, variant):
            cure = "correct public_url" if settings.cache.bucket.public_url else "allow reads by signed URLs"
            return Finding(part, False, f"{where}: a redirected client does not get the object; {cure}")
    finally:
        if s3 is not None:
            await s3.delete(name)
        else:
            for path in Path(settings.cache.bucket.path, name).parent.glob(f"{key.digest}.*"):
                path.unlink()
    return Finding(part, True, f"{where}: written and read")


async def _redirect_works(tier: BucketTier, key: CacheKey, variant: Variant) -> bool:
    location = await tier.location(key, until_s=math.inf)
    try:
        async with aiohttp.ClientSession() as session, session.get(location) as answer:
            return answer.status == 200 and await answer.read() == variant.body
    except (aiohttp.ClientError, ValueError):
        return False


async def _redis(settings: Settings) -> Finding:
    try:
        flags = stores.redis(settings, PrometheusMetrics())
        assert flags is not None
        async with flags:
            took_s = await flags.measure_round_trip()
    except (RedisFault, ConfigError) as failure:
        return Finding("redis", False, str(failure))
    if took_s > settings.redis.timeout:
        message = f"answers in {took_s * 1000:.0f} ms, longer than redis.timeout"
        return Finding("redis", False, message)
    return Finding("redis", True, "written and read")


@click.command(
    "check",
    short_help="Validate the configuration and test every part.",
    epilog=example("calotype check --config shop.toml"),
)
@json_option
@config_option
@originals_option
def command(config: Path | None, originals: Path | None, as_json: bool) -> None:
    """Validate the configuration, and test every format, source and tier. Exit 1 if a test fails."""

    async def examined() -> list[Finding]:
        return await examine(settings_of(config, originals))

    findings = run(examined())
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings]))
    for finding in () if as_json else findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.part}: {finding.message}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)
