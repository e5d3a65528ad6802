"""The exceptions that crossalign raises for its users' mistakes and broken inputs.

Every message says what was expected, what came and what to do about it, so it can be shown to a
user as it stands. Programming errors inside the package are never wrapped in these.
"""

from __future__ import annotations

import importlib
from typing import Any


class CrossalignError(Exception):
    """Base of every error that crossalign raises on purpose."""


class ImageError(CrossalignError, ValueError):
    """An image could not be read: missing, broken, empty, too large or not an image at all."""


class CropError(CrossalignError, ValueError):
    """A crop specification or a box is not usable."""


class DescriptionError(CrossalignError, ValueError):
    """Classes, descriptions or templates are missing, duplicated, empty or of the wrong type."""


class AlignmentError(CrossalignError, ValueError):
    """Arrays handed to the alignment mathematics disagree in shape, type or value."""


class EncoderError(CrossalignError, RuntimeError):
    """An encoder is unknown, not on this machine, or contradicts its own model card."""


class MethodError(CrossalignError, ValueError):
    """A method name or setting is unknown or contradictory."""


class ServerError(CrossalignError, ValueError):
    """The service is set up in a way that cannot work, or is asked for what it does not give."""


class StoreError(CrossalignError, OSError):
    """A folder cannot be used as a store of embeddings."""


class EvaluationError(CrossalignError, ValueError):
    """A data set, a receipt or a setting of an evaluation is not usable."""


class WriterError(CrossalignError, RuntimeError):
    """A writer of descriptions cannot work: no endpoint, no permission, no dictionary."""


class CalibrationError(CrossalignError, ValueError):
    """Labelled photos or a calibration cannot be used, or a calibration is for something else."""


class LabelingError(CrossalignError, RuntimeError):
    """A labelling job cannot start or cannot go on; what it has finished is kept."""


class MissingExtraError(CrossalignError, ImportError):
    """A feature needs an optional dependency that is not installed.

    Args:
        feature: What the user asked for, for example ``"crossalign demo"``.
        module: The module that could not be imported.
        extra: The extra of this package that brings it.
    """

    def __init__(self, feature: str, module: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package '{module}', which is not installed. "
            f"Install it with: pip install 'crossalign[{extra}]'"
        )
        self.extra = extra


def import_extra(module: str, feature: str, extra: str, package: str | None = None) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: The module, for example ``"pyarrow.parquet"``.
        feature: What the user asked for.
        extra: The extra of this package that brings it.
        package: What the message calls the dependency; the module's first name by default.

    Returns:
        The module.

    Raises:
        MissingExtraError: If it cannot be imported.

    Example:
        >>> import_extra("json", "reading JSON", "json").loads("[1]")
        [1]
    """
    top = module.partition(".")[0]
    try:
        importlib.import_module(top)
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(feature, package or top, extra) from error
