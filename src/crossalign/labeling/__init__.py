"""Many images in, a table out: sources, jobs that cannot lose work, decisions, review, exports.

>>> import tempfile
>>> from pathlib import Path
>>> from PIL import Image
>>> from crossalign import Classifier
>>> from crossalign.labeling import open_source, run_job
>>> with tempfile.TemporaryDirectory() as name:
...     folder = Path(name)
...     Image.new("RGB", (64, 64), "green").save(folder / "meadow.png")
...     classifier = Classifier(["green field", "red square"], method="clip")
...     outcome = run_job(open_source(folder), folder / "labels.csv", classifier)
...     (folder / "labels.csv").read_text().startswith("path,content_hash,width,height,label,score")
True
"""

from __future__ import annotations

from crossalign.labeling.decisions import (
    BACKGROUND,
    COLUMNS,
    NONE_OF_THESE,
    UNDECIDED,
    Decisions,
    Row,
)
from crossalign.labeling.job import Outcome, run_job
from crossalign.labeling.job_file import JobFile
from crossalign.labeling.output_table import job_path
from crossalign.labeling.sources import Source, open_source

__all__ = [
    "BACKGROUND",
    "COLUMNS",
    "NONE_OF_THESE",
    "UNDECIDED",
    "Decisions",
    "JobFile",
    "Outcome",
    "Row",
    "Source",
    "job_path",
    "open_source",
    "run_job",
]
