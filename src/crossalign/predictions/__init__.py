"""What comes out: the label of an image, and what it rests on."""

from __future__ import annotations

from crossalign.predictions.explanation import CropScores, Explanation, Reserve, Scores
from crossalign.predictions.prediction import EncodedImage, ImageFailure, Prediction

__all__ = [
    "CropScores",
    "EncodedImage",
    "Explanation",
    "ImageFailure",
    "Prediction",
    "Reserve",
    "Scores",
]
