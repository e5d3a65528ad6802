"""Bodies of requests: read within bounds, made into an image and what to do with it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from crossalign.server.errors import ApiError, gone, unprocessable
from crossalign.server.schemas import LabelFields, NewClassSet
from crossalign.server.settings import Settings
from crossalign.server.validation import describe_invalid
from crossalign.texts.descriptions import DescriptionSet

JSON_TYPE, FORM_TYPE = "application/json", "multipart/form-data"
_WHOLE_NUMBERS = ("crops", "seed", "top", "best")
_LISTS = ("classes", "labels")

Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body as it came, read but not yet understood.

    Args:
        json: The text of a JSON body; None for a form.
        form: Fields of a form, each with all its values.
    """

    json: bytes | None
    form: dict[str, list[str | bytes]]


class _InMemory(MultiPartParser):
    """Somebody's photo is never written to a temporary file; the body's limit bounds it."""

    spool_max_size = 2**40


async def read_body(request: Request, settings: Settings, *, forms: bool = True) -> Body:
    """Read a body; the middleware in front of the application bounds its size.

    Args:
        request: The request.
        settings: How long it may take.
        forms: Whether a form will do, or JSON alone.

    Returns:
        The body.

    Raises:
        ApiError: 408 if it takes too long, 415 if it is of another type, 422 if it is no form.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        if kind == JSON_TYPE:
            text = await asyncio.wait_for(request.body(), settings.body_seconds)
            return Body(text, {})
        if kind == FORM_TYPE and forms:
            form = _read_form(request.headers, request.stream(), settings)
            return Body(None, await asyncio.wait_for(form, settings.body_seconds))
    except ClientDisconnect:
        raise gone() from None
    except asyncio.TimeoutError:
        raise ApiError(
            408,
            "too_slow",
            f"expected the whole body within {settings.body_seconds:g} s; send it faster, or send "
            "a smaller image.",
            {"Connection": "close"},
        ) from None
    expected = f"{FORM_TYPE} or {JSON_TYPE}" if forms else JSON_TYPE
    raise ApiError(
        415, "media_type", f"expected a body of type {expected}; got {kind[:60]!r}.", _CLOSE
    )


# The rest of a body that nobody will read must not be taken for the next request.
_CLOSE = {"Connection": "close"}


async def _read_form(
    headers: Headers, stream: AsyncGenerator[bytes, None], settings: Settings
) -> dict[str, list[str | bytes]]:
    parser = _InMemory(
        headers,
        stream,
        max_files=4,
        max_fields=settings.max_classes + 100,
        max_part_size=settings.max_body_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise unprocessable("form", f"expected a form; {error.message}") from error
    fields: dict[str, list[str | bytes]] = {}
    for name, value in form.multi_items():
        content = await value.read() if isinstance(value, UploadFile) else value
        fields.setdefault(name, []).append(content)
    await form.close()
    return fields


def parse_request(body: Body, request: type[Fields], fields: type[Fields]) -> tuple[bytes, Fields]:
    """Find the image in a body, and what to do with it.

    Args:
        body: The body.
        request: What a JSON body must be like.
        fields: What a form must be like, beside its image.

    Returns:
        The bytes of the image, and the checked fields.

    Raises:
        ApiError: If the JSON is broken, or a field is missing, unknown or of the wrong type.
    """
    if body.json is None:
        values = dict(body.form)
        images = values.pop("image", [])
        if len(images) != 1:
            raise unprocessable("image", f"expected one field 'image'; got {len(images)}.")
        image = images[0]
        if isinstance(image, str):
            raise unprocessable(
                "image",
                "expected 'image' as a file, with a file name; got a plain field. With curl write "
                "-F image=@photo.jpg.",
            )
        return image, checked(fields, {name: _plain(name, held) for name, held in values.items()})
    given = checked(request, _json_object(body.json))
    return _decoded(cast("Any", given).image), given


def checked(model: type[Fields], values: Any) -> Fields:
    """Check fields against what they must be like.

    Args:
        model: What they must be like.
        values: The fields.

    Returns:
        The checked fields.

    Raises:
        ApiError: 422, naming the fields that are wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        message = describe_invalid(error.errors(include_url=False), list(model.model_fields))
        raise unprocessable("fields", message) from None


def json_fields(body: Body, model: type[Fields]) -> Fields:
    """Check the fields of a JSON body."""
    return checked(model, _json_object(body.json or b""))


def find_classes(given: LabelFields | NewClassSet, settings: Settings) -> DescriptionSet:
    """Make the classes of a request, within the limits.

    Args:
        given: The request; exactly one of ``classes`` and ``descriptions`` is set.
        settings: The limits.

    Returns:
        The classes.

    Raises:
        ApiError: If there is none, or both, or too many of them.
        DescriptionError: If they are not usable.
    """
    if (given.classes is None) == (given.descriptions is None):
        raise unprocessable(
            "classes",
            "expected exactly one of 'classes' (names) and 'descriptions' ({class: [text, ...]})"
            + ("" if isinstance(given, NewClassSet) else ", or else 'class_set' (a name)")
            + ".",
        )
    groups = given.descriptions or {}
    names = given.classes or list(groups)
    texts = [text for group in groups.values() for text in group]
    _limit("classes", len(names), settings.max_classes, "classes")
    _limit("texts", len(texts), settings.max_texts, "descriptions, all classes together")
    lengths = [len(text) for text in (*names, *texts)]
    _limit("text_characters", max(lengths), settings.max_text_characters, "characters in one text")
    _limit("characters", sum(lengths), settings.max_characters, "characters in all texts together")
    return DescriptionSet.of(given.descriptions if given.descriptions is not None else names)


def _limit(code: str, got: int, limit: int, what: str) -> None:
    if got > limit:
        raise unprocessable(f"too_many_{code}", f"expected at most {limit} {what}; got {got}.")


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except ApiError:
        raise
    except UnicodeDecodeError as error:
        wrong = f"expected JSON in UTF-8; byte {error.start} is none."
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        wrong = f"expected JSON; got broken JSON in {where}: {error.msg}."
    except RecursionError:
        wrong = "expected JSON; got lists or objects that are nested too deeply."
    except ValueError as error:  # a number of thousands of digits
        wrong = f"expected JSON; {error}."
    else:
        if isinstance(content, dict):
            return content
        kind = "list" if isinstance(content, list) else "single value"
        wrong = f"expected a JSON object; got a {kind}."
    raise unprocessable("json", wrong)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise unprocessable(
            "json",
            f"expected every name once in a JSON object; got {twice[:60]!r} more than once, and "
            "only the last would count.",
        )
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unprocessable(
            "image",
            f"image: expected the bytes of an image file in plain base64; {error}. Leave out any "
            "data: prefix and line breaks; a URL is never fetched.",
        ) from None


def _plain(name: str, values: list[str | bytes]) -> Any:
    """What a form's field means: forms know texts alone."""
    texts = [value if isinstance(value, str) else _text(name, value) for value in values]
    if name in _LISTS:
        return texts
    if len(texts) != 1:
        raise unprocessable(
            "fields", f"{name[:60]!r}: expected it once; got it {len(texts)} times."
        )
    if name == "descriptions":
        return _json_object(texts[0].encode("utf-8", "surrogatepass"))
    if name in _WHOLE_NUMBERS:
        try:
            return json.loads(texts[0])
        except (ValueError, RecursionError):
            return texts[0]  # the check that follows says what is wrong with it
    return texts[0]


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise unprocessable("fields", f"{name[:60]!r}: expected text in UTF-8.") from None
