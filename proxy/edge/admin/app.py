"""The admin listener: health, readiness, metrics, the status page and the operations API."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler
from yarl import URL

import proxy
from proxy.core.errors import CalotypeError, Internal, MethodNotAllowed, Unauthorized, UnknownRoute
from proxy.core.url.target import checked_host
from proxy.edge import problems, responses
from proxy.edge.admin.auth import COOKIE, LOGIN_S, AdminAuth
from proxy.edge.admin.operations import Handler, Operations, Sign, check_query
from proxy.edge.gallery import parts
from proxy.ports.clock import Clock
from proxy.ports.operations import CommandDispatcher

_MOST_FORM_BYTES = 4096
_PAGES = Path(__file__).parent / "pages"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_OPEN = frozenset({"/healthz", "/readyz", "/login", "/page.css", "/favicon.ico"})
_NAME_OR_ADDRESS = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+", re.ASCII)
_SHOWN = ("calotype_", "process_")
_NOT_SHOWN = ("_bucket", "_created")


class Pages(Protocol):
    """What the pages show of the node. Each method raises CalotypeError for what it cannot show."""

    async def playground(self) -> Mapping[str, object]:
        """What the playground chooses from."""

    async def gallery(self, public_origin: str) -> str:
        """The gallery as HTML, whose pictures are at `public_origin`."""

    def vendor_urls(self, name: str, target: str) -> Sequence[Mapping[str, object]]:
        """The URLs of other dialects for `target` of the mount `name`."""


def admin_app(
    *,
    auth: AdminAuth,
    spool: Path,
    max_bytes: Callable[[], int],
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[Mapping[str, object]]],
    not_ready: Callable[[], Awaitable[list[str]]],
    pages: Callable[[], Pages],
    public_port: Callable[[], int],
    sign: Sign,
    dispatcher: CommandDispatcher,
    clock: Clock,
    log: structlog.typing.FilteringBoundLogger,
) -> web.Application:
    """The aiohttp application. `gather` is awaited before the registry is read and returns what the status document has
    beside metrics; `not_ready` returns the reasons why the node is not ready, `pages` what other pages show at present;
    `public_port` is that of the public listener, 0 if it has none."""
    exposition = make_aiohttp_handler(registry)
    operations = Operations(dispatcher, auth, sign, spool=spool, max_bytes=max_bytes)
    began_s = clock()
    files = {path.name: path.read_text() for path in _PAGES.iterdir()}
    files |= {path.removeprefix("/"): part.text for path, part in parts().items()}
    document = msgspec.json.decode(files["openapi.json"])
    if auth.is_open:
        document["security"] = []
        document["paths"]["/v1/events/s3"]["post"].pop("security")

    async def healthz(_: web.Request) -> web.Response:
        return responses.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reasons = await not_ready()
        return responses.json_response({"ready": not reasons, "lacking": reasons}, 503 if reasons else 200)

    async def metrics(request: web.Request) -> web.StreamResponse:
        await gather()
        return responses.with_admin_headers(await exposition(request))

    async def status(request: web.Request) -> web.Response:
        check_query(request)
        recent = await gather()
        samples = [
            (sample.name, sample.labels, sample.value)
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name.startswith(_SHOWN) and not sample.name.endswith(_NOT_SHOWN)
        ]
        return responses.json_response(
            {
                "version": proxy.__version__,
                "lacking": await not_ready(),
                "uptime_s": clock() - began_s,
                "metrics": samples,
                **recent,
            }
        )

    async def session(request: web.Request) -> web.Response:
        check_query(request)
        found = auth.session(request)
        assert found is not None, "the guard requires the scope read"
        return responses.json_response({"scopes": sorted(found.scopes), "csrf": found.csrf})

    async def openapi(request: web.Request) -> web.Response:
        check_query(request)
        return responses.json_response(document)

    def public_origin(request: web.Request) -> str:
        """The public listener, at the host by which the client reaches the admin listener; empty without a port."""
        port = public_port()
        host = urlsplit(f"//{checked_host(request.headers.get(hdrs.HOST, ''))}").hostname or ""
        if not port or not _NAME_OR_ADDRESS.fullmatch(host):
            return ""
        return str(URL.build(scheme="http", host=host, port=port))

    async def playground_page(request: web.Request) -> web.Response:
        return responses.page_with_pictures(files["playground.html"], public_origin(request))

    async def playground_json(request: web.Request) -> web.Response:
        check_query(request)
        return responses.json_response({**await pages().playground(), "public": public_origin(request)})

    async def vendor_urls(request: web.Request) -> web.Response:
        check_query(request, ("mount", "target"))
        mount, target = (request.query.get(name, "") for name in ("mount", "target"))
        return responses.json_response(pages().vendor_urls(mount, target))

    async def gallery_page(request: web.Request) -> web.Response:
        origin = public_origin(request)
        return responses.page_with_pictures(await pages().gallery(origin), origin)

    async def favicon(_: web.Request) -> web.Response:
        return responses.page("", "image/x-icon")

    async def page(request: web.Request) -> web.Response:
        name = request.path.removeprefix("/") or "status.html"
        return responses.page(files[name], _TYPES[Path(name).suffix])

    async def login(request: web.Request) -> web.Response:
        if request.method == hdrs.METH_GET:
            return responses.page(files["login.html"], "text/html")
        form = parse_qs((await request.read())[:_MOST_FORM_BYTES].decode("utf-8", "replace"))
        try:
            cookie = auth.cookie(form.get("token", [""])[0])
        except Unauthorized as refusal:
            text = files["login.html"].replace("<!--wrong-->", refusal.detail)
            return responses.page(text, "text/html", 401)
        return responses.logged_in(COOKIE, cookie, LOGIN_S)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in _OPEN and request.match_info.handler not in operations.handlers:
                # Any token suffices to learn that a path does not exist.
                auth.enforce(request, None if request.match_info.http_exception else "read")
            return await handler(request)
        except CalotypeError as failure:
            if isinstance(failure, Unauthorized) and request.path in ("/", "/playground", "/gallery"):
                return responses.see_other("/login")
            return problems.admin_problem(failure)
        except web.HTTPMethodNotAllowed as refusal:
            wrong = MethodNotAllowed("this path supports other methods: see the Allow header")
            return problems.admin_problem(wrong, allowed=sorted(refusal.allowed_methods))
        except web.HTTPException:
            return problems.admin_problem(UnknownRoute("no route of the admin listener has this path"))
        except Exception:
            log.exception("internal error")
            return problems.admin_problem(Internal("an unexpected error was logged"))

    app = web.Application(middlewares=[guard])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    operations.add_to(app.router)
    app.router.add_get("/v1/openapi.json", openapi)
    app.router.add_get("/v1/status", status)
    app.router.add_get("/session.json", session)
    app.router.add_get("/favicon.ico", favicon)
    app.router.add_get("/playground", playground_page)
    app.router.add_get("/playground.json", playground_json)
    app.router.add_get("/vendor_urls.json", vendor_urls)
    app.router.add_get("/gallery", gallery_page)
    for name in (
        "",
        "page.css",
        "page.js",
        "status.css",
        "status.js",
        "playground.css",
        "playground.js",
        "parameter_names.js",
        "gallery.css",
        "gallery.js",
    ):
        app.router.add_get(f"/{name}", page)
    app.router.add_get("/login", login)
    app.router.add_post("/login", login)
    return app
