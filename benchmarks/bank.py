"""What the bank of descriptions adds: top-1 of bank, templates and bare labels, with tests.

    python benchmarks/bank.py ../shared                          # all sets: 15 minutes
    python benchmarks/bank.py ../shared --sets pets37 dtd10 --json bank.json

Every photo is encoded once, as a whole and in crops; the texts alone differ. For ``cupl`` (whole
image) and ``wca`` the classes are described by the bare label prompt, the template ensemble, the
bank, or the bank beside the templates. The bank is compared with label and templates on the same
photos: the difference with a bootstrap 95 % interval over photos, and McNemar's exact test.

Then a share of the classes, drawn at random, is taken from the bank's knowledge: ``mixed`` gives
templates to these alone, ``beside`` gives them to all (what the classifier does). ``pull`` is how
much more often than with templates alone a known class is predicted; ``unknown`` the accuracy on
photos of the classes that the bank does not know.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np

from accuracy import SETS, PhotoSet, read_set
from crossalign import METHODS, Classifier, CropSpec, DescriptionSet, alignment, load_encoder
from crossalign.engine.classes import EncodedClasses
from crossalign.methods import Method, class_texts
from crossalign.texts.bank import find

WAYS = ("label", "templates", "bank", "beside")
SHARES = (0.25, 0.5, 0.75)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=50, help="random choices of known classes")
    parser.add_argument("--resamples", type=int, default=10_000, help="for the intervals")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")

    encoder = load_encoder(options.encoder)
    spec = CropSpec(count=options.crops, seed=options.seed)
    wca = dataclasses.replace(METHODS["wca"], crops=spec)
    print(f"encoder {encoder.card.name} {encoder.card.revision}; {spec}\n")
    results = []
    for name in options.sets:
        photos = read_set(options.folder, name)
        views = encode_photos(Classifier(photos.classes, encoder=encoder, method=wca), photos)
        for method in (METHODS["cupl"], wca):
            images = np.stack([image_vector(method, view) for view in views])
            scores = {
                way: alignment.scores(images, class_side(encoder, method, photos, way).vectors)
                for way in WAYS
            }
            results.append(evaluate(photos, method.name, scores, options))
            show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def encode_photos(classifier: Classifier, photos: PhotoSet) -> list[np.ndarray]:
    """Encode every photo: the whole first, then its crops."""
    found = []
    for prediction in classifier.predict(photos.photos, keep_evidence=True):
        if prediction.error is not None:
            raise SystemExit(prediction.error)
        found.append(prediction._evidence.views)
    return found


def image_vector(method: Method, views: np.ndarray) -> np.ndarray:
    """Pool a photo's views as the method does."""
    parts = views[:1] if method.crops is None else views[1:]
    return alignment.image_vectors(views[0], parts, scale=method.crop_scale, form=method.form)


def class_side(encoder: object, method: Method, photos: PhotoSet, way: str) -> EncodedClasses:
    """Encode the classes in one of the ways."""
    templates = class_texts(method, DescriptionSet.from_classes(photos.classes))
    texts = []
    for name, label, group in zip(photos.classes, templates.labels, templates.texts, strict=True):
        entry = find(name)
        if entry is None:
            raise SystemExit(f"the bank does not know {name!r}")
        own = {
            "label": [label],
            "templates": group,
            "bank": entry.descriptions,
            "beside": [*entry.descriptions, *group],
        }
        texts.append(own[way])
    described = DescriptionSet(photos.classes, tuple(map(tuple, texts)))
    return Classifier(described, encoder=encoder, method=method).prepare()


def evaluate(
    photos: PhotoSet, method: str, scores: dict[str, np.ndarray], options: argparse.Namespace
) -> dict[str, object]:
    """Compare the ways on the same photos."""
    truth = np.array([photos.classes.index(label) for label in photos.labels])
    right = {way: table.argmax(axis=1) == truth for way, table in scores.items()}
    rng = np.random.default_rng(options.seed)
    return {
        "set": photos.name,
        "photos": len(truth),
        "classes": len(photos.classes),
        "method": method,
        "accuracy": {way: float(hits.mean()) for way, hits in right.items()},
        "bank_against": {
            other: compare(right["bank"], right[other], options.resamples, rng)
            for other in ("label", "templates")
        },
        "partly_known": [mix(scores, truth, share, options.draws, rng) for share in SHARES],
    }


def compare(
    ours: np.ndarray, theirs: np.ndarray, resamples: int, rng: np.random.Generator
) -> dict[str, float]:
    """The difference in accuracy on the same photos, its interval, and McNemar's exact p.

    Resampling photos and averaging their differences is drawing the counts of photos won, lost and
    equal.
    """
    won, lost, total = int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), len(ours)
    shares = [won / total, lost / total, (total - won - lost) / total]
    draws = rng.multinomial(total, shares, size=resamples)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / total, [2.5, 97.5])
    return {
        "difference": (won - lost) / total,
        "low": float(low),
        "high": float(high),
        "won": won,
        "lost": lost,
        "p": mcnemar(won, lost),
    }


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p of as uneven a split as this, were both equally likely to win."""
    total = won + lost
    tail = sum(math.comb(total, count) for count in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / 2**total)


def mix(
    scores: dict[str, np.ndarray],
    truth: np.ndarray,
    share: float,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, object]:
    """Take the bank's knowledge of all but a share of the classes away, many times over."""
    count = scores["bank"].shape[1]
    plain = scores["templates"]
    found: dict[str, list[tuple[float, float, float]]] = {"none": [], "mixed": [], "beside": []}
    for _ in range(draws):
        known = rng.permutation(count) < round(share * count)
        for name, way in (("none", "templates"), ("mixed", "bank"), ("beside", "beside")):
            best = np.where(known, scores[way], plain).argmax(axis=1)
            hits = best == truth
            pull = known[best].mean() - known[plain.argmax(axis=1)].mean()
            strange = hits[~known[truth]]
            found[name].append((hits.mean(), pull, strange.mean() if len(strange) else np.nan))
    means = {name: np.nanmean(rows, axis=0) for name, rows in found.items()}
    keys = ("accuracy", "pull", "unknown")
    return {
        "known": share,
        **{name: dict(zip(keys, map(float, row), strict=True)) for name, row in means.items()},
    }


def show(result: dict) -> None:
    """Print one result."""
    print(f"{result['set']}, {result['photos']} photos, {result['classes']} classes", end=", ")
    print(
        result["method"] + ": " + ", ".join(f"{k} {v:.3f}" for k, v in result["accuracy"].items())
    )
    for other, test in result["bank_against"].items():
        print(
            f"  bank - {other}: {test['difference']:+.3f} ({test['low']:+.3f} to "
            f"{test['high']:+.3f}), won {test['won']}, lost {test['lost']}, p = {test['p']:.3f}"
        )
    for row in result["partly_known"]:
        print(
            f"  {row['known']:.0%} known: "
            + "; ".join(
                f"{name} {row[name]['accuracy']:.3f}, pull {row[name]['pull']:+.3f}, "
                f"unknown {row[name]['unknown']:.3f}"
                for name in ("none", "mixed", "beside")
            ),
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
