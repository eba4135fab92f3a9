"""thumbor.conf, which is a Python file: its assignments of literals are read, and nothing is executed."""

import ast
from collections.abc import Mapping, Sequence

from proxy.core.admin.imports.imported import (
    BUCKET,
    LOCAL,
    MOUNT,
    WEB,
    Imported,
    SettingPath,
    plain_host,
)

_KEY = "thumbor"
_NOT_SET = "MY_SECURE_KEY"
"""The key of a thumbor that has none of its own."""
_FILE, _FILE_OR_HTTP, _S3 = "file_loader", "file_loader_http_fallback", "s3"
_NUMBERS: Mapping[str, SettingPath] = {
    "QUALITY": ("formats", "quality"),
    "MAX_PIXELS": ("limits", "original_max_pixels"),
    "HTTP_LOADER_MAX_BODY_SIZE": ("limits", "original_max_bytes"),
}
_SECONDS: Mapping[str, SettingPath] = {
    "MAX_AGE": ("mounts", MOUNT, "max_age"),
    "HTTP_LOADER_REQUEST_TIMEOUT": ("server", "request_timeout"),
}
_REASONS = (
    ("RESPECT_ORIENTATION", "pictures are always upright"),
    ("AUTO_", "a format is negotiated where the URL has f_auto, natively"),
    ("MIN_", "there is no least size: a filter or a preset sizes pictures"),
    ("MAX_AGE_TEMP_IMAGE", "errors are not cached, and a missing original for a minute"),
    ("PRESERVE_EXIF", "metadata is always removed"),
    ("PRESERVE_IPTC", "metadata is always removed"),
    ("WEBP_QUALITY", "`quality` of [formats] is on one scale for all formats"),
    ("AVIF_", "`quality` and `avif_effort` of [formats] take its place"),
    ("RESULT_STORAGE", "variants are cached in [cache.memory], [cache.disk] and [cache.bucket]"),
    ("STORAGE", "originals are cached in [cache.originals]"),
    ("FILE_STORAGE", "originals are cached in [cache.originals]"),
    ("MIXED_STORAGE", "originals are cached in [cache.originals]"),
    ("UPLOAD", "originals are uploaded to POST /v1/originals of the admin listener"),
    ("HTTP_LOADER_FORWARD", "no header of a client is passed on"),
    ("HTTP_LOADER", "the node has timeouts of its own, and no proxy"),
    ("DETECTORS", "smart is attention; faces are found in native URLs, by g_faces"),
    ("FILTERS", "all filters of the dialect are always there"),
    ("OPTIMIZERS", "encoders are set in [formats]"),
    ("METRICS", "metrics are at /metrics of the admin listener"),
    ("ACCESS_CONTROL_ALLOW_ORIGIN_HEADER", "pages of every origin may read answers"),
    ("SENTRY", "errors are in the log"),
)
"""By the beginning of a name, why it is not carried over."""
_MOST = 10**15
_WITHOUT_EFFECT: tuple[object, ...] = (None, False, "", [], 0)


def assignments(text: str) -> tuple[dict[str, object], list[str]]:
    """The values of the names in upper case to which a literal is assigned, and the names whose value is not known: of
    another expression, or under a condition. Raises ValueError."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("is not a Python file") from None
    values: dict[str, object] = {}
    unknown: dict[str, None] = {}
    for statement in module.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            unknown |= dict.fromkeys(name for nested in ast.walk(statement) for name in _assigned(nested))
            continue
        names = dict.fromkeys(_assigned(statement))
        try:
            value: object = _value(statement.value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            unknown |= names
            continue
        values |= dict.fromkeys(names, value)
    return values, list(unknown)


def _assigned(node: ast.AST) -> list[str]:
    """The names in upper case to which a statement assigns; none for another node."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [each.id for each in targets if isinstance(each, ast.Name) and each.id.isupper()]


def _value(node: ast.expr | None) -> object:
    """The value of a literal, or of a product of numbers, as in `24 * 60 * 60`. Raises ValueError."""
    match node:
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            factors = _value(left), _value(right)
            if all(isinstance(each, int | float) for each in factors):
                return float(str(factors[0])) * float(str(factors[1]))
        case None:
            raise ValueError("a name without a value")
    return ast.literal_eval(node)


def read_thumbor(text: str) -> Imported:
    """The settings that do what a thumbor.conf does. Raises ValueError."""
    values, others = assignments(text)
    if not values and not others:
        raise ValueError("assigns no setting of thumbor")
    imported = Imported()
    used = _sources(imported, values)
    imported.mounted(list(dict.fromkeys(path[1] for path in imported.settings)), "thumbor")
    used |= _signing(imported, values, others)
    used |= _numbers(imported, values)
    for name in others:
        imported.note(
            name,
            "is not a literal, or set under a condition: its value is not known without executing the file",
        )
    for name, value in values.items():
        if name not in used and value not in _WITHOUT_EFFECT:
            imported.note_unknown(name, _REASONS)
    return imported


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _sources(imported: Imported, values: Mapping[str, object]) -> set[str]:
    """Sets the sources; returns the names that were read."""
    loader = _text(values, "LOADER").rpartition(".")[2] or "http_loader"
    is_file = loader in (_FILE, _FILE_OR_HTTP)
    if is_file:
        root = _text(values, "FILE_LOADER_ROOT_PATH")
        if not root:
            imported.note("FILE_LOADER_ROOT_PATH", f"put the directory in sources.{LOCAL}.path")
        imported.source(LOCAL, path=root or "pictures")
    bucket = _text(values, "TC_AWS_LOADER_BUCKET") or _text(values, "AWS_LOADER_BUCKET_NAME")
    if bucket and not is_file:
        _bucket(imported, values, bucket)
    if loader != _FILE and not (bucket and not is_file):
        imported.web_source(_hosts(imported, values.get("ALLOWED_SOURCES")))
    if not is_file and not bucket and loader not in ("http_loader", "https_loader", "strict_https_loader"):
        imported.note("LOADER", f"{loader} is not known: the source is one of web servers")
    if loader in ("https_loader", "strict_https_loader"):
        imported.note("LOADER", "an image without a scheme is fetched over http")
    return {
        *("LOADER", "FILE_LOADER_ROOT_PATH", "ALLOWED_SOURCES"),
        *(name for name in values if name.startswith(("TC_AWS_", "AWS_LOADER_"))),
    }


def _bucket(imported: Imported, values: Mapping[str, object], bucket: str) -> None:
    imported.source(BUCKET, kind="s3", bucket=bucket)
    for key, names in (
        ("region", ("TC_AWS_REGION", "AWS_LOADER_REGION_NAME")),
        ("endpoint_url", ("TC_AWS_ENDPOINT", "AWS_LOADER_S3_ENDPOINT_URL")),
        ("prefix", ("TC_AWS_LOADER_ROOT_PATH", "AWS_LOADER_ROOT_PATH")),
    ):
        value = next(filter(None, (_text(values, name) for name in names)), "")
        if value:
            imported.source(BUCKET, **{key: f"{value.strip('/')}/" if key == "prefix" else value})
    imported.note("AWS_*", "the node reads the credentials of AWS from its environment and files too")


def _hosts(imported: Imported, allowed: object) -> list[str]:
    """The hosts of the patterns that are names."""
    hosts: list[str] = []
    for entry in allowed if isinstance(allowed, Sequence) and not isinstance(allowed, str) else ():
        text = str(entry).replace("\\.", ".").removeprefix("^").removesuffix("$")
        if host := plain_host(text.partition("://")[2] or text):
            hosts.append(host)
        else:
            imported.note("ALLOWED_SOURCES", f"{entry!r} is a pattern: list the hosts in sources.{WEB}.hosts")
    return hosts


def _signing(imported: Imported, values: Mapping[str, object], unknown: Sequence[str]) -> set[str]:
    """Sets the key; returns the names that were read. Without a known key nothing is opened that was closed."""
    secret = _text(values, "SECURITY_KEY") or _NOT_SET
    allows_unsafe = bool(values.get("ALLOW_UNSAFE_URL", True)) and "ALLOW_UNSAFE_URL" not in unknown
    has_own_key = secret != _NOT_SET or "SECURITY_KEY" in unknown
    if has_own_key or not allows_unsafe:
        imported.mount(signing="optional" if allows_unsafe else "required", keys=(_KEY,))
        if "SECURITY_KEY" in unknown:
            imported.missing_key(_KEY)
        else:
            imported.settings["signing", "keys", _KEY] = secret
    if not has_own_key and not allows_unsafe:
        imported.note("SECURITY_KEY", "is that of every thumbor without one of its own: change it")
    if allows_unsafe:
        imported.unsigned()
    return {"SECURITY_KEY", "ALLOW_UNSAFE_URL"}


def _numbers(imported: Imported, values: Mapping[str, object]) -> set[str]:
    for names, unit in ((_NUMBERS, ""), (_SECONDS, "s")):
        for name, path in names.items():
            value = values.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST:
                imported.settings[path] = f"{int(value)}{unit}" if unit else int(value)
    sides = [
        value for name in ("MAX_WIDTH", "MAX_HEIGHT") if isinstance(value := values.get(name), int) and value
    ]
    if sides:
        imported.settings["limits", "output_max_side"] = max(sides)
    if len(set(sides)) > 1 or len(sides) == 1:
        imported.note("MAX_WIDTH", "both sides have one limit: limits.output_max_side")
    return {*_NUMBERS, *_SECONDS, "MAX_WIDTH", "MAX_HEIGHT"}
