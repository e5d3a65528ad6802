"""Ray for real: a cluster on this machine with two workers, workers that die, a driver that dies.

``make test-ray`` runs this; where Ray is not installed it is left out.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="needs the extra 'ray'; run by make test-ray")

from crossalign import Classifier, load_encoder  # noqa: E402
from crossalign.errors import LabelingError  # noqa: E402
from crossalign.labeling import Decisions, open_source, run_job  # noqa: E402
from crossalign.labeling.classifiers import build_classifier  # noqa: E402
from crossalign.labeling.ray.engine import RayEngine  # noqa: E402

PROGRAM = Path(sys.executable).with_name("crossalign")
CLASSES = ("red", "green", "blue")
WORDS = ("-c", "red", "-c", "green", "-c", "blue", "--method", "clip")
# What Ray's own code does is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


class Fragile:
    """The built-in encoder, in a process that dies where it is told to."""

    def __init__(self, flag: str, poison: bool) -> None:
        self._real = load_encoder("builtin")
        self.card, self.preprocess = self._real.card, self._real.preprocess
        self._flag, self._poison = Path(flag), poison

    def encode_images(self, pixels):
        if self._poison:
            if any((view == (255, 0, 255)).all() for view in pixels):
                os.kill(os.getpid(), signal.SIGKILL)
        elif not self._flag.exists():
            self._flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._real.encode_images(pixels)

    def encode_texts(self, texts):
        return self._real.encode_texts(texts)


class FragileFactory:
    """Makes classifiers whose process dies once, or at each magenta picture."""

    def __init__(self, flag: Path, poison: bool) -> None:
        self._flag, self._poison = str(flag), poison

    def build(self) -> Classifier:
        return Classifier(CLASSES, encoder=Fragile(self._flag, self._poison), method="clip")


class FailingFactory(FragileFactory):
    """Makes classifiers that label nothing."""

    def build(self) -> Classifier:
        classifier = super().build()

        def fail(*args, **options):
            raise RuntimeError("the card fell out")

        classifier.predict = fail
        return classifier


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def photos(tmp_path, picture):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        picture(CLASSES[number % 3], number).save(folder / f"{number:03}.png")
    (folder / "005x.png").write_bytes(b"<html>")
    return folder


def local(photos, out):
    return run_job(open_source(photos), out, build_classifier(CLASSES_SET, method="clip"))


from crossalign import DescriptionSet  # noqa: E402

CLASSES_SET = DescriptionSet.of(CLASSES)


def on_ray(photos, out, build=None, **options):
    plain = partial(build_classifier, CLASSES_SET, method="clip")
    engine = RayEngine(
        build or plain, out.parent / "shards", **{"workers": 2, "shard_size": 7, **options}
    )
    return run_job(open_source(photos), out, plain(), engine=engine)


@pytest.mark.parametrize("archive", [False, True])
def test_results_are_the_local_engines_row_for_row(cluster, photos, tmp_path, archive, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "photos"
    if archive:
        import tarfile

        with tarfile.open("photos.tar", "w") as stream:
            stream.add("photos")
        source = "photos.tar"
    local(source, tmp_path / "local.csv")
    outcome = on_ray(source, tmp_path / "ray.csv")
    assert (outcome.images, outcome.failed) == (41, 1)
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert not (tmp_path / "shards").exists()


def test_other_decisions_are_the_local_engines_and_need_no_worker_again(cluster, photos, tmp_path):
    none = Decisions(none_of_these=True, background=("a grey wall",), top=2)
    build = partial(build_classifier, CLASSES_SET, none, method="clip")
    source, out = open_source(photos), tmp_path / "ray.jsonl"
    engine = RayEngine(build, tmp_path / "shards", workers=2, shard_size=7)
    run_job(source, out, build(), none, engine=engine)
    outcomes = set()
    for decisions in (none, replace(none, threshold=0.1, multi_label=True, top=0)):
        outcome = run_job(source, out, build(), decisions, engine=_no_engine)
        assert outcome.labelled == 0
        reference = tmp_path / "local.jsonl"
        run_job(source, reference, build(), decisions, restart=True)
        assert out.read_bytes() == reference.read_bytes()
        outcomes |= {str(json.loads(line)["decision"]) for line in out.read_text().splitlines()}
    assert len(outcomes) > 3


def _no_engine(work):
    raise AssertionError("nothing is left to be labelled")


def test_a_worker_that_is_killed_mid_shard_is_replaced(cluster, photos, tmp_path):
    local(photos, tmp_path / "local.csv")
    on_ray(photos, tmp_path / "ray.csv", FragileFactory(tmp_path / "flag", poison=False).build)
    assert (tmp_path / "flag").exists(), "a worker died"
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_an_image_that_kills_every_worker_is_isolated_and_reported(cluster, photos, tmp_path):
    from PIL import Image

    local(photos, tmp_path / "local.csv")
    Image.new("RGB", (300, 300), (255, 0, 255)).save(photos / "010x.png")
    outcome = on_ray(
        photos, tmp_path / "ray.csv", FragileFactory(tmp_path / "flag", poison=True).build
    )
    assert outcome.failed == 2
    lines = (tmp_path / "ray.csv").read_text().splitlines()
    (poisoned,) = (line for line in lines if "010x.png" in line)
    assert "dies or fails" in poisoned
    lines.remove(poisoned)
    assert lines == (tmp_path / "local.csv").read_text().splitlines()


def test_a_failure_of_all_shards_ends_the_job_with_its_reason(cluster, photos, tmp_path):
    with pytest.raises(LabelingError, match="the card fell out"):
        on_ray(photos, tmp_path / "ray.csv", FailingFactory(tmp_path / "flag", poison=False).build)
    assert on_ray(photos, tmp_path / "ray.csv").labelled == 41


def test_a_cluster_too_small_is_told(cluster, photos, tmp_path):
    with pytest.raises(LabelingError, match="do not fit: the cluster has 2"):
        on_ray(photos, tmp_path / "ray.csv", workers=2, cpus=1.0)


def test_a_cluster_that_is_not_there_is_told_at_once(photos, tmp_path):
    assert not ray.is_initialized() or ray.shutdown() is None
    with pytest.raises(LabelingError, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        on_ray(photos, tmp_path / "ray.csv", address="127.0.0.1:9")


def test_a_driver_that_is_killed_goes_on_with_the_shards_that_are_done(photos, tmp_path, picture):
    """``CROSSALIGN_RAY_KILLS=25 CROSSALIGN_KILL_IMAGES=2000`` runs it at full size."""
    kills = int(os.environ.get("CROSSALIGN_RAY_KILLS", "1"))
    for number in range(40, int(os.environ.get("CROSSALIGN_KILL_IMAGES", "80"))):
        picture(CLASSES[number % 3], number).save(photos / f"{number:05}.png")
    local(photos, tmp_path / "local.csv")
    out = tmp_path / "ray.csv"
    command = [
        *(PROGRAM, "label", photos, "--out", out, *WORDS, "--engine", "ray"),
        *("--workers", "2", "--shard-size", "8"),
    ]
    rng = random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 60
        folder = tmp_path / "ray.csv.shards"
        done = len(list(folder.glob("*.done")))
        while len(list(folder.glob("*.done"))) <= done and time.monotonic() < deadline:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1, done.stderr
    assert out.read_bytes() == (tmp_path / "local.csv").read_bytes()
