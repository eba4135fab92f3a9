"""The admin listener, never the public one: health, readiness, metrics, `explain`, and a page that shows them."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs

import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

import proxy
from proxy.core.errors import BadUrl, CalotypeError, Internal, Unauthorized, UnknownRoute
from proxy.edge import respond
from proxy.edge.explain import Explanation
from proxy.ports import Clock, WallClock

COOKIE = "calotype-admin"
LOGIN_S = 12 * 3600
_MOST_FORM_BYTES = 4096
_PAGES = Path(__file__).parent / "pages"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_OPEN = frozenset({"/healthz", "/readyz", "/login", "/page.css"})
_SHOWN = ("calotype_", "process_")
_NOT_SHOWN = ("_bucket", "_created")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pass:
    """Who may see what is not open: whoever has the token, or for a while a cookie made with it."""

    def __init__(self, token: str, wall: WallClock) -> None:
        self._token = token.encode()
        self._wall = wall

    def fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)

    def admits(self, request: web.Request) -> bool:
        if not self._token:
            return True
        kind, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return (kind == "Bearer" and self.fits(given)) or self._holds(request.cookies.get(COOKIE, ""))

    def cookie(self) -> str:
        """Good for LOGIN_S."""
        until = str(int(self._wall()) + LOGIN_S)
        return f"{until}.{self._mac(until)}"

    def _holds(self, cookie: str) -> bool:
        until, _, mac = cookie.partition(".")
        proven = hmac.compare_digest(mac.encode("utf-8", "surrogateescape"), self._mac(until).encode())
        return proven and int(until) > self._wall()

    def _mac(self, until: str) -> str:
        said = b"calotype admin page\n" + until.encode("utf-8", "surrogateescape")
        return hmac.digest(self._token, said, hashlib.sha256).hex()


def admin_app(
    *,
    token: str,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[object]],
    lacking: Callable[[], Awaitable[list[str]]],
    explain: Callable[[str, str], Awaitable[Explanation]],
    clock: Clock,
    wall: WallClock,
    log: structlog.typing.FilteringBoundLogger,
) -> web.Application:
    """The aiohttp application; an empty `token` leaves it open to whoever reaches its loopback address. `gather` is
    awaited before the registry is read, and returns the slowest originals; `lacking` says what readiness lacks."""
    exposition = make_aiohttp_handler(registry)
    gate = Pass(token, wall)
    began_s = clock()
    files = {path.name: path.read_text() for path in _PAGES.iterdir()}

    async def healthz(_: web.Request) -> web.Response:
        return respond.told({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        lacks = await lacking()
        return respond.told({"ready": not lacks, "lacking": lacks}, 503 if lacks else 200)

    async def metrics(request: web.Request) -> web.StreamResponse:
        await gather()
        return respond.shown(await exposition(request))

    async def tell(request: web.Request) -> web.Response:
        url = request.query.get("url", "")
        if not url:
            raise BadUrl("parameter url must be given: the URL to explain")
        return respond.told(await explain(url, request.query.get("accept", "")))

    async def status(_: web.Request) -> web.Response:
        slowest = await gather()
        samples = [
            (sample.name, sample.labels, sample.value)
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name.startswith(_SHOWN) and not sample.name.endswith(_NOT_SHOWN)
        ]
        return respond.told(
            {
                "version": proxy.__version__,
                "lacking": await lacking(),
                "uptime_s": clock() - began_s,
                "metrics": samples,
                "slowest": slowest,
            }
        )

    async def page(request: web.Request) -> web.Response:
        name = request.path.removeprefix("/") or "status.html"
        return respond.page(files[name], _TYPES[Path(name).suffix])

    async def login(request: web.Request) -> web.Response:
        if request.method == hdrs.METH_GET:
            return respond.page(files["login.html"], "text/html")
        form = parse_qs((await request.read())[:_MOST_FORM_BYTES].decode("utf-8", "replace"))
        if not gate.fits(form.get("token", [""])[0]):
            return respond.page(
                files["login.html"].replace("<!--wrong-->", "This is not the token."), "text/html", 401
            )
        return respond.logged_in(COOKIE, gate.cookie(), LOGIN_S)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in _OPEN and not gate.admits(request):
                if request.path == "/":
                    return respond.go("/login")
                raise Unauthorized("the admin token must be sent as Authorization: Bearer")
            return await handler(request)
        except CalotypeError as failure:
            return respond.problem(failure)
        except web.HTTPException:
            return respond.problem(UnknownRoute("the admin listener has nothing here"))
        except Exception:
            log.exception("internal error")
            return respond.problem(Internal("an unexpected error was logged"))

    app = web.Application(middlewares=[guard])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/v1/explain", tell)
    app.router.add_get("/v1/status", status)
    for name in ("", "page.css", "status.js"):
        app.router.add_get(f"/{name}", page)
    app.router.add_get("/login", login)
    app.router.add_post("/login", login)
    return app
