"""The options of ``crossalign label`` that no other command has."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from crossalign.cli._options import DECISIONS, ENCODER

JOB, RESULTS, RAY = "Job", "Review and export", "Ray"


class Where(str, enum.Enum):
    """Who labels."""

    local = "local"
    ray = "ray"


Images: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder, 'pattern', list (.txt), table (.csv, .parquet) or archive (.tar, .zip).",
    ),
]
Out: TypeAlias = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="The table: .csv, .jsonl or .parquet.")
]
Column: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="The column of images, if the source is a table.",
        rich_help_panel=JOB,
    ),
]
Restart: TypeAlias = Annotated[
    bool, typer.Option("--restart", help="Begin anew.", rich_help_panel=JOB)
]
RetryErrors: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--retry-errors", help="Try images again that failed before.", rich_help_panel=JOB
    ),
]
# --engine says where a job runs; the other commands call this --engine as well.
Runtime: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="What runs onnx: encoders, onnxruntime (default) or openvino. Other commands call it "
        "--engine too.",
        rich_help_panel=ENCODER,
    ),
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        help="Decide nothing below it: on the confidence with --calibration, else the score.",
        rich_help_panel=DECISIONS,
    ),
]
MultiLabel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--multi-label", help="All classes that reach --threshold.", rich_help_panel=DECISIONS
    ),
]
Top: TypeAlias = Annotated[
    int,
    typer.Option(
        "--top", min=0, help="List so many classes with scores.", rich_help_panel=DECISIONS
    ),
]
CalibrationFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="What `crossalign calibrate` learnt: adds confidences.",
        rich_help_panel=DECISIONS,
    ),
]
Report: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        help="Write contact sheets, a page a class, into a folder of their own.",
        rich_help_panel=RESULTS,
    ),
]
Exports: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--export",
        metavar="KIND=PATH",
        help="Also write class folders (copy, link, move), fiftyone, label-studio or coco.",
        rich_help_panel=RESULTS,
    ),
]
EngineName: TypeAlias = Annotated[
    Where,
    typer.Option(
        "--engine",
        help="This machine alone, or a Ray cluster.",
        case_sensitive=False,
        rich_help_panel=RAY,
    ),
]
Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address", help="Of the Ray cluster; starts one here by default.", rich_help_panel=RAY
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Workers on the cluster; one a processor.", rich_help_panel=RAY
    ),
]
WorkerCpus: TypeAlias = Annotated[
    float | None,
    typer.Option("--worker-cpus", help="Processors that a worker counts for.", rich_help_panel=RAY),
]
WorkerGpus: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--worker-gpus",
        min=0,
        help="Graphics cards that a worker counts for.  [default: 0]",
        rich_help_panel=RAY,
    ),
]
ShardSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--shard-size", min=1, help="Images in a shard.  [default: 256]", rich_help_panel=RAY
    ),
]
Shards: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--shards",
        metavar="DIR",
        help="Folder of its own for the shards, that all workers see.  [default: beside the table]",
        rich_help_panel=RAY,
    ),
]
