"""What stands before the application: who may come in, with how much, and what is written down.

Everything here happens before a body is read. The answers carry headers that keep a browser from
running, framing or guessing anything that the service did not mean.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossalign.server.errors import ApiError, error_response, internal
from crossalign.server.logs import printable
from crossalign.server.metrics import Metrics
from crossalign.server.settings import Settings
from crossalign.utils.files import packaged_text

log = logging.getLogger("crossalign.server.access")

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# The page needs no secret: it asks for the token and sends it with its requests.
_OPEN = ("/", "/healthz")
_OPEN_FOLDER = "/static/"

# An answer that is sent while the client still sends its body may be lost with the connection, so
# what is left of the body is read and thrown away first, within these bounds.
_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_SECONDS = 5.0
_NOT_DRAINED = (408, 503)  # there the wait is over

HEADERS: dict[str, str] = json.loads(packaged_text("server", "headers.json"))
"""Of every answer, unless it has others."""


class AccessMiddleware:
    """An ASGI application around the application: who may use it, and what is written down.

    Args:
        app: The application.
        settings: Token, hosts and the largest body.
        metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._hosts = {host.lower() for host in settings.allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        headers = Headers(scope=scope)
        body = _BoundedBody(receive, self._settings.max_body_bytes)
        # Who asks before sending has nothing on the way that could be lost.
        drains = "expect" not in headers
        start, status = time.monotonic(), 0
        head = scope["method"] == "HEAD"
        # Where there is something to get there is something to ask the head of.
        inner = {**scope, "method": "GET"} if head else scope

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if drains and not body.ended and status >= 400 and status not in _NOT_DRAINED:
                    await body.drain()
                added = MutableHeaders(scope=message)
                added["x-request-id"] = request_id
                for name, value in HEADERS.items():
                    added.setdefault(name, value)
                added.setdefault("cache-control", "no-store")
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is None:
                await self._app(inner, body.receive, send_with_headers)
            else:
                await error_response(scope, refusal)(scope, receive, send_with_headers)
        except Exception as error:
            if status:  # too late for another answer: the server cuts this one short
                raise
            await error_response(scope, internal(error))(scope, receive, send_with_headers)
        finally:
            self._log_access(
                scope, inner.get("route"), request_id, status, time.monotonic() - start
            )

    def _refusal(self, scope: Scope, headers: Headers) -> ApiError | None:
        host = _host_name(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            return ApiError(
                421,
                "host",
                f"this service is not known as {host[:100]!r}; start it with --allowed-host to "
                "add a name.",
            )
        if scope["method"] not in _SAFE_METHODS and _is_cross_site(headers):
            return ApiError(
                403,
                "cross_site",
                "a page of another site may not use this service. A proxy in front of it must pass "
                "the Host header on.",
            )
        if not self._is_authorized(scope["path"], headers):
            return ApiError(
                401,
                "token",
                "expected the header 'Authorization: Bearer TOKEN' with the service's token.",
                {"WWW-Authenticate": "Bearer"},
            )
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return ApiError(400, "content_length", "expected Content-Length as a whole number.")
        if int(length) > self._settings.max_body_bytes:
            return too_large(self._settings.max_body_bytes)
        return None

    def _is_authorized(self, path: str, headers: Headers) -> bool:
        token = self._settings.token
        if token is None or path in _OPEN or path.startswith(_OPEN_FOLDER):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1"), token.encode("ascii"))
        return same and scheme.lower() == "bearer"

    def _log_access(
        self, scope: Scope, found: object, request_id: str, status: int, seconds: float
    ) -> None:
        # The route, not the path: a million paths must not make a million counters.
        route = getattr(found, "path", None) or "other"
        method = scope["method"] if scope["method"] in _COUNTED else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        client = scope.get("client") or ("-",)
        log.info(
            "%s %s %s %d %.1fms %s",
            printable(str(client[0]))[:60],
            printable(scope["method"])[:20],
            printable(scope["path"])[:200],
            status,
            1000 * seconds,
            request_id,
        )


_COUNTED = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _BoundedBody:
    """A request's body that ends with 413 where it grows beyond its limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._got = 0
        self.ended = False

    async def receive(self) -> Message:
        """Receive the next piece."""
        message = await self._next()
        if self._got > self._limit:
            raise too_large(self._limit)
        return message

    async def drain(self) -> None:
        """Read the rest and throw it away, within bounds."""
        try:
            await asyncio.wait_for(self._drain(), _DRAIN_SECONDS)
        except asyncio.TimeoutError:
            self.ended = True

    async def _drain(self) -> None:
        while not self.ended and self._got < self._limit + _DRAIN_BYTES:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._got += len(message.get("body", b""))
        self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


def too_large(limit: int) -> ApiError:
    """Make the error of a body that is larger than allowed."""
    return ApiError(
        413,
        "body_too_large",
        f"expected a body of at most {limit} bytes; got more. Shrink the image; 1000 pixels a side "
        "are plenty.",
    )


def _is_cross_site(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin makes this request.

    Browsers send Sec-Fetch-Site, which pages cannot change and which holds behind any proxy, to
    hosts by HTTPS and to this machine. Elsewhere there is Origin alone, and so it must be ours.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")  # none: a person's doing, not a page's
    origin = headers.get("origin")
    if origin is None:
        return False
    scheme, _, address = origin.lower().partition("://")
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    return address.removesuffix(usual) != headers.get("host", "").lower().removesuffix(usual)


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower()
