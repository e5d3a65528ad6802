"""The mathematics of weighted visual-text cross alignment, on arrays alone."""

from __future__ import annotations

from crossalign.alignment.checks import Array
from crossalign.alignment.scoring import (
    FORMS,
    PUBLISHED_CROP_SCALE,
    PUBLISHED_DESCRIPTION_SCALE,
    Form,
    class_vectors,
    contributions,
    crop_contributions,
    crop_weights,
    description_weights,
    image_vectors,
    pool,
    scores,
    similarity_matrix,
    unit,
)

__all__ = [
    "FORMS",
    "PUBLISHED_CROP_SCALE",
    "PUBLISHED_DESCRIPTION_SCALE",
    "Array",
    "Form",
    "class_vectors",
    "contributions",
    "crop_contributions",
    "crop_weights",
    "description_weights",
    "image_vectors",
    "pool",
    "scores",
    "similarity_matrix",
    "unit",
]
