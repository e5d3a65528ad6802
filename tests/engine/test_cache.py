"""Nothing is encoded twice, nothing is mixed up, and nothing can break the store for long."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from typer.testing import CliRunner

from crossalign import METHODS, Classifier, CropSpec, Store, StoreError, load_encoder
from crossalign.cli import app
from crossalign.engine.cache.database import FILE
from crossalign.engine.cache.maintenance import Pruned
from crossalign.engine.cache.quantization import from_bytes, pack, unpack
from crossalign.engine.cache.store import LEAST_LIMIT
from crossalign.images.examples import photo_folder

COLOURS = ["red", "green", "blue"]
LAYOUT = "random seed=0"


def vectors(count: int, seed: int = 0, dim: int = 12) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def places(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as made:
        yield made


@pytest.fixture
def files(tmp_path: Path, picture: Callable[..., Image.Image]) -> list[Path]:
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        picture(COLOURS[number % 3], number).save(path)
        paths.append(path)
    return paths


# --------------------------------------------------------------------------------------- packing


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 40)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_a_number_moves_by_at_most_half_a_step(rows: np.ndarray) -> None:
    packed = pack(rows)
    largest = np.abs(rows.astype(np.float64)).max(axis=1, keepdims=True)
    moved = np.abs(unpack(packed).astype(np.float64) - rows)
    # Half a step, and the rounding of a product and a quotient in single precision.
    assert np.all(moved <= 0.5 * largest / 32767 + 3e-7 * largest + 1e-37)
    again = from_bytes(packed.tobytes(), len(rows))
    assert np.array_equal(unpack(again), unpack(packed))


def test_packing_is_closer_than_half_precision() -> None:
    rows = vectors(500, dim=512)
    rows[:, 7] += 0.6  # CLIP's embeddings have a dimension like that
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    half = rows.astype(np.float16).astype(np.float64)
    kept = unpack(pack(rows)).astype(np.float64)
    assert np.abs(kept @ kept.T - exact).max() < np.abs(half @ half.T - exact).max() / 3


# ------------------------------------------------------------------------------------ put and get


def test_views_come_back_by_place(store: Store) -> None:
    packed = pack(vectors(3))
    store.put_views("e", LAYOUT, b"image", places(4, 0, 2), packed)
    found, rows = store.get_views("e", LAYOUT, b"image")
    assert found.tolist() == [0, 2, 4]
    assert np.array_equal(unpack(rows), unpack(packed[[1, 2, 0]]))


def test_views_are_added_to_those_that_are_there(store: Store) -> None:
    first, second = pack(vectors(2)), pack(vectors(3, seed=1))
    store.put_views("e", LAYOUT, b"image", places(0, 3), first)
    store.put_views("e", LAYOUT, b"image", places(1, 3, 5), second)
    found, rows = store.get_views("e", LAYOUT, b"image")
    assert found.tolist() == [0, 1, 3, 5]
    expected = np.concatenate([first[:1], second[:1], first[1:], second[2:]])
    assert np.array_equal(unpack(rows), unpack(expected)), "what was there first stays"


@pytest.mark.parametrize(
    "key", [("f", LAYOUT, b"image"), ("e", "other", b"image"), ("e", LAYOUT, b"x")]
)
def test_keys_are_kept_apart(store: Store, key: tuple[str, str, bytes]) -> None:
    store.put_views("e", LAYOUT, b"image", places(1, 2), pack(vectors(2)))
    found, rows = store.get_views(*key)
    assert len(found) == 0
    assert rows is None


def test_the_whole_picture_is_the_same_in_every_layout(store: Store) -> None:
    store.put_views("e", LAYOUT, b"image", places(0, 1), pack(vectors(2)))
    found, _ = store.get_views("e", "another layout", b"image")
    assert found.tolist() == [0]


def test_texts_and_files_come_back(store: Store) -> None:
    texts = ["a cat", "a dog", "ein Häuschen", "\ud800"]
    rows = vectors(4)
    store.put_texts("e", texts, rows)
    found = store.get_texts("e", [*texts, "unknown"])
    assert list(found) == texts or set(found) == set(texts)
    for text, row in zip(texts, rows, strict=True):
        assert np.array_equal(found[text], row)
    assert store.get_texts("f", texts) == {}
    store.put_views("e", "", b"content", places(0), pack(rows[:1]), (b"file", (30, 20)))
    assert store.get_file(b"file") == (b"content", (30, 20))
    assert store.get_file(b"other") is None


def test_thousands_of_texts(store: Store) -> None:
    texts = [f"text {number}" for number in range(1234)]
    rows = vectors(1234)
    store.put_texts("e", texts, rows)
    found = store.get_texts("e", texts)
    assert np.array_equal(np.stack([found[text] for text in texts]), rows)


def test_what_is_there_outlives_the_process_that_put_it(tmp_path: Path) -> None:
    packed = pack(vectors(2))
    with Store(tmp_path) as first:
        first.put_views("e", LAYOUT, b"image", places(0, 1), packed)
    with Store(tmp_path) as second:
        assert np.array_equal(second.get_views("e", LAYOUT, b"image")[1], packed)
    assert Store.exists(tmp_path)
    assert not Store.exists(tmp_path / "nowhere")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sets(st.integers(0, 20), min_size=1), min_size=1, max_size=6))
def test_any_order_of_puts_gives_each_place_its_own_vector(rounds: list[set[int]]) -> None:
    import tempfile

    rows = pack(vectors(21))
    with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
        for round_ in rounds:
            chosen = places(*sorted(round_, reverse=True))
            store.put_views("e", LAYOUT, b"image", chosen, rows[chosen])
        found, packed = store.get_views("e", LAYOUT, b"image")
        assert found.tolist() == sorted(set().union(*rounds))
        assert packed is not None
        assert np.array_equal(packed, rows[found])


# ------------------------------------------------------------------------------ with a classifier


def views(encoder: Any) -> int:
    return sum(encoder.image_batches)


def labels(classifier: Classifier, images: Any) -> list[tuple[str | None, list[float]]]:
    return [(p.label, p.scores.tolist()) for p in classifier.predict(images)]


def test_a_second_run_encodes_nothing_and_says_the_same(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    encoder = make_encoder()
    first = labels(Classifier(COLOURS, encoder=encoder, crops=5, store=store), files)
    assert views(encoder) == 6 * 6
    assert encoder.text_calls
    fresh = make_encoder()
    assert labels(Classifier(COLOURS, encoder=fresh, crops=5, store=store), files) == first
    assert (fresh.image_batches, fresh.text_calls) == ([], [])


def test_with_and_without_a_store_scores_are_alike(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    plain = labels(Classifier(COLOURS, encoder=make_encoder(), crops=9), files)
    kept = labels(Classifier(COLOURS, encoder=make_encoder(), crops=9, store=store), files)
    for (label, scores), (other, others) in zip(plain, kept, strict=True):
        assert label == other
        assert np.abs(np.array(scores) - others).max() < 1e-4  # 16 dimensions round coarsely


CHANGES = {
    "classes": {"classes": ["a red wall", "a blue sea"]},
    "descriptions": {"classes": {"red": ["ripe", "hot"], "blue": ["cold", "deep"]}},
    "method": {"method": "cupl"},
    "scales": {"method": METHODS["wca"].__class__("flat", "label", crops=CropSpec(), form="sum")},
    "fewer crops": {"crops": 3},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_not_about_the_pictures_encodes_none(
    store: Store, files: list[Path], make_encoder: Any, change: dict[str, Any]
) -> None:
    given_: dict[str, Any] = {"classes": COLOURS, "crops": 5}
    list(Classifier(**given_, encoder=make_encoder(), store=store).predict(files))
    encoder = make_encoder()
    changed = {**given_, **change}
    found = labels(Classifier(**changed, encoder=encoder, store=store), files)
    assert encoder.image_batches == []
    assert found == labels(
        Classifier(**changed, encoder=make_encoder(), store=Path(store.folder) / "new"), files
    )


def test_more_crops_encode_only_what_is_missing(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    list(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store).predict(files))
    encoder = make_encoder()
    list(Classifier(COLOURS, encoder=encoder, crops=8, store=store).predict(files))
    assert views(encoder) == 6 * 3


@pytest.mark.parametrize(
    ("spec", "encoded"),
    [
        (CropSpec(4, seed=1), 4),
        (CropSpec(4, side=(0.1, 0.9)), 4),
        (CropSpec(4, kind="grid"), 4),
        (CropSpec(2, kind="grid"), 2),
    ],
)
def test_other_crops_are_other_crops(
    store: Store, files: list[Path], make_encoder: Any, spec: CropSpec, encoded: int
) -> None:
    for first in (CropSpec(4), CropSpec(3, kind="grid")):
        list(Classifier(COLOURS, encoder=make_encoder(), crops=first, store=store).predict(files))
    encoder = make_encoder()
    list(Classifier(COLOURS, encoder=encoder, crops=spec, store=store).predict(files))
    assert views(encoder) == 6 * encoded, "the whole picture is there, the crops are not"


def test_a_renamed_file_is_known_and_a_changed_one_is_not(
    store: Store, files: list[Path], make_encoder: Any, picture: Any
) -> None:
    list(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store).predict(files))
    renamed = files[0].rename(files[0].with_name("renamed.png"))
    picture("green", 99).save(files[1])
    encoder = make_encoder()
    classifier = Classifier(COLOURS, encoder=encoder, crops=5, store=store)
    list(classifier.predict([renamed, files[2]]))
    assert encoder.image_batches == []
    list(classifier.predict([files[1]]))
    assert views(encoder) == 6


def test_a_picture_is_known_whatever_it_comes_in(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    first = labels(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store), files[:1])
    encoder = make_encoder()
    classifier = Classifier(COLOURS, encoder=encoder, crops=5, store=store)
    image = Image.open(files[0])
    other = files[0].with_suffix(".bmp")
    image.save(other)
    with files[0].open("rb") as file:
        forms = [files[0].read_bytes(), file, image, np.asarray(image), other]
        assert labels(classifier, forms) == first * len(forms)
    assert encoder.image_batches == []


def test_known_files_are_not_decoded(
    store: Store, files: list[Path], make_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = labels(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store), files)

    def fail(*_args: object, **_options: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("crossalign.engine.views.load_reduced", fail)
    monkeypatch.setattr("crossalign.engine.views.load_image", fail)
    assert labels(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store), files) == first


def test_a_known_file_is_decoded_where_more_is_wanted_of_it(
    store: Store, files: list[Path], make_encoder: Any, tmp_path: Path
) -> None:
    list(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store).predict(files))
    more = labels(Classifier(COLOURS, encoder=make_encoder(), crops=7, store=store), files)
    cold = labels(Classifier(COLOURS, encoder=make_encoder(), crops=7, store=tmp_path / "b"), files)
    assert more == cold


def test_limits_hold_for_known_files_too(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    list(Classifier(COLOURS, encoder=make_encoder(), crops=2, store=store).predict(files))
    strict = Classifier(COLOURS, encoder=make_encoder(), crops=2, store=store, max_pixels=100)
    assert all("at most 100 pixels" in (p.error or "") for p in strict.predict(files))


def test_bad_files_are_told_as_without_a_store(
    store: Store, files: list[Path], encoder: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.png").write_text("<html>404</html>")
    (tmp_path / "cut.png").write_bytes(files[0].read_bytes()[:200])
    bad = [tmp_path / "empty.png", tmp_path / "page.png", tmp_path / "cut.png", tmp_path / "none",
           tmp_path, b"junk", 7]  # fmt: skip
    plain = [p.error for p in Classifier(COLOURS, encoder=encoder).predict(bad)]
    kept = [p.error for p in Classifier(COLOURS, encoder=encoder, store=store).predict(bad)]
    assert kept == plain
    assert store.info().pictures == 0


def test_explanations_come_from_the_store(
    store: Store, files: list[Path], make_encoder: Any
) -> None:
    list(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store).predict(files))
    encoder = make_encoder()
    for prediction in Classifier(COLOURS, encoder=encoder, crops=5, store=store).predict(files):
        terms = prediction.explain().terms
        assert abs(float(terms.sum()) - prediction.score) < 1e-6
    assert encoder.image_batches == []


def test_encoders_are_kept_apart(store: Store, files: list[Path], make_encoder: Any) -> None:
    import dataclasses

    list(Classifier(COLOURS, encoder=make_encoder(), crops=2, store=store).predict(files))
    for change in ({"revision": "2"}, {"name": "other"}):
        other = make_encoder()
        other.card = dataclasses.replace(other.card, **change)
        list(Classifier(COLOURS, encoder=other, crops=2, store=store).predict(files))
        assert views(other) == 6 * 3
        assert other.text_calls
    other = make_encoder()
    other.preprocess = dataclasses.replace(other.preprocess, fit="squash")
    list(Classifier(COLOURS, encoder=other, crops=2, store=store).predict(files))
    assert views(other) == 6 * 3


def test_with_the_builtin_model_on_photos_scores_stay_within_a_hundred_thousandth(
    store: Store,
) -> None:
    photos = [photo_folder() / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")]
    classes = ["cat", "cup of coffee", "rocket", "dog", "photographer"]
    encoder = load_encoder("builtin")
    plain = labels(Classifier(classes, encoder=encoder, crops=20), photos)
    for _ in range(2):  # first cold, then warm
        for batch_size, workers in ((32, 2), (5, 1)):
            kept = labels(
                Classifier(classes, encoder=encoder, crops=20, store=store,
                           batch_size=batch_size, workers=workers), photos)  # fmt: skip
            for (label, scores), (other, others) in zip(plain, kept, strict=True):
                assert label == other
                assert np.abs(np.array(scores) - others).max() < 1e-5


# -------------------------------------------------------------------------------- size and eviction


def fill(store: Store, count: int, dim: int = 2000) -> None:
    for number in range(count):
        content = number.to_bytes(4, "little")
        store.put_views("e", LAYOUT, content, places(*range(10)), pack(vectors(10, number, dim)))


def test_a_full_store_drops_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000]
    monkeypatch.setattr("crossalign.engine.cache.store._now", lambda: now[0])
    with Store(tmp_path) as store:
        fill(store, 20, dim=6000)
        now[0] += 100_000
        for number in (0, 1, 2):  # used again, a day later
            store.get_views("e", LAYOUT, number.to_bytes(4, "little"))
        size = store.info().bytes
    limit = size * 6 // 10
    with Store(tmp_path, max_bytes=limit) as store:
        info = store.info()
        assert info.bytes <= limit
        assert info.max_bytes == limit
        kept = [
            number for number in range(20)
            if len(store.get_views("e", LAYOUT, number.to_bytes(4, "little"))[0])
        ]  # fmt: skip
        assert {0, 1, 2} <= set(kept)
        assert kept[3:] == list(range(20))[-len(kept[3:]) :], "of the others the newest"
        fill(store, 60, dim=6000)
        assert store.info().bytes <= limit
        assert store.verify().problems == ()
    with Store(tmp_path) as store:
        assert store.info().max_bytes == limit, "the limit is the store's own"
    with Store(tmp_path, max_bytes=0) as store:
        fill(store, 60)
        assert store.info().pictures == 60


def test_the_file_stays_within_reach_of_its_limit(tmp_path: Path) -> None:
    limit = 2_000_000
    with Store(tmp_path, max_bytes=limit) as store:
        for start in range(4):
            fill(store, 200, dim=1000 + start)
    assert (tmp_path / FILE).stat().st_size <= 1.2 * limit


def test_prune_gives_room_back(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, 40)
        store.put_texts("e", ["a", "b"], vectors(2))
        store.put_views("other", LAYOUT, b"x", places(0), pack(vectors(1)), (b"f", (1, 1)))
        before = store.info().bytes
        assert store.prune().dropped == 0
        assert store.prune(encoder="oth").dropped == 1
        assert store.get_file(b"f") is None
        assert [share.encoder for share in store.info().encoders] == ["e"]
        assert store.prune(unused_days=1).dropped == 0
        assert store.prune(max_bytes=before // 3).dropped > 20
        assert (tmp_path / FILE).stat().st_size < before // 2
        assert store.prune(max_bytes=0).dropped > 0
        assert (store.info().views, store.info().texts) == (0, 0)


def test_a_full_store_of_many_small_pictures_keeps_pictures(tmp_path: Path) -> None:
    limit, count = 1_500_000, 12_000
    packed, place = pack(vectors(1, dim=24)), places(0)
    with Store(tmp_path, max_bytes=limit) as store:
        store._database._connection.execute("PRAGMA synchronous = OFF")
        least = count
        for number in range(count):
            name = hashlib.blake2b(str(number).encode(), digest_size=32).digest()
            store.put_views("e", "", name, place, packed, (name, (640, 480)))
            if number > count // 2 and number % 100 == 0:
                least = min(least, store.info().pictures)
        (files,) = store._database.read("SELECT COUNT(*) FROM files")[0]
        assert store.info().pictures == files
        assert store.info().bytes <= limit
        assert least > 1000, "files without pictures take no room"


def test_copies_of_one_picture_do_not_push_it_out(tmp_path: Path) -> None:
    packed = pack(vectors(1, dim=1000))
    with Store(tmp_path, max_bytes=LEAST_LIMIT) as store:
        store._database._connection.execute("PRAGMA synchronous = OFF")
        for number in range(12_000):
            name = hashlib.blake2b(str(number).encode(), digest_size=32).digest()
            store.put_views("e", "", b"content", places(0), packed, (name, (640, 480)))
        assert store.info().bytes <= LEAST_LIMIT
        assert store.info().pictures == 1


def test_a_limit_below_one_picture_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="at least 1000000 bytes"):
        Store(tmp_path, max_bytes=1)
    with Store(tmp_path, max_bytes=LEAST_LIMIT) as store:
        with pytest.warns(UserWarning, match="does not hold one picture of 40 views"):
            store.put_views("e", LAYOUT, b"x", places(*range(40)), pack(vectors(40, dim=20_000)))
        fill(store, 1)  # once is enough, and what fits is kept
        assert store.info().pictures == 1


@pytest.mark.parametrize("limit", [-1, 1.5, True, "1G"])
def test_a_limit_is_a_number_of_bytes(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(StoreError, match="whole number of bytes"):
        Store(tmp_path, max_bytes=limit)


# ---------------------------------------------------------------------------------- what can break


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="expected a folder"):
        Store(tmp_path / "file")
    with pytest.raises(StoreError, match="expected a folder"):
        Store(tmp_path / "file" / "inside")


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    with sqlite3.connect(tmp_path / FILE) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    other.close()


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StoreError, match="format 9"):
        Store(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is not a database at all" * 1000)
    with pytest.raises(StoreError, match="cannot be used as a store"):
        Store(tmp_path)


@pytest.mark.parametrize("table", ["settings", "texts", "views_by_content"])
def test_an_interruption_while_it_is_made_leaves_no_half_of_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    class Interrupted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            cursor = super().execute(sql, *values)
            if f" {table} " in sql:
                raise KeyboardInterrupt
            return cursor

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Interrupted))
        with pytest.raises(KeyboardInterrupt):
            Store(tmp_path)
    with Store(tmp_path) as store:
        fill(store, 1)
        assert store.verify().problems == ()


def test_a_store_on_disk_stays_as_it_was(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        for name, value in {
            "application_id": 0x58414C4E,
            "user_version": 1,
            "page_size": 16384,
            "auto_vacuum": 2,
            "journal_mode": "wal",
        }.items():
            assert database.execute(f"PRAGMA {name}").fetchone() == (value,), name
    database.close()


def test_rot_is_found_reported_and_encoded_again(
    tmp_path: Path, files: list[Path], make_encoder: Any
) -> None:
    folder = tmp_path / "store"
    first = labels(Classifier(COLOURS, encoder=make_encoder(), crops=5, store=folder), files)
    with sqlite3.connect(folder / FILE) as database:
        database.execute("UPDATE views SET data = ZEROBLOB(LENGTH(data)) WHERE layout != ''")
        database.execute("UPDATE texts SET data = ZEROBLOB(LENGTH(data)) WHERE id = 1")
    database.close()
    with Store(folder) as store:
        problems = store.verify().problems
        assert len(problems) == 7
        assert "checksum" in problems[0]
        encoder = make_encoder()
        again = Classifier(COLOURS, encoder=encoder, crops=5, store=store)
        assert labels(again, files) == first
        assert views(encoder) == 6 * 5
        assert len(encoder.text_calls) == 1
        assert store.verify().problems == ()


def test_prune_drops_rot(store: Store) -> None:
    fill(store, 5, dim=10)
    store._database.change(lambda rows: rows.execute("UPDATE views SET checksum = 0 WHERE id < 4"))
    broken = len(store.verify().problems)
    assert broken == 3
    assert store.prune() == Pruned(dropped=broken, kept=7)
    assert store.verify().problems == ()


def damage(folder: Path, seed: int, *, start: float = 0.4, length: int = 40_000) -> None:
    """Overwrite a piece of a store's file, as a failing disk does."""
    with (folder / FILE).open("r+b") as file:
        file.seek(int((folder / FILE).stat().st_size * start))
        file.write(np.random.default_rng(seed).bytes(length))


@pytest.mark.parametrize("start", [0.2, 0.97])
@pytest.mark.parametrize("dim", [10, 2000])  # rows within pages, and over many
def test_a_broken_file_is_told_and_emptied(tmp_path: Path, start: float, dim: int) -> None:
    with Store(tmp_path) as store:
        fill(store, 300 if dim < 100 else 60, dim=dim)
        store.put_texts("e", [f"text {number}" for number in range(3000)], vectors(3000))
        held = store.info().pictures
    damage(tmp_path, 1, start=start)
    with Store(tmp_path) as store:
        assert store.verify().problems
        assert store.verify().problems
        assert store.prune() == Pruned(dropped=0, kept=0, rebuilt=True)
        assert store.verify().problems == ()
        assert store.info().pictures == 0
        fill(store, held, dim=dim)
        assert store.info().pictures == held
    with Store(tmp_path) as store:
        assert store.verify().problems == ()


def test_commands_tell_and_empty_a_broken_file(tmp_path: Path) -> None:
    def run(name: str) -> Any:
        return CliRunner().invoke(app, ["store", name, str(tmp_path)])

    with Store(tmp_path) as store:
        fill(store, 60)
    damage(tmp_path, 3, start=0.05, length=60_000)  # where the tables of views begin
    assert run("info").exit_code == 2
    assert "malformed" in run("info").output
    verified = run("verify")
    assert verified.exit_code == 1
    assert "store prune" in verified.output
    pruned = run("prune")
    assert pruned.exit_code == 0
    assert "made anew" in pruned.output
    assert run("verify").exit_code == 0
    assert run("info").exit_code == 0


def test_a_file_whose_first_page_is_broken_names_the_remedy(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(12_000)
        file.write(b"x" * 20_000)
    for name in ("info", "verify", "prune"):
        done = CliRunner().invoke(app, ["store", name, str(tmp_path)])
        assert done.exit_code == 2
        assert "remove it: all that is lost is time" in done.output


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, 20)
    size = (tmp_path / FILE).stat().st_size
    damage(tmp_path, 0, start=0.02, length=int(size * 0.97))
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be used"):
        store.info()
    assert store.verify().problems
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.info()


def test_another_process_goes_on_with_an_emptied_store(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, 60)
    damage(tmp_path, 2)
    with Store(tmp_path) as reader, Store(tmp_path) as pruner:
        assert pruner.prune().rebuilt
        assert reader.info().pictures == pruner.info().pictures == 0
        fill(reader, 60)
        assert pruner.info().pictures == 60


def test_a_full_disk_costs_the_store_and_not_the_work(
    tmp_path: Path, files: list[Path], make_encoder: Any
) -> None:
    sound = labels(
        Classifier(COLOURS, encoder=make_encoder(), crops=5, store=tmp_path / "sound"), files
    )
    store = Store(tmp_path / "store")
    (pages,) = store._database.read("PRAGMA page_count")[0]
    store._database.read(f"PRAGMA max_page_count = {pages + 1}")
    classifier = Classifier(COLOURS, encoder=make_encoder(), crops=5, store=store)
    classifier.prepare()
    with pytest.warns(UserWarning, match=r"cannot be used any more .*full"):
        fill(store, 5)
    assert labels(classifier, files) == sound
    store.close()
    with Store(tmp_path / "store") as reopened:
        assert reopened.verify().problems == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="rights"):
        Store(tmp_path / "closed")


# ------------------------------------------------------------------------- threads and processes


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> bool:
        content = (number % 10).to_bytes(2, "little")
        rows = pack(vectors(30, number % 10))
        chosen = places(*range(number % 3, 30, 3))
        store.put_views("e", LAYOUT, content, chosen, rows[chosen])
        found, packed = store.get_views("e", LAYOUT, content)
        return packed is not None and np.array_equal(packed, rows[found])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert store.verify().problems == ()


def test_no_note_of_use_is_lost_between_threads(store: Store) -> None:
    store.put_texts("e", ["a", "b"], vectors(2))
    store._database.change(lambda rows: rows.execute("UPDATE texts SET used = 0"))
    other = threading.Thread(target=store._note_use, args=("texts", 2, 0))

    class Forgetting(set[int]):
        def clear(self) -> None:
            other.start()
            other.join(0.2)
            super().clear()

    store._uses["texts"] = Forgetting()
    store.get_texts("e", ["a"])
    store.flush()
    other.join()
    store._uses["texts"] = set(store._uses["texts"])
    store.flush()
    assert store._database.read("SELECT COUNT(*) FROM texts WHERE used = 0") == [(0,)]


def _other_process(folder: str, number: int, results: Any) -> None:
    with Store(folder) as store:
        for content in range(20):
            chosen = places(*range(number, 30, 3))
            rows = pack(vectors(30, content))
            store.put_views("e", LAYOUT, content.to_bytes(2, "little"), chosen, rows[chosen])
            store.put_texts("e", [f"{content}"], vectors(1, content))
    results.put(number)


def test_processes_make_and_fill_one_store_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_other_process, args=(str(tmp_path), number, results))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert sorted(results.get(timeout=10) for _ in processes) == [0, 1, 2]
    with Store(tmp_path) as store:
        assert store.verify().problems == ()
        for content in range(20):
            found, rows = store.get_views("e", LAYOUT, content.to_bytes(2, "little"))
            assert found.tolist() == list(range(30))
            assert np.array_equal(rows, pack(vectors(30, content)))


JOB = """
import sys, time, json
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import FakeEncoder
from crossalign import Classifier

class Slow(FakeEncoder):
    def encode_images(self, pixels):
        time.sleep(0.004)
        return super().encode_images(pixels)

classifier = Classifier(["red", "green", "blue"], encoder=Slow(), crops=5, batch_size=8,
                        store=sys.argv[2])
print("begun", flush=True)
for prediction in classifier.predict(sorted(Path(sys.argv[3]).glob("*.png"))):
    pass
print("done", flush=True)
"""


def test_killed_at_any_moment_the_store_is_whole_and_a_rerun_says_the_same(
    tmp_path: Path, picture: Any, make_encoder: Any
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(40):
        picture(COLOURS[number % 3], number).save(photos / f"{number:02}.png")
    paths = sorted(photos.glob("*.png"))
    expected = labels(
        Classifier(COLOURS, encoder=make_encoder(), crops=5, store=tmp_path / "0"), paths
    )
    chance = random.Random(7)
    killed = 0
    for moment in range(20):
        folder = tmp_path / f"killed {moment}"
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(Path(__file__).parents[1]), str(folder), str(photos)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(chance.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        killed += process.stdout.read() != b"done\n"
        process.wait(30)
        process.stdout.close()
        with Store(folder) as store:
            assert store.verify().problems == ()
            held = store.info().pictures
            encoder = make_encoder()
            rerun = Classifier(COLOURS, encoder=encoder, crops=5, store=store)
            assert labels(rerun, paths) == expected
            assert views(encoder) == 6 * (len(paths) - held), "what was kept is not encoded again"
    assert killed >= 10, "most were killed while they worked"


# ------------------------------------------------------------------------------------ command line


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("crossalign")
    return subprocess.run(
        [script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_commands(tmp_path: Path) -> None:
    photo, folder = photo_folder() / "chelsea.png", tmp_path / "store"
    label = ("classify", photo, "-c", "cat", "-c", "dog", "--crops", 3, "--store", folder, "--json")
    first = command(*label, "--store-size", "1G")
    assert first.returncode == 0, first.stderr
    assert command(*label).stdout == first.stdout
    info = json.loads(command("store", "info", folder, "--json").stdout)
    assert (info["pictures"], info["views"], info["max_bytes"]) == (1, 4, 10**9)
    assert "1 picture, 4 views" in command("store", "info", folder).stdout
    assert command("store", "verify", folder).returncode == 0
    with sqlite3.connect(folder / FILE) as database:
        database.execute("UPDATE views SET checksum = 1")
    database.close()
    verified = command("store", "verify", folder)
    assert verified.returncode == 1
    assert "2 problems" in verified.stdout
    assert "2 rows dropped" in command("store", "prune", folder).stdout
    assert command("store", "verify", folder).returncode == 0
    for wrong in (
        ("store", "info", tmp_path / "nothing"),
        ("store", "prune", folder, "--max-size", "lots"),
        ("classify", photo, "-c", "cat", "--store-size", "1G"),
        ("classify", photo, "-c", "cat", "--store", photo),
    ):
        done = command(*wrong)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "nothing").exists()
