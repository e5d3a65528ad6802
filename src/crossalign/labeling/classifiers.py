"""Classifiers for a job, made the same way here, in other processes and on other machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crossalign.classifier import Classifier
from crossalign.encoders import load_encoder
from crossalign.labeling.decisions import Decisions
from crossalign.texts.descriptions import DescriptionSet


def build_classifier(
    classes: DescriptionSet,
    decisions: Decisions | None = None,
    *,
    model: str = "builtin",
    model_options: Iterable[tuple[str, str]] = (),
    **options: Any,
) -> Classifier:
    """Make a classifier of plain values, which travel (``functools.partial``).

    Args:
        classes: The classes that images can be given.
        decisions: How scores become decisions: says which background they need.
        model: Name of the encoder.
        model_options: Its precision and device, where it has a choice.
        **options: Of :class:`crossalign.Classifier`, such as ``method``, ``crops`` and ``store``.

    Returns:
        It, with the background that the decisions need.
    """
    background = (decisions or Decisions()).background_for(classes)
    encoder = load_encoder(model, **dict(model_options))
    return Classifier(classes, background=background, encoder=encoder, **options)
