"""Check the form of the bank of descriptions: names, placeholders, length, repetitions.

python tools/check_bank.py
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from crossalign.texts.english import indefinite_article

BANK = Path(__file__).parents[1] / "src/crossalign/texts/data/bank.txt"
HOLE = re.compile(r"\{a?\}")
WORDS = range(5, 26)  # of a description with its name filled in
LEAST = 6  # descriptions a class
ARTICLE = re.compile(r"\b(?:an?|the|its|this) \{a\}|\ban \{\}", re.IGNORECASE)


def main() -> int:
    """Print every problem; fail if there is one."""
    text = BANK.read_text(encoding="utf-8")
    problems = check(text)
    for problem in problems:
        print(problem)
    print(f"bank: {len(blocks(text))} classes, {len(problems)} problems")
    return 1 if problems else 0


def blocks(text: str) -> list[tuple[list[str], list[str]]]:
    """Part the file into classes: their names and their descriptions."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [place for place, line in enumerate(lines) if line.startswith("= ")]
    return [
        (lines[start][2:].split(" | "), lines[start + 1 : stop])
        for start, stop in itertools.pairwise([*starts, len(lines)])
    ]


def check(text: str) -> list[str]:
    """Find what is wrong with a bank.

    Args:
        text: The whole file.

    Returns:
        One line for each problem.
    """
    classes = blocks(text)
    problems = [] if text.isascii() else ["there are other characters than ASCII"]
    if not classes:
        return [*problems, "there are no classes"]
    problems += [
        f"{names[0]}: {fault}" for names, group in classes for fault in faults(names, group)
    ]
    problems += repeated("name", (key(name) for names, _ in classes for name in names))
    problems += repeated("description", (line for _, group in classes for line in group))
    return problems


def faults(names: list[str], descriptions: list[str]) -> list[str]:
    """Find what is wrong with one class."""
    found = [f"odd name {name!r}" for name in names if not re.fullmatch(r"\w.*\S", name)]
    if len(descriptions) < LEAST:
        found.append(f"{len(descriptions)} descriptions, fewer than {LEAST}")
    for line in descriptions:
        length = max(len(line.replace("{a}", "a {}").replace("{}", name).split()) for name in names)
        bare = re.search(r"\ba \{\}", line, re.IGNORECASE)
        wrong = {
            "not one placeholder": len(HOLE.findall(line)) != 1 or line.count("{") != 1,
            f"{length} words": length not in WORDS,
            "no capital first or no full stop last": not re.fullmatch(r"[A-Z].*[^.]\.", line),
            "spaces": line != " ".join(line.split()),
            "two articles": bool(ARTICLE.search(line)),
            # Where it stands first, "A {} wall", it fits names that take "a".
            "write {a}": bare is not None
            and (bare.start() > 0 or any(indefinite_article(name) != "a" for name in names)),
        }
        found += [f"{fault}: {line}" for fault, holds in wrong.items() if holds]
    return found


def repeated(what: str, items: Iterable[str]) -> list[str]:
    """Name what occurs more than once."""
    counts = Counter(items)
    return [f"{what} {item!r} occurs {count} times" for item, count in counts.items() if count > 1]


def key(name: str) -> str:
    """What names are compared by: letters and digits alone."""
    return re.sub(r"[\W_]+", "", name.casefold())


if __name__ == "__main__":
    sys.exit(main())
