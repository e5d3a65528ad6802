"""What comes out: the label of an image, and what it rests on."""

from __future__ import annotations

from crossalign.predictions.explanation import CropScores as CropScores
from crossalign.predictions.explanation import Explanation as Explanation
from crossalign.predictions.explanation import Reserve as Reserve
from crossalign.predictions.explanation import Scores as Scores
from crossalign.predictions.local import LocalEvidence as LocalEvidence
from crossalign.predictions.local import LocalViews as LocalViews
from crossalign.predictions.prediction import EncodedImage as EncodedImage
from crossalign.predictions.prediction import ImageFailure as ImageFailure
from crossalign.predictions.prediction import Prediction as Prediction
