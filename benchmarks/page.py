"""Make docs/benchmarks.md from its text, benchmarks/page.md, and the figures in benchmarks/results.

    python benchmarks/page.py            # write the page
    python benchmarks/page.py --check    # say whether it is up to date

In the text ``<!-- table: FILE NAME -->`` stands for a table, ``<!-- command: FILE -->`` for the
command that made a file, and ``<!-- machine: FILE -->`` for where it ran.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
MARK = re.compile(r"<!-- (table|command|machine): (\S+)(?: (\S+))? -->")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description="Make docs/benchmarks.md.")
    parser.add_argument("--check", action="store_true", help="say whether it is up to date")
    options = parser.parse_args()
    text = MARK.sub(lambda found: filled(*found.groups()), (HERE / "page.md").read_text("utf-8"))
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/benchmarks.md is not what benchmarks/page.py makes; run it")
    return 1


def filled(kind: str, file: str, name: str | None) -> str:
    """Replace one mark."""
    content = json.loads((HERE / "results" / f"{file}.json").read_text(encoding="utf-8"))
    if kind == "command":
        return f"```sh\n{content['command']}\n```"
    if kind == "machine":
        return ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    (table,) = (table for table in content["tables"] if table["name"] == name)
    return markdown(table)


def markdown(table: dict[str, Any]) -> str:
    """Lay a table out."""
    lines = [table["columns"], ["---", *["--:"] * (len(table["columns"]) - 1)], *table["rows"]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
