"""The predictions of two evaluations side by side, image by image and run by run."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import EvaluationError
from crossalign.evaluation.rows import Row, read_csv, side_by_side

_SHOWN = 3  # names in a message


@dataclass(frozen=True, slots=True)
class Changed:
    """How predictions differ.

    Args:
        total: Predictions that were compared.
        effects: What differs, and how; at most one entry.
    """

    total: int
    effects: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two evaluations with their files of predictions.

    Args:
        before: Receipt of the first.
        after: Receipt of the second.
        old: Predictions of the first.
        new: Predictions of the second.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    old: Path
    new: Path

    def images(self) -> list[str]:
        """Compare the images, whatever was predicted.

        Returns:
            What differs, in words: at most one entry.
        """
        one, two = _Classes.of(self.before), _Classes.of(self.after)
        gone, new, changed, relabelled = _Names(), _Names(), _Names(), _Names()
        for old, now in side_by_side(_first_run(self.old), _first_run(self.new), _image, _image):
            if old is None or now is None:
                (new if old is None else gone).add((now or old or {})["image"])
                continue
            if old["content"] != now["content"]:
                changed.add(old["image"])
            if one.of_row(old) != two.of_row(now):
                relabelled.add(old["image"])
        parts = [
            gone.text("no longer there"),
            new.text("new"),
            changed.text("changed"),
            relabelled.text("labelled otherwise"),
        ]
        return ["; ".join(part for part in parts if part)] if any(parts) else []

    def predictions(self, tolerance: float) -> Changed:
        """Compare what was predicted, run by run of a method, whatever seed each run had.

        Args:
            tolerance: Scores that differ less are taken for equal.

        Returns:
            How they differ.
        """
        names = encoder_names(self.before, self.after)
        one, two = _Classes.of(self.before), _Classes.of(self.after)
        runs = self._shared_runs(names)

        def old_key(row: Row) -> tuple[str | None, ...]:
            return row["encoder"], row["method"], row["run"], row["image"]

        def new_key(row: Row) -> tuple[str | None, ...]:
            return names.get(row["encoder"]), row["method"], row["run"], row["image"]

        pairs = side_by_side(
            (
                row
                for row in read_csv(self.old)
                if _number(row["run"]) < runs.get(old_key(row)[:2], 0)
            ),
            (
                row
                for row in read_csv(self.new)
                if _number(row["run"]) < runs.get(new_key(row)[:2], 0)
            ),
            old_key,
            new_key,
        )
        total, largest, changed = 0, 0.0, _Names()
        for old, new in pairs:
            if old is None or new is None:
                continue
            total += 1
            if one.predicted(old) != two.predicted(new):
                changed.add(old["image"])
            elif old["score"] and new["score"]:
                largest = max(largest, abs(_number(old["score"]) - _number(new["score"])))
        if changed.count:
            shown = ", ".join(changed.first)
            return Changed(
                total, [("predictions", f"{changed.count} of {total} differ, such as of {shown}")]
            )
        if largest > tolerance:
            return Changed(
                total, [("scores", f"the labels agree, the scores by up to {largest:.1e}")]
            )
        return Changed(total, [])

    def _shared_runs(self, names: dict[str, str]) -> dict[tuple[str | None, ...], float]:
        """Runs that both have of an encoder and a method, by the first one's names."""
        old = {
            (row["encoder"], row["method"]): row.get("runs", float("inf"))
            for row in self.before["results"]
        }
        found: dict[tuple[str | None, ...], float] = {}
        for row in self.after["results"]:
            key = names.get(row["encoder"], ""), row["method"]
            found[key] = min(old.get(key, 0), row.get("runs", float("inf")))
        return found


def encoder_names(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Tell which encoder of one evaluation stands for which of another, by their order.

    Args:
        before: Receipt of the first.
        after: Receipt of the second.

    Returns:
        Names in the second to names in the first; those in common where there are more in one.
    """
    one, two = list(before["encoders"]), list(after["encoders"])
    if len(one) != len(two):
        return {name: name for name in two if name in one}
    return dict(zip(two, one, strict=True))


def some(what: str, names: list[str]) -> str:
    """List names, but only a few of many.

    Args:
        what: What they are.
        names: The names.

    Returns:
        Such as ``new: a, b, c and 4 more``; empty if there are none.
    """
    found = _Names()
    for name in names:
        found.add(name)
    return found.text(what)


class _Names:
    """Counts names and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < _SHOWN and name not in self.first:
            self.first.append(name)

    def text(self, what: str) -> str:
        if not self.count:
            return ""
        more = self.count - len(self.first)
        return f"{what}: {', '.join(self.first)}" + (f" and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class _Classes:
    """Ids of classes by name: a class that was given another name is the same one."""

    ids: dict[str, str]

    @classmethod
    def of(cls, receipt: dict[str, Any]) -> _Classes:
        ids: dict[str, str] = {}
        for key, name in receipt["dataset"]["classes"]:
            ids.setdefault(name, key)  # of classes of one name the first is predicted
        return cls(ids)

    def of_row(self, row: Row) -> str:
        return row.get("class_id") or self.ids.get(row["class"], row["class"])

    def predicted(self, row: Row) -> str:
        return self.ids.get(row["predicted"], row["predicted"])


def _first_run(file: Path) -> Iterator[Row]:
    """The rows of one run: a row for each image."""
    rows = read_csv(file)
    first = next(rows, None)
    if first is None:
        return
    for row in itertools.chain([first], rows):
        if any(row[name] != first[name] for name in ("encoder", "method")):
            return
        if row["run"] == first["run"]:
            yield row


def _image(row: Row) -> Hashable:
    return row["image"]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise EvaluationError(
            f"expected a number in a file of predictions; got {text!r}."
        ) from error
