"""The built-in model: what it promises, that batches do not matter, and that it knows things."""

from __future__ import annotations

import csv
import hashlib
import importlib.resources
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign.encoders import (
    Encoder,
    ModelCard,
    Preprocess,
    check_options,
    list_encoders,
    load_encoder,
    register_encoder,
    registry,
)
from crossalign.encoders.builtin import IMAGE_BATCH, BuiltinEncoder
from crossalign.encoders.devices import choose_device, read_dtype
from crossalign.encoders.dual import TEXT_BATCH
from crossalign.errors import CrossalignError, EncoderError
from crossalign.images import crops
from crossalign.images.load import load_image

DIM, SIDE = 1664, 224

BUILTIN = importlib.resources.files("crossalign.encoders") / "data" / "builtin"

# Sums run in another order in another batch: a few ulp of single precision.
BATCH_TOLERANCE = 1e-6

TEXTS = [
    "a photo of a dog.",
    "",
    " ",
    "A PHOTO OF A DOG.",
    "dog",
    "a tabby cat, with a white chin and very long whiskers, asleep on a red sofa in the sun.",
    "naïve café — 東京 🙂",
    "two\nlines\tand a tab",
    "1234567890" * 5,
    " ".join(["leaf"] * 120),
    "a photo of a truck.",
    "!?.,;:",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("builtin")


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Black, white, noise and smooth colour runs, in turn."""
    rng = np.random.default_rng(seed)
    run = np.linspace(0, 1, SIDE)
    made = []
    for index in range(count):
        if index < 2:
            made.append(np.full((SIDE, SIDE, 3), 255.0 * index))
        elif index % 2:
            made.append(rng.uniform(0, 255, (SIDE, SIDE, 3)))
        else:
            across, down = rng.uniform(0, 127, (2, 3))
            made.append(run[:, None, None] * down + run[None, :, None] * across)
    return np.stack(made).astype(np.uint8)


@pytest.fixture(scope="module")
def image_pool(encoder) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and their embeddings made one at a time."""
    pixels = pictures(8)
    return pixels, np.concatenate([encoder.encode_images(one[None]) for one in pixels])


@pytest.fixture(scope="module")
def text_pool(encoder) -> np.ndarray:
    """Embeddings of TEXTS made one at a time."""
    return np.concatenate([encoder.encode_texts([text]) for text in TEXTS])


def check_rows(rows: np.ndarray, count: int) -> None:
    assert rows.shape == (count, DIM)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=0, atol=1e-5)


def assert_same(rows: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(rows, expected, rtol=0, atol=BATCH_TOLERANCE)


# ------------------------------------------------------------------------------- the model card


def test_card(encoder):
    card = encoder.card
    assert isinstance(encoder, Encoder)
    assert (card.name, card.dim, card.image_size) == ("builtin", DIM, SIDE)
    assert card.context_length == 256
    assert card.licence == "Apache-2.0"
    assert len(card.revision) >= 8
    assert encoder.preprocess.size == SIDE
    assert card.revision in repr(encoder)
    with pytest.raises(AttributeError):
        card.dim = 3


def test_shipped_files_are_those_of_the_card(encoder):
    model = json.loads((BUILTIN / "model.json").read_text(encoding="utf-8"))
    assert sorted(model["files"]) == ["image.onnx", "text.onnx", "tokenizer.json"]
    total = 0
    for name, expected in model["files"].items():
        content = (BUILTIN / name).read_bytes()
        assert len(content) == expected["bytes"], name
        assert hashlib.sha256(content).hexdigest() == expected["sha256"], name
        total += len(content)
    assert total == encoder.card.bytes
    assert sum(len(file.read_bytes()) for file in BUILTIN.iterdir()) <= 45_000_000


def test_licence_files_cover_the_weights():
    """Apache-2.0 asks for its text, and for a notice of what the weights were made from."""
    root = Path(__file__).parents[2]
    assert "Apache License" in (root / "LICENSE").read_text(encoding="utf-8")
    notice = (root / "NOTICE").read_text(encoding="utf-8")
    model = json.loads((BUILTIN / "model.json").read_text(encoding="utf-8"))
    for source in model["sources"]:
        assert source in notice


# --------------------------------------------------------------------------------------- images


def test_image_embeddings_are_unit_vectors(image_pool):
    pixels, rows = image_pool
    check_rows(rows, len(pixels))
    cosines = rows @ rows.T - np.eye(len(rows))
    assert cosines.max() < 0.999, "different pictures embed differently"


def test_no_images(encoder):
    check_rows(encoder.encode_images(np.empty((0, SIDE, SIDE, 3), np.uint8)), 0)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_images_embed_alike_in_any_batch(encoder, image_pool, chosen):
    pixels, rows = image_pool
    assert_same(encoder.encode_images(pixels[chosen]), rows[chosen])


@pytest.mark.parametrize("count", [IMAGE_BATCH - 1, IMAGE_BATCH, IMAGE_BATCH + 1])
def test_images_embed_alike_across_the_batch_size(encoder, image_pool, count):
    pixels, rows = image_pool
    chosen = np.arange(count) % len(pixels)
    result = encoder.encode_images(pixels[chosen])
    check_rows(result, count)
    assert_same(result, rows[chosen])


def test_pixels_of_any_memory_layout(encoder, image_pool):
    pixels, rows = image_pool
    assert_same(encoder.encode_images(pixels[::-1]), rows[::-1])
    assert_same(encoder.encode_images(np.asfortranarray(pixels)), rows)
    frozen = pixels[:2].copy()
    frozen.flags.writeable = False
    assert_same(encoder.encode_images(frozen), rows[:2])


def test_channels_matter(encoder):
    red = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    red[..., 0] = 200
    both = encoder.encode_images(np.concatenate([red, red[..., ::-1]]))
    assert both[0] @ both[1] < 0.99


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((1, SIDE, SIDE, 3), np.float32), "got float32"),
        (np.zeros((1, SIDE, SIDE, 3), np.int8), "got int8"),
        (np.zeros((SIDE, SIDE, 3), np.uint8), r"got uint8 of shape \(224, 224, 3\)"),
        (np.zeros((1, 3, SIDE, SIDE), np.uint8), r"of shape \(1, 3, 224, 224\)"),
        (np.zeros((1, SIDE, SIDE, 4), np.uint8), r"\(1, 224, 224, 4\)"),
        (np.zeros((1, 256, 256, 3), np.uint8), r"\(n, 224, 224, 3\)"),
        (np.zeros((0,), np.uint8), r"of shape \(0,\)"),
        ([[1, 2]], "got list"),
        (None, "NoneType"),
        (Image.new("RGB", (SIDE, SIDE)), r"preprocess.views\(image\)"),
    ],
    ids=["float", "int8", "no batch", "channels first", "alpha", "size", "flat", "list", "none",
         "picture"],
)  # fmt: skip
def test_wrong_pixels(encoder, pixels, words):
    with pytest.raises(EncoderError, match=words):
        encoder.encode_images(pixels)


# ---------------------------------------------------------------------------------------- texts


def test_text_embeddings_are_unit_vectors(text_pool):
    check_rows(text_pool, len(TEXTS))


@pytest.mark.parametrize("empty", [[], ()])
def test_no_texts(encoder, empty):
    check_rows(encoder.encode_texts(empty), 0)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=60))
def test_texts_embed_alike_in_any_company(encoder, text_pool, chosen):
    """Order, duplicates and longer partners, which bring padding, change nothing."""
    rows = encoder.encode_texts([TEXTS[index] for index in chosen])
    check_rows(rows, len(chosen))
    assert_same(rows, text_pool[chosen])


@pytest.mark.parametrize("count", [TEXT_BATCH - 1, TEXT_BATCH, TEXT_BATCH + 1, 3 * TEXT_BATCH])
def test_texts_embed_alike_across_the_batch_size(encoder, count):
    texts = [f"number {index}" + " and more" * (index * 7 % 13) for index in range(count)]
    rows = encoder.encode_texts(texts)
    check_rows(rows, count)
    for index in (0, 1, count // 2, count - 1):
        assert_same(rows[index], encoder.encode_texts([texts[index]])[0])


def test_texts_in_any_sequence(encoder, text_pool):
    assert_same(encoder.encode_texts(tuple(TEXTS)), text_pool)
    assert_same(encoder.encode_texts(np.array(TEXTS)), text_pool)


def test_long_texts_are_cut_with_a_warning(encoder):
    """256 tokens: a start, 254 of the text, an end."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting = encoder.encode_texts(["dog " * 254, "cat " * 254])
    with pytest.warns(UserWarning, match="2 of 3 texts are longer than 256 tokens") as caught:
        cut = encoder.encode_texts(["dog " * 254 + "truck", "fish", "cat " * 900])
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert_same(cut[[0, 2]], fitting)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ("a photo of a dog.", "expected a list of texts; got str. Put a text in a list"),
        (b"dog", "got bytes"),
        ([b"dog"], "expected a list of texts"),
        (["dog", None], "expected a list of texts"),
        ([1], "expected a list of texts"),
        ([["dog"]], "expected a list of texts"),
        (np.zeros(3), "number 0 is float64"),
    ],
)
def test_wrong_texts(encoder, texts, words):
    with pytest.raises(EncoderError, match=words):
        encoder.encode_texts(texts)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("a photo of a dog.", "a photo of a puppy.", "a photo of a truck."),
        ("a photo of a car.", "a photo of an automobile.", "a photo of a banana."),
        ("a photo of a kitten.", "a photo of a cat.", "a photo of a violin."),
        ("a photo of a violin.", "a photo of a cello.", "a photo of a goldfish."),
        ("a photo of an airliner.", "a photo of an aeroplane.", "a photo of a mushroom."),
        ("a photo of a daisy.", "a photo of a flower.", "a photo of a laptop."),
        ("a photo of a pizza.", "a photo of food on a plate.", "a photo of a bicycle."),
        ("a large grey animal with a trunk", "a photo of an elephant.", "a photo of a teapot."),
    ],
)
def test_like_meanings_lie_close(encoder, text, near, far):
    rows = encoder.encode_texts([text, near, far])
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


# -------------------------------------------------------------------------------------- threads


def test_two_threads_give_the_same_as_one(image_pool, text_pool):
    """A fresh encoder, so that both also race to open the towers."""
    pixels, rows = image_pool
    fresh = BuiltinEncoder()

    def work(turn: int) -> tuple[np.ndarray, np.ndarray]:
        if turn % 2:
            return fresh.encode_images(pixels), fresh.encode_texts(TEXTS)
        texts = fresh.encode_texts(TEXTS)
        return fresh.encode_images(pixels), texts

    with ThreadPoolExecutor(2) as pool:
        for images, texts in pool.map(work, range(6)):
            assert_same(images, rows)
            assert_same(texts, text_pool)


def test_number_of_threads_changes_nothing(image_pool, text_pool):
    single = load_encoder("builtin", threads=1)
    assert "threads=1" in repr(single)
    assert_same(single.encode_images(image_pool[0]), image_pool[1])
    assert_same(single.encode_texts(TEXTS), text_pool)


@pytest.mark.parametrize("threads", [0, -2])
def test_wrong_threads(threads):
    with pytest.raises(EncoderError, match=f"from 1 up; got {threads}"):
        load_encoder("builtin", threads=threads)


# ------------------------------------------------------------------------------------- registry


class Stub:
    """The smallest encoder: four members and no base class."""

    card = ModelCard("stub", "1", 4, 8, 16, "MIT", 0)
    preprocess = Preprocess(size=8)

    def encode_images(self, pixels):
        return np.eye(1, 4, dtype=np.float32).repeat(len(pixels), 0)

    def encode_texts(self, texts):
        return np.eye(1, 4, dtype=np.float32).repeat(len(texts), 0)


@pytest.fixture
def schemes(monkeypatch) -> dict:
    """A copy of the registered families, so that a test leaves nothing behind."""
    copy = dict(registry._SCHEMES)
    monkeypatch.setattr(registry, "_SCHEMES", copy)
    return copy


def test_list_encoders_begins_with_the_builtin(encoder):
    assert list_encoders()[0] == encoder.card


def test_an_encoder_is_given_back_as_it_is(encoder):
    stub = Stub()
    assert load_encoder(stub) is stub
    assert load_encoder(encoder) is encoder


@pytest.mark.parametrize("name", ["clip", "", ":", "Builtin", " builtin", "onnx2:somewhere/model"])
def test_unknown_names_list_the_known(schemes, name):
    register_encoder("mine", lambda rest: Stub(), usage="mine:<folder>")
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    message = str(caught.value)
    assert f"unknown encoder {name!r}" in message
    assert "Known: builtin" in message
    assert "mine:<folder>" in message
    assert isinstance(caught.value, CrossalignError)


def test_there_is_one_builtin():
    with pytest.raises(EncoderError, match=r"one built-in model.*'builtin:large'"):
        load_encoder("builtin:large")


@pytest.mark.parametrize("thing", [None, 3, object(), [], Stub.card])
def test_wrong_objects(thing):
    with pytest.raises(EncoderError, match=f"encode_texts; got {type(thing).__name__}"):
        load_encoder(thing)


def test_register_encoder_round_trip(schemes):
    calls = []

    def loader(rest, **options):
        calls.append((rest, options))
        return Stub()

    register_encoder("my-stub_2", loader)
    assert load_encoder("my-stub_2:a/b:c", speed=3).card == Stub.card
    assert load_encoder("my-stub_2").card == Stub.card
    assert calls == [("a/b:c", {"speed": 3}), ("", {})]
    assert schemes["my-stub_2"].usage == "my-stub_2:<name>"


def test_register_encoder_by_place(schemes):
    register_encoder("again", "crossalign.encoders.builtin:load")
    assert load_encoder("again", threads=1).card.name == "builtin"


@pytest.mark.parametrize("option", ["dtype", "device", "runtime", "engine", "revision"])
def test_options_that_an_encoder_does_not_take(option):
    words = f"builtin knows no option {option}; its options: threads"
    for function in (load_encoder, check_options):
        with pytest.raises(EncoderError, match=words):
            function("builtin", **{option: "auto"})
        function("builtin", **{option: None})


def test_options_are_checked_before_anything_is_loaded():
    given = {"dtype": "half", "device": None, "revision": "main"}
    assert check_options("hf:nobody/nothing", **given) == {"dtype": "half", "revision": "main"}
    with pytest.raises(EncoderError, match=r"unknown encoder 'onxx:x'\. Did you mean 'onnx'"):
        check_options("onxx:x")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (None, None),
        ("auto", "auto"),
        *((word, "fp32") for word in ("fp32", "float32", "float", "single", "torch.float32")),
        *((word, "fp16") for word in ("fp16", "float16", "half", "FP16")),
        *((word, "bf16") for word in ("bf16", "bfloat16")),
        ("int8", "int8"),
    ],
)
def test_words_for_precisions(word, expected):
    assert read_dtype(word, ["fp32", "fp16", "bf16", "int8"]) == expected


@pytest.mark.parametrize(
    ("word", "gpus", "expected"),
    [
        (None, ["cuda:0"], "cpu"),
        ("auto", ["cuda:0", "cuda:1"], "cuda:0"),
        ("auto", ["mps"], "mps"),
        ("auto", [], "cpu"),
        ("gpu", ["mps"], "mps"),
        ("cuda", ["cuda:0", "cuda:1"], "cuda:0"),
        ("cuda:1", ["cuda:0", "cuda:1"], "cuda:1"),
        ("cuda:1", ["cuda"], "cuda:1"),
    ],
)
def test_words_for_devices(word, gpus, expected):
    assert choose_device(word, gpus, "") == expected


@pytest.mark.parametrize("word", ["cuda", "cuda:7", "mps", "gpu"])
def test_a_gpu_that_is_not_there(word):
    gpus = ["cuda:0"] if word == "cuda:7" else []
    with pytest.warns(UserWarning, match=f"'{word}' was asked for, but nothing is here") as caught:
        assert choose_device(word, gpus, "nothing is here") == "cpu"
    assert caught[0].filename == __file__


def test_registering_left_nothing_behind():
    assert not {"mine", "my-stub_2", "again"} & set(registry._SCHEMES)


def test_a_scheme_is_registered_once(schemes):
    register_encoder("mine", lambda rest: Stub())
    for taken in ("mine", "builtin"):
        with pytest.raises(EncoderError, match=f"'{taken}' is taken"):
            register_encoder(taken, lambda rest: Stub())


@pytest.mark.parametrize("scheme", ["", "-", "a:b", "a b", "a/b", "a.b"])
def test_wrong_schemes(schemes, scheme):
    with pytest.raises(EncoderError, match="letters, digits"):
        register_encoder(scheme, lambda rest: Stub())


# ----------------------------------------------------------------------------------- Preprocess


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "size must be at least 1 pixel, got 0"),
        ({"size": -5}, "got -5"),
        ({"size": 8, "resample": "cubic"}, "nearest, bilinear, bicubic, lanczos, got 'cubic'"),
        ({"size": 8, "fit": "pad"}, "fit must be one of crop, squash, got 'pad'"),
        ({"size": 8, "mean": (0.5, 0.5)}, "3 values"),
        ({"size": 8, "std": (1.0, 1.0, 1.0, 1.0)}, "3 values"),
        ({"size": 8, "std": (1.0, 0.0, 1.0)}, "std > 0"),
        ({"size": 8, "std": (1.0, -1.0, 1.0)}, "std > 0"),
    ],
)
def test_wrong_preprocessing(options, words):
    with pytest.raises(EncoderError, match=words):
        Preprocess(**options)


def test_wrong_preprocessing_names_every_problem():
    with pytest.raises(EncoderError, match=r"size.*; resample.*; fit.*; mean"):
        Preprocess(size=0, resample="x", fit="y", std=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_views_are_the_whole_image_and_its_crops(fit, resample):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    boxes = crops.boxes(crops.CropSpec(count=5), image.size, b"x")
    views = Preprocess(size=16, fit=fit, resample=resample).views(image, boxes)
    assert views.shape == (6, 16, 16, 3)
    assert views.dtype == np.uint8
    np.testing.assert_array_equal(views[0], crops.whole(image, 16, fit, resample))
    np.testing.assert_array_equal(views[1:], crops.cut(image, boxes, 16, resample))


@pytest.mark.parametrize("none", [None, [], np.empty((0, 4), np.int64)])
def test_views_without_crops(none):
    image = Image.new("RGB", (50, 30), "red")
    assert Preprocess(size=16).views(image, none).shape == (1, 16, 16, 3)


def test_mean_and_std_stand_for_what_the_graph_does(encoder):
    """(pixel - 127) / 128 on levels 0 to 255 is (share - mean) / std on shares 0 to 1."""
    level = np.array([0, 127, 255])
    made = (level[:, None] / 255 - encoder.preprocess.mean) / encoder.preprocess.std
    np.testing.assert_allclose(made, np.repeat((level[:, None] - 127) / 128, 3, axis=1), atol=1e-12)


# ------------------------------------------------------ accuracy on real photos, label prompts only

# Top-1 among all classes of the set, the whole image against "a photo of a {}.". Measured 0.809,
# 0.600, 0.857, 0.215 and 0.292; the least is one to four points lower, since another processor may
# move a picture that stands between two classes.
LEAST_ACCURACY = {
    "imagenet_val650": 0.79,
    "pets37": 0.58,
    "pacs_photo": 0.82,
    "grocery43": 0.18,
    "dtd10": 0.27,
}


class LabelledPhotos:
    """A set of photos and its classes, encoded once."""

    def __init__(self, folder, encoder):
        self.name = folder.name
        with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        places = {row["folder"]: place for place, row in enumerate(rows)}
        files = sorted(folder.glob("*/*.jpg"))
        assert files, f"no photos under {folder}"
        self.truth = np.array([places[file.parent.name] for file in files])
        self.classes = encoder.encode_texts([f"a photo of a {row['class_name']}." for row in rows])
        self.images = np.concatenate(
            [
                encoder.encode_images(
                    np.concatenate(
                        [encoder.preprocess.views(load_image(file)) for file in files[start:][:32]]
                    )
                )
                for start in range(0, len(files), 32)
            ]
        )


@pytest.fixture(scope="module", params=LEAST_ACCURACY)
def photos(request, shared, encoder) -> LabelledPhotos:
    return LabelledPhotos(shared / "data" / request.param, encoder)


def test_photos_embed_to_unit_vectors(photos):
    check_rows(photos.images, len(photos.truth))


def test_accuracy_on_photos(photos):
    top = (photos.images @ photos.classes.T).argmax(axis=1)
    accuracy = (top == photos.truth).mean()
    assert accuracy >= LEAST_ACCURACY[photos.name], f"{photos.name}: {accuracy:.4f}"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (None, "got NoneType"),
        (5, "got int"),
        (["dog", None], "number 1 is NoneType"),
        (["dog", "\ud800"], "half a character"),
    ],
)
def test_texts_that_are_none(encoder, texts, words):
    with pytest.raises(EncoderError, match=words):
        encoder.encode_texts(texts)


def test_special_tokens_in_a_text_are_text(encoder):
    plain, padded = encoder.encode_texts(["a dog", "a [PAD] dog"])
    alone = encoder.encode_texts(["a [PAD] dog"])[0]
    assert_same(padded, alone)
    assert not np.allclose(plain, padded, atol=1e-3)


def test_a_class_of_encoders_is_no_encoder():
    with pytest.raises(EncoderError, match="got type"):
        load_encoder(BuiltinEncoder)
