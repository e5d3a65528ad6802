"""What the benchmarks share: timing in turns, tables, and the JSON that the page is made from."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "pillow", "onnxruntime", "openvino", "torch", "transformers")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    return made


def seconds(job: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def in_turns(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time jobs in turns, so that a machine that slows down slows all; the first round is lost."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            taken = seconds(job)
            if number:
                times[name].append(taken)
    return times


def ratios(slow: Sequence[float], fast: Sequence[float]) -> str:
    """How many times faster, round by round: median, least and most."""
    found = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def spread(values: Sequence[float], unit: float = 1.0, digits: int = 2) -> str:
    """Median, least and most, in units."""
    scaled = sorted(value / unit for value in values)
    middle = statistics.median(scaled)
    return f"{middle:.{digits}f} ({scaled[0]:.{digits}f} to {scaled[-1]:.{digits}f})"


def machine() -> dict[str, str]:
    """Say where this was measured."""
    found = {"python": platform.python_version(), "cores": str(len(os.sched_getaffinity(0)))}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["processor"] = line.partition(":")[2].strip()
            break
    there = {entry.name.lower(): entry.version for entry in metadata.distributions()}
    return {**found, **{name: there[name] for name in PACKAGES if name in there}}


class Table:
    """A table that is printed row by row and kept."""

    def __init__(self, name: str, *columns: str) -> None:
        self.name = name
        self.columns = columns
        self.rows: list[list[str]] = []
        rule = ["---", *["--:"] * (len(columns) - 1)]
        print(f"\n| {' | '.join(columns)} |\n|{'|'.join(rule)}|", flush=True)

    def add(self, *cells: object) -> None:
        """Add and print a row."""
        row = [str(cell) for cell in cells]
        self.rows.append(row)
        print(f"| {' | '.join(row)} |", flush=True)


def finish(options: argparse.Namespace, *tables: Table, **facts: Any) -> int:
    """Write the tables as JSON, if that was asked for."""
    if options.json is not None:
        command = ["python", f"benchmarks/{Path(sys.argv[0]).name}", *_shown(sys.argv[1:])]
        content = {
            "command": " ".join(command),
            "machine": machine(),
            "facts": facts,
            "tables": [
                {"name": table.name, "columns": table.columns, "rows": table.rows}
                for table in tables
            ],
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


def _shown(arguments: Sequence[str]) -> list[str]:
    """Leave --json out, and whatever is a path of this machine alone."""
    shown, skip = [], False
    for argument in arguments:
        if skip or argument.startswith("--json"):
            skip = argument == "--json"
            continue
        shown.append(os.path.relpath(argument) if Path(argument).is_absolute() else argument)
    return shown
