"""What differs between two evaluations, and why: receipts and predictions side by side."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.evaluation.receipt import load

_SHOWN = 3  # names in a message

SCORE_TOLERANCE = 1e-4
"""Scores that differ less are taken for equal: batches of another size round otherwise."""


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
        Differences, causes first and their effect on predictions last; none if the second repeats
        the first.
    """
    before, after = load(old), load(new)
    found = [difference for check in _CHECKS for difference in check(before, after)]
    folders = [path if path.is_dir() else path.parent for path in (old, new)]
    files = [
        folder / receipt["predictions"]["file"]
        for folder, receipt in zip(folders, (before, after), strict=True)
    ]
    if all(file.is_file() for file in files):
        found += _images(*files)
        effects = list(_predictions(*files))
        # Other versions are a cause where there is something to explain, and no fault otherwise.
        found += [*_versions(before, after), *effects] if effects else []
    elif before["dataset"]["content"] != after["dataset"]["content"]:
        found.append(Difference("images", "the images differ; without both prediction files it "
                                "cannot be said which"))  # fmt: skip
    return found


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


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _images(old: Path, new: Path) -> Iterator[Difference]:
    one, two = ({row["image"]: row for row in _rows(file)} for file in (old, new))
    parts = [
        _some("no longer there", [key for key in one if key not in two]),
        _some("new", [key for key in two if key not in one]),
        _some("changed", [k for k in one if k in two and one[k]["content"] != two[k]["content"]]),
        _some(
            "labelled otherwise",
            [key for key in one if key in two and one[key]["class"] != two[key]["class"]],
        ),
    ]
    if any(parts):
        yield Difference("images", "; ".join(part for part in parts if part))


def _predictions(old: Path, new: Path) -> Iterator[Difference]:
    """Compare what was predicted, run by run of a method, whatever seed each run had."""
    first = {_row_key(row): (row["predicted"], row["score"]) for row in _rows(old)}
    total, changed, largest = 0, [], 0.0
    for row in _rows(new):
        known = first.get(_row_key(row))
        if known is None:
            continue
        total += 1
        if known[0] != row["predicted"]:
            changed.append(row["image"])
        elif known[1] and row["score"]:
            largest = max(largest, abs(float(known[1]) - float(row["score"])))
    if changed:
        listed = _some("of them", list(dict.fromkeys(changed)))
        yield Difference("predictions", f"{len(changed)} of {total} differ, {listed}")
    elif largest > SCORE_TOLERANCE:
        yield Difference("scores", f"the labels agree, the scores by up to {largest:.1e}")


def _row_key(row: dict[str, str]) -> tuple[str, str, str, str]:
    return row["encoder"], row["method"], row["run"], row["image"]


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}"
