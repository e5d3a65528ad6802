"""What requests and answers look like, as data; the OpenAPI description is made of these."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from crossalign.server.class_sets import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN, examples=["pets"])]
Text = Annotated[str, Field(min_length=1)]
Classes = Annotated[
    list[Text],
    Field(min_length=1, description="Class names.", examples=[["cat", "dog"]]),
]
Descriptions = Annotated[
    dict[Text, Annotated[list[Text], Field(min_length=1)]],
    Field(
        min_length=1,
        description="Class names with the sentences that describe them.",
        examples=[{"cat": ["pointed ears"], "dog": ["floppy ears"]}],
    ),
]

MAX_EXPLAINED = 10
"""Most classes that one request may have explained."""


def _one_line(schema: dict[str, Any]) -> None:
    """Undo the line breaks of the docstrings that describe fields."""
    for field in schema.get("properties", {}).values():
        if "description" in field:
            field["description"] = " ".join(field["description"].split())


class Documented(BaseModel):
    """A part of a request or an answer, whose fields are described by what stands below them."""

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra=_one_line)


class Strict(Documented):
    """A request: a field that we do not know is a mistake, not to be passed over in silence.

    A field is there or it is not; null is neither.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_null(cls, values: Any) -> Any:
        nulls = [name for name, value in dict(values).items() if value is None]
        if nulls:
            raise PydanticCustomError("null", f"{nulls[0]!r} is null; leave it out")
        return values


def _crops(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Say in one sentence what no part of a union says alone."""
    try:
        return check(value)
    except ValidationError:
        what = "a whole number from 1 up, or auto"
        raise PydanticCustomError("expected", "expected {what}", {"what": what}) from None


class LabelFields(Strict):
    """How to label an image; give exactly one of classes, descriptions and class_set."""

    classes: Classes | None = None
    descriptions: Descriptions | None = None
    class_set: Name | None = None
    """Name of a class set that the service keeps."""
    method: str | None = None
    """Name of a method, see /v1/models."""
    crops: Annotated[
        Annotated[StrictInt, Field(ge=1)] | Literal["auto"] | None, WrapValidator(_crops)
    ] = None
    """Crops, for methods that take any; by default the method's own number, see /v1/models. auto
    stops as soon as it is sure."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    """For random crops and random words."""
    top: Annotated[StrictInt | None, Field(ge=1)] = None
    """Classes to rank; all by default."""


class ExplainFields(LabelFields):
    """How to label an image, and which classes to explain: those of labels, or the best ones."""

    labels: Annotated[list[str] | None, Field(min_length=1, max_length=MAX_EXPLAINED)] = None
    """Classes to explain."""
    best: Annotated[StrictInt, Field(ge=1, le=MAX_EXPLAINED)] = 2
    """Without labels, how many classes to explain, the best first."""
    against: Annotated[str | None, Field(min_length=1)] = None
    """Class that the first one explained is compared with; by default the best of the others."""


class ImageField(Strict):
    """An image inside JSON."""

    image: Annotated[str, Field(min_length=1, json_schema_extra={"contentEncoding": "base64"})]
    """The bytes of an image file, in base64. A URL is never fetched."""


class ClassifyRequest(LabelFields, ImageField):
    """An image to label."""


class ExplainRequest(ExplainFields, ImageField):
    """An image to label and explain."""


class NewClassSet(Strict):
    """Classes to keep under a name; give either classes or descriptions."""

    name: Name
    classes: Classes | None = None
    descriptions: Descriptions | None = None


class Ranked(Documented):
    """A class and its score; scores rank the classes and are not probabilities."""

    label: str
    score: float


class Cost(Documented):
    """What an answer took."""

    views: int
    """Views encoded: the whole image and its crops."""
    seconds: float
    """From bytes to scores, once at work."""
    class_seconds: float
    """To encode the classes; next to nothing where they are known."""


class Classified(Ranked):
    """The label of an image."""

    ranked: list[Ranked]
    """The best first."""
    size: list[int]
    """Width and height of the upright image, pixels."""
    encoder: str
    method: str
    crops: int
    """Crops taken; 0 for methods of the whole image."""
    seed: int
    undescribed: list[str]
    """Classes given by name alone that the bank of descriptions does not know; templates stand in.
    """
    cost: Cost


class StandsOut(Documented):
    """A description that a crop answers notably better than the other crops do."""

    description: int
    """Its place among those of its class."""
    text: str
    similarity: float
    """Its cosine with the crop."""
    lift: float
    """By how much that is above its cosine with the whole image, or its mean cosine over the crops,
    whichever is larger."""


class RegionAdds(Documented):
    """A region and what it adds; of regions that show nearly the same, one is listed."""

    crop: int
    """Its place among the boxes."""
    adds: float
    """To the score, or to the difference of two scores."""
    label: str
    """The class it speaks for."""
    words: StandsOut | None
    """What stands out here of that class; null: it is like the whole photo."""


class ClassExplained(Ranked):
    """The score of one class, taken apart: all terms add up to it."""

    whole_score: float
    """What it would be with the whole image as the only crop."""
    descriptions: list[str]
    description_weights: list[float]
    """v, adding up to 1."""
    similarity: list[list[float]]
    """Cosine of crop i with description j, a row a crop; of any weight."""
    whole_similarity: list[float]
    """Cosine of the whole image with each description."""
    terms: list[list[float]]
    """What crop i meeting description j adds to the score, a row a crop."""
    regions: list[RegionAdds]
    """Those that add most, largest first."""


class DescriptionAdds(Documented):
    """A description and what it adds to the difference of two scores."""

    text: str
    adds: float
    """Above zero it speaks for the first class."""


class Side(Ranked):
    """One of two classes that are compared."""

    descriptions: list[DescriptionAdds]


class ContrastExplained(Documented):
    """Why one class and not another: crops, and likewise descriptions, add up to the difference."""

    first: Side
    second: Side
    difference: float
    """The first score less the second."""
    by_crop: list[float]
    """What each crop adds to the difference; below zero for the second."""
    regions: list[RegionAdds]
    """Those that decide most."""


class FlipExplained(Documented):
    """The fewest crops without which another class is the best."""

    crops: list[int]
    """Places among the boxes, the weightiest first."""
    becomes: str
    """The class that is the best without them."""


class StabilityExplained(Documented):
    """How much the label depends on which crops were taken; not how likely it is right."""

    label: str
    """The best class."""
    rival: str
    """What it is compared with."""
    margin: float
    """By how much it leads."""
    standard_error: float | None
    """Of the margin, over crops (jackknife); null where it is not defined."""
    agreement: float
    """Share of crop sets drawn from these in which the label is the best."""
    resamples: int
    """How many crop sets were drawn."""
    flips_alone: list[int]
    """Crops each of which, left out alone, changes the label."""
    flip: FlipExplained | None
    """Null if nothing changes the label."""


class Explained(Classified):
    """The label of an image and what it rests on."""

    boxes: list[list[int]]
    """Crops (left, top, right, bottom), pixels of the upright image."""
    crop_weights: list[float]
    """w, adding up to 1."""
    explanations: list[ClassExplained]
    """In the order asked for."""
    contrast: ContrastExplained | None
    """The first class explained against another; null with a single class."""
    stability: StabilityExplained | None
    """Null with a single class, and for methods of the whole image."""


class ClassSetInfo(Documented):
    """A class set in the list."""

    name: str
    classes: int
    """Number of classes."""
    descriptions: int
    """Number of descriptions."""
    fixed: bool
    """It came with the package; it cannot be deleted."""


class ClassSetDetail(Documented):
    """A class set in full."""

    name: str
    fixed: bool
    classes: dict[str, list[str]]
    """Descriptions of each class, in class order."""


class ClassSetList(Documented):
    """All class sets."""

    class_sets: list[ClassSetInfo]


class ModelInfo(Documented):
    """The encoder that this service has loaded."""

    name: str
    revision: str
    dim: int
    image_size: int
    context_length: int
    licence: str
    bytes: int


class MethodInfo(Documented):
    """A method by name."""

    name: str
    crops: int
    """Crops where a request names none; 0 if it takes no crops at all."""
    auto: bool
    """Whether it can stop as soon as it is sure."""
    descriptions: Literal["required", "used", "unused"]
    """What becomes of descriptions; where unused, names alone will do."""
    source: str


class Limits(Documented):
    """What a request may ask for."""

    body_bytes: int
    pixels: int
    classes: int
    texts: int
    text_characters: int
    characters: int
    crops: int


class Models(Documented):
    """What the service offers."""

    models: list[ModelInfo]
    methods: list[MethodInfo]
    default_method: str
    default_crops: int
    """Those of the default method."""
    bank: bool
    """Whether names alone are described from the bank, where it can."""
    limits: Limits


class Health(Documented):
    """The service is up."""

    status: Literal["ok"]
    version: str


class ErrorBody(Documented):
    """What went wrong."""

    code: str
    """For programs; it never changes."""
    message: str
    """For people: expected, got, what to do."""
    request_id: str | None
    """Names the line in the service's log."""


class Error(Documented):
    """Every answer that is not a success."""

    error: ErrorBody


def fields_of(source: Any, model: type[BaseModel], **others: Any) -> dict[str, Any]:
    """Write the fields of a part of an answer as JSON holds them.

    Args:
        source: An object that has them; arrays become lists, and records objects.
        model: The part.
        **others: Fields that the object has not, or not like this.

    Returns:
        The fields, in the order of the part.
    """
    return {
        name: others[name] if name in others else _plain(getattr(source, name))
        for name in model.model_fields
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.tolist() if isinstance(value, np.ndarray) else value


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a JSON body.

    Args:
        model: A request.

    Returns:
        A JSON schema.
    """
    schema = model.model_json_schema()
    properties = {name: _without_null(value) for name, value in schema["properties"].items()}
    return {**schema, "properties": properties, "oneOf": _one_of(properties)}


def form_schema(fields: type[BaseModel]) -> dict[str, Any]:
    """Describe a form with an image.

    Args:
        fields: The fields beside the image.

    Returns:
        A JSON schema.
    """
    properties = json_schema(fields)["properties"]
    properties["descriptions"] = {
        "type": "string",
        "description": "JSON {class: [description, ...]}, as text or as a file.",
    }
    for schema in properties.values():
        schema.pop("minItems", None)  # a form cannot even say that a list is empty
    image = {"type": "string", "format": "binary", "description": "An image file."}
    return {
        "type": "object",
        "properties": {"image": image, **properties},
        "required": ["image"],
        "additionalProperties": False,
        "oneOf": _one_of(properties),
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
    if kept.get("default", ...) is None:
        del kept["default"]
    one = kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}
    return {**one, **kept}


def _one_of(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the ways to give classes exactly one."""
    ways = ("classes", "descriptions", "class_set")
    return [{"required": [way]} for way in ways if way in properties]
