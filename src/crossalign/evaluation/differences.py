"""What differs between two evaluations, and why: receipts and predictions side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from crossalign.evaluation.pairs import Pair, encoder_names, some
from crossalign.evaluation.receipt import file_digest, load

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


@dataclass(frozen=True)
class Comparison(Sequence[Difference]):
    """What differs between two evaluations.

    A sequence of the differences, causes first and their effects last; empty if the second
    evaluation repeats the first, as far as could be told.

    Args:
        differences: The differences.
        scope: What could be compared, in words.
        whole: Whether predictions could be compared one by one, and not only totals.
    """

    differences: tuple[Difference, ...]
    scope: str
    whole: bool

    @overload
    def __getitem__(self, place: int) -> Difference: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Difference]: ...

    def __getitem__(self, place: int | slice) -> Difference | Sequence[Difference]:
        return self.differences[place]

    def __len__(self) -> int:
        return len(self.differences)

    def __str__(self) -> str:
        found = [str(difference) for difference in self.differences]
        return "\n".join([*(found or ["no differences"]), f"compared: {self.scope}"])


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two evaluations."""

    receipt: dict[str, Any]
    predictions: Path

    @classmethod
    def of(cls, path: Path) -> _Side:
        receipt = load(path)
        folder = path if path.is_dir() else path.parent
        return cls(receipt, folder / receipt["predictions"]["file"])


def compare(old: Path, new: Path) -> Comparison:
    """Say what differs between two evaluations, and why.

    Args:
        old: A receipt, or the folder of one.
        new: Another.

    Returns:
        The differences. Predictions are compared one by one where both files of them lie beside
        their receipts; else totals and digests are.

    Raises:
        EvaluationError: If a receipt or a file of predictions cannot be read.
    """
    sides = one, two = _Side.of(old), _Side.of(new)
    before, after = one.receipt, two.receipt
    found = [difference for check in _CHECKS for difference in check(before, after)]
    whole = all(side.predictions.is_file() for side in sides)
    if whole:
        pair = Pair(before, after, one.predictions, two.predictions)
        found += [Difference("images", text) for text in pair.images()]
        changed = pair.predictions(SCORE_TOLERANCE)
        effects = [Difference(*effect) for effect in changed.effects]
        scope = (
            f"{changed.total} predictions one by one, and totals"
            if changed.total
            else "images alone, since no encoder and method is in both"
        )
    else:
        effects = []
        absent = ", ".join(
            str(side.predictions) for side in sides if not side.predictions.is_file()
        )
        scope = f"totals alone, since there is no {absent}"
        if before["dataset"]["content"] != after["dataset"]["content"]:
            found.append(
                Difference("images", "they differ; it takes both prediction files to say which")
            )
    effects += _totals(before, after)
    # Other versions are a cause where there is something to explain, and no fault otherwise.
    causes = [*_versions(before, after), *_providers(before, after)] if effects else []
    altered = [
        Difference(
            "predictions file", f"{side.predictions} is not what its receipt was written for"
        )
        for side in sides
        if side.predictions.is_file()
        and file_digest(side.predictions) != side.receipt["predictions"]["digest"]
    ]
    return Comparison((*altered, *found, *causes, *effects), scope, whole)


def _totals(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    names = encoder_names(before, after)
    old = {(row["encoder"], row["method"]): row for row in before["results"]}
    for row in after["results"]:
        known = old.get((names.get(row["encoder"]), row["method"]))
        if known is None:
            continue
        changed = [
            f"{title} {known[name]:.6g} is now {row[name]:.6g}"
            for name, title in _TOTALS.items()
            if abs(known[name] - row[name]) > _ROUNDED
        ]
        if changed:
            yield Difference(f"results of {row['method']}", ", ".join(changed))


_TOTALS = {"images": "images", "failed": "failed", "top1": "top-1", "top5": "top-5",
           "per_class": "mean over classes"}  # fmt: skip
_ROUNDED = 1e-9


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
        some("no longer there", [key for key in old if key not in new]),
        some("new", [key for key in new if key not in old]),
        some("renamed", renamed),
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
        texts = some("other texts for", [_class_of(label) for label in changed])
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
                "encoder dtype", f"{name} ran in {one['dtype']}, now in {two['dtype']}"
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


def _providers(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    pairs = zip(before["encoders"].items(), after["encoders"].values(), strict=False)
    for (name, one), two in pairs:
        then, now = (", ".join(side.get("providers") or ["unknown"]) for side in (one, two))
        if then != now:
            yield Difference("where it ran", f"{name} on {then}, now on {now}")


_CHECKS: tuple[Callable[[dict[str, Any], dict[str, Any]], Iterator[Difference]], ...] = (
    _data,
    _classes,
    _descriptions,
    _encoders,
    _methods,
    _seeds,
)
