"""Pieces of a job: what was begun is finished, and an image that kills workers is found out."""

from __future__ import annotations

import contextlib

import pytest

from crossalign import Classifier
from crossalign.errors import LabelingError
from crossalign.labeling import open_source
from crossalign.labeling.job import score_entries
from crossalign.labeling.ownership import OwnFolder
from crossalign.labeling.ray.engine import fit_pool
from crossalign.labeling.ray.shards import (
    MOST_ATTEMPTS,
    Shard,
    read_results,
    score_shard,
    write_shards,
)


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is run."""


@pytest.fixture
def photos(tmp_path, picture, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(7):
        picture(("red", "green", "blue")[number % 3], number).save(f"photos/{number}.png")
    (tmp_path / "photos" / "3x.png").write_bytes(b"<html>")
    return open_source("photos")


@pytest.fixture
def classifier(make_encoder):
    return Classifier(["red", "green", "blue"], encoder=make_encoder(), method="clip")


def fresh(tmp_path):
    own = OwnFolder(tmp_path / "shards", "shards")
    own.clear()
    return own


def shards_of(source, tmp_path, size=100):
    return list(write_shards(fresh(tmp_path), source.entries(), size, files=source.files))


@pytest.mark.parametrize("files", [True, False])
def test_shards_give_what_the_local_engine_gives(photos, classifier, tmp_path, files):
    expected = list(score_entries(photos.entries(), classifier))
    if not files:
        import tarfile

        with tarfile.open("photos.tar", "w") as archive:
            archive.add("photos")
        photos = open_source("photos.tar")
        expected = list(score_entries(photos.entries(), classifier))
    shards = list(write_shards(fresh(tmp_path), photos.entries(), 3, files=files))
    assert [shard.name for shard in shards] == ["000000", "000001", "000002"]
    found = []
    for shard in shards:
        assert score_shard(shard, classifier) is None
        assert shard.marker.read_text().strip() in "23"
        found += read_results(shard)
    assert found == expected
    assert sum(result.error is not None for result in found) == 1


def test_a_shard_that_is_done_is_not_done_again(photos, classifier, tmp_path):
    (shard,) = shards_of(photos, tmp_path)
    score_shard(shard, classifier)
    calls = len(classifier.encoder.image_batches)
    assert score_shard(shard, classifier) is None
    assert len(classifier.encoder.image_batches) == calls


@pytest.mark.parametrize("call", [1, 2, 4, 7])
def test_a_worker_that_dies_once_costs_no_image(photos, classifier, make_encoder, tmp_path, call):
    expected = list(score_entries(photos.entries(), classifier))
    (shard,) = shards_of(photos, tmp_path)
    for attempt in (1, 2):
        dying = make_encoder(fail_on_call=1 if attempt == 1 else call, failure=Killed())
        with pytest.raises(Killed):
            score_shard(shard, Classifier(classifier.classes, encoder=dying, method="clip"))
        assert not shard.marker.exists()
    done = sum(classifier.encoder.image_batches)
    assert score_shard(shard, classifier) is None
    assert sum(classifier.encoder.image_batches) - done == 7 - (call - 1), "it goes on there"
    assert read_results(shard) == expected


def test_an_image_that_kills_workers_is_a_row_and_the_rest_is_labelled(
    photos, classifier, tmp_path
):
    expected = {r.id: r for r in score_entries(photos.entries(), classifier)}
    (shard,) = shards_of(photos, tmp_path)
    poison = ("2.png", "5.png")
    real = classifier.predict

    def predict(images, **options):
        for image in images:
            if isinstance(image, str) and image.endswith(poison):
                raise Killed
            yield from real([image], **options)

    classifier.predict = predict
    deaths = 0
    while not shard.marker.exists():
        with contextlib.suppress(Killed):
            deaths += 1
            assert score_shard(shard, classifier) is None
            deaths -= 1
    assert deaths == 1 + 2 * len(poison)
    for result in read_results(shard):
        if result.id in poison:
            assert "dies or fails" in result.error
            assert result.error.startswith(result.path)
        else:
            assert result == expected[result.id]


def test_a_torn_journal_is_read_as_far_as_it_goes(photos, classifier, tmp_path):
    expected = list(score_entries(photos.entries(), classifier))
    (shard,) = shards_of(photos, tmp_path)
    shard.journal.write_text('{"attempt": 1}\n{"begun": 0}\n{"finis')
    assert score_shard(shard, classifier) is None
    assert read_results(shard) == expected


def test_a_shard_that_never_ends_is_given_up(photos, classifier, tmp_path):
    (shard,) = shards_of(photos, tmp_path)
    shard.journal.write_text(f'{{"attempt": {MOST_ATTEMPTS}}}\n')
    assert "never finished" in score_shard(shard, classifier)
    assert not Shard(shard.folder, shard.name).marker.exists()


@pytest.mark.parametrize(
    ("resources", "workers", "cpus", "gpus", "expected"),
    [
        ({"CPU": 2.0}, None, None, 0, (2, 0.8)),
        ({"CPU": 2.0}, 2, None, 0, (2, 0.8)),
        ({"CPU": 2.0}, 1, 1.0, 0, (1, 1.0)),
        ({"CPU": 64.0, "GPU": 8.0}, None, None, 1, (8, 1.0)),
        ({"CPU": 8.0}, None, 2.0, 0, (3, 2.0)),
        ({"CPU": 2.0}, 40, None, 0, (40, 0.04)),
    ],
)
def test_a_pool_leaves_room_for_ray(resources, workers, cpus, gpus, expected):
    assert fit_pool(resources, workers, cpus, gpus) == expected
    assert expected[0] * expected[1] < resources["CPU"]


@pytest.mark.parametrize(
    ("resources", "workers", "cpus", "gpus"),
    [
        ({"CPU": 2.0}, 2, 1.0, 0),
        ({"CPU": 0.0}, None, None, 0),
        ({"CPU": 8.0}, 2, None, 1),
        ({"CPU": 8.0, "GPU": 1.0}, 2, None, 1),
        ({"CPU": 8.0}, None, None, 1),
        ({"CPU": 1.0}, None, 1.0, 0),
    ],
)
def test_a_cluster_too_small_is_told_and_not_waited_for(resources, workers, cpus, gpus):
    with pytest.raises(LabelingError, match=r"do not fit|would fit"):
        fit_pool(resources, workers, cpus, gpus)
