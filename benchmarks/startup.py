"""How long a user waits before anything happens, as whole processes.

    python benchmarks/startup.py

Each command runs several times, in turns with a Python that does nothing. Expected on a quiet
machine: `import crossalign` under 0.3 s and `crossalign --help` under 0.6 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if number:  # the first round warms the disk cache
                times[name].append(time.perf_counter() - start)
    print(f"{rounds} rounds, whole processes\n\n| command | median, s | least, s | most, s |")
    print("|---|--:|--:|--:|")
    for name, taken in times.items():
        row = f"{statistics.median(taken):.3f} | {min(taken):.3f} | {max(taken):.3f}"
        print(f"| `{name}` | {row} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
