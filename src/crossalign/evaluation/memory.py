"""How much memory a process takes that does one thing: classify with one method.

A process knows only the most that it ever took, so each method is measured in one of its own:
``python -m crossalign.evaluation.memory`` reads what to do on standard input and prints bytes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path

from crossalign.evaluation.request import Request
from crossalign.evaluation.run import Setup, examples, prepare
from crossalign.methods import Method


def peak_memory(setup: Setup, method: Method, images: int) -> int | None:
    """Measure the memory of a process that loads the encoder and classifies a few images.

    Args:
        setup: The data set and one encoder.
        method: The method, settled.
        images: How many images.

    Returns:
        Bytes of the largest resident set, interpreter and encoder included; None where the system
        does not say, or where the encoder is known in this process alone.
    """
    models = setup.request.models[:1]
    alone = dataclasses.replace(setup.request, models=models, methods=(method,), baseline=None)
    done = subprocess.run(  # noqa: S603 - this interpreter and this module
        [sys.executable, "-m", "crossalign.evaluation.memory", str(images)],
        input=json.dumps(alone.to_json()),
        capture_output=True,
        text=True,
        check=False,
    )
    answer = done.stdout.strip()
    return int(answer) if done.returncode == 0 and answer.isdecimal() else None


def main() -> int:
    """Classify as standard input says, and print the peak."""
    request = Request.from_json(json.load(sys.stdin))
    setup = prepare(request)
    classifier = setup.classifier(setup.methods[0], setup.encoders[request.models[0]])
    found = itertools.islice(examples(setup.dataset, request.per_class), int(sys.argv[1]))
    for _ in classifier.predict(example.image for example in found):
        pass
    peak = _peak()
    if peak is not None:
        sys.stdout.write(f"{peak}\n")
    return 0


def _peak() -> int | None:
    # Linux counts what the parent took before it started this process into ru_maxrss.
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(
            (1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None
        )
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    sys.exit(main())
