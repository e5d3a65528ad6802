"""What requests and answers look like, as data; the OpenAPI description is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


class Strict(BaseModel):
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
    class_set: Annotated[
        Name | None, Field(description="Name of a class set that the service keeps.")
    ] = None
    method: Annotated[str | None, Field(description="Name of a method, see /v1/models.")] = None
    crops: Annotated[
        Annotated[StrictInt, Field(ge=1)] | Literal["auto"] | None,
        WrapValidator(_crops),
        Field(
            description="Crops, for methods that take any; by default the method's own number, see "
            "/v1/models. auto stops as soon as it is sure."
        ),
    ] = None
    seed: Annotated[
        StrictInt, Field(ge=0, lt=2**63, description="For random crops and random words.")
    ] = 0
    top: Annotated[
        StrictInt | None, Field(ge=1, description="Classes to rank; all by default.")
    ] = None


class ExplainFields(LabelFields):
    """How to label an image, and which classes to explain: those of labels, or the best ones."""

    labels: Annotated[
        list[str] | None,
        Field(min_length=1, max_length=MAX_EXPLAINED, description="Classes to explain."),
    ] = None
    best: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=MAX_EXPLAINED,
            description="Without labels, how many classes to explain, the best first.",
        ),
    ] = 2
    against: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Class that the first one explained is compared with; by default the best "
            "of the others.",
        ),
    ] = None


class ImageField(Strict):
    """An image inside JSON."""

    image: Annotated[
        str,
        Field(
            min_length=1,
            description="The bytes of an image file, in base64. A URL is never fetched.",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ]


class ClassifyRequest(LabelFields, ImageField):
    """An image to label."""


class ExplainRequest(ExplainFields, ImageField):
    """An image to label and explain."""


class NewClassSet(Strict):
    """Classes to keep under a name; give either classes or descriptions."""

    name: Name
    classes: Classes | None = None
    descriptions: Descriptions | None = None


class Ranked(BaseModel):
    """A class and its score; scores rank the classes and are not probabilities."""

    label: str
    score: float


class Cost(BaseModel):
    """What an answer took."""

    views: Annotated[int, Field(description="Views encoded: the whole image and its crops.")]
    seconds: Annotated[float, Field(description="From bytes to scores, once at work.")]
    class_seconds: Annotated[
        float, Field(description="To encode the classes; next to nothing where they are known.")
    ]


class Classified(BaseModel):
    """The label of an image."""

    label: str
    score: float
    ranked: Annotated[list[Ranked], Field(description="The best first.")]
    size: Annotated[list[int], Field(description="Width and height of the upright image, pixels.")]
    encoder: str
    method: str
    crops: Annotated[int, Field(description="Crops taken; 0 for methods of the whole image.")]
    seed: int
    undescribed: Annotated[
        list[str],
        Field(
            description="Classes given by name alone that the bank of descriptions does not know; "
            "templates stand in."
        ),
    ]
    cost: Cost


class StandsOut(BaseModel):
    """A description that a crop answers notably better than the other crops do."""

    description: Annotated[int, Field(description="Its place among those of its class.")]
    text: str
    similarity: Annotated[float, Field(description="Its cosine with the crop.")]
    lift: Annotated[
        float,
        Field(
            description="By how much that is above its cosine with the whole image, or its mean "
            "cosine over the crops, whichever is larger."
        ),
    ]


class RegionAdds(BaseModel):
    """A region and what it adds; of regions that show nearly the same, one is listed."""

    crop: Annotated[int, Field(description="Its place among the boxes.")]
    adds: Annotated[float, Field(description="To the score, or to the difference of two scores.")]
    label: Annotated[str, Field(description="The class it speaks for.")]
    words: Annotated[
        StandsOut | None,
        Field(description="What stands out here of that class; null: it is like the whole photo."),
    ]


class ClassExplained(BaseModel):
    """The score of one class, taken apart: all terms add up to it."""

    label: str
    score: float
    whole_score: Annotated[
        float, Field(description="What it would be with the whole image as the only crop.")
    ]
    descriptions: list[str]
    description_weights: Annotated[list[float], Field(description="v, adding up to 1.")]
    similarity: Annotated[
        list[list[float]],
        Field(description="Cosine of crop i with description j, a row a crop; of any weight."),
    ]
    whole_similarity: Annotated[
        list[float], Field(description="Cosine of the whole image with each description.")
    ]
    terms: Annotated[
        list[list[float]],
        Field(description="What crop i meeting description j adds to the score, a row a crop."),
    ]
    regions: Annotated[list[RegionAdds], Field(description="Those that add most, largest first.")]


class DescriptionAdds(BaseModel):
    """A description and what it adds to the difference of two scores."""

    text: str
    adds: Annotated[float, Field(description="Above zero it speaks for the first class.")]


class Side(BaseModel):
    """One of two classes that are compared."""

    label: str
    score: float
    descriptions: list[DescriptionAdds]


class ContrastExplained(BaseModel):
    """Why one class and not another: crops, and likewise descriptions, add up to the difference."""

    first: Side
    second: Side
    difference: Annotated[float, Field(description="The first score less the second.")]
    by_crop: Annotated[
        list[float],
        Field(description="What each crop adds to the difference; below zero for the second."),
    ]
    regions: Annotated[list[RegionAdds], Field(description="Those that decide most.")]


class FlipExplained(BaseModel):
    """The fewest crops without which another class is the best."""

    crops: Annotated[list[int], Field(description="Places among the boxes, the weightiest first.")]
    becomes: Annotated[str, Field(description="The class that is the best without them.")]


class StabilityExplained(BaseModel):
    """How much the label depends on which crops were taken; not how likely it is right."""

    label: Annotated[str, Field(description="The best class.")]
    rival: Annotated[str, Field(description="What it is compared with.")]
    margin: Annotated[float, Field(description="By how much it leads.")]
    standard_error: Annotated[
        float | None,
        Field(description="Of the margin, over crops (jackknife); null where it is not defined."),
    ]
    agreement: Annotated[
        float,
        Field(description="Share of crop sets drawn from these in which the label is the best."),
    ]
    resamples: Annotated[int, Field(description="How many crop sets were drawn.")]
    flips_alone: Annotated[
        list[int], Field(description="Crops each of which, left out alone, changes the label.")
    ]
    flip: Annotated[FlipExplained | None, Field(description="Null if nothing changes the label.")]


class Explained(Classified):
    """The label of an image and what it rests on."""

    boxes: Annotated[
        list[list[int]],
        Field(description="Crops (left, top, right, bottom), pixels of the upright image."),
    ]
    crop_weights: Annotated[list[float], Field(description="w, adding up to 1.")]
    explanations: Annotated[list[ClassExplained], Field(description="In the order asked for.")]
    contrast: Annotated[
        ContrastExplained | None,
        Field(description="The first class explained against another; null with a single class."),
    ]
    stability: Annotated[
        StabilityExplained | None,
        Field(description="Null with a single class, and for methods of the whole image."),
    ]


class ClassSetInfo(BaseModel):
    """A class set in the list."""

    name: str
    classes: Annotated[int, Field(description="Number of classes.")]
    descriptions: Annotated[int, Field(description="Number of descriptions.")]
    fixed: Annotated[bool, Field(description="It came with the package; it cannot be deleted.")]


class ClassSetDetail(BaseModel):
    """A class set in full."""

    name: str
    fixed: bool
    classes: Annotated[
        dict[str, list[str]], Field(description="Descriptions of each class, in class order.")
    ]


class ClassSetList(BaseModel):
    """All class sets."""

    class_sets: list[ClassSetInfo]


class ModelInfo(BaseModel):
    """The encoder that this service has loaded."""

    name: str
    revision: str
    dim: int
    image_size: int
    context_length: int
    licence: str
    bytes: int


class MethodInfo(BaseModel):
    """A method by name."""

    name: str
    crops: Annotated[
        int, Field(description="Crops where a request names none; 0 if it takes no crops at all.")
    ]
    auto: Annotated[bool, Field(description="Whether it can stop as soon as it is sure.")]
    descriptions: Annotated[
        Literal["required", "used", "unused"],
        Field(description="What becomes of descriptions; where unused, names alone will do."),
    ]
    source: str


class Limits(BaseModel):
    """What a request may ask for."""

    body_bytes: int
    pixels: int
    classes: int
    texts: int
    text_characters: int
    characters: int
    crops: int


class Models(BaseModel):
    """What the service offers."""

    models: list[ModelInfo]
    methods: list[MethodInfo]
    default_method: str
    default_crops: Annotated[int, Field(description="Those of the default method.")]
    bank: Annotated[
        bool, Field(description="Whether names alone are described from the bank, where it can.")
    ]
    limits: Limits


class Health(BaseModel):
    """The service is up."""

    status: Literal["ok"]
    version: str


class ErrorBody(BaseModel):
    """What went wrong."""

    code: Annotated[str, Field(description="For programs; it never changes.")]
    message: Annotated[str, Field(description="For people: expected, got, what to do.")]
    request_id: Annotated[str | None, Field(description="Names the line in the service's log.")]


class Error(BaseModel):
    """Every answer that is not a success."""

    error: ErrorBody


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
