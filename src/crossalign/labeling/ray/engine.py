"""The same job on many machines: Ray Data, a pool of workers, shards in and out.

Only the driver touches the job file. It writes what is to be labelled as shards into a folder that
all workers see (beside the output), Ray hands the shards to a pool of actors that hold one
classifier each, and what a shard's marker says is done is taken into the job file. A driver that
was killed finds the finished shards again; a worker that died is replaced, and its shard goes on
elsewhere.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossalign.errors import LabelingError, import_extra
from crossalign.labeling.image_scores import ImageScores
from crossalign.labeling.job import Work, restored_signals
from crossalign.labeling.ownership import OwnFolder
from crossalign.labeling.ray.shards import Shard, read_results, score_shard, write_shards
from crossalign.utils.digests import value_digest
from crossalign.utils.files import failing_as, write_text
from crossalign.utils.text import counted

if TYPE_CHECKING:
    from crossalign.classifier import Classifier

SHARD_SIZE = 256
_KIND = "shards"
_MARK = "job.json"
_ROUNDS = 5
# What Ray Data keeps for its own tasks: a cluster whose processors all belong to the pool hangs
# without a word.
_HEADROOM = 0.25
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RayEngine:
    """An engine for :func:`crossalign.labeling.run_job`.

    Args:
        build: Makes the classifier; travels to the workers, which call it there.
        folder: For the shards; all workers must see it under the same path.
        address: Of a Ray cluster; None starts one on this machine.
        workers: Number of workers; one for each processor of the cluster by default.
        cpus: Processors that a worker counts for; less than one by default, so that some are left
            for Ray itself.
        gpus: Graphics cards that a worker counts for.
        shard_size: Images in a shard.
    """

    build: Callable[[], Classifier]
    folder: Path
    address: str | None = None
    workers: int | None = None
    cpus: float | None = None
    gpus: float = 0.0
    shard_size: int = SHARD_SIZE

    def __call__(self, work: Work) -> Iterator[ImageScores]:
        """Label on the cluster.

        Args:
            work: What to label.

        Yields:
            Each image once.

        Raises:
            LabelingError: If the folder holds something else or the cluster is too small, of which
                nothing is touched, or if a shard cannot be done.
        """
        own = OwnFolder(self.folder, _KIND)
        own.check()
        with _cluster(self.address) as ray:
            workers, cpus = fit_pool(ray.cluster_resources(), self.workers, self.cpus, self.gpus)
            yield from self._of_earlier_run(work, own)
            shards = write_shards(own, work.entries(), self.shard_size, files=work.source.files)
            names = [shard.name for shard in shards]
            if names:
                yield from self._label(names, workers, cpus)
        own.remove()

    def check(self) -> None:
        """Raise if this cannot work, before anything is begun or written.

        Raises:
            LabelingError: If the folder holds files that are not shards.
            MissingExtraError: If Ray is not installed.
        """
        _import_ray()
        OwnFolder(self.folder, _KIND).check()

    def _of_earlier_run(self, work: Work, own: OwnFolder) -> Iterator[ImageScores]:
        """What a driver that was killed had not taken into the job file yet."""
        stamp = value_digest(work.job.settings(), compact=False)
        mark = {"job": str(work.job.path.absolute()), "settings": stamp}
        held = _read_mark(own)
        if held is not None and held["job"] != mark["job"]:
            raise LabelingError(
                f"{self.folder} holds shards of another job, {held['job']}. Choose another folder "
                "(--shards DIR); if that job will not go on, remove the folder."
            )
        if held == mark:
            for name in sorted(name for name in own.names() if name.endswith(".done")):
                # An error is tried again: perhaps that was why the run was begun anew.
                found = [
                    result
                    for result in read_results(Shard(self.folder, name.removesuffix(".done")))
                    if result.error is None and work.job.is_todo(result.id)
                ]
                work.save(found)  # at once, so that new shards are without them
                yield from found
        own.clear()
        write_text(own.claim(_MARK), json.dumps(mark))

    def _label(self, shards: list[str], workers: int, cpus: float) -> Iterator[ImageScores]:
        reasons: dict[str, str] = {}
        for _ in range(_ROUNDS):
            reasons = {}
            for name, reason in self._round(shards, workers, cpus):
                if reason:
                    reasons[name] = reason
                else:
                    yield from read_results(Shard(self.folder, name))
            shards = sorted(reasons)
            if not shards:
                return
        name, reason = next(iter(reasons.items()))
        raise LabelingError(
            f"{counted(len(reasons), 'shard')} failed {_ROUNDS} times, such as {name}: {reason}. "
            "What was finished is kept: run the same command again when the cause is mended."
        )

    def _round(self, shards: list[str], workers: int, cpus: float) -> Iterator[tuple[str, str]]:
        """Hand each shard to a worker once; name and reason of failure as they come."""
        import ray.data as ray_data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray_data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        items = [{"shard": name} for name in shards]
        pipeline = ray_data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Worker,
            fn_constructor_args=(self.build, str(self.folder.absolute())),
            batch_size=1,
            compute=ray_data.ActorPoolStrategy(size=min(workers, len(items))),
            num_cpus=cpus,
            num_gpus=self.gpus or None,
        )
        for row in pipeline.iter_rows():
            yield str(row["shard"]), str(row["reason"])


class _Worker:
    """Holds a classifier and labels shards; lives on a machine of the cluster."""

    def __init__(self, build: Callable[[], Classifier], folder: str) -> None:
        self._classifier = build()
        self._folder = Path(folder)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        names = [str(name) for name in batch["shard"]]
        return {"shard": names, "reason": [self._label(name) for name in names]}

    def _label(self, name: str) -> str:
        try:
            return score_shard(Shard(self._folder, name), self._classifier) or ""
        except Exception as error:  # any failure of a shard is for the driver to judge
            return f"{type(error).__name__}: {error}"


def fit_pool(
    resources: Mapping[str, float], workers: int | None, cpus: float | None, gpus: float
) -> tuple[int, float]:
    """Fit a pool of workers into a cluster, with room for Ray's own tasks.

    Args:
        resources: What the cluster has, by Ray's names.
        workers: Wanted number of workers; None for one a processor (or as many as the graphics
            cards allow).
        cpus: Processors a worker counts for; None to share them out.
        gpus: Graphics cards a worker counts for.

    Returns:
        Number of workers and processors a worker.

    Raises:
        LabelingError: If they do not fit: Ray would wait for ever, without a word.

    Example:
        >>> fit_pool({"CPU": 4.0}, None, None, 0)
        (4, 0.9)
    """
    total = resources.get("CPU", 0.0)
    cards = resources.get("GPU", 0.0)
    if workers is None:
        workers = int(cards / gpus) if gpus else max(1, int(total / cpus if cpus else total))
        if cpus is not None:
            workers = max(1, min(workers, int((total - _HEADROOM) / cpus)))
    if workers < 1:
        raise LabelingError(f"expected at least one worker; {workers} would fit.")
    share = (total - _HEADROOM) / workers
    if cpus is None:
        cpus = min(1.0, int(share * 10) / 10 or int(share * 100) / 100)
    if cpus <= 0 or cpus > share or gpus * workers > cards:
        raise LabelingError(
            f"{workers} workers with {cpus:g} processors and {gpus:g} graphics cards each do not "
            f"fit: the cluster has {total:g} and {cards:g}, and {_HEADROOM:g} processors stay free "
            "for Ray itself. Ask for fewer workers or less for each (--workers, --worker-cpus, "
            "--worker-gpus), or for a larger cluster."
        )
    return workers, cpus


def _read_mark(own: OwnFolder) -> dict[str, str] | None:
    """Whose shards a folder holds; None where that is not known."""
    try:
        mark = json.loads((own.path / _MARK).read_text(encoding="utf-8"))
        return {"job": str(mark["job"]), "settings": str(mark["settings"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _import_ray() -> Any:
    import_extra("ray.data", "--executor ray", "ray")
    return import_extra("ray", "--executor ray", "ray")


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one here and end it afterwards."""
    ray = _import_ray()
    began = not ray.is_initialized()
    if began:
        _check_address(address)
        with restored_signals():  # Ray would replace what they do to a job
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise LabelingError(
                    f"no Ray cluster at {address or 'this machine'}: {error}."
                ) from error
    try:
        yield ray
    finally:
        if began:
            ray.shutdown()


def _check_address(address: str | None) -> None:
    """Find out at once that nobody is there; Ray itself tries for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or "/" in host or not port.isdigit():
        return  # "auto", "local" and addresses of Ray's client are Ray's own matter
    remedy = ". `ray status` on its head says whether it runs and at which address."
    with failing_as(LabelingError, f"no Ray cluster answers at {address}: ", remedy):
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
