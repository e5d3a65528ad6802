"""The front door in the terminal.

Exit codes: 0 all done; 1 done, but some images failed (they are listed); 2 usage or input error,
nothing done; 130 interrupted.
"""

from __future__ import annotations

# In the order in which --help lists them.
# fmt: off
from crossalign.cli import (  # isort: skip # noqa: F401
    demo,
    classify,
    explain,
    label,
    calibrate,
    serve,
    evaluate,
    ablate,
    cost,
    models,
    parity,
    export,
    store,
    describe,
    lint,
    refine,
)
# fmt: on
from crossalign.cli.application import app, main

__all__ = ["app", "main"]
