"""What differs between two evaluations, and why: receipts and predictions side by side."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import EvaluationError
from crossalign.evaluation.receipt import load, sha256
from crossalign.utils.text import first_of

_SHOWN = 3  # names in a message

SCORE_TOLERANCE = 1e-4
"""Scores that differ less are taken for equal: batches of another size round otherwise."""

TOTAL_TOLERANCE = 1e-9
"""Likewise for accuracies, which count images."""

_COLUMNS = ("encoder", "method", "run", "image", "class", "predicted", "score", "content")
_SCHEMA = """
CREATE TABLE images (
    image TEXT PRIMARY KEY, class TEXT, content TEXT, seen INTEGER
) WITHOUT ROWID;
CREATE TABLE predictions (
    encoder TEXT, method TEXT, run TEXT, image TEXT, predicted TEXT, score TEXT,
    PRIMARY KEY (encoder, method, run, image)
) WITHOUT ROWID;
"""


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
    files = [predictions_beside(path, receipt) for path, receipt in ((old, before), (new, after))]
    one, two = files
    effects: list[Difference] = []
    names = _encoder_names(before, after)
    if one is not None and two is not None:
        with Table(one, before) as table:
            images, effects = table.compare(two, after, names)
        found += images
        found += _altered(one, before)
    elif before["dataset"]["content"] != after["dataset"]["content"]:
        found.append(Difference("images", "the images differ; without both prediction files it "
                                "cannot be said which"))  # fmt: skip
    if not (found or effects) or None in files:  # else it has been said more exactly
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


def _altered(file: Path, receipt: dict[str, Any]) -> Iterator[Difference]:
    if sha256(file) != receipt["predictions"]["digest"]:
        yield Difference(
            "predictions file", f"{file} is not the one that the receipt was written with"
        )


def _encoder_names(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """What the first evaluation called the encoders of the second: a model may have been moved."""
    one, two = list(before["encoders"]), list(after["encoders"])
    if len(one) != len(two):
        return {}
    return dict(zip(two, one, strict=True))


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
            f"{name} {_shown(one[name])} is now {_shown(two[name])}"
            for name in ("images", "failed", "top1", "top5", "per_class")
            if abs(one[name] - two[name]) > TOTAL_TOLERANCE
        ]
        if changed:
            yield Difference("totals", f"{one['encoder']}, {one['method']}: {'; '.join(changed)}")


def _shown(value: float) -> str:
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
            label
            for label, value in one["classes"].items()
            if two["classes"].get(label, value) != value
        ]
        if not changed:  # other classes altogether, which has been said
            continue
        origin = (
            "" if one["origin"] == two["origin"] else f"from {one['origin']} to {two['origin']}; "
        )
        texts = _some("other texts for", [_class_of(label) for label in changed])
        yield Difference(f"descriptions of {method}", origin + texts)


def _class_of(label: str) -> str:
    return label.removeprefix("a photo of a ").removesuffix(".")


def _encoders(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    pairs = list(zip(before["encoders"].items(), after["encoders"].items(), strict=False))
    if len(before["encoders"]) != len(after["encoders"]):
        yield Difference(
            "encoders", f"were {', '.join(before['encoders'])}; now {', '.join(after['encoders'])}"
        )
    for (name, one), (other, two) in pairs:
        if one["fingerprint"] == two["fingerprint"]:
            continue
        if one["dtype"] != two["dtype"]:
            yield Difference(
                "encoder dtype",
                f"{name} ran in {one['dtype'] or 'its own precision'}, now in "
                f"{two['dtype'] or 'its own precision'}",
            )
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
        changed = [f"{key} {old[key]} is now {new[key]}" for key in old if old[key] != new[key]]
        if changed:
            yield Difference(f"method {name}", "; ".join(changed))


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
            yield Difference(
                name, f"was {before['request'].get(name)}, now {after['request'].get(name)}"
            )


def _versions(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    one, two = before["versions"], after["versions"]
    changed = [
        f"{name} {one.get(name, 'none')} is now {two.get(name, 'none')}"
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]
    if changed:
        yield Difference("versions", "; ".join(changed))


_CHECKS: tuple[Callable[[dict[str, Any], dict[str, Any]], Iterator[Difference]], ...] = (
    _data,
    _classes,
    _descriptions,
    _encoders,
    _methods,
    _seeds,
)


class Table:
    """The predictions of an evaluation on the disk, to look others up in; a context manager.

    Files of millions of rows are compared in little memory.

    Args:
        file: Its predictions.
        receipt: Its receipt.
    """

    def __init__(self, file: Path, receipt: dict[str, Any]) -> None:
        self._ids = _class_ids(receipt)
        self._rows = sqlite3.connect("", isolation_level=None)  # a file of its own that goes away
        self._rows.executescript(_SCHEMA)
        self._rows.execute("BEGIN")
        for row in _rows(file):
            self._rows.execute(
                "INSERT OR IGNORE INTO images VALUES (?, ?, ?, 0)",
                (row["image"], row["class"], row["content"]),
            )
            self._rows.execute(
                "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?, ?)",
                (*_row_key(row), row["predicted"], row["score"]),
            )

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def compare(
        self, file: Path, receipt: dict[str, Any], names: dict[str, str] | None = None
    ) -> tuple[list[Difference], list[Difference]]:
        """Say what differs in another evaluation.

        Args:
            file: Its predictions.
            receipt: Its receipt.
            names: What this evaluation calls the other's encoders, where it is not the same.

        Returns:
            Differences of the images, and of what was predicted.
        """
        ids = _class_ids(receipt)
        images, changed, scores = _Images(), _Named(), 0.0
        rows = total = 0
        for row in _rows(file):
            rows += 1
            self._look_at(row, images, ids)
            known = self._rows.execute(
                "SELECT predicted, score FROM predictions WHERE encoder = ? AND method = ? AND "
                "run = ? AND image = ?",
                _row_key(row, names),
            ).fetchone()
            if known is None:
                continue
            total += 1
            if known[0] != row["predicted"] and not (
                self._ids.get(known[0], set()) & ids.get(row["predicted"], set())
            ):
                changed.add(row["image"])
            elif known[1] and row["score"]:
                scores = max(scores, abs(float(known[1]) - float(row["score"])))
        for (image,) in self._rows.execute("SELECT image FROM images WHERE seen = 0"):
            images.gone.add(image)
        effects = []
        if changed.count:
            listed = changed.told("of them")
            effects.append(
                Difference("predictions", f"{changed.count} of {total} differ, {listed}")
            )
        elif rows and not total:
            effects.append(Difference("predictions", "the two have none in common"))
        elif scores > SCORE_TOLERANCE:
            detail = f"the labels agree, the scores by up to {scores:.1e}"
            effects.append(Difference("scores", detail))
        return list(images.differences()), effects

    def _look_at(self, row: dict[str, str], images: _Images, ids: dict[str, set[str]]) -> None:
        """Compare an image with what it was, when it is met first."""
        known = self._rows.execute(
            "SELECT class, content, seen FROM images WHERE image = ?", (row["image"],)
        ).fetchone()
        if known is None:
            self._rows.execute(
                "INSERT INTO images VALUES (?, ?, ?, 2)",
                (row["image"], row["class"], row["content"]),
            )
            images.new.add(row["image"])
        elif not known[2]:
            self._rows.execute("UPDATE images SET seen = 1 WHERE image = ?", (row["image"],))
            if known[1] != row["content"]:
                images.changed.add(row["image"])
            if not self._ids.get(known[0], {known[0]}) & ids.get(row["class"], {row["class"]}):
                images.labelled.add(row["image"])


class _Named:
    """How many there are, and the first few."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._first) < _SHOWN and name not in self._first:
            self._first.append(name)

    def told(self, what: str) -> str:
        if not self.count:
            return ""
        more = self.count - len(self._first)
        return f"{what}: {', '.join(self._first)}" + (f" and {more} more" if more else "")


class _Images:
    """What became of the images."""

    def __init__(self) -> None:
        self.gone, self.new, self.changed, self.labelled = (_Named() for _ in range(4))

    def differences(self) -> Iterator[Difference]:
        parts = [
            self.gone.told("no longer there"),
            self.new.told("new"),
            self.changed.told("changed"),
            self.labelled.told("labelled otherwise"),
        ]
        if any(parts):
            yield Difference("images", "; ".join(part for part in parts if part))


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


def _row_key(row: dict[str, str], names: dict[str, str] | None = None) -> tuple[str, ...]:
    encoder = row["encoder"]
    return (names or {}).get(encoder, encoder), row["method"], row["run"], row["image"]


def _some(what: str, names: list[str]) -> str:
    return f"{what}: {first_of(names, _SHOWN)}" if names else ""
