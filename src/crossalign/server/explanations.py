"""What ``/v1/explain`` adds to a label: scores taken apart, why not another, and how sure."""

from __future__ import annotations

from typing import Any

from crossalign import explain
from crossalign.explain import Contrast
from crossalign.predictions import Explanation, Prediction
from crossalign.server.errors import unprocessable
from crossalign.server.schemas import (
    ClassExplained,
    ContrastExplained,
    ExplainFields,
    RegionAdds,
    Side,
    StabilityExplained,
    fields_of,
)
from crossalign.utils.text import quoted

# Random crops overlap, and the best of them often show nearly the same.
REGIONS = 6
MAX_OVERLAP = 0.5


def check_labels(given: ExplainFields, classes: tuple[str, ...]) -> None:
    """Refuse classes that cannot be explained, before the image is looked at.

    Args:
        given: The request.
        classes: Its classes.

    Raises:
        ApiError: 422 if one is not among them, comes twice, or is set against itself.
    """
    labels = given.labels or []
    for field, names in (("labels", labels), ("against", [given.against or classes[0]])):
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise unprocessable(
                field,
                f"{field}: expected one of the {len(classes)} classes of this request; got "
                f"{unknown[0]!r}. They are {quoted(classes, 5)}.",
            )
    if len(set(labels)) < len(labels):
        raise unprocessable("labels", "labels: expected different classes; got one twice.")
    if labels and labels[0] == given.against:
        raise unprocessable("against", _SAME.format(given.against))


_SAME = "against: expected a class other than the one it is compared with, {!r}."


def explanation_fields(
    prediction: Prediction, given: ExplainFields, *, crops: bool
) -> dict[str, Any]:
    """Take the scores of some classes apart.

    Args:
        prediction: What was found; it holds its embeddings.
        given: The request; :func:`check_labels` has passed it.
        crops: Whether the method looks at crops.

    Returns:
        Fields of the answer beside the label.

    Raises:
        ApiError: 422 if the best class was to be set against itself.
    """
    labels = given.labels or [label for label, _ in prediction.ranked(given.best)]
    explanations = [prediction.explain(label) for label in labels]
    first = explanations[0]
    if given.against == first.label:
        raise unprocessable("against", _SAME.format(first.label))
    answer: dict[str, Any] = {
        "boxes": first.boxes.tolist(),
        "crop_weights": first.crop_weights.tolist(),
        "explanations": [
            fields_of(explanation, ClassExplained, regions=_regions(explanation))
            for explanation in explanations
        ],
        "contrast": None,
        "stability": None,
    }
    if len(prediction.classes) > 1:
        answer["contrast"] = _contrasted(explain.why(prediction, first.label, given.against))
        if crops:
            rival = None if given.against == prediction.label else given.against
            found = explain.stability(prediction, rival)
            answer["stability"] = fields_of(found, StabilityExplained)
    return answer


def _contrasted(found: Contrast) -> dict[str, Any]:
    adds = found.by_description.tolist()
    split = len(found.first.descriptions)
    return fields_of(
        found,
        ContrastExplained,
        first=_side(found.first, adds[:split]),
        second=_side(found.second, adds[split:]),
        regions=_regions(found),
    )


def _side(explanation: Explanation, adds: list[float]) -> dict[str, Any]:
    texts = zip(explanation.descriptions, adds, strict=True)
    descriptions = [{"text": text, "adds": added} for text, added in texts]
    return fields_of(explanation, Side, descriptions=descriptions)


def _regions(of: Explanation | Contrast) -> list[dict[str, Any]]:
    return [
        fields_of(region, RegionAdds)
        for region in explain.top_regions(of, REGIONS, max_overlap=MAX_OVERLAP)
    ]
