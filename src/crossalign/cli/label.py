"""``crossalign label``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crossalign.cli import _label_options as own
from crossalign.cli import _options as common
from crossalign.cli._app import INTERRUPTED, OK, SOME_FAILED, command, say
from crossalign.cli._labelled import Shown, print_summary, write_results
from crossalign.cli._shared import (
    background_given,
    classes_given,
    crops_given,
    encoder_options,
    method_given,
    say_left_out,
    say_undescribed,
    store_given,
)

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.labeling.classifier_config import ClassifierConfig
    from crossalign.labeling.decisions import Decisions
    from crossalign.labeling.sources import Source


@command
def label(
    source: own.Images,
    out: own.Out,
    class_: common.ClassNames = None,
    classes: common.ClassesFile = None,
    bank: common.Bank = True,
    model: common.ModelName = "builtin",
    dtype: common.Dtype = None,
    device: common.Device = None,
    runtime: own.Runtime = None,
    method: common.MethodName = "wca",
    crops: common.Crops = None,
    risk: common.Risk = None,
    kind: common.Kind = None,
    side: common.Side = None,
    seed: common.Seed = 0,
    store: common.StoreFolder = None,
    store_size: common.StoreSize = None,
    draft: common.Draft = False,
    column: own.Column = None,
    restart: own.Restart = False,
    retry_errors: own.RetryErrors = False,
    threshold: own.Threshold = None,
    none_of_these: common.NoneOfThese = False,
    background: common.Background = None,
    multi_label: own.MultiLabel = False,
    top: own.Top = 0,
    calibration: own.CalibrationFile = None,
    report: own.Report = None,
    export: own.Exports = None,
    engine: own.EngineName = own.Where.local,
    address: own.Address = None,
    workers: own.Workers = None,
    worker_cpus: own.WorkerCpus = None,
    worker_gpus: own.WorkerGpus = None,
    shard_size: own.ShardSize = None,
    shards: own.Shards = None,
) -> int:
    """Label all images of a source; a job that was stopped goes on where it was."""
    from crossalign.labeling.classifier_config import ClassifierConfig
    from crossalign.labeling.exports import parse_export
    from crossalign.labeling.job import run_job
    from crossalign.labeling.output_table import job_path
    from crossalign.labeling.sources import open_source

    exports = [parse_export(text) for text in export or ()]
    images = open_source(source, column=column, may_be_empty=job_path(out).exists())
    decisions = _decisions(threshold, none_of_these, background, multi_label, top, calibration)
    chosen = method_given(method, kind, side)
    config = ClassifierConfig(
        classes_given(class_, classes),
        decisions,
        model=model,
        model_options=tuple(
            encoder_options(model, dtype=dtype, device=device, engine=runtime).items()
        ),
        method=chosen,
        crops=crops_given(crops, risk, chosen),
        seed=seed,
        bank=bank,
        draft=draft,
    )
    on_ray = {
        "address": address,
        "workers": workers,
        "worker-cpus": worker_cpus,
        "worker-gpus": worker_gpus,
        "shard-size": shard_size,
        "shards": shards,
    }
    runner = _engine(engine, config, out, store, on_ray)
    _check_results(images, out, decisions, exports, report, restart)
    classifier = config.build(store_given(store, store_size))
    _say_about(classifier, decisions, bank)
    with Shown() as shown:
        outcome = run_job(
            images,
            out,
            classifier,
            decisions,
            restart=restart,
            retry_errors=retry_errors,
            engine=runner,
            on_note=say,
            on_progress=shown.update,
        )
    if outcome.stopped:
        say(
            f"stopped: {outcome.left} of {outcome.images} images are left; run the same command to "
            "go on"
        )
        return INTERRUPTED
    print_summary(out, outcome, decisions)
    write_results(out, images, classifier, decisions, exports, report)
    return SOME_FAILED if outcome.failed else OK


def _decisions(
    threshold: float | None,
    none_of_these: bool,
    background: Path | None,
    multi_label: bool,
    top: int,
    calibration: Path | None,
) -> Decisions:
    from crossalign.alignment.calibration import Calibration
    from crossalign.labeling.decisions import Decisions

    return Decisions(
        threshold=threshold,
        none_of_these=none_of_these,
        background=background_given(none_of_these, background),
        multi_label=multi_label,
        top=top,
        calibration=None if calibration is None else Calibration.load(calibration),
    )


def _engine(
    engine: own.Where,
    config: ClassifierConfig,
    out: Path,
    store: Path | None,
    given: dict[str, Any],
) -> Any:
    """Who labels, ready to begin; options of the cluster's are refused where they do nothing."""
    from crossalign.labeling.job import local_engine
    from crossalign.labeling.ray.engine import SHARD_SIZE, RayEngine

    if engine == own.Where.local:
        idle = [f"--{name}" for name, value in given.items() if value is not None]
        if idle:
            raise typer.BadParameter(f"{', '.join(idle)}: only with --engine ray")
        return local_engine
    if store is not None:
        raise typer.BadParameter("--store is one machine's; leave it out with --engine ray")
    runner = RayEngine(
        config,
        given["shards"] or out.with_name(f"{out.name}.shards"),
        address=given["address"],
        workers=given["workers"],
        cpus=given["worker-cpus"],
        gpus=given["worker-gpus"] or 0.0,
        shard_size=given["shard-size"] or SHARD_SIZE,
    )
    runner.check()
    return runner


def _check_results(
    images: Source,
    out: Path,
    decisions: Decisions,
    exports: list[tuple[str, Path]],
    report: Path | None,
    restart: bool,
) -> None:
    """Find out before the work, not after it, that something cannot be written."""
    from crossalign.labeling.contact_sheets import check_sheets
    from crossalign.labeling.exports import check_exports
    from crossalign.labeling.output_table import check_output

    check_output(out, images)
    check_exports(exports, images, decisions, out, restart=restart)
    if report is not None:
        check_sheets(report, images)
        if any(report.resolve() == path.resolve() for _, path in exports):
            raise typer.BadParameter("--report and --export need places of their own")


def _say_about(classifier: Classifier, decisions: Decisions, bank: bool) -> None:
    if bank:
        say_undescribed(classifier)
    say_left_out(decisions, classifier)
