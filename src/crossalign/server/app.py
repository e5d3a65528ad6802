"""The application: which address does what, and its description."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.types import Scope

from crossalign import __version__
from crossalign.encoders.base import Encoder
from crossalign.methods import METHODS, Method
from crossalign.server import metrics, schemas
from crossalign.server.class_sets import NAME_PATTERN
from crossalign.server.errors import AsciiJSON, add_handlers
from crossalign.server.middleware import AccessMiddleware
from crossalign.server.request_bodies import FORM_TYPE, JSON_TYPE
from crossalign.server.service import Service
from crossalign.server.settings import Settings
from crossalign.utils.files import packaged_text

STATIC = Path(__file__).parent / "static"

_ABOUT = """Label images with words alone. Send an image and class names, with descriptions if you
have them; the answer ranks the classes and, if asked, says which part of the image met which words.
"""

# What went wrong, by status.
_WHY: dict[str, str] = json.loads(packaged_text("server", "errors.json"))
_ALWAYS = (400, 401, 403, 405, 413, 421, 500)
_WITH_WORK = (408, 415, 422, 429, 503)

ClassSetName = Annotated[str, fastapi.Path(pattern=NAME_PATTERN, description="Its name.")]


def create_app(encoder: Encoder, settings: Settings | None = None) -> FastAPI:
    """Make the service as an ASGI application.

    Args:
        encoder: The encoder.
        settings: Limits and habits.

    Returns:
        The application; its ``state.service`` is the :class:`Service`.

    Raises:
        CrossalignError: If the settings' method is unknown, a class set on disk is broken, or the
            store cannot be used.

    Example:
        >>> from crossalign import load_encoder
        >>> app = create_app(load_encoder("builtin"))
        >>> sorted(path for path in app.openapi()["paths"] if "class" in path)
        ['/v1/class-sets', '/v1/class-sets/{name}', '/v1/classify']
        >>> app.state.service.close()
    """
    service = Service(encoder, settings or Settings())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="crossalign",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses=_errors(*_ALWAYS),
        separate_input_output_schemas=False,
    )
    app.state.service = service
    add_handlers(app)
    for router in (_labels(service), _class_sets(service), _information(service)):
        app.include_router(router)
    _add_page(app)
    app.add_middleware(AccessMiddleware, settings=service.settings, metrics=service.metrics)
    if service.settings.token is not None:
        _describe_token(app)
    return app


def _labels(service: Service) -> APIRouter:
    router = APIRouter(tags=["labels"], responses=_errors(*_WITH_WORK, 404))

    @router.post(
        "/v1/classify",
        response_model=schemas.Classified,
        openapi_extra=_body(schemas.ClassifyRequest, schemas.LabelFields),
    )
    async def classify(request: Request) -> Response:
        """Label an image among classes."""
        return await service.work(request, service.classify)

    @router.post(
        "/v1/explain",
        response_model=schemas.Explained,
        openapi_extra=_body(schemas.ExplainRequest, schemas.ExplainFields),
    )
    async def explain(request: Request) -> Response:
        """Label an image and say which part of it met which words."""
        return await service.work(request, service.explain)

    return router


def _class_sets(service: Service) -> APIRouter:
    sets = service.class_sets
    router = APIRouter(prefix="/v1/class-sets", tags=["class sets"])

    @router.post(
        "",
        status_code=201,
        response_model=schemas.ClassSetInfo,
        responses=_errors(*_WITH_WORK, 409),
        openapi_extra=_body(schemas.NewClassSet),
    )
    async def create_class_set(request: Request) -> Response:
        """Encode classes once and keep them under a name."""
        return await service.work(request, service.create_class_set, forms=False)

    @router.get(
        "",
        response_model=schemas.ClassSetList,
    )
    async def list_class_sets() -> Response:
        """List the class sets."""
        return AsciiJSON({"class_sets": [found.summary() for found in sets.all()]})

    @router.get(
        "/{name}",
        response_model=schemas.ClassSetDetail,
        responses=_errors(404, 422),
    )
    async def show_class_set(name: ClassSetName) -> Response:
        """Show a class set in full."""
        found = sets.get(name)
        return AsciiJSON(
            {"name": found.name, "fixed": found.fixed, "classes": found.classes.to_dict()}
        )

    @router.delete(
        "/{name}",
        status_code=204,
        response_class=Response,
        responses=_errors(404, 409, 422),
    )
    async def delete_class_set(name: ClassSetName) -> Response:
        """Forget a class set."""
        sets.delete(name)
        return Response(status_code=204)

    return router


def _information(service: Service) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/v1/models", response_model=schemas.Models)
    async def models() -> Response:
        """Say what this service offers: its encoder, the methods, the limits."""
        return AsciiJSON(_offer(service))

    @router.get("/healthz", response_model=schemas.Health)
    async def healthz() -> Response:
        """Say that the service is up."""
        return AsciiJSON({"status": "ok", "version": __version__})

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        """Give counters in the Prometheus format."""
        return Response(service.metrics.text(), media_type=metrics.CONTENT_TYPE)

    return router


class _Revalidated(StaticFiles):
    """Files that a browser keeps, and asks about before it uses them again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Give a file, or say that it is still the same."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_page(app: FastAPI) -> None:
    files = _Revalidated(directory=STATIC)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/static", files, name="static")


def _offer(service: Service) -> dict[str, Any]:
    settings = service.settings
    methods = {name: _offered(method, settings) for name, method in METHODS.items()}
    return {
        "models": [dataclasses.asdict(service.batches.card)],
        "methods": list(methods.values()),
        "default_method": settings.method,
        "bank": settings.bank,
        "default_crops": methods[settings.method]["crops"],
        "limits": {name: getattr(settings, f"max_{name}") for name in schemas.Limits.model_fields},
    }


def _offered(method: Method, settings: Settings) -> dict[str, Any]:
    use = {"descriptors": "required", "descriptions": "used"}
    return {
        "name": method.name,
        "crops": 0 if method.crops is None else settings.usual_crops(method.crops.count),
        "auto": method.crops is not None and method.crop_weighting == "softmax",
        "descriptions": use.get(method.texts, "unused"),
        "source": method.source,
    }


# ------------------------------------------------------------------------------- the description


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers that are not a success."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.Error, "description": _WHY[str(status)]}
        for status in sorted(statuses)
    }
    if 429 in described:
        described[429]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        }
    return described


def _body(json_model: type[BaseModel], form_model: type[BaseModel] | None = None) -> dict[str, Any]:
    """Describe a body that is JSON or a form; FastAPI itself knows bodies of one kind alone."""
    content = {JSON_TYPE: {"schema": schemas.json_schema(json_model)}}
    if form_model is not None:
        content = {FORM_TYPE: {"schema": schemas.form_schema(form_model)}, **content}
    return {"requestBody": {"required": True, "content": content}}


def _describe_token(app: FastAPI) -> None:
    make = app.openapi

    def openapi() -> dict[str, Any]:
        description = make()
        schemes = description.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        for path, operations in description["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path == "/healthz" else [{"token": []}]
        return description

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it
