"""Every layout is read from a miniature copy of it, built here."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from scipy.io import savemat

from crossalign import EvaluationError, load_image
from crossalign.errors import MissingExtraError
from crossalign.evaluation.datasets import DATASETS, imagenet_names, load_dataset, read_names

ROOT = Path(__file__).parents[2]
WNIDS = list(imagenet_names())


def photo(path: Path, colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 5), colour).save(path)


def encoded(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (6, 5), colour).save(stream, "PNG")
    return stream.getvalue()


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def keys(dataset) -> list[tuple[str, int]]:
    return [(example.key, example.label) for example in dataset]


# ------------------------------------------------------------------------------- generic layouts


def test_class_folders(tmp_path):
    photo(tmp_path / "red_fox" / "b.JPG")
    photo(tmp_path / "red_fox" / "a.png")
    photo(tmp_path / "hen" / "deep" / "c.jpg")
    write(tmp_path / "hen" / "notes.txt", "not a photo")
    photo(tmp_path / ".cache" / "d.jpg")
    dataset = load_dataset(tmp_path)
    assert dataset.class_ids == ("hen", "red_fox")
    assert dataset.class_names == ("hen", "red fox")
    assert len(dataset) == 3
    assert keys(dataset) == [("hen/deep/c.jpg", 0), ("red_fox/a.png", 1), ("red_fox/b.JPG", 1)]
    assert keys(dataset) == keys(dataset)  # it can be read again


def test_a_table_of_classes_gives_order_names_and_classes_without_photos(tmp_path):
    photo(tmp_path / "x1" / "a.png")
    write(tmp_path / "classes.csv", "folder,class_name", "x2,owl", "x1,hen")
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("owl", "hen")
    assert keys(dataset) == [("x1/a.png", 1)]
    photo(tmp_path / "x3" / "a.png")
    with pytest.raises(EvaluationError, match=r"none for 'x3'"):
        load_dataset(tmp_path)


def test_folders_of_splits(tmp_path):
    photo(tmp_path / "train" / "hen" / "a.png")
    photo(tmp_path / "test" / "hen" / "b.png")
    assert load_dataset(tmp_path).split == "test"
    assert keys(load_dataset(tmp_path, split="train")) == [("train/hen/a.png", 0)]
    with pytest.raises(EvaluationError, match=r"split 'val'.*which has test, train"):
        load_dataset(tmp_path, split="val")


def test_splits_are_splits_whatever_lies_beside_them(tmp_path):
    photo(tmp_path / "train" / "hen" / "a.png")
    photo(tmp_path / "test" / "hen" / "b.png")
    write(tmp_path / "docs" / "notes.txt", "no photo")
    dataset = load_dataset(tmp_path)
    assert (dataset.split, dataset.class_ids) == ("test", ("hen",))
    (note,) = dataset.notes
    assert note == f"{tmp_path}: 'docs' left out, beside the splits"

    photo(tmp_path / "owl" / "c.png")
    with pytest.raises(EvaluationError, match=r"two ways: 'test' .* 'owl' holds images"):
        load_dataset(tmp_path)
    assert keys(load_dataset(tmp_path, split="train")) == [("train/hen/a.png", 0)]
    lines = [f"{name},{name}" for name in ("docs", "owl", "test", "train")]
    write(tmp_path / "classes.csv", "folder,class_name", *lines)
    assert keys(load_dataset(tmp_path))[0] == ("owl/c.png", 1)


def test_a_class_may_be_called_test(tmp_path):
    photo(tmp_path / "test" / "a.png")
    photo(tmp_path / "exam" / "b.png")
    assert load_dataset(tmp_path).class_ids == ("exam", "test")


def test_a_split_with_metadata_holds_its_images_itself(tmp_path):
    for split in ("train", "test"):
        photo(tmp_path / split / "1.png")
        write(tmp_path / split / "metadata.csv", "file_name,label", "1.png,owl")
    dataset = load_dataset(tmp_path)
    assert (dataset.split, keys(dataset)) == ("test", [("test/1.png", 0)])


def test_folders_without_images_are_no_classes(tmp_path):
    photo(tmp_path / "hen" / "a.png")
    photo(tmp_path / "owl" / "deep" / "b.png")
    (tmp_path / "zebra").mkdir()
    write(tmp_path / "results" / "receipt.json", "{}")
    dataset = load_dataset(tmp_path)
    assert dataset.class_ids == ("hen", "owl")
    (note,) = dataset.notes
    assert "no image in 'results', 'zebra'" in note
    assert "classes.csv" in note
    write(tmp_path / "four.txt", "a hen", "an owl", "a result", "a zebra")  # names all of them
    assert len(load_dataset(tmp_path, names=tmp_path / "four.txt").class_ids) == 4
    write(tmp_path / "two.txt", "a hen", "an owl")
    assert load_dataset(tmp_path, names=tmp_path / "two.txt").class_names == ("a hen", "an owl")
    lines = [f"{name},{name}" for name in ("zebra", "hen", "owl", "results")]
    write(tmp_path / "classes.csv", "folder,class_name", *lines)
    assert load_dataset(tmp_path).class_ids == ("zebra", "hen", "owl", "results")


@pytest.mark.parametrize("below", ["", "train/"])
def test_an_archive_among_class_folders_is_not_the_data_set(tmp_path, below):
    photo(tmp_path / f"{below}dog" / "a.png")
    photo(tmp_path / f"{below}cat" / "b.png")
    write(tmp_path / f"{below}dog" / "backup.tar", "not a shard")
    write(tmp_path / "docs" / "old.parquet", "not a table")
    dataset = load_dataset(tmp_path)
    assert (dataset.name, dataset.class_ids) == ("folders", ("cat", "dog"))
    write(tmp_path / "all.tar", "not a shard")
    with pytest.raises(EvaluationError, match=r"two ways.*all\.tar.*folders --root"):
        load_dataset(tmp_path)
    assert load_dataset("folders", tmp_path).class_ids == ("cat", "dog")


def test_a_known_name_that_is_a_folder_here_is_not_guessed(tmp_path, monkeypatch):
    photo(tmp_path / "imagenet" / "val" / "n01440764" / "a.JPEG")
    photo(tmp_path / "imagenet" / "val" / "n01443537" / "b.JPEG")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EvaluationError, match=r"imagenet --root imagenet.*\./imagenet"):
        load_dataset("imagenet")
    with pytest.raises(EvaluationError, match=r"WordNet ids \('n01440764'.*--names crossalign"):
        load_dataset("./imagenet")
    named = load_dataset("./imagenet", names="crossalign")
    assert named.class_names == ("tench", "goldfish")
    assert load_dataset("imagenet", "imagenet", partial=True).class_names == named.class_names


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_image_folder_with_metadata(tmp_path, kind):
    photo(tmp_path / "1.png")
    photo(tmp_path / "2.png")
    rows = [{"file_name": "1.png", "label": "owl"}, {"file_name": "2.png", "label": "hen"}]
    if kind == "csv":
        write(tmp_path / "metadata.csv", "file_name,label", "1.png,owl", "2.png,hen")
    else:
        write(tmp_path / "metadata.jsonl", *map(json.dumps, rows))
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("hen", "owl")
    assert keys(dataset) == [("1.png", 1), ("2.png", 0)]
    (tmp_path / "2.png").unlink()
    with pytest.raises(EvaluationError, match=r"1 of 2 images are missing .* 2\.png"):
        load_dataset(tmp_path)


def parquet_file(path: Path, labels: Sequence[object], names: list[str] | None, **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded("red"), "path": f"{n}.png"} for n in range(len(labels))]
    table = pa.table({"image": images, "label": labels, **more})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    parquet.write_table(table, path)


def test_parquet_with_names_in_its_schema(tmp_path):
    parquet_file(tmp_path / "data" / "train-00000-of-00001.parquet", [0], ["red_fox", "hen"])
    parquet_file(tmp_path / "data" / "test-00000-of-00002.parquet", [1, 0], ["red_fox", "hen"])
    parquet_file(tmp_path / "data" / "test-00001-of-00002.parquet", [1], ["red_fox", "hen"])
    dataset = load_dataset(tmp_path)
    assert (dataset.name, dataset.split, len(dataset)) == ("parquet", "test", 3)
    assert dataset.class_names == ("red fox", "hen")
    assert [label for _, label in keys(dataset)] == [1, 0, 1]
    assert len({key for key, _ in keys(dataset)}) == 3
    assert all(load_image(example.image).size == (6, 5) for example in dataset)
    assert len(load_dataset(tmp_path, split="train")) == 1


def test_parquet_with_texts_or_bare_numbers_for_labels(tmp_path):
    parquet_file(tmp_path / "a.parquet", ["owl", "hen"], None)
    assert keys(load_dataset(tmp_path))[0][1] == 1
    bare = tmp_path / "bare"
    parquet_file(bare / "a.parquet", [0, 10, 2], None)
    with pytest.raises(EvaluationError, match="--names FILE"):
        load_dataset(bare)
    write(tmp_path / "names.txt", *(f"class {n}" for n in range(11)))
    named = load_dataset(bare, names=tmp_path / "names.txt")
    assert [label for _, label in keys(named)] == [0, 10, 2]
    assert named.class_names[10] == "class 10"
    write(tmp_path / "names.txt", "too", "few")
    with pytest.raises(EvaluationError, match="labels from 0 to 1"):
        load_dataset(bare, names=tmp_path / "names.txt")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    parquet_file(tmp_path / "a.parquet", ["owl"], None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"crossalign\[parquet\]"):
        load_dataset(tmp_path)


def shard(path: Path, samples: list[dict[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number, sample in enumerate(samples):
            for ending, data in sample.items():
                info = tarfile.TarInfo(f"s{number:04d}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def test_webdataset_shards(tmp_path):
    write(tmp_path / "classnames.txt", "hen", "crane", "crane")  # doubles are kept
    write(tmp_path / "zeroshot_classification_templates.txt", "a photo of {c}.")
    shard(
        tmp_path / "test" / "0.tar",
        [{"png": encoded("red"), "cls": b"2"}, {"cls": b"0", "png": encoded("blue")}],
    )
    shard(tmp_path / "test" / "1.tar", [{"png": encoded("red"), "json": b'{"label": 1}'}])
    dataset = load_dataset(tmp_path)
    assert (dataset.name, dataset.split, len(dataset)) == ("webdataset", "test", 3)
    assert dataset.class_names == ("hen", "crane", "crane")
    assert dataset.templates == ("a photo of {}.",)
    assert keys(dataset) == [("0.tar/s0000", 2), ("0.tar/s0001", 0), ("1.tar/s0000", 1)]
    blue = load_image(list(dataset)[1].image)
    assert blue.getpixel((0, 0)) == (0, 0, 255)


def test_broken_shards_are_named(tmp_path):
    write(tmp_path / "classnames.txt", "hen")
    shard(tmp_path / "0.tar", [{"png": encoded("red"), "cls": b"7"}])
    with pytest.raises(EvaluationError, match=r"0\.tar: expected labels from 0 to 0"):
        load_dataset(tmp_path)
    shard(tmp_path / "0.tar", [{"png": encoded("red"), "cls": b"a hen"}])
    with pytest.raises(EvaluationError, match=r"class index in s0000\.cls"):
        load_dataset(tmp_path)
    (tmp_path / "0.tar").write_bytes(b"not a tar file" * 100)
    with pytest.raises(EvaluationError, match="expected a tar file"):
        load_dataset(tmp_path)


def test_reading_shards_needs_memory_for_one_sample(tmp_path):
    write(tmp_path / "classnames.txt", "hen")
    noise = np.random.default_rng(0).bytes(50_000)
    for name, count in (("few", 10), ("many", 200)):
        shard(tmp_path / name / "0.tar", [{"png": noise, "cls": b"0"}] * count)
        write(tmp_path / name / "classnames.txt", "hen")

    def peak(name: str) -> int:
        dataset = load_dataset(tmp_path / name)
        tracemalloc.start()
        for _ in dataset:
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak("few")
    assert peak("many") < 1.5 * peak("few")


# ------------------------------------------------------------------------------- published layouts


def imagenet_folders(root: Path) -> None:
    for wnid in WNIDS[:3]:
        photo(root / "val" / wnid / f"ILSVRC2012_val_{wnid[1:]}.JPEG")


def imagenet_devkit(root: Path) -> None:
    data = root / "ILSVRC2012_devkit_t12" / "data"
    write(data / "ILSVRC2012_validation_ground_truth.txt", "2", "1", "2")
    kinds = [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O")]
    synsets = np.array([(1, WNIDS[7], "cock"), (2, WNIDS[0], "tench, Tinca tinca")], dtype=kinds)
    savemat(data / "meta.mat", {"synsets": synsets[:, None]})
    for number in (1, 2, 3):
        photo(root / "ILSVRC2012_img_val" / f"ILSVRC2012_val_{number:08d}.JPEG")


def imagenet_kaggle(root: Path) -> None:
    write(
        root / "LOC_val_solution.csv",
        "ImageId,PredictionString",
        f"ILSVRC2012_val_00000001,{WNIDS[5]} 85 1 499 272 {WNIDS[5]} 1 2 3 4",
    )
    photo(root / "ILSVRC" / "Data" / "CLS-LOC" / "val" / "ILSVRC2012_val_00000001.JPEG")


def imagenet_v2(root: Path) -> None:
    for number in (0, 10, 999):
        photo(root / "imagenetv2-matched-frequency-format-val" / str(number) / "a.jpeg")


def subset(name: str, folder: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for wnid in (WNIDS[900], WNIDS[4]):
            photo(root / folder / wnid / f"{name}.JPEG")
        write(root / folder / "README.txt", "about")

    return make


def cub(root: Path) -> None:
    write(root / "classes.txt", "1 001.Black_footed_Albatross", "2 002.Laysan_Albatross")
    paths = ["001.Black_footed_Albatross/a.jpg", "002.Laysan_Albatross/b.jpg"]
    write(root / "images.txt", f"1 {paths[0]}", f"2 {paths[1]}", f"3 {paths[1]}")
    write(root / "image_class_labels.txt", "1 1", "2 2", "3 2")
    write(root / "train_test_split.txt", "1 0", "2 0", "3 1")
    for path in paths:
        photo(root / "images" / path)


def pets(root: Path) -> None:
    write(
        root / "annotations" / "test.txt",
        "# Image CLASS-ID SPECIES BREED ID",
        "Abyssinian_201 1 1 1",
        "american_bulldog_9 2 2 1",
    )
    write(root / "annotations" / "trainval.txt", "Abyssinian_1 1 1 1")
    for name in ("Abyssinian_201", "Abyssinian_1", "american_bulldog_9"):
        photo(root / "images" / f"{name}.jpg")


def dtd(root: Path) -> None:
    write(root / "labels" / "test1.txt", "dotted/dotted_01.jpg", "banded/banded_07.jpg")
    photo(root / "images" / "dotted" / "dotted_01.jpg")
    photo(root / "images" / "banded" / "banded_07.jpg")


def food(root: Path) -> None:
    write(root / "meta" / "classes.txt", "apple_pie", "ramen")
    write(root / "meta" / "test.txt", "ramen/11", "apple_pie/22")
    photo(root / "images" / "ramen" / "11.jpg")
    photo(root / "images" / "apple_pie" / "22.jpg")


def places(root: Path) -> None:
    write(root / "categories_places365.txt", "/a/airfield 0", "/a/apartment_building/outdoor 1")
    write(
        root / "places365_val.txt", "Places365_val_00000001.jpg 1", "Places365_val_00000002.jpg 0"
    )
    for number in (1, 2):
        photo(root / "val_256" / f"Places365_val_{number:08d}.jpg")


def eurosat(root: Path) -> None:
    for name in ("AnnualCrop", "SeaLake"):
        photo(root / "2750" / name / f"{name}_1.jpg")


LAYOUTS: dict[str, tuple[Callable[[Path], None], str, dict[int, str], list[int]]] = {
    # the data set, what builds it, some of its class names, the labels of its images
    "folders": (imagenet_folders, "imagenet", {0: "tench", 2: "great white shark"}, [0, 1, 2]),
    "devkit": (imagenet_devkit, "imagenet", {0: "tench"}, [0, 7, 0]),
    "kaggle": (imagenet_kaggle, "imagenet", {0: "tench"}, [5]),
    "v2": (imagenet_v2, "imagenet-v2", {0: "tench"}, [0, 10, 999]),
    "r": (subset("r", "imagenet-r"), "imagenet-r", {0: list(imagenet_names().values())[4]}, [0, 1]),
    "sketch": (subset("s", "sketch"), "imagenet-sketch", {}, [0, 1]),
    "a": (subset("a", ""), "imagenet-a", {}, [0, 1]),
    "cub": (cub, "cub", {0: "Black footed Albatross", 1: "Laysan Albatross"}, [0, 1]),
    "pets": (pets, "pets", {0: "Abyssinian", 1: "american bulldog"}, [0, 1]),
    "dtd": (dtd, "dtd", {0: "banded", 1: "dotted"}, [1, 0]),
    "food": (food, "food101", {0: "apple pie"}, [1, 0]),
    "places": (places, "places365", {1: "apartment building outdoor"}, [1, 0]),
    "eurosat": (eurosat, "eurosat", {0: "annual crop land", 1: "lake or sea"}, [0, 1]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts(tmp_path, layout):
    build, name, names, labels = LAYOUTS[layout]
    build(tmp_path)
    dataset = load_dataset(name, tmp_path, partial=True)
    assert {place: dataset.class_names[place] for place in names} == names
    assert [label for _, label in keys(dataset)] == labels
    assert len(dataset) == len(labels)
    assert all(load_image(example.image).size == (6, 5) for example in dataset)
    # What was published is more than that, and it says so.
    with pytest.raises(EvaluationError) as caught:
        load_dataset(name, tmp_path)
    classes, images = DATASETS[name].expected[dataset.split]
    for part in (f"has {images} of {classes}", "Expected below", "To be had from", "--partial"):
        assert part in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_missing_is_named(tmp_path, layout):
    build, name, _, _ = LAYOUTS[layout]
    with pytest.raises(EvaluationError, match="Expected below the root"):
        load_dataset(name, tmp_path / "nowhere")
    build(tmp_path)
    every = sorted(path for path in tmp_path.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    listed = name not in ("imagenet", "imagenet-v2", "imagenet-r", "imagenet-sketch", "imagenet-a",
                          "eurosat")  # fmt: skip
    for path in every if listed else ():
        path.unlink()
    if listed:
        with pytest.raises(EvaluationError, match="images are missing"):
            load_dataset(name, tmp_path)


def test_splits_are_checked(tmp_path):
    pets(tmp_path)
    assert keys(load_dataset("pets", tmp_path, split="trainval", partial=True)) == [
        ("images/Abyssinian_1.jpg", 0)
    ]
    with pytest.raises(EvaluationError, match="test, trainval; got 'val'"):
        load_dataset("pets", tmp_path, split="val")


def test_a_whole_copy_passes(tmp_path, monkeypatch):
    eurosat(tmp_path)
    monkeypatch.setitem(DATASETS["eurosat"].expected, "all", (2, 2))  # type: ignore[index]
    assert len(load_dataset("eurosat", tmp_path)) == 2


@pytest.mark.parametrize("name", [name for name, reader in DATASETS.items() if reader.expected])
def test_published_sets_say_where_they_are_to_be_had(name):
    reader = DATASETS[name]
    assert reader.source
    with pytest.raises(EvaluationError, match="--root DIR"):
        load_dataset(name)


def test_unknown_names_get_a_hint(tmp_path):
    with pytest.raises(EvaluationError, match="Did you mean 'places365'"):
        load_dataset("places", tmp_path)
    with pytest.raises(EvaluationError, match="Known data sets: folders"):
        load_dataset("nonsense")


# --------------------------------------------------------------------------------- lists of names


def test_the_names_of_imagenet_are_those_of_the_builtin_model():
    text = (ROOT / "tools" / "builtin" / "imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert list(imagenet_names().items()) == [(row[1], row[2].split("; ")[0]) for row in rows]
    assert len({name.casefold() for name in imagenet_names().values()}) == 1000


def test_names_of_all_of_imagenet_fit_a_subset(tmp_path):
    subset("r", "")(tmp_path)
    write(tmp_path / "names.txt", *(f"name {n}" for n in range(1000)))
    given = load_dataset("imagenet-r", tmp_path, names=tmp_path / "names.txt", partial=True)
    assert given.class_names == ("name 4", "name 900")


def test_published_lists_of_imagenet_s_names_go_by_name(tmp_path, shared):
    published = json.loads((shared / "prompts" / "imagenet" / "clip-d.json").read_text())
    assert list(imagenet_names("clip-d").values()) == list(published)
    clip, clip_d = imagenet_names("clip"), imagenet_names("clip-d")
    assert list(clip) == list(clip_d) == WNIDS
    doubled = [name for name, count in Counter(clip.values()).items() if count > 1]
    assert doubled == ["missile", "sunglasses"]
    differ = {clip_d[wnid]: clip[wnid] for wnid in WNIDS if clip[wnid] != clip_d[wnid]}
    assert differ == {"projectile": "missile", "sunglass": "sunglasses"}

    subset("r", "")(tmp_path)
    given = load_dataset("imagenet-r", tmp_path, names="clip", partial=True)
    assert given.class_names == (clip[WNIDS[4]], clip[WNIDS[900]])
    plain = load_dataset(tmp_path, names="crossalign")
    assert plain.class_names == (imagenet_names()[WNIDS[4]], imagenet_names()[WNIDS[900]])


def test_a_list_that_is_not_there_or_does_not_fit(tmp_path):
    subset("r", "")(tmp_path)
    with pytest.raises(EvaluationError, match=r"crossalign, clip, clip-d; got 'openai'"):
        load_dataset("imagenet-r", tmp_path, names="openai", partial=True)
    with pytest.raises(EvaluationError, match="lists of ImageNet's names"):
        imagenet_names("openai")
    photo(tmp_path / "hens" / "a.png")
    with pytest.raises(EvaluationError, match=r"names 'clip'.*there is none for 'hens'"):
        load_dataset(tmp_path, names="clip")


def test_files_of_names(tmp_path):
    index = {"1": ["n2", "drake"], "0": ["n1", "black_swan"], "2": ["n3", "drake"]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    names = read_names(tmp_path / "index.json")
    assert names.ordered == ("black swan", "drake", "drake")
    assert names.by_id["n3"] == "drake"
    (tmp_path / "list.json").write_text('["a", "b"]')
    assert read_names(tmp_path / "list.json").ordered == ("a", "b")
    for name, text in (("x.json", "{"), ("x.csv", "a,b\n1,2\n"), ("x.txt", ""), ("x.pkl", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(EvaluationError, match=name):
            read_names(tmp_path / name)


def test_a_file_of_descriptions_names_classes_as_it_writes_them(tmp_path):
    for name in ("black_swan", "st_bernard"):
        photo(tmp_path / "set" / name / "1.png")
    texts = {"$provenance": {"by": "hand"}, "St. Bernard": ["big"], "Black-Swan": [], "owl": ["o"]}
    file = tmp_path / "texts.json"
    file.write_text(json.dumps(texts))
    named = load_dataset(tmp_path / "set", names=file)  # whatever the order, and more than needed
    assert named.class_names == ("Black-Swan", "St. Bernard")
    (tmp_path / "set" / "empty").mkdir()
    assert load_dataset(tmp_path / "set", names=file).class_names == named.class_names
    photo(tmp_path / "set" / "hen" / "1.png")
    with pytest.raises(EvaluationError, match=r"none like 'hen' \(1 in all\)\. A \.csv file"):
        load_dataset(tmp_path / "set", names=file)
    for wrong in ({"a b": [], "A_B": []}, {"a": 1, "b": ["x"]}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(EvaluationError, match=r"texts\.json: expected class names"):
            read_names(file)


def test_shards_match_descriptions_with_their_own_names(tmp_path):
    file = tmp_path / "texts.json"
    file.write_text(json.dumps({"Owl": ["o"], "Hen": ["h"]}))
    pair = [{"png": encoded("red"), "cls": b"0"}, {"png": encoded("blue"), "cls": b"1"}]
    shard(tmp_path / "0.tar", pair)
    with pytest.raises(EvaluationError, match=r"no classnames\.txt"):
        load_dataset(tmp_path, names=file)
    write(tmp_path / "classnames.txt", "hen", "owl")
    assert load_dataset(tmp_path, names=file).class_names == ("Hen", "Owl")


def test_names_must_fit_the_classes(tmp_path):
    photo(tmp_path / "set" / "a" / "1.png")
    photo(tmp_path / "set" / "b" / "1.png")
    write(tmp_path / "names.txt", "one")
    with pytest.raises(EvaluationError, match="expected 2 class names"):
        load_dataset(tmp_path / "set", names=tmp_path / "names.txt")
    write(tmp_path / "names.csv", "folder,class_name", "b,beta", "a,alpha")
    assert load_dataset(tmp_path / "set", names=tmp_path / "names.csv").class_names == (
        "alpha",
        "beta",
    )
    write(tmp_path / "names.csv", "folder,class_name", "b,beta")
    with pytest.raises(EvaluationError, match="none for 'a'"):
        load_dataset(tmp_path / "set", names=tmp_path / "names.csv")


def test_shared_sets_are_read(shared):
    dataset = load_dataset(shared / "data" / "imagenet_val650")
    assert (len(dataset), len(dataset.class_ids)) == (650, 1000)
    with (shared / "data" / "imagenet_val650" / "classes.csv").open(newline="") as file:
        assert dataset.class_names == tuple(row["class_name"] for row in csv.DictReader(file))


def test_images_beside_the_class_folders_are_named(tmp_path):
    for name in ("cat/1.png", "dog/1.png", "3.png", ".4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    dataset = load_dataset(tmp_path)
    assert dataset.notes == (f"{tmp_path}: 1 image beside the class folders left out",)
