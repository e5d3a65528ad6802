"""What there is to say about one photo, gathered for whoever draws it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from crossalign.explain import (
    Contrast,
    Place,
    PlacedWords,
    Region,
    Stability,
    Words,
    place_words,
    places,
    stability,
    top_regions,
    top_words,
    why,
)
from crossalign.predictions import Explanation, Prediction

Side: TypeAlias = Literal["first", "second", "rest"]
"""Whom a bar speaks for: the class in question, the one compared with it, or neither."""

REGIONS_SHOWN = 4
# Random crops overlap much; regions that overlap more than this say the same.
_MAX_OVERLAP = 0.5
# So many descriptions are named in the sentence that says why.
_NAMED = 2
# A region that adds less than this share of what the first one does is not worth showing.
_LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of a chart.

    Args:
        text: What it says.
        value: Its length.
        side: Whom it speaks for.
        whole: A second length beside it: what whole-image matching gives.
        group: Heading of the bars that it stands among; empty for none.
    """

    text: str
    value: float
    side: Side = "rest"
    whole: float | None = None
    group: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """Its lengths: one or two."""
        return (self.value,) if self.whole is None else (self.value, self.whole)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars on one scale.

    Args:
        title: What is shown.
        note: How to read it; may be empty.
        bars: The lines, the first first; those of a group beside each other.
    """

    title: str
    note: str
    bars: tuple[Bar, ...]

    @property
    def groups(self) -> tuple[tuple[str, tuple[Bar, ...]], ...]:
        """The bars by their groups: heading and bars of each."""
        found = itertools.groupby(self.bars, lambda bar: bar.group)
        return tuple((group, tuple(bars)) for group, bars in found)

    @property
    def reach(self) -> tuple[float, float]:
        """Least and largest value, 0 between them."""
        values = [value for bar in self.bars for value in bar.values]
        return min([0.0, *values]), max([0.0, *values])

    @property
    def span(self) -> float:
        """What the whole length stands for; 1 where all bars are nothing."""
        low, high = self.reach
        return high - low if high - low > 1e-12 else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One photo, explained.

    Args:
        name: File name of the photo.
        explanation: The score of the class in question.
        contrast: Why that class and not another; None where there is no other.
        stability: How sure the label is; None where there is no other class or a single crop.
        regions: Where the class is, as local crops tell; where there are none, the crops that add
            most, apart from each other.
        classes: Chart of the best classes.
        decisive: Chart of the descriptions that decided between the two classes.
        meeting: Chart of descriptions of both: how well crops and the whole image answer them.
    """

    name: str
    explanation: Explanation
    contrast: Contrast | None
    stability: Stability | None
    regions: tuple[Region | Place, ...]
    classes: Chart
    decisive: Chart
    meeting: Chart

    @property
    def rival(self) -> str | None:
        """The class compared with, if there is one."""
        return None if self.contrast is None else self.contrast.second.label

    @property
    def regions_title(self) -> str:
        """Heading of the regions: what their numbers are."""
        if self.explanation.local is None:
            return "Regions that add most, their words, and what they add to the score"
        if not self.regions:
            return f"No part of the photo answers {self.explanation.label} more than the rest"
        return f"Where {self.explanation.label} is, and by how much more than elsewhere (cosine)"

    @property
    def reason(self) -> str:
        """One sentence that says why: what is seen of the class, and what is not of the other."""
        if self.explanation.local is None:
            return ""
        label = self.explanation.label
        seen = [
            words for place in self.regions if isinstance(place, Place) for words in place.words
        ]
        seen.sort(key=lambda each: -each.lift)
        shown = [_phrase(each.text, label) for each in seen][:_NAMED]
        whole = "the photo answers it as a whole, no description by itself"
        parts = [f"{label}: {'; '.join(shown) if shown else whole}."]
        missing = self._missing()
        if missing is not None:
            parts.append(f"Not seen: {_phrase(missing.text)} ({missing.label}).")
        return " ".join(parts)

    def _missing(self) -> PlacedWords | None:
        """The description of the other class that decided most against it, if it has no place."""
        rival = None if self.contrast is None else self.contrast.second
        if self.contrast is None or rival is None or rival.local is None:
            return None
        added = self.contrast.by_description[len(self.explanation.descriptions) :]
        worst = int(added.argmax())
        words = place_words(rival.local)[worst]
        return words if added[worst] > 0 and words.crop is None else None

    @property
    def headline(self) -> str:
        """One sentence: which class, by how much, and how sure."""
        if self.contrast is None:
            return f"Score {self.explanation.score:.3f}."
        difference = self.contrast.difference
        verb = "leads" if difference >= 0 else "trails"
        sure = self.stability
        same_pair = sure is not None and (sure.label, sure.rival) == (
            self.explanation.label,
            self.rival,
        )
        spread = ""
        if sure is not None and sure.standard_error is not None and same_pair:
            spread = f" ± {sure.standard_error:.3f} (spread over crops)"
        return f"{verb} {self.rival} by {abs(difference):.3f}{spread}."

    @property
    def certainty(self) -> str:
        """One or two sentences on what other crops would have said; may be empty."""
        sure = self.stability
        if sure is None:
            return ""
        count = len(self.explanation.boxes)
        share = _percent(sure.agreement)
        agreed = f"{sure.label} is the best class in {share} of resampled crop sets."
        if sure.flip is None:
            return f"{agreed} No choice among these {count} crops gives another label."
        out = len(sure.flip.crops)
        return f"{agreed} It takes leaving out {out} of {count} crops to get {sure.flip.becomes}."


def summarise(
    prediction: Prediction,
    label: str | None = None,
    against: str | None = None,
    *,
    classes: int = 5,
    descriptions: int = 4,
) -> Summary:
    """Gather what there is to say about one photo.

    Args:
        prediction: Its prediction, without error.
        label: The class to explain; the predicted one by default.
        against: The class to compare it with; the best of the others by default, and where the
            predicted class, explained by default, is this one.
        classes: How many of the best classes to show.
        descriptions: How many descriptions of each of the two classes to show.

    Returns:
        The summary.

    Raises:
        DescriptionError: If there is no such class, or both are the same.
        ImageError: If the image could not be used, or must be read again and cannot.
        CrossalignError: If this prediction was not made by a classifier.
    """
    prediction = prediction.with_evidence()
    if label is None and against == prediction.label:
        against = None
    alone = against is None and len(prediction.classes) == 1
    both = None if alone else why(prediction, label, against)
    explanation = prediction.explain(label) if both is None else both.first
    sides: dict[str, Side] = {explanation.label: "first"}
    if both is not None:
        sides[both.second.label] = "second"
    words = _words(explanation, both, descriptions)
    return Summary(
        name=Path(prediction.image).name,
        explanation=explanation,
        contrast=both,
        stability=None if both is None or len(explanation.boxes) < 2 else _sure(prediction, both),
        regions=shown_regions(explanation),
        classes=Chart(
            "Best classes",
            "",
            tuple(
                Bar(name, score, sides.get(name, "rest"))
                for name, score in prediction.ranked(classes)
            ),
        ),
        decisive=_decisive(explanation, both, words),
        meeting=Chart(
            "How well the descriptions are answered",
            "cosine with the crops, by weight; paler: with the whole image"
            if len(explanation.boxes) > 1
            else "cosine with the whole image",
            tuple(
                _meeting(side, word, sides[word.label])
                for side in ([explanation] if both is None else [both.first, both.second])
                for word in words
                if word.label == side.label
            ),
        ),
    )


def shown_regions(explanation: Explanation) -> tuple[Region | Place, ...]:
    """Choose the regions to show: by local crops where there are any, else by those that scored.

    Args:
        explanation: The score, taken apart.

    Returns:
        Up to four regions; none where local crops answer the class alike.
    """
    local = explanation.local
    return distinct_regions(explanation) if local is None else places(local, REGIONS_SHOWN)


def distinct_regions(explanation: Explanation) -> tuple[Region, ...]:
    """Choose the regions to show: those that add most, none much like another, none for nothing.

    Args:
        explanation: The score, taken apart.

    Returns:
        One to four regions.
    """
    regions = top_regions(explanation, REGIONS_SHOWN, max_overlap=_MAX_OVERLAP)
    least = _LEAST_SHARE * regions[0].adds
    return regions[:1] + tuple(region for region in regions[1:] if region.adds >= least)


def _sure(prediction: Prediction, both: Contrast) -> Stability:
    """How sure the label is; against the class compared with, if the label is explained."""
    labelled = both.first.label == prediction.label
    return stability(prediction, both.second.label if labelled else None)


def _decisive(explanation: Explanation, both: Contrast | None, words: list[Words]) -> Chart:
    if both is None:
        bars = tuple(Bar(word.text, word.adds, "first") for word in words)
        return Chart(f"Words that carried {explanation.label}", "what each adds to the score", bars)
    first, second = both.first.label, both.second.label
    sides: tuple[tuple[Side, str, str], ...] = (("first", first, second), ("second", second, first))
    return Chart(
        f"Words that decided between {first} and {second}",
        f"blue counts for {first}, orange for {second}; better and worse than the middle of both",
        tuple(
            Bar(word.text, word.adds, side, group=f"What {speaker} says, {answer}")
            for side, winner, loser in sides
            for speaker, answer in ((winner, "answered better"), (loser, "answered worse"))
            for word in words
            if word.label == speaker and (word.adds >= 0) == (side == "first")
        ),
    )


def _words(explanation: Explanation, both: Contrast | None, count: int) -> list[Words]:
    """Up to ``count`` descriptions of each class, those that decided most first."""
    if both is None:
        return list(top_words(explanation, count))
    ranked = top_words(both, both.terms.shape[1])
    chosen = [
        word
        for side in (both.first, both.second)
        for word in [word for word in ranked if word.label == side.label][:count]
    ]
    return sorted(chosen, key=lambda word: -abs(word.adds))


def _meeting(explanation: Explanation, word: Words, side: Side) -> Bar:
    """Mean cosine over the crops, by weight, beside the cosine with the whole image."""
    column = word.description
    crops = float(np.dot(explanation.crop_weights, explanation.similarity[:, column]))
    whole = float(explanation.whole_similarity[column])
    whole_too = whole if len(explanation.boxes) > 1 else None
    return Bar(word.text, crops, side, whole_too, explanation.label)


def _phrase(text: str, label: str | None = None) -> str:
    """Make a description part of a sentence; its own class need not be named again."""
    phrase = text.rstrip(". ")
    for article in ("a", "an", "the"):
        end = f" of {article} {label}"
        if label is not None and phrase.endswith(end):
            phrase = phrase.removesuffix(end)
    first, _, rest = phrase.partition(" ")
    return f"{first.lower()} {rest}" if rest and first in {"The", "A", "An"} else phrase


def _percent(share: float) -> str:
    """Rounded, but never to all or nothing where it is not."""
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{min(max(share, 0.01), 0.99):.0%}"
