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

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, originals_option, run, settings_of
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
            checks = [_directory(f"{part}.path", source.path, os.R_OK | os.X_OK)]
        elif isinstance(source, HttpSection):
            hosts = sorted(factory.web_location(source).reached)
            checks = [_host(f"{part}.allow_private", host, settings, source) for host in hosts]
        else:
            checks = [_s3_source(part, source)]
        findings += [await _finding(part, check) for check in checks]
    if not settings.sources:
        findings.append(Finding("sources", False, "there is none; add a [sources.NAME] table"))
    for name, mount in settings.mounts.items():
        if mount.upstream:
            allows = mount.upstream_allow_private
            server = HttpSection(kind="http", base_url=mount.upstream, allow_private=allows)
            [host] = factory.web_location(server).reached
            check = _host(f"mounts.{name}.upstream_allow_private", host, settings, server)
            findings.append(await _finding(f"mounts.{name}.upstream", check))
    findings.append(await _finding("cache.disk", _disk(settings)))
    if settings.cache.bucket.kind != "none":
        findings.append(await _finding("cache.bucket", _bucket("cache.bucket", settings)))
    if settings.redis.url.get_secret_value():
        findings.append(await _finding("redis", _redis(settings)))
    return findings


async def _finding(part: str, check: Awaitable[str]) -> Finding:
    """The result of `check`, which returns a message or raises an error with one."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return Finding(part, True, await check)
    except TimeoutError:
        return Finding(part, False, f"no answer within {CHECK_TIMEOUT_S:.0f} s; check the firewalls")
    except (ConfigError, RedisFault) as failure:
        return Finding(part, False, str(failure))


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


async def _directory(key: str, path: Path, mode: int) -> str:
    if not path.is_dir():
        raise ConfigError(f"{path} is not a directory; create it or change {key}")
    if not os.access(path, mode):
        access = "written" if mode & os.W_OK else "read"
        raise ConfigError(f"{path} cannot be {access} by this user; change its permissions")
    return str(path)


async def _disk(settings: Settings) -> str:
    try:
        path = settings.disk_path()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (ConfigError, OSError) as failure:
        raise ConfigError(f"{failure}; change cache.disk.path") from None
    return f"{path} is writable"


def _location(s3: S3Section) -> str:
    return f"bucket {s3.bucket} at {s3.endpoint_url or 'AWS'}"


def _failed(part: str, where: str, failure: RemoteError) -> ConfigError:
    cure = "" if isinstance(failure, RequestRefused) else f"; check {part}.endpoint_url and the store"
    return ConfigError(f"{where}: {failure}{cure}")


async def _s3_source(part: str, source: S3Section) -> str:
    where = _location(source)
    try:
        async with stores.s3_bucket(source) as bucket:
            await bucket.check()
    except AccessDenied:
        message = "reached, but listing is not permitted: 404 for a missing original and for a forbidden one"
        return f"{where}: {message}"
    except RemoteError as failure:
        raise _failed(part, where, failure) from None
    return f"{where}: reached"


async def _host(allowing: str, host: str, settings: Settings, source: HttpSection) -> str:
    """Raises a ConfigError, which names the key `allowing` if the address is not public."""
    try:
        async with stores.web(settings, source) as web:
            await web.check(host)
    except RemoteError as failure:
        cure = f"; set {allowing} to allow it" if isinstance(failure, AddressNotAllowed) else ""
        raise ConfigError(f"{host}: {failure}{cure}") from None
    return f"{host}: reached"


async def _bucket(part: str, settings: Settings) -> str:
    bucket = settings.cache.bucket
    if bucket.kind == "directory":
        await _directory(f"{part}.path", Path(bucket.path), os.R_OK | os.W_OK | os.X_OK)
        return await _round_trip(bucket.path, settings, None)
    s3 = bucket.as_s3()
    try:
        async with stores.s3_bucket(s3) as opened:
            return await _round_trip(_location(s3), settings, opened)
    except AccessDenied:
        raise ConfigError(f"{_location(s3)}: no permission to write, read and list") from None
    except RemoteError as failure:
        raise _failed(part, _location(s3), failure) from None


async def _round_trip(where: str, settings: Settings, s3: S3Bucket | None) -> str:
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
            raise ConfigError(f"{where}: the object that was written cannot be read")
        if settings.cache.bucket.delivery == "redirect" and not await _redirect_works(tier, key, variant):
            cure = "correct public_url" if settings.cache.bucket.public_url else "allow reads by signed URLs"
            raise ConfigError(f"{where}: a redirected client does not get the object; {cure}")
    finally:
        if s3 is not None:
            await s3.delete(name)
        else:
            for path in Path(settings.cache.bucket.path, name).parent.glob(f"{key.digest}.*"):
                path.unlink()
    return f"{where}: written and read"


async def _redirect_works(tier: BucketTier, key: CacheKey, variant: Variant) -> bool:
    location = await tier.location(key, until_s=math.inf)
    try:
        async with aiohttp.ClientSession() as session, session.get(location) as answer:
            return answer.status == 200 and await answer.read() == variant.body
    except (aiohttp.ClientError, ValueError):
        return False


async def _redis(settings: Settings) -> str:
    flags = stores.redis(settings, PrometheusMetrics())
    assert flags is not None
    async with flags:
        took_s = await flags.measure_round_trip()
    if took_s > settings.redis.timeout:
        raise ConfigError(f"answers in {took_s * 1000:.0f} ms, longer than redis.timeout")
    return "written and read"


@click.command(
    "check",
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
