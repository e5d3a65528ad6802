"""Label images with words alone: weighted visual-text cross alignment.

An image is cut into many local crops, each class is written out as many fine descriptions, and
every crop meets every description: the weighted sum is the score of the class, and its terms say
which part of the picture matched which words. No training, no labelled photos.

    from crossalign import Classifier

    classifier = Classifier(["tabby cat", "golden retriever"])
    prediction = classifier("photo.jpg")
    print(prediction.label, prediction.explain().top_descriptions(3))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from crossalign.utils import old_paths

__version__ = "0.3.0"

if TYPE_CHECKING:
    from crossalign.alignment.adaptive import Adaptive as Adaptive
    from crossalign.classifier import Classifier as Classifier
    from crossalign.encoders import Encoder as Encoder
    from crossalign.encoders import ModelCard as ModelCard
    from crossalign.encoders import Preprocess as Preprocess
    from crossalign.encoders import list_encoders as list_encoders
    from crossalign.encoders import load_encoder as load_encoder
    from crossalign.encoders import register_encoder as register_encoder
    from crossalign.engine.cache.store import Store as Store
    from crossalign.errors import AlignmentError as AlignmentError
    from crossalign.errors import CalibrationError as CalibrationError
    from crossalign.errors import CropError as CropError
    from crossalign.errors import CrossalignError as CrossalignError
    from crossalign.errors import DescriptionError as DescriptionError
    from crossalign.errors import EncoderError as EncoderError
    from crossalign.errors import EvaluationError as EvaluationError
    from crossalign.errors import ImageError as ImageError
    from crossalign.errors import LabelingError as LabelingError
    from crossalign.errors import MethodError as MethodError
    from crossalign.errors import MissingExtraError as MissingExtraError
    from crossalign.errors import ServerError as ServerError
    from crossalign.errors import StoreError as StoreError
    from crossalign.errors import WriterError as WriterError
    from crossalign.images.crops import CropSpec as CropSpec
    from crossalign.images.load import load_image as load_image
    from crossalign.integrations.sklearn import ZeroShotClassifier as ZeroShotClassifier
    from crossalign.methods import METHODS as METHODS
    from crossalign.methods import Method as Method
    from crossalign.predictions.explanation import Explanation as Explanation
    from crossalign.predictions.prediction import Prediction as Prediction
    from crossalign.texts.descriptions import DescriptionSet as DescriptionSet

# Where each public name lives. They are imported when first asked for, so that importing the
# package, and with it `crossalign --help`, stays instant.
_HOMES = {
    "alignment.adaptive": ("Adaptive",),
    "classifier": ("Classifier",),
    "images.crops": ("CropSpec",),
    "texts.descriptions": ("DescriptionSet",),
    "encoders": (
        "Encoder",
        "ModelCard",
        "Preprocess",
        "list_encoders",
        "load_encoder",
        "register_encoder",
    ),
    "errors": (
        "AlignmentError",
        "CalibrationError",
        "CropError",
        "CrossalignError",
        "DescriptionError",
        "EncoderError",
        "EvaluationError",
        "ImageError",
        "LabelingError",
        "MethodError",
        "MissingExtraError",
        "ServerError",
        "StoreError",
        "WriterError",
    ),
    "integrations.sklearn": ("ZeroShotClassifier",),
    "images": ("load_image",),
    "methods": ("METHODS", "Method"),
    "predictions": ("Explanation", "Prediction"),
    "engine.cache.store": ("Store",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF), "__version__"]

old_paths.install()


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'crossalign' has no attribute {name!r}")
    return getattr(importlib.import_module(f"crossalign.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
