"""What differs between two evaluations, and why: receipts and predictions side by side."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crossalign.errors import EvaluationError
from crossalign.evaluation.receipt import load, sha256
from crossalign.utils.files import packaged_text
from crossalign.utils.text import first_of

_MOST_NAMES = 3  # names in a message

SCORE_TOLERANCE = 1e-4
"""Scores that differ less are taken for equal: batches of another size round otherwise."""

TOTAL_TOLERANCE = 1e-9
"""Likewise for accuracies, which count images."""

_COLUMNS = ("encoder", "method", "run", "image", "class", "predicted", "score", "content")
_IMAGES = {
    "no longer there": "gone",
    "new": "added",
    "changed": "changed",
    "labelled otherwise": "relabelled",
}  # what is said of images, and the views of ``data/comparison.sql`` that list them


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was.

    Args:
        cause: What differs, in a word or two.
        detail: How.
    """

    cause: str
    detail: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}"


def compare(old: Path, new: Path) -> list[Difference]:
    """Say what differs between two evaluations, and why.

    Args:
        old: A receipt, or the folder of one.
        new: Another.

    Returns:
        Differences, causes first and their effect on predictions and totals last; none if the
        second repeats the first. Where either has no predictions beside it, see
        :func:`predictions_beside`, images and totals are compared as a whole.
    """
    before, after = load(old), load(new)
    found = [difference for check in _CHECKS for difference in check(before, after)]
    one, two = predictions_beside(old, before), predictions_beside(new, after)
    effects: list[Difference] = []
    names = _encoder_names(before, after)
    if one is not None and two is not None:
        images, effects = compare_predictions((one, before), (two, after), names)
        found += images
        if sha256(one) != before["predictions"]["digest"]:
            detail = f"{one} is not the one that the receipt was written with"
            found.append(Difference("predictions file", detail))
    elif before["dataset"]["content"] != after["dataset"]["content"]:
        found.append(Difference("images", "the images differ; without both prediction files it "
                                "cannot be said which"))  # fmt: skip
    if not (found or effects) or None in (one, two):  # else it has been said more exactly
        effects += _totals(before, after, names)
    # Other versions are a cause where there is something to explain, and no fault otherwise.
    return found + ([*_versions(before, after), *effects] if effects else [])


def predictions_beside(path: Path, receipt: dict[str, Any]) -> Path | None:
    """Find the predictions that a receipt was written with.

    Args:
        path: The receipt, or its folder.
        receipt: What it holds.

    Returns:
        The file; None if it is not there.
    """
    file = (path if path.is_dir() else path.parent) / receipt["predictions"]["file"]
    return file if file.is_file() else None


def _encoder_names(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """What the first evaluation called the encoders of the second: a model may have been moved."""
    one, two = before["encoders"], after["encoders"]
    return dict(zip(two, one, strict=True)) if len(one) == len(two) else {}


def _totals(
    before: dict[str, Any], after: dict[str, Any], names: dict[str, str]
) -> Iterator[Difference]:
    """Compare the numbers themselves."""
    found = {(row["encoder"], row["method"]): row for row in before["results"]}
    for two in after["results"]:
        one = found.get((names.get(two["encoder"], two["encoder"]), two["method"]))
        if one is None:
            continue
        changed = [
            f"{name} {_percent(one[name])} is now {_percent(two[name])}"
            for name in ("images", "failed", "top1", "top5", "per_class")
            if abs(one[name] - two[name]) > TOTAL_TOLERANCE
        ]
        if changed:
            yield Difference("totals", f"{one['encoder']}, {one['method']}: {'; '.join(changed)}")


def _percent(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{100 * value:.2f} %"


def _data(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for name in ("name", "split"):
        one, two = before["dataset"][name], after["dataset"][name]
        if one != two:
            yield Difference("data set", f"its {name} was {one}, now {two}")


def _classes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    one, two = (receipt["dataset"]["classes"] for receipt in (before, after))
    if one == two:
        return
    old, new = (dict(pairs) for pairs in (one, two))
    renamed = [
        f"{old[key]!r} is now {new[key]!r}" for key in old if new.get(key, old[key]) != old[key]
    ]
    parts = [
        _some("no longer there", [key for key in old if key not in new]),
        _some("new", [key for key in new if key not in old]),
        _some("renamed", renamed),
    ]
    listed = "; ".join(part for part in parts if part)
    yield Difference("class list", listed or "the same classes in another order")


def _descriptions(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for method, one in before["texts"].items():
        two = after["texts"].get(method)
        if two is None or one["digest"] == two["digest"]:
            continue
        changed = [
            label.removeprefix("a photo of a ").removesuffix(".")
            for label, value in one["classes"].items()
            if two["classes"].get(label, value) != value
        ]
        if changed:  # else other classes altogether, which has been said
            was, now = one["origin"], two["origin"]
            origin = "" if was == now else f"from {was} to {now}; "
            texts = _some("other texts for", changed)
            yield Difference(f"descriptions of {method}", origin + texts)


def _encoders(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    pairs = zip(before["encoders"].items(), after["encoders"].items(), strict=False)
    if len(before["encoders"]) != len(after["encoders"]):
        yield Difference(
            "encoders", f"were {', '.join(before['encoders'])}; now {', '.join(after['encoders'])}"
        )
    for (name, one), (other, two) in pairs:
        if one["fingerprint"] == two["fingerprint"]:
            continue
        if one["dtype"] != two["dtype"]:
            was, now = (each["dtype"] or "its own precision" for each in (one, two))
            yield Difference("encoder dtype", f"{name} ran in {was}, now in {now}")
        elif one["preprocess"] != two["preprocess"]:
            yield Difference("preprocessing", f"{one['preprocess']} is now {two['preprocess']}")
        else:
            yield Difference(
                "encoder", f"{name} {one['revision']} is now {other} {two['revision']}"
            )


def _methods(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    one, two = before["methods"], after["methods"]
    if set(one) != set(two):
        yield Difference("methods", f"were {', '.join(one)}; now {', '.join(two)}")
    for name in one:
        old, new = _without_seed(one[name]), _without_seed(two.get(name, one[name]))
        if changed := _changed(old, new):
            yield Difference(f"method {name}", changed)


def _without_seed(method: dict[str, Any]) -> dict[str, Any]:
    crops = method["crops"]
    return {**method, "crops": crops and {k: v for k, v in crops.items() if k != "seed"}}


def _seeds(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    one, two = before["protocol"], after["protocol"]
    if (before["request"]["seed"], one["runs"]) != (after["request"]["seed"], two["runs"]):
        yield Difference(
            "seed",
            f"{one['runs']} run(s) from seed {before['request']['seed']}, now {two['runs']} from "
            f"seed {after['request']['seed']}",
        )
    if one["name"] != two["name"]:
        yield Difference("protocol", f"was {one['name']}, now {two['name']}")
    for name in ("temperature", "crops", "risk", "per_class"):
        if before["request"].get(name) != after["request"].get(name):
            was, now = before["request"].get(name), after["request"].get(name)
            yield Difference(name, f"was {was}, now {now}")


def _versions(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    names = sorted({*before["versions"], *after["versions"]})
    one, two = (
        {name: receipt["versions"].get(name, "none") for name in names}
        for receipt in (before, after)
    )
    if changed := _changed(one, two):
        yield Difference("versions", changed)


def _changed(one: dict[str, Any], two: dict[str, Any]) -> str:
    return "; ".join(f"{key} {one[key]} is now {two[key]}" for key in one if one[key] != two[key])


_CHECKS: tuple[Callable[[dict[str, Any], dict[str, Any]], Iterator[Difference]], ...] = (
    *(_data, _classes, _descriptions, _encoders, _methods, _seeds),
)


def compare_predictions(
    old: tuple[Path, dict[str, Any]],
    new: tuple[Path, dict[str, Any]],
    names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Difference], list[Difference]]:
    """Compare the predictions of two evaluations in a database on the disk.

    Files of millions of rows are compared in little memory.

    Args:
        old: The predictions and the receipt of one evaluation.
        new: Those of another.
        names: What the first calls the other's encoders, where it is not the same.

    Returns:
        Differences of the images, and of what was predicted.

    Raises:
        EvaluationError: If a file is none of predictions.
    """
    ids, others = (_class_ids(receipt) for _, receipt in (old, new))

    def same_class(one: str, two: str) -> bool:
        return bool(ids.get(one, {one}) & others.get(two, {two}))

    # A file of its own that goes away.
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as rows:
        rows.create_function("same_class", 2, same_class)
        rows.executescript(packaged_text("evaluation", "comparison.sql"))
        rows.execute("BEGIN")
        _insert(rows, "old", old[0], {})
        _insert(rows, "new", new[0], names)
        listed = [
            _listed(what, rows.execute(f"SELECT image FROM {view} ORDER BY place"))  # noqa: S608
            for what, view in _IMAGES.items()
        ]
        images = "; ".join(text for _, text in listed if text)
        total, changed, scores = rows.execute(
            "SELECT count(*), total(NOT same), max(CASE WHEN same THEN gap END) FROM pairs"
        ).fetchone()
        effects = []
        if changed:
            differing = rows.execute("SELECT image FROM pairs WHERE NOT same ORDER BY image")
            count, text = _listed("of them", differing)
            effects.append(Difference("predictions", f"{count} of {total} differ, {text}"))
        elif not total and rows.execute("SELECT 1 FROM new").fetchone():
            effects.append(Difference("predictions", "the two have none in common"))
        elif (scores or 0.0) > SCORE_TOLERANCE:
            detail = f"the labels agree, the scores by up to {scores:.1e}"
            effects.append(Difference("scores", detail))
    return [Difference("images", images)] if images else [], effects


def _insert(rows: sqlite3.Connection, table: str, file: Path, names: Mapping[str, str]) -> None:
    for row in _rows(file):
        row["encoder"] = names.get(row["encoder"], row["encoder"])
        rows.execute(
            f"INSERT OR IGNORE INTO {table}_images VALUES (:image, :class, :content)",  # noqa: S608
            row,
        )
        rows.execute(
            f"INSERT OR REPLACE INTO {table} VALUES "  # noqa: S608
            "(:encoder, :method, :run, :image, :predicted, :score)",
            row,
        )


def _listed(what: str, found: sqlite3.Cursor) -> tuple[int, str]:
    """Count the images, and name the first few."""
    count, first = 0, dict[str, None]()
    for (image,) in found:
        count += 1
        if len(first) < _MOST_NAMES:
            first[image] = None
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return count, f"{what}: {', '.join(first)}{more}" if count else ""


def _class_ids(receipt: dict[str, Any]) -> dict[str, set[str]]:
    """What classes of a name are, by name: a class that was renamed is still the same class."""
    found: dict[str, set[str]] = {}
    for number, name in receipt["dataset"]["classes"]:
        found.setdefault(name, set()).add(number)
    return found


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        try:
            for row in csv.DictReader(stream):
                if any(row.get(name) is None for name in _COLUMNS):
                    raise EvaluationError(_unreadable(file, "a row lacks some of them"))
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise EvaluationError(_unreadable(file, str(error))) from error


def _unreadable(file: Path, why: str) -> str:
    return (
        f"{file}: expected predictions that `crossalign evaluate` wrote, with the columns "
        f"{', '.join(_COLUMNS)}; {why}. Without the file, totals are compared."
    )


def _some(what: str, names: list[str]) -> str:
    return f"{what}: {first_of(names, _MOST_NAMES)}" if names else ""
