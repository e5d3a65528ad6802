"""How long a user waits before anything happens, as whole processes.

    python benchmarks/startup.py

Each command runs several times, in turns with a Python that does nothing. Expected on a quiet
machine: `import crossalign` under 0.3 s and `crossalign --help` under 0.6 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from _common import Table, finish, parser, seconds

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import crossalign": [sys.executable, "-c", "import crossalign"],
    "crossalign --help": [str(Path(sys.executable).with_name("crossalign")), "--help"],
    "crossalign models": [str(Path(sys.executable).with_name("crossalign")), "models"],
    "from crossalign import Classifier": [
        sys.executable,
        "-c",
        "from crossalign import Classifier",
    ],
}


def main() -> int:
    """Print the table."""
    options_ = parser(__doc__)
    options_.add_argument("--rounds", type=int, default=9)
    options = options_.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(options.rounds + 1):
        for name, command in COMMANDS.items():
            taken = seconds(lambda command=command: run(command))  # type: ignore[misc]
            if number:  # the first round warms the disk cache
                times[name].append(taken)
    print(f"{options.rounds} rounds, whole processes")
    table = Table("startup", "command", "median, s", "least, s", "most, s")
    for name, found in times.items():
        middle = statistics.median(found)
        table.add(f"`{name}`", f"{middle:.3f}", f"{min(found):.3f}", f"{max(found):.3f}")
    return finish(options, table)


def run(command: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
