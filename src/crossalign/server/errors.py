"""Everything that is not a success, in one shape.

``{"error": {"code": "queue_full", "message": "...", "request_id": "..."}}``: the code is for
programs and never changes, the message is for people and says what was expected, what came and what
to do.
"""

from __future__ import annotations

import http
import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import Scope

from crossalign.errors import (
    CropError,
    CrossalignError,
    DescriptionError,
    ImageError,
    MethodError,
    ServerError,
)
from crossalign.server.validation import describe_invalid

log = logging.getLogger("crossalign.server")

# Which of our own errors are the client's doing, and what they are called.
_CODES: dict[type[CrossalignError], str] = {
    ImageError: "image",
    DescriptionError: "classes",
    MethodError: "method",
    CropError: "crops",
}


class ApiError(ServerError):
    """A request that gets an answer other than the one it asked for.

    Args:
        status: HTTP status.
        code: What programs know it by.
        message: What was expected, what came and what to do.
        headers: Further headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


def unprocessable(code: str, message: str) -> ApiError:
    """Make the error of a request that is understood and cannot be served as it stands."""
    return ApiError(422, code, message)


def gone() -> ApiError:
    """Make the error of a client that is not there to see it; logs know it by this status."""
    return ApiError(499, "gone", "the client has gone.")


def internal(error: Exception) -> ApiError:
    """Write a failure of the service into its log, and make the answer, which does not tell."""
    log.error("request failed", exc_info=error)
    return ApiError(500, "internal", "the service failed on this request; its log says why.")


class AsciiJSON(JSONResponse):
    """JSON in ASCII: half a character in somebody's class name must not break the answer."""

    def render(self, content: Any) -> bytes:
        """Write the content as JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def error_response(scope: Scope, error: ApiError) -> Response:
    """Make the response of an error.

    Args:
        scope: The request's, which knows its id.
        error: The error.

    Returns:
        The response.
    """
    body = {
        "code": error.code,
        "message": str(error),
        "request_id": scope.get("state", {}).get("request_id"),
    }
    return AsciiJSON({"error": body}, error.status, headers=error.headers)


def _as_api_error(request: Request, error: Exception) -> ApiError:
    """Find the answer to an error: 422 where the client can mend it, else mostly 500."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return unprocessable("parameters", describe_invalid(error.errors()))
    if isinstance(error, HTTPException):
        return _http_error(request, error)
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return unprocessable(code, _for_clients(str(error)))
    return internal(error)


def _http_error(request: Request, error: HTTPException) -> ApiError:
    """The framework's own refusals."""
    code = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    messages = {
        404: "there is nothing at this address; /openapi.json lists what there is.",
        405: f"{request.method} is not for this address; /openapi.json lists what is.",
    }
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request.app, request.scope))
    message = messages.get(error.status_code, str(error.detail))
    return ApiError(error.status_code, code, message, headers)


def _for_clients(message: str) -> str:
    """Name the image as the client knows it, and leave out what only the host could do."""
    message = message.replace("<bytes>: ", "image: ").replace("<image>: ", "image: ")
    fact, _, remedy = message.partition("; ")
    if "max_pixels" in remedy:
        return f"{fact}; shrink the image."
    return message


def add_handlers(app: FastAPI) -> None:
    """Give every error of an application the one shape."""

    async def handle(request: Request, error: Exception) -> Response:
        return error_response(request.scope, _as_api_error(request, error))

    for kind in (CrossalignError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def _methods_at(app: FastAPI, scope: Scope) -> list[str]:
    """All methods of an address; the router itself names those of the first route alone."""
    routes = [route for route in app.routes if not isinstance(route, Mount)]

    def has(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in routes)

    methods = {method for method in ("DELETE", "GET", "PATCH", "POST", "PUT") if has(method)}
    return sorted(methods | {"GET", "HEAD"} if "GET" in methods or not methods else methods)
