"""How many strangers `--none-of-these` finds out, and how many photos of the classes it loses.

    python benchmarks/none_of_these.py ../shared                    # built-in model: 5 minutes
    python benchmarks/none_of_these.py ../shared --own pets37 --methods cupl --encoder onnx:FOLDER

The folder is laid out as for ``benchmarks/accuracy.py``. The classes of one set are given by name,
and, where the folder has CuPL's sentences for them, by these; the photos are its own and those of
sets that have nothing to do with it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accuracy import SETS, read_set
from crossalign import Classifier, DescriptionSet, load_encoder
from crossalign.labeling import NONE_OF_THESE, Decisions


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--own", nargs="+", default=("pets37", "grocery43"), choices=SETS)
    parser.add_argument(
        "--strangers", nargs="+", default=("pets37", "grocery43", "dtd10"), choices=SETS
    )
    parser.add_argument("--methods", nargs="+", default=("cupl", "wca"))
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--crops", type=int, default=8, help="of a photo, for wca")
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")
    encoder = load_encoder(options.encoder)
    sets = {name: read_set(options.folder, name) for name in {*options.own, *options.strangers}}
    decisions = Decisions(none_of_these=True)
    print("| classes | given as | method | photos | none of these | share |")
    print("|---|---|---|---|--:|--:|")
    for own in options.own:
        kinds = {"names": DescriptionSet.of(sets[own].classes)}
        sentences = sets[own].sentences
        if sentences is not None:
            kinds["CuPL sentences"] = sentences
        for method in options.methods:
            for kind, classes in kinds.items():
                classifier = Classifier(
                    classes,
                    encoder=encoder,
                    method=method,
                    crops=options.crops,
                    background=decisions.background_for(classes),
                )
                for group in dict.fromkeys((own, *options.strangers)):
                    found = classifier.predict(sets[group].photos)
                    rows = [decisions.row("", one) for one in found]
                    none = sum(row.decision == NONE_OF_THESE for row in rows)
                    print(
                        f"| {own} | {kind} | {method} | {group} | {none} of {len(rows)} "
                        f"| {none / len(rows):.3f} |",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
