"""The admin listener, never the public one: health, readiness, metrics and `explain`."""

import hmac
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from proxy.core.errors import BadUrl, CalotypeError, Internal, Unauthorized, UnknownRoute
from proxy.edge import respond
from proxy.edge.explain import Explanation

_OPEN = frozenset({"/healthz", "/readyz"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admin_app(
    *,
    token: str,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[None]],
    is_ready: Callable[[], Awaitable[bool]],
    explain: Callable[[str, str], Awaitable[Explanation]],
    log: structlog.typing.FilteringBoundLogger,
) -> web.Application:
    """The aiohttp application; an empty `token` leaves it open to whoever reaches its loopback address. `gather` is
    awaited before the registry is read."""
    exposition = make_aiohttp_handler(registry)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready = await is_ready()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def metrics(request: web.Request) -> web.StreamResponse:
        await gather()
        return await exposition(request)

    async def tell(request: web.Request) -> web.Response:
        url = request.query.get("url", "")
        if not url:
            raise BadUrl("parameter url must be given: the URL to explain")
        return web.json_response(await explain(url, request.query.get("accept", "")))

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if token and request.path not in _OPEN:
                given = request.headers.get(hdrs.AUTHORIZATION, "")
                if not hmac.compare_digest(
                    given.encode("utf-8", "surrogateescape"), f"Bearer {token}".encode()
                ):
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
    return app
