"""Settings: precedence of their origins, and one line that names the key for each error."""

import pickle
import tomllib
from pathlib import Path

import pytest

from config.generate import configuration_md, default_toml, dialect_pages
from proxy.config.errors import ConfigError
from proxy.config.messages import leaves
from proxy.config.sections import DirectorySection, HttpSection, MountSection, S3Section
from proxy.config.settings import Settings, is_loopback, load
from proxy.core.url.upstream import Upstream
from proxy.node import factory

ROOT = Path(__file__).parents[2]
S3_OK = "kind = 's3'\nbucket = 'pics'"

HTTP = "[sources.a]\nkind = 'http'"
MOUNT = "[sources.s]\npath = '/s'\n[mounts.m]\nsource = 's'"
OTHER = "[mounts.n]\nsource = 's'\nsigning = 'optional'"
KEYS = "[signing.keys]\nk = '0123456789abcdef0123456789abcdef'\nl = '123456789abcdef0123456789abcdef0'"


def written(folder: Path, text: str) -> Path:
    path = folder / "calotype.toml"
    path.write_text(text)
    return path


def test_the_production_configuration_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_ADMIN__TOKEN", "x" * 32)
    monkeypatch.setenv("CALOTYPE_SIGNING__KEYS__WEB1", "classified" * 4)
    monkeypatch.setenv("CALOTYPE_SOURCES__SHOP__ACCESS_KEY", "reader")
    monkeypatch.setenv("CALOTYPE_SOURCES__SHOP__SECRET_KEY", "classified")
    monkeypatch.setenv("CALOTYPE_CACHE__BUCKET__ACCESS_KEY", "writer")
    monkeypatch.setenv("CALOTYPE_CACHE__BUCKET__SECRET_KEY", "classified")
    monkeypatch.setenv("CALOTYPE_REDIS__URL", "rediss://:classified@redis.internal:6379/0")
    settings = load(ROOT / "config" / "production.toml")
    assert isinstance(settings.sources["shop"], S3Section)
    assert settings.sources["shop"].access_key == "reader"
    assert settings.cache.bucket.as_s3().access_key == "writer"
    assert settings.server.processes == 2
    assert "classified" not in repr(settings)
    assert pickle.loads(pickle.dumps(Settings.model_construct(**dict(settings)))) == Settings.model_construct(
        **dict(settings)
    ), "it can be handed to the processes of a node"


def test_default_toml_matches_the_code() -> None:
    assert (ROOT / "config" / "default.toml").read_text() == default_toml()


def test_configuration_md_matches_the_code() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == configuration_md()


def test_pages_of_dialects_match_the_code() -> None:
    folder = ROOT / "docs" / "dialects"
    assert {page.name: page.read_text() for page in folder.iterdir()} == dialect_pages()


def mount_of(dialect: str, signing: str = "required", keys: str = "['k']") -> str:
    return f"[mounts.a]\nsource = 'a'\ndialect = '{dialect}'\nsigning = '{signing}'\nkeys = {keys}\n[sources.a]\npath = '/a'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            mount_of("next", keys="[]"),
            "mounts.a.signing: must be off, because URLs of the dialect next cannot be signed",
        ),
        (mount_of("imgproxy") + "[signing.keys]\nk = 'abcd'", "signing.keys.k: must be HEXKEY:HEXSALT"),
        (mount_of("imgproxy") + "[signing.keys]\nk = 'xyz:abcd'", "signing.keys.k: must be HEXKEY:HEXSALT"),
        (
            mount_of("imgproxy", keys="[]") + "[signing.keys]\nk = 'aa:bb'",
            "mounts.a.keys: must name the keys of imgproxy",
        ),
        (mount_of("native", keys="[]"), "mounts.a.signing: requires a key in [signing.keys]"),
        (mount_of("thumbor") + "[signing.keys]\nk = 'sha256:0:x'", "signing.keys.k: "),
        (
            mount_of("imageproxy", "off", "[]"),
            "mounts.a.dialect: must be one of native, imgproxy, thumbor, next",
        ),
        (
            mount_of("next", "off", "[]").replace("source = 'a'", "source = 'a'\nremote = 'b'"),
            "mounts.a.remote: there is no",
        ),
        (
            mount_of("thumbor", "off", "[]").replace("[sources", "arguments_separator = ','\n[sources"),
            "mounts.a.arguments_separator: has no effect on URLs of thumbor",
        ),
        (
            mount_of("native", "off", "[]").replace(
                "[sources", "base64_url_includes_filename = true\n[sources"
            ),
            "mounts.a.base64_url_includes_filename: has no effect on URLs of native",
        ),
        (
            mount_of("imgproxy", "off", "[]").replace("[sources", "arguments_separator = '/'\n[sources"),
            "mounts.a.arguments_separator: must be 1 to 4 characters of ",
        ),
        (
            mount_of("imgproxy", "off", "[]").replace("[sources", "suffixes = ['tif']\n[sources"),
            "mounts.a.suffixes: has no effect on URLs of imgproxy",
        ),
        (
            mount_of("native", "off", "[]").replace("[sources", "suffixes = ['.jpg']\n[sources"),
            "mounts.a.suffixes.0: must be a suffix such as jpg, without a dot",
        ),
    ],
)
def test_a_misconfigured_dialect_does_not_start(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALOTYPE_SOURCES__WEB__HEADERS__AUTHORIZATION", "Bearer classified"),
        ("CALOTYPE_SOURCES__WEB__HEADERS", '{"Authorization": "Bearer classified"}'),
    ],
)
def test_headers_of_a_source_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    text = "[sources.web]\nkind = 'http'\nbase_url = 'https://origin.example/'\n[sources.web.headers]\nX-Site = 'shop'"
    monkeypatch.setenv(name, value)
    settings = load(written(tmp_path, text))
    web = settings.sources["web"]
    assert isinstance(web, HttpSection)
    headers = {name.lower(): value.get_secret_value() for name, value in web.headers.items()}
    assert headers == {"x-site": "shop", "authorization": "Bearer classified"}
    assert "classified" not in f"{settings!r}{settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("hook_body = '{}'", "purge.hook_body: has no effect without purge.hook"),
        ("hook = 'https://cdn.example/{tag}'", "purge.hook: {tag} needs a mount with cache_tags = true"),
        ("hook = 'https://cdn.example/'\nhook_body = '[\"{tag}\"]'", "purge.hook: {tag} needs a mount"),
        ("hook = 'https://cdn.example/'\nhook_header = 'Key: {tag}'", "purge.hook: {tag} needs a mount"),
    ],
)
def test_a_misconfigured_hook_does_not_start(tmp_path: Path, keys: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, f"{MOUNT}\n[purge]\n{keys}"))
    assert str(caught.value).startswith(says)
    if "tag" in keys:
        load(written(tmp_path, f"{MOUNT}\ncache_tags = true\n[purge]\n{keys}"))


OLD = "upstream = 'https://OLD.example:443/base'"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("unsupported = 'upstream'", "mounts.m.upstream: must be set where unsupported is upstream"),
        ("share = 0.5", "mounts.m.upstream: must be set where share is below 1"),
        (OLD, "mounts.m.upstream: needs unsupported = upstream, or share below 1"),
        (f"{OLD}\nunsupported = 'ignore'", "mounts.m.upstream: needs unsupported = upstream"),
        (f"{OLD}\nshare = -0.1", "mounts.m.share: "),
        (f"{OLD}\nshare = 1.1", "mounts.m.share: "),
        ("share = 0.5\nupstream = 'ftp://old.example'", "mounts.m.upstream: must be like https://"),
        ("share = 0.5\nupstream = 'https://a:b@old.example'", "mounts.m.upstream: must be like https://"),
        ("share = 0.5\nupstream = 'https://old.example/?a=b'", "mounts.m.upstream: must be like https://"),
        ("upstream_allow_private = true", "mounts.m.upstream_allow_private: has no effect without upstream"),
        (
            f"{OLD}\nshare = 0.5\npresets_only = true",
            "mounts.m.upstream: cannot be set with presets_only, which the upstream does not know",
        ),
        (
            f"{OLD}\nshare = 0.5\n[mounts.n]\nsource = 's'\nhost = 'old.example'",
            "mounts.m.upstream: old.example is this node itself: see mounts.n.host",
        ),
    ],
)
def test_a_misconfigured_upstream_does_not_start(tmp_path: Path, keys: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, f"{MOUNT}\n{keys}"))
    assert str(caught.value).startswith(says)


def test_an_upstream_reaches_its_mount(tmp_path: Path) -> None:
    text = f"{MOUNT}\n{OLD}\nshare = 0.5\nunsupported = 'upstream'\nupstream_allow_private = true"
    [mount] = factory.mounts(load(written(tmp_path, text)))
    assert mount.upstream == Upstream(
        url="https://old.example/base", share=0.5, takes_unsupported=True, allow_private=True
    )
    [mount] = factory.mounts(load(written(tmp_path, MOUNT)))
    assert mount.upstream is None


def test_settings_of_imgproxy_reach_its_mount(tmp_path: Path) -> None:
    own = "arguments_separator = ','\nbase64_url_includes_filename = true\n"
    text = mount_of("imgproxy", "off", "[]").replace("[sources", f"{own}[sources")
    [mount] = factory.mounts(load(written(tmp_path, text)))
    parsed = mount.parse("/_/w,9/YS5qcGc/kitten.jpg", {})
    assert (parsed.key, mount.negotiates("/_/w,9/YS5qcGc/kitten.jpg", {})) == ("a.jpg", False)


@pytest.mark.parametrize(
    ("dialect", "strong", "weak"),
    [
        ("imgproxy", f"{'ab' * 16}:cd", f"{'ab' * 15}:{'cd' * 32}"),
        ("imgproxy", f"trusted:{'x' * 16}", f"trusted:{'x' * 15}"),
        ("thumbor", "x" * 16, "x" * 15),
        ("thumbor", f"sha256:20:{'x' * 16}", f"sha256:20:{'x' * 15}"),
    ],
)
def test_short_secrets_of_vendors_are_weak(tmp_path: Path, dialect: str, strong: str, weak: str) -> None:
    keys = f"[signing.keys]\nk = '{weak}'\nl = '{strong}'\nunused = '{'x' * 32}'"
    assert load(written(tmp_path, mount_of(dialect, keys="['k', 'l']") + keys)).weak_keys() == ["k"]


SEVERAL = """
[mounts.a]
source = "a"
dialect = ["thumbor", "native"]
signing = "required"
keys = {thumbor = ["old"], native = ["new"]}
[sources.a]
path = "/a"
[signing.keys]
old = "thumbor's own secret"
new = "0123456789abcdef0123456789abcdef"
"""


def test_each_of_several_dialects_has_its_own_keys(tmp_path: Path) -> None:
    settings = load(written(tmp_path, SEVERAL))
    thumbor, native = factory.mounts(settings)
    assert (thumbor.name, thumbor.dialect.name, *thumbor.keys) == ("a", "thumbor", "old")
    assert (native.name, native.dialect.name, *native.keys) == ("a", "native", "new")
    others = load(written(tmp_path, SEVERAL.replace(', native = ["new"]', "")))
    assert [*factory.mounts(others)[1].keys] == ["new"]


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('{thumbor = ["old"], native = ["new"]}', '["old"]', "each has its own"),
        ('{thumbor = ["old"], native = ["new"]}', '{native = ["new"]}', "must name the keys of thumbor"),
        ("native = [", "imgproxy = [", "imgproxy is no dialect of this mount"),
        ('["thumbor", "native"]', "[]", "must name one dialect or several"),
        ('["thumbor", "native"]', '["native", "native"]', "each once"),
        ('"native"]', '"native", "next"]', "the dialect next cannot be signed"),
        ('"native"]', '"nativ"]', "must be one of"),
        ('native = ["new"]', 'native = ["newer"]', "has no key with this id"),
    ],
)
def test_several_dialects_that_cannot_be_signed_do_not_start(
    tmp_path: Path, change: str, to: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        load(written(tmp_path, SEVERAL.replace(change, to, 1)))


def test_a_key_has_one_dialect(tmp_path: Path) -> None:
    both = (
        mount_of("imgproxy")
        + "[mounts.b]\nsource = 'a'\nprefix = '/b/'\nsigning = 'required'\nkeys = ['k']\n"
    )
    with pytest.raises(ConfigError, match="belongs to another dialect"):
        load(written(tmp_path, both + "[signing.keys]\nk = 'aa:bb'"))


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    example = configuration_md().partition("```toml\n")[2].partition("```")[0]
    keys = {"signing": {"keys": {"web1": "0123456789abcdef0123456789abcdef"}}}
    assert load(written(tmp_path, example), keys).eager.presets == ("card",)


def test_default_toml_changes_nothing() -> None:
    assert load(ROOT / "config" / "default.toml").model_dump() == load().model_dump()
    assert set(tomllib.loads(default_toml())) <= set(Settings.model_fields)


def test_the_demo_configuration_loads() -> None:
    assert set(load(ROOT / "config" / "demo.toml").presets) == {"card", "avatar"}


def test_flags_override_environment_override_file_override_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, '[server]\nport = 1000\nhost = "::1"\ndrain = "3s"\n')
    monkeypatch.setenv("CALOTYPE_SERVER__PORT", "2000")
    monkeypatch.setenv("CALOTYPE_SERVER__DRAIN", "4s")
    monkeypatch.setenv("CALOTYPE_DIMENSIONS__ALLOWED", "[10, 20]")
    server = load(path, {"server": {"port": 3000}}).server
    assert (server.port, server.drain, server.host, server.request_timeout) == (3000, 4.0, "::1", 10.0)
    monkeypatch.setenv("CALOTYPE_CONFIG", str(path))
    assert load().server.port == 2000
    assert load().dimensions.allowed == (10, 20)


def test_sizes_and_durations_have_units(tmp_path: Path) -> None:
    settings = load(
        written(
            tmp_path,
            '[cache.memory]\nmax_bytes = "2MiB"\n[render]\ntimeout = "250ms"\n[limits]\noriginal_max_bytes = "3MB"\n',
        )
    )
    assert settings.cache.memory.max_bytes == 2 * 2**20
    assert settings.render.timeout == 0.25
    assert settings.limits.original_max_bytes == 3_000_000


WRONG = [
    ("[server]\nprot = 1", "server.prot: there is no such setting"),
    ("[sever]\nport = 1", "sever: there is no such setting"),
    ("[server]\nport = 99999", "server.port: "),
    ("[server]\nport = 'http'", "server.port: "),
    ("[server]\nrequest_timeout = '10 parsecs'", "server.request_timeout: must be a duration"),
    ("[server]\nrequest_timeout = inf", "server.request_timeout: "),
    ("[render]\ntimeout = 0", "render.timeout: "),
    ("[render]\nmemory = '1MiB'", "render.memory: "),
    ("[cache.memory]\nmax_bytes = 'lots'", "cache.memory.max_bytes: "),
    ("[formats]\nauto = ['avif']", "formats.auto: "),
    ("[formats]\nauto = ['jpeg', 'png']", "formats.auto: "),
    ("[formats]\nquality = 0", "formats.quality: "),
    ("[dimensions]\nallowed = []", "dimensions.allowed: "),
    ("[presets]\ncard = 'w_x'", "presets.card: parameter w must"),
    ("[presets]\ncard = 't_other'", "presets.card: parameter t names no preset"),
    ("[presets]\n'a b' = 'w_1'", "presets: names must have 1 to 63"),
    ("[admin]\nhost = '0.0.0.0'", "admin.token: must be set if admin.host"),
    ("[admin]\nport = 8080", "admin.port: must differ"),
    ("[sources.a]\nkind = 'ftp'\npath = '/x'", "sources.a.kind: "),
    ("[sources.a]", "sources.a.path: "),
    ("[sources.a]\nkind = 's3'", "sources.a.bucket: "),
    ("[sources.a]\nkind = 's3'\nbucket = 'pics'\npath = '/x'", "sources.a.path: there is no such setting"),
    ("[sources.a]\nkind = 'directory'\npath = '/x'\nbucket = 'pics'", "sources.a.bucket: there is no such"),
    ("[sources.a]\nkind = 's3'\nbucket = 'a/b'", "sources.a.bucket: "),
    (f"[sources.a]\n{S3_OK}\naccess_key = 'secret'", "sources.a: access_key and secret_key must both be set"),
    (f"[sources.a]\n{S3_OK}\nsecret_key = 'secret'", "sources.a: access_key and secret_key must both be set"),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'minio:9000'", "sources.a.endpoint_url: "),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'http://u:secret@minio'", "sources.a.endpoint_url: "),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'http://h:port'", "sources.a.endpoint_url: must be like"),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'http://h:99999'", "sources.a.endpoint_url: "),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'http://[::1'", "sources.a.endpoint_url: "),
    (f"[sources.a]\n{S3_OK}\nendpoint_url = 'http://h/path'", "sources.a.endpoint_url: "),
    ("[sources.a]\nbucket = 'pics'", "sources.a.kind: "),
    (
        f"[cache.bucket]\n{S3_OK}\naccess_key = 'secret'",
        "cache.bucket: access_key and secret_key must both be set",
    ),
    ("[sources.a]\nkind = 'http'", "sources.a.hosts: "),
    ("[sources.a]\nhosts = ['h']", "sources.a.kind: "),
    (f"{HTTP}\nhosts = []", "sources.a.hosts: "),
    (f"{HTTP}\nhosts = ['https://h']", "sources.a.hosts.0: must be like"),
    (f"{HTTP}\nhosts = ['H']", "sources.a.hosts.0: must be like"),
    (f"{HTTP}\nhosts = ['h:443']", "sources.a.hosts.0: must be like"),
    (f"{HTTP}\nhosts = ['h:99999']", "sources.a.hosts.0: must be like"),
    (f"{HTTP}\nhosts = ['*.h']", "sources.a.hosts.0: must be like"),
    (f"{HTTP}\nhosts = ['u@h']", "sources.a.hosts.0: must be like"),
    *(
        (f"{HTTP}\nbase_url = {url!r}", "sources.a.base_url: must be like ")
        for url in (
            *(
                "h",
                "//h/",
                "ftp://h/",
                "https://",
                "https:///a/",
                "https://u@h/",
                "https://u:secret@h/",
                "https://h/?a=",
                "https://h/#a",
            ),
            *(
                "https://h/a b/",
                "https://h/%zz/",
                "https://h/é/",
                "https://h/../",
                "https://h/a/%2e%2E/b/",
                "https://h\\\\a/",
            ),
            *(
                "https://h:99999/",
                "https://h:x/",
                "https://h:80/",
                "https://*.h/",
                "https://[::1/",
                " https://h/",
                "https://h/\\n",
            ),
        )
    ),
    *(
        (f"{HTTP}\nheaders = {headers}", "sources.a.headers: ")
        for headers in (
            '{"Host" = "x"}',
            '{"If-None-Match" = "x"}',
            '{"range" = "x"}',
            '{"A B" = "x"}',
            '{"" = "x"}',
            '{"A" = ""}',
            '{"A" = "x\\ny"}',
            '{"A" = " x"}',
            '{"A" = "é"}',
            '{"A" = "x", "a" = "y"}',
        )
    ),
    (f"{HTTP}\nbase_url = ''", "sources.a.hosts: must name a host if base_url is not set"),
    ("[sources.a]\nbase_url = 'https://h/'", "sources.a.kind: "),
    (
        f"{HTTP}\nbase_url = 'https://ME.example:443/a'\n[mounts.m]\nsource = 'a'\nhost = 'me.example'",
        "sources.a.base_url: me.example is this node itself",
    ),
    (f"{HTTP}\nhosts = ['h']\nttl = 'long'", "sources.a.ttl: must be a duration"),
    (
        f"{HTTP}\nhosts = ['h', 'me.example']\n[mounts.m]\nsource = 'a'\nhost = 'me.example'",
        "sources.a.hosts: me.example is this node itself",
    ),
    ("[cache.bucket]\nendpoint_url = 'http://h'", "cache.bucket.kind: "),
    ("[cache.bucket]\nkind = 'ftp'", "cache.bucket.kind: "),
    ("[cache.bucket]\nkind = 's3'", "cache.bucket.bucket: "),
    ("[cache.bucket]\nbucket = 'pics'", "cache.bucket.kind: "),
    ("[cache.bucket]\nkind = 'directory'", "cache.bucket.path: "),
    ("[cache.bucket]\nprefix = '/a/'", "cache.bucket.prefix: "),
    ("[cache.bucket]\ndelivery = 'redirect'", "cache.bucket.delivery: redirect requires a bucket"),
    (f"[cache.bucket]\n{S3_OK}\ndelivery = 'redirect'", "cache.bucket.delivery: redirect requires redis.url"),
    (
        "[redis]\nurl = 'redis://x'\n[cache.bucket]\nkind = 'directory'\npath = '/x'\ndelivery = 'redirect'",
        "cache.bucket.public_url: ",
    ),
    ("[redis]\nurl = 'http://user:secret@x'", "redis.url: must begin with"),
    ("[redis]\ntimeout = '0s'", "redis.timeout: "),
    ("[server]\nprocesses = 0", "server.processes: "),
    ("[mounts.m]\nsource = 'nope'", "mounts.m.source: there is no [sources.NAME]"),
    ("[sources.a]\npath = '/a'\n[sources.b]\npath = '/b'", "mounts: several sources"),
    ("[sources.a]\npath = '/a'\n[mounts.m]\nsource = 'a'\nprefix = 'm'", "mounts.m.prefix: "),
    ("[sources.a]\npath = '/a'\n[mounts.m]\nsource = 'a'\nhost = 'A:80'", "mounts.m.host: "),
    (
        "[sources.a]\npath = '/a'\n[mounts.m]\nsource = 'a'\n[mounts.n]\nsource = 'a'",
        "mounts.n: another mount",
    ),
    ("[sources.a]\npath = '/a'\n[mounts.m]\nsource = 'a'\ndimensions = 'all'", "mounts.m.dimensions: "),
    ("[server\nport", "Expected"),
    ("[signing.keys]\nk = 'classified, but short'", "signing.keys.k: must be 32 bytes or more"),
    ("[signing.keys]\n'a b' = '0123456789abcdef0123456789abcdef'", "signing.keys: names must have 1 to 63"),
    ("[signing]\nsession = 'sid'", "signing.session: "),
    ("[signing]\nsession = 'cookie:a b'", "signing.session: "),
    (f"{MOUNT}\nsigning = 'required'", "mounts.m.signing: requires a key"),
    (f"{MOUNT}\nsigning = 'optional'", "mounts.m.signing: requires a key"),
    (f"{MOUNT}\nsigning = 'yes'", "mounts.m.signing: "),
    (f"{MOUNT}\ndialect = 'fastly'", "mounts.m.dialect: "),
    (
        f"{MOUNT}\nsigning = 'required'\nkeys = ['b']\n{KEYS}",
        "mounts.m.keys: number 1: [signing.keys] has no key with this id",
    ),
    (f"{MOUNT}\nkeys = ['k']\n{KEYS}", "mounts.m.keys: have no effect"),
    (
        f"{MOUNT}\nsigning = 'required'\nhost = 'a'\nkeys = ['k']\n{OTHER}\nhost = 'b'\nkeys = ['l']\n"
        "[signing.keys]\nk = '0123456789abcdef0123456789abcdef'\nl = '0123456789abcdef0123456789abcdef'",
        "mounts.m.keys: mounts m and n",
    ),
    (
        "[signing.keys]\nWEB = '0123456789abcdef0123456789abcdef'\nweb = '123456789abcdef0123456789abcdef0'",
        "signing.keys: two ids differ only in case",
    ),
    (f"{MOUNT}\nhost = '*.example'", "mounts.m.host: "),
    (f"{MOUNT}\nhost = 'a.example.'", "mounts.m.host: "),
    (f"{MOUNT}\nhost = 'a b'", "mounts.m.host: "),
    (
        f"[server]\nhost = '0.0.0.0'\n{MOUNT}\ndimensions = 'any'",
        "mounts.m.dimensions: any lets every client",
    ),
    (f"{MOUNT}\nopen = 'maybe'", "mounts.m.open: "),
    (f"{MOUNT}\ntransforms = ['w_300', 'w_x']", "mounts.m.transforms: number 2: parameter w must"),
    (f"{MOUNT}\ntransforms = ['w_300,w_300']", "mounts.m.transforms: number 1: parameter w is given twice"),
    (f"{MOUNT}\ntransforms = ['t_none']", "mounts.m.transforms: number 1: parameter t names no preset"),
    (
        f"{MOUNT}\ntransforms = ['w_300,v_1']",
        "mounts.m.transforms: number 1: leave out v",
    ),
    (f"{MOUNT}\ntransforms = ['']", "mounts.m.transforms: number 1: "),
    (f"{MOUNT}\ntransforms = 'w_300'", "mounts.m.transforms: "),
    (
        f"{MOUNT}\ntransforms = ['w_300']\nsigning = 'required'\n{KEYS}",
        "mounts.m.transforms: have no effect while signing is required",
    ),
    ("[dimensions]\ncolours = ['f0f0f0', 'red']", "dimensions.colours.1: must be rgb"),
    ("[dimensions]\ncolours = ['#f0f0f0']", "dimensions.colours.0: must be rgb"),
    ("[dimensions]\ncolours = 'f0f0f0'", "dimensions.colours: "),
    (
        f"[server]\nhost = '192.168.1.1'\n{MOUNT}\ndimensions = 'any'\nsigning = 'optional'\n{KEYS}",
        "mounts.m.dimensions: any lets every client",
    ),
    (
        f"{MOUNT}\nsigning = 'required'\nhost = 'a'\n{OTHER}\nhost = 'b'\n{KEYS}",
        "mounts.m.keys: mounts m and n",
    ),
    (
        f"{MOUNT}\nsigning = 'required'\n{OTHER}\nhost = 'b'\nkeys = ['k']\n{KEYS}",
        "mounts.m.keys: mounts m and n",
    ),
    (
        f"{MOUNT}\nsigning = 'required'\nkeys = ['k', 'l']\n{OTHER}\nhost = 'b'\nprefix = '/x/'\nkeys = ['k']\n{KEYS}",
        "mounts.m.keys: mounts m and n",
    ),
]


WORDS = [
    ("[server]\nport = 'high'", "server.port: must be a whole number"),
    ("[server]\nport = 70000", "server.port: must be 65535 or less"),
    ("[server]\nprocesses = 1.5", "server.processes: must be a whole number"),
    ("[server]\nprot = 1", "server.prot: there is no such setting; is server.port meant?"),
    ("[sever]\nport = 1", "sever: there is no such setting; is server meant?"),
    ("[server]\nqueue = 3", "server.queue: there is no such setting; is render.queue meant?"),
    ("[cache]\nmax_bytes = 3", "cache.max_bytes: there is no such setting; is cache.memory.max_bytes or "),
    ("[cache.dsik]\npath = '/x'", "cache.dsik: there is no such setting; is cache.disk meant?"),
    (
        "[sources.s]\nkind = 's3'\nbuckt = 'b'",
        "sources.s.buckt: there is no such setting; is sources.s.bucket m",
    ),
    ("[sources.s]\npth = 'b'", "sources.s.pth: there is no such setting; is sources.s.path meant?"),
    ("[mounts.m]\nsorce = 's'", "mounts.m.sorce: there is no such setting; is mounts.m.source meant?"),
    (
        "[admin.tokens.a]\nscope = ['read']",
        "admin.tokens.a.scope: there is no such setting; is admin.tokens.a.s",
    ),
    ("[server]\nxyzzy = 1", "server.xyzzy: there is no such setting"),
    (f"{MOUNT}\ndimensions = 'all'", "mounts.m.dimensions: must be listed, snap or any"),
    (f"{MOUNT}\npresets_only = 'maybe'", "mounts.m.presets_only: must be true or false"),
    ("server = 3", "server: must be a table"),
    ("[render]\nmemory = 3", "render.memory: must be 256MiB or more"),
    ("[formats]\nauto = ['heic']", "formats.auto: must be a list of avif and webp that ends with jpeg"),
    ("[purge]\nhook = 'ftp://x'", "purge.hook: must be an http or https URL"),
    ("[signing]\nsession = 'sid'", "signing.session: must be cookie:NAME or header:NAME"),
    ("[dimensions]\nallowed = []", "dimensions.allowed: must have 1 or more"),
    ("[sources.a]\nkind = 's3'", "sources.a.bucket: must be given"),
]


@pytest.mark.parametrize(("text", "says"), WORDS)
def test_an_error_suggests_the_nearest_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert str(caught.value).startswith(says)
    assert ("meant?" in says) == ("meant?" in str(caught.value)) or not says.endswith("?")


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "1e30",
        "'~'",
        "''",
        "[]",
        "[[]]",
        "[-1]",
        "['~']",
        "{}",
        "{ a = {} }",
        "true",
        "inf",
        "1979-05-27",
    ],
)
def test_no_error_message_is_that_of_pydantic(tmp_path: Path, value: str) -> None:
    tables: dict[str, list[str]] = {}
    for path, _ in leaves(Settings):
        tables.setdefault(".".join(path[:-1]), []).append(path[-1])
    for name, model in (
        ("sources.s", HttpSection),
        ("sources.s", S3Section),
        ("sources.s", DirectorySection),
        ("mounts.m", MountSection),
    ):
        tables[name] = [*tables.get(name, []), *model.model_fields]
    for table, keys in tables.items():
        for key in keys:
            head = f"[{table}]\n" if table else ""
            try:
                load(written(tmp_path, f"{head}{key} = {value}\n"))
            except ConfigError as wrong:
                for word in ("nput", "valid", "ield", "attern", "uple", "<class", "Error"):
                    assert word not in str(wrong), (table, key)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "SERVR__PORT",
            "1",
            "CALOTYPE_SERVR__PORT: there is no such setting; is CALOTYPE_SERVER__PORT meant?",
        ),
        (
            "SERVER_PORT",
            "1",
            "CALOTYPE_SERVER_PORT: there is no such setting; is CALOTYPE_SERVER__PORT meant?",
        ),
        ("NOTHING", "1", "CALOTYPE_NOTHING: there is no such setting"),
        ("CONFG", "/x", "CALOTYPE_CONFG: there is no such setting; is CALOTYPE_CONFIG meant?"),
        ("DIMENSIONS__ALLOWED", "10,20", "CALOTYPE_DIMENSIONS__ALLOWED: must be JSON, such as "),
        ("SERVER", '{"port": s3cret', "CALOTYPE_SERVER: must be JSON, such as "),
        ("SOURCES", "s3cret", "CALOTYPE_SOURCES: must be JSON, such as "),
        ("SERVER__PROT", "1", "server.prot: there is no such setting; is server.port meant?"),
    ],
)
def test_an_error_in_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv("CALOTYPE_SERVER__HOST", "no.json")
    monkeypatch.setenv(f"CALOTYPE_{name}", value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(says)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calotype.toml"
    path.write_bytes(b"[server]\nhost = '\xff'")
    with pytest.raises(ConfigError, match=r"calotype.toml: is not UTF-8$"):
        load(path)


@pytest.mark.parametrize("token", ["x", "x" * 15, "\u00e9" * 7])
@pytest.mark.parametrize("table", ["[admin]\n", "[admin.tokens.shop]\nscopes = ['read']\n"])
def test_a_short_token_is_refused(tmp_path: Path, table: str, token: str) -> None:
    with pytest.raises(ConfigError, match=r"token: must be 16 bytes or more"):
        load(written(tmp_path, f"{table}token = '{token}'"))
    assert (
        load(written(tmp_path, f"[admin]\ntoken = '{'x' * 16}'")).admin.token.get_secret_value() == "x" * 16
    )


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_an_error_is_one_line_that_names_the_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, "[admin]\ntoken = ['s3cret']"))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(load(written(tmp_path, "[admin]\ntoken = 's3cret-of-16-bytes'")))


@pytest.mark.parametrize(
    "text",
    [
        f"{MOUNT}\ndimensions = 'any'",
        f"[server]\nhost = '0.0.0.0'\n{MOUNT}\ndimensions = 'any'\nsigning = 'required'\n{KEYS}",
        f"[server]\nhost = '0.0.0.0'\n{MOUNT}\ndimensions = 'snap'",
        f"[server]\nhost = '0.0.0.0'\nsocket = '/run/c'\n{MOUNT}\ndimensions = 'any'",
        f"{MOUNT}\nsigning = 'required'\nkeys = ['k']\n{OTHER}\nhost = 'b'\nkeys = ['l']\n{KEYS}",
        f"{MOUNT}\nsigning = 'required'\nprefix = '/a/'\n{OTHER}\nprefix = '/b/'\nhost = 'b'\n{KEYS}",
        f"{MOUNT}\nsigning = 'required'\n{OTHER}\nprefix = '/b/'\n{KEYS}",
    ],
)
def test_safe_settings_are_accepted(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text)).mounts


def test_signing_keys_are_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_SIGNING__KEYS__K2", "classified" * 4)
    settings = load(written(tmp_path, f"{MOUNT}\nsigning = 'optional'"))
    assert settings.keys_of(settings.mounts["m"], "native") == {"k2": b"classified" * 4}
    assert "classified" not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        f"{MOUNT}\nsigning = 'optional'\nkeys = ['{'s3cret' * 6}']\n{KEYS}",
        f"[signing.keys]\n{'s3cret' * 6} = 'web1'",
        f"[signing]\n{'s3cret' * 6} = 'x'",
        f"[signing.keys]\nk = ['{'s3cret' * 6}']",
    ],
)
def test_a_secret_under_the_wrong_key_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert "s3cret" not in str(caught.value)


def test_a_signing_key_of_the_environment_replaces_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_SIGNING__KEYS__WEB1", "n" * 32)
    with pytest.raises(ConfigError, match="differ only in case"):
        load(written(tmp_path, f"[signing.keys]\nWEB1 = '{'o' * 32}'"))
    settings = load(written(tmp_path, f"[signing.keys]\nweb1 = '{'o' * 32}'"))
    assert {name: key.get_secret_value() for name, key in settings.signing.keys.items()} == {"web1": "n" * 32}


def test_unknown_environment_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_SEVER__PORT", "1")
    with pytest.raises(ConfigError, match="CALOTYPE_SEVER__PORT"):
        load()
    monkeypatch.delenv("CALOTYPE_SEVER__PORT")
    monkeypatch.setenv("CALOTYPE_SERVER__PROT", "1")
    with pytest.raises(ConfigError, match="server.prot"):
        load()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "none.toml")


def test_a_single_source_is_mounted_at_the_root(tmp_path: Path) -> None:
    mounts = load(written(tmp_path, "[sources.a]\npath = '/a'")).named_mounts()
    assert list(mounts) == ["a"]
    assert mounts["a"].prefix == "/"


def test_the_cache_lies_in_the_cache_directory_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert load().disk_path() == Path("/x/calotype")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert load().disk_path() == Path("/home/me/.cache/calotype")


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_loopback_addresses_are_recognized(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


@pytest.mark.parametrize(
    ("host", "mount", "exposed"),
    [
        ("0.0.0.0", "dimensions = 'any'\nopen = true", True),
        ("::", "dimensions = 'any'\nopen = true\nsigning = 'optional'", True),
        ("127.0.0.1", "dimensions = 'any'", False),
        ("0.0.0.0", "dimensions = 'snap'\nopen = true", False),
        ("0.0.0.0", "dimensions = 'any'\nsigning = 'required'", False),
        ("0.0.0.0", "dimensions = 'any'\npresets_only = true", False),
    ],
)
def test_a_mount_without_limits_on_a_public_address_must_be_open(
    tmp_path: Path, host: str, mount: str, exposed: bool
) -> None:
    settings = load(written(tmp_path, f"[server]\nhost = '{host}'\n{MOUNT}\n{mount}\n{KEYS}"))
    assert settings.is_exposed(settings.mounts["m"]) is exposed
