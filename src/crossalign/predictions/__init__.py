"""What comes out: the label of an image, and what it rests on."""

from __future__ import annotations

from crossalign.predictions.prediction import (
    CropScores,
    Evidence,
    Explainer,
    Explanation,
    Prediction,
    Reserve,
    Scores,
)

__all__ = [
    "CropScores",
    "Evidence",
    "Explainer",
    "Explanation",
    "Prediction",
    "Reserve",
    "Scores",
]
