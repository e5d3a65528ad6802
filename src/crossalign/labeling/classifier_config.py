"""How a classifier is made, as data that can travel to other processes and machines."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crossalign.classifier import Classifier, Crops
from crossalign.encoders import load_encoder
from crossalign.labeling.decisions import Decisions
from crossalign.methods import Method
from crossalign.texts.descriptions import DescriptionSet

if TYPE_CHECKING:
    from crossalign.engine.cache.store import Store


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """How a classifier is made.

    Args:
        classes: The classes that images can be given.
        decisions: How scores become decisions.
        model: Name of the encoder.
        model_options: Its precision and device, where it has a choice.
        method: The method, or its name.
        crops: Number of crops, or a rule that says when to stop; the method's own by default.
        seed: Of random crops and random words.
        bank: Whether the bank describes classes that are given by name alone.
        draft: Whether large JPEGs are decoded at a part of their size.
    """

    classes: DescriptionSet
    decisions: Decisions = field(default_factory=Decisions)
    model: str = "builtin"
    model_options: tuple[tuple[str, str], ...] = ()
    method: str | Method = "wca"
    crops: Crops | None = None
    seed: int = 0
    bank: bool = True
    draft: bool = False

    def build(self, store: Store | str | os.PathLike[str] | None = None) -> Classifier:
        """Make the classifier.

        Args:
            store: Where to keep embeddings.

        Returns:
            It, with the background that the decisions need.
        """
        return Classifier(
            self.classes,
            background=self.decisions.background_for(self.classes),
            encoder=load_encoder(self.model, **dict(self.model_options)),
            method=self.method,
            crops=self.crops,
            seed=self.seed,
            bank=self.bank,
            draft=self.draft,
            store=store,
        )
