"""One image, one answer: however it comes in, in whatever company, order, batch or thread."""

from __future__ import annotations

import dataclasses
import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import (
    METHODS,
    Classifier,
    CropError,
    CropSpec,
    DescriptionError,
    DescriptionSet,
    EncoderError,
    ImageError,
    MethodError,
    Prediction,
    StoreError,
    ZeroShotClassifier,
    load_encoder,
)
from crossalign.alignment import FORMS
from crossalign.engine.stream import encode_stream
from crossalign.images.examples import photo_folder
from crossalign.texts.everyday import everyday_classes

COLOURS = {
    "red": ["a red thing", "something red as a rose", "red all over"],
    "green": ["a green thing", "green as grass"],
    "blue": ["a blue thing", "blue as the sky", "blue all over", "a thing of the deep blue sea"],
}
BATCHES = [1, 7, 32, 1000]
WORKERS = [1, 2, 4]


@pytest.fixture(scope="module")
def pictures(picture: Callable[..., Image.Image]) -> list[Image.Image]:
    return [picture(("red", "green", "blue")[n % 3], n) for n in range(13)]


@pytest.fixture(scope="module")
def builtin() -> Any:
    return load_encoder("builtin")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real photos, upright and wide, colour and grey, and small enough to decode quickly."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for name in ("chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "page.png"):
        photo = Image.open(photo_folder() / name)
        photo.thumbnail((320, 320))
        paths.append(folder / f"{Path(name).stem}.png")
        photo.save(paths[-1])
    return paths


def saved(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def outcome(prediction: Prediction) -> tuple[Any, ...]:
    """Everything a prediction says, comparable exactly."""
    scores = None if prediction.scores is None else prediction.scores.tolist()
    return prediction.label, prediction.score, scores, prediction.error


@pytest.fixture(scope="module")
def photo_classes() -> DescriptionSet:
    names = ["dog", "cat", "rabbit", "cup of coffee", "bowl of soup", "rocket", "photographer"]
    return everyday_classes().subset(names)


# ------------------------------------------------------------------------ order, batches, workers


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("method", ["clip", "wca"])
def test_batches_workers_and_order_change_nothing(
    make_encoder: Any, pictures: list[Image.Image], method: str, workers: int, batch_size: int
) -> None:
    encoder = make_encoder()
    alone = Classifier(COLOURS, encoder=encoder, method=method, crops=9)
    expected = [outcome(alone(image)) for image in pictures]
    classifier = Classifier(
        COLOURS, encoder=encoder, method=method, crops=9, batch_size=batch_size, workers=workers
    )
    assert [outcome(p) for p in classifier.predict(pictures)] == expected
    order = np.random.default_rng(batch_size + workers).permutation(len(pictures)).tolist()
    shuffled = classifier.predict(pictures[n] for n in order)
    assert [outcome(p) for p in shuffled] == [expected[n] for n in order]


def test_the_fake_model_sees_colours(encoder: Any, pictures: list[Image.Image]) -> None:
    predictions = list(Classifier(COLOURS, encoder=encoder, crops=9).predict(pictures))
    assert [p.label for p in predictions] == [("red", "green", "blue")[n % 3] for n in range(13)]


@pytest.mark.parametrize(
    ("batch_size", "workers", "reverse"), [(7, 1, False), (32, 2, True), (1000, 4, False)]
)
def test_builtin_model_on_photos_whatever_the_batch(
    builtin: Any,
    photos: list[Path],
    photo_classes: DescriptionSet,
    batch_size: int,
    workers: int,
    reverse: bool,
) -> None:
    one_by_one = Classifier(photo_classes, encoder=builtin, crops=5, batch_size=1, workers=1)
    expected = list(one_by_one.predict(photos))
    assert [p.label for p in expected][:3] == ["cat", "cup of coffee", "rocket"]
    classifier = Classifier(
        photo_classes, encoder=builtin, crops=5, batch_size=batch_size, workers=workers
    )
    order = photos[::-1] if reverse else photos
    got = {p.image: p for p in classifier.predict(order)}
    for wanted in expected:
        assert got[wanted.image].label == wanted.label
        # The kernels of another batch size add up in another order.
        np.testing.assert_allclose(got[wanted.image].scores, wanted.scores, atol=1e-6, rtol=0)


def test_builtin_model_on_generated_pictures(builtin: Any, pictures: list[Image.Image]) -> None:
    classes = ["a red wall", "a green field", "a blue sky"]
    first = list(Classifier(classes, encoder=builtin, crops=3, batch_size=1).predict(pictures))
    second = list(Classifier(classes, encoder=builtin, crops=3, batch_size=32).predict(pictures))
    for one, other in zip(first, second, strict=True):
        assert one.label == other.label
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6, rtol=0)


def test_a_second_classifier_gives_the_same_answer(
    make_encoder: Any, pictures: list[Image.Image]
) -> None:
    first, second = (
        [outcome(p) for p in Classifier(COLOURS, encoder=make_encoder()).predict(pictures)]
        for _ in range(2)
    )
    assert first == second


# ------------------------------------------------------------------------------ kinds of sources


def as_sources(image: Image.Image, folder: Path) -> dict[str, Any]:
    png, bmp = folder / "x.png", folder / "another name.bmp"
    png.write_bytes(saved(image, "PNG"))
    bmp.write_bytes(saved(image, "BMP"))
    return {
        "path": png,
        "string": str(png),
        "BMP": bmp,
        "bytes": png.read_bytes(),
        "bytearray": bytearray(bmp.read_bytes()),
        "open file": io.BytesIO(png.read_bytes()),
        "PIL image": image,
        "array": np.asarray(image),
        "TIFF": saved(image, "TIFF"),
        "RGBA": image.convert("RGBA"),
    }


def test_the_form_of_an_image_makes_no_difference(
    encoder: Any, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=20)
    image = picture("green", 3)
    expected = outcome(classifier(image))
    sources = as_sources(image, tmp_path)
    for kind, source in sources.items():
        assert outcome(classifier(source)) == expected, kind
    sources["open file"].seek(0)
    streamed = classifier.predict(sources.values())
    assert [outcome(p) for p in streamed] == [expected] * len(sources)


def test_the_form_of_an_image_makes_no_difference_to_the_builtin_model(
    builtin: Any, photos: list[Path], tmp_path: Path
) -> None:
    classifier = Classifier(["cat", "dog", "rabbit"], encoder=builtin, crops=3)
    sources = as_sources(Image.open(photos[0]).convert("RGB"), tmp_path)
    expected = outcome(classifier(photos[0]))
    assert expected[0] == "cat"
    for kind, source in sources.items():
        assert outcome(classifier(source)) == expected, kind


def test_a_list_gives_a_list(encoder: Any, pictures: list[Image.Image]) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=4)
    single = [outcome(classifier(image)) for image in pictures[:3]]
    assert [outcome(p) for p in classifier(pictures[:3])] == single
    assert [outcome(p) for p in classifier(tuple(pictures[:3]))] == single
    assert classifier([]) == []


# ------------------------------------------------------------------------------- seeds and crops


def boxes(classifier: Classifier, image: Any) -> list[list[int]]:
    return classifier(image).explain().boxes.tolist()


def test_the_seed_decides_the_crops(encoder: Any, picture: Callable[..., Image.Image]) -> None:
    image = picture("red", 5)
    plain, zero, again, other = (
        boxes(Classifier(COLOURS, encoder=encoder, crops=8, **seed), image)
        for seed in ({}, {"seed": 0}, {"seed": 0}, {"seed": 1})
    )
    assert plain == zero == again
    assert zero != other
    assert boxes(Classifier(COLOURS, encoder=encoder, crops=8), picture("red", 6)) != zero


def test_the_seed_decides_random_words(encoder: Any) -> None:
    def words(**seed: int) -> Any:
        return Classifier(["red", "blue"], encoder=encoder, method="waffle", **seed).texts

    assert words() == words(seed=0) != words(seed=1)


@pytest.mark.parametrize(
    "spec",
    [
        CropSpec(count=3, seed=7),
        CropSpec(count=6, kind="grid"),
        CropSpec(count=4, side=(0.2, 0.3)),
        CropSpec.published(5),
    ],
)
def test_a_crop_spec_is_taken_as_it_is(
    encoder: Any, picture: Callable[..., Image.Image], spec: CropSpec
) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=spec)
    assert classifier.method.crops == spec
    image = picture("blue", 2)
    found = np.array(boxes(classifier, image))
    assert found.shape == (spec.count, 4)
    sides = found[:, 2] - found[:, 0]
    short = min(image.size)
    assert sides.tolist() == (found[:, 3] - found[:, 1]).tolist()
    assert sides.min() >= int(spec.side[0] * short)
    assert sides.max() <= spec.side[1] * short
    assert encoder.image_batches == [1 + spec.count]


def test_a_number_of_crops_keeps_the_methods_other_settings(encoder: Any) -> None:
    method = dataclasses.replace(METHODS["wca"], crops=CropSpec(count=9, side=(0.2, 0.4), seed=3))
    assert Classifier(COLOURS, encoder=encoder, method=method).method.crops == method.crops
    for changes in ({"crops": 5}, {"seed": 4}, {"crops": 5, "seed": 4}):
        spec = Classifier(COLOURS, encoder=encoder, method=method, **changes).method.crops
        assert spec == CropSpec(
            count=changes.get("crops", 9), side=(0.2, 0.4), seed=changes.get("seed", 3)
        )


def test_two_seeds_must_agree(encoder: Any) -> None:
    spec = CropSpec(count=2, seed=5)
    assert Classifier(COLOURS, encoder=encoder, crops=spec, seed=5).method.crops == spec
    with pytest.raises(CropError, match=r"two seeds: 6 and 5"):
        Classifier(COLOURS, encoder=encoder, crops=spec, seed=6)


@pytest.mark.parametrize("method", ["clip", "clip-e", "clip-d", "waffle", "cupl"])
def test_whole_image_methods_ignore_crops(
    make_encoder: Any, pictures: list[Image.Image], method: str
) -> None:
    encoder = make_encoder()
    plain = Classifier(COLOURS, encoder=encoder, method=method)
    assert plain.method.crops is None
    expected = [outcome(p) for p in plain.predict(pictures)]
    assert sum(encoder.image_batches) == len(pictures)
    for crops in (5, CropSpec(count=5)):
        classifier = Classifier(COLOURS, encoder=encoder, method=method, crops=crops)
        assert classifier.method.crops is None
        assert [outcome(p) for p in classifier.predict(pictures)] == expected


# ------------------------------------------------------------------------------- the class side


def test_every_different_text_is_encoded_once(encoder: Any, pictures: list[Image.Image]) -> None:
    classes = {
        "red": ["a thing", "a red thing", "a thing"],  # within a class
        "green": ["a thing", "a photo of a green."],  # between classes, and with the label prompt
    }
    classifier = Classifier(classes, encoder=encoder, crops=2)
    assert encoder.text_calls == [], "nothing is encoded before it is needed"
    list(classifier.predict(pictures))
    classifier(pictures[0]).explain("green")
    list(classifier.predict(pictures))
    encoded = [text for call in encoder.text_calls for text in call]
    assert sorted(encoded) == [
        "a photo of a green.",
        "a photo of a red.",
        "a red thing",
        "a thing",
    ]


def test_repeated_texts_still_count_as_often_as_they_stand(encoder: Any) -> None:
    image = Image.new("RGB", (20, 20), "red")
    twice = Classifier({"red": ["x", "x", "y"]}, encoder=encoder, crops=1)
    once = Classifier({"red": ["x", "y"]}, encoder=encoder, crops=1)
    assert twice.texts == (("x", "x", "y"),)
    assert twice(image).explain().terms.shape == (1, 3)
    assert abs(twice(image).score - once(image).score) > 1e-6


def test_prepare_is_done_once_and_tells_how_far_it_is(encoder: Any) -> None:
    mapping = {f"class {n}": [f"text {n} {m}" for m in range(4)] for n in range(200)}
    classes = DescriptionSet.of(mapping)
    classifier = Classifier(classes, encoder=encoder)
    steps: list[tuple[int, int]] = []
    side = classifier.prepare(lambda done, total: steps.append((done, total)))
    assert steps[0] == (0, 1000)
    assert steps[-1] == (1000, 1000)
    assert len(steps) > 2
    assert steps == sorted(steps)
    assert sum(len(call) for call in encoder.text_calls) == 1000
    calls = len(encoder.text_calls)
    assert classifier.prepare(lambda *_: pytest.fail("there is nothing left to do")) is side
    assert len(encoder.text_calls) == calls
    assert side.labels.shape == (200, 16)
    assert side.descriptions.shape == (800, 16)
    assert side.vectors.shape == (200, 16)
    assert side.offsets.tolist() == list(range(0, 801, 4))
    expected = encoder.encode_texts([text for group in classifier.texts for text in group])
    assert (side.descriptions == expected).all()


def test_properties_and_repr(encoder: Any) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=7)
    assert classifier.classes == ("red", "green", "blue")
    assert classifier.descriptions.to_dict() == COLOURS
    assert classifier.texts == tuple(map(tuple, COLOURS.values()))
    assert classifier.encoder is encoder
    assert classifier.method.name == "wca"
    assert repr(classifier) == "Classifier(3 classes, descriptions; fake; wca, 7 random crops)"
    whole = Classifier(["red", "blue"], encoder=encoder, method="clip")
    assert repr(whole) == "Classifier(2 classes, label prompt; fake; clip, whole image)"


# -------------------------------------------------------------------------------------- batching


def test_batches_are_full_across_images(encoder: Any, pictures: list[Image.Image]) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=10, batch_size=16)
    assert len(list(classifier.predict(pictures))) == 13
    assert encoder.image_batches == [16] * 8 + [15], "13 images of 11 views are 143"


@pytest.mark.parametrize("workers", WORKERS)
def test_a_generator_is_read_only_a_little_ahead(
    encoder: Any, picture: Callable[..., Image.Image], workers: int
) -> None:
    read = 0

    def source() -> Iterator[Image.Image]:
        nonlocal read
        for number in range(200):
            read += 1
            yield picture("red", number)

    classifier = Classifier(COLOURS, encoder=encoder, crops=60, batch_size=32, workers=workers)
    for given, _ in enumerate(classifier.predict(source())):
        assert read - given <= 2 * workers + 3  # being opened, two batches, and the one in hand
    assert read == 200


def test_predictions_of_a_stream_hold_no_embeddings_and_no_pixels(make_encoder: Any) -> None:
    classifier = Classifier(COLOURS, encoder=make_encoder(), crops=60)
    pixels = np.zeros((200, 200, 3), np.uint8)  # 120 kB each
    list(classifier.predict([pixels]))
    tracemalloc.start()
    try:
        kept = list(classifier.predict(pixels + np.uint8(n) for n in range(60)))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 60
    assert size / 60 < 6000, "boxes are 2 kB, embeddings would be 4 kB more, pixels 120 kB"
    evidence = kept[0]._evidence
    assert evidence.views is None
    assert evidence.source is None


def test_evidence_is_kept_where_it_is_asked_for(encoder: Any, pictures: list[Image.Image]) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=6)
    streamed = list(classifier.predict(pictures[:2], keep_evidence=True))
    calls = len(encoder.image_batches)
    for prediction in [*streamed, classifier(pictures[0])]:
        assert prediction._evidence.views.shape == (7, 16)
    for prediction in streamed:
        prediction.explain()
    assert len(encoder.image_batches) == calls + 1, "explaining encodes nothing"


# ------------------------------------------------------------------------------------ bad images

BAD_IMAGES = [
    b"",
    b"<html>not found</html>",
    "nowhere/at all.png",
    np.zeros((3, 3, 7), np.uint8),
    5,
]


@pytest.mark.parametrize("at", [[0], [6], [12], [0, 1, 12], list(range(13))])
@pytest.mark.parametrize("method", ["clip", "wca"])
def test_a_bad_image_in_a_stream_keeps_its_place(
    encoder: Any, pictures: list[Image.Image], at: list[int], method: str
) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, method=method, crops=5, batch_size=8)
    expected = [outcome(p) for p in classifier.predict(pictures)]
    mixed = [BAD_IMAGES[n % 5] if n in at else image for n, image in enumerate(pictures)]
    predictions = list(classifier.predict(mixed))
    assert len(predictions) == len(pictures)
    for number, prediction in enumerate(predictions):
        if number not in at:
            assert outcome(prediction) == expected[number]
            continue
        assert prediction.error
        assert prediction.label is None
        assert prediction.score is None
        assert prediction.scores is None
        assert prediction.margin is None
        assert prediction.ranked() == []
        assert prediction.classes == ("red", "green", "blue")
        with pytest.raises(ImageError):
            prediction.explain()
        with pytest.raises(ImageError):
            prediction.explain("red")


@pytest.mark.parametrize("bad", BAD_IMAGES, ids=repr)
def test_a_single_bad_image_is_an_error(encoder: Any, bad: Any) -> None:
    classifier = Classifier(COLOURS, encoder=encoder)
    with pytest.raises(ImageError) as caught:
        classifier(bad)
    (in_a_list,) = classifier([bad])
    assert in_a_list.error == str(caught.value)


def test_max_pixels(encoder: Any) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=2, max_pixels=400)
    assert classifier(Image.new("RGB", (20, 20), "red")).label == "red"
    with pytest.raises(ImageError, match="at most 400 pixels"):
        classifier(Image.new("RGB", (20, 21), "red"))


@pytest.mark.parametrize(
    "image",
    [
        "photo.jpg",
        Path("photo.jpg"),
        b"bytes",
        bytearray(b"b"),
        Image.new("RGB", (2, 2)),
        np.zeros((2, 2)),
    ],
    ids=lambda image: type(image).__name__,
)
def test_a_single_image_is_not_a_stream(encoder: Any, image: Any) -> None:
    with pytest.raises(ImageError, match="expected several images"):
        Classifier(COLOURS, encoder=encoder).predict(image)
    assert encoder.text_calls == []


@pytest.mark.parametrize("nothing", [[], (), iter([]), {}, (x for x in ())])
def test_no_images_no_predictions(encoder: Any, nothing: Any) -> None:
    assert list(Classifier(COLOURS, encoder=encoder).predict(nothing)) == []
    assert encoder.image_batches == []


def test_the_callers_own_iterator_may_raise(encoder: Any, pictures: list[Image.Image]) -> None:
    def source() -> Iterator[Image.Image]:
        yield from pictures
        raise LookupError("no such table")

    given = []
    with pytest.raises(LookupError, match="no such table"):
        given.extend(Classifier(COLOURS, encoder=encoder, crops=40).predict(source()))


def test_the_encoder_may_raise_and_the_classifier_stays_usable(
    make_encoder: Any, pictures: list[Image.Image]
) -> None:
    encoder = make_encoder(fail_on_call=3, failure=RuntimeError("out of device memory"))
    classifier = Classifier(COLOURS, encoder=encoder, crops=9, batch_size=16, workers=2)
    with pytest.raises(RuntimeError, match="out of device memory"):
        list(classifier.predict(pictures))
    assert not [t for t in threading.enumerate() if t.name.startswith("crossalign")]
    expected = Classifier(COLOURS, encoder=make_encoder(), crops=9).predict(pictures)
    got = classifier.predict(pictures)
    assert [outcome(p) for p in got] == [outcome(p) for p in expected]


def test_threads_end_with_a_call_whoever_holds_its_stream(
    encoder: Any, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = []  # so that nothing is left to garbage collection

    def held(*arguments: Any, **settings: Any) -> Any:
        streams.append(encode_stream(*arguments, **settings))
        return streams[-1]

    def assert_no_threads() -> None:
        assert not [t for t in threading.enumerate() if t.name.startswith("crossalign")]

    monkeypatch.setattr("crossalign.classifier.encode_stream", held)
    classifier = Classifier(COLOURS, encoder=encoder, crops=5)
    pipeline = classifier.to_pipeline()
    classifier(pictures[0])
    assert_no_threads()
    with pytest.raises(ImageError) as caught:
        classifier(b"no picture")
    assert_no_threads()
    path = tmp_path / "picture.png"
    pictures[0].save(path)
    (prediction,) = classifier.predict([path])
    prediction.explain()
    assert_no_threads()
    predictions = classifier.predict(pictures * 20)
    next(predictions)
    predictions.close()
    assert_no_threads()
    pipeline(pictures[0])
    assert_no_threads()
    with pytest.raises(ImageError) as caught:
        pipeline([pictures[0], b"no picture", *pictures * 20])
    assert_no_threads()
    model = ZeroShotClassifier(COLOURS, encoder=encoder, crops=5).fit()
    with pytest.raises(ImageError) as caught:
        model.predict([pictures[0], b"no picture", *pictures * 20])
    assert_no_threads()
    assert len(streams) == 8
    assert caught.traceback  # whose frames hold the streams


def test_class_texts_may_fail_to_encode_and_be_tried_again(
    encoder: Any, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=2)
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode_texts", lambda texts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            classifier(pictures[0])
    assert classifier(pictures[0]).label == "red"


def test_two_threads_at_once(make_encoder: Any, pictures: list[Image.Image]) -> None:
    alone = Classifier(COLOURS, encoder=make_encoder(), crops=7)
    expected = [outcome(p) for p in alone.predict(pictures)]
    encoder = make_encoder()
    shared = Classifier(COLOURS, encoder=encoder, crops=7, workers=2)
    start = threading.Barrier(6, timeout=10)

    def job(number: int) -> list[tuple[Any, ...]]:
        start.wait()
        if number % 2:
            return [outcome(shared(image)) for image in pictures]
        return [outcome(p) for p in shared.predict(pictures)]

    with ThreadPoolExecutor(6) as pool:
        for got in pool.map(job, range(6)):
            assert got == expected
    texts = [text for call in encoder.text_calls for text in call]
    assert len(texts) == len(set(texts)), "the classes were encoded once"


def test_two_threads_at_once_with_the_builtin_model(photos: list[Path]) -> None:
    classifier = Classifier(["cat", "cup of coffee", "rocket", "man"], crops=2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(classifier, [photos[:3], photos[2::-1]])
    assert [p.label for p in first] == ["cat", "cup of coffee", "rocket"]
    for one, other in zip(first, second[::-1], strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6, rtol=0)


# ---------------------------------------------------------------------------------- explanations


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", METHODS)
def test_terms_add_up_to_the_score(
    encoder: Any, picture: Callable[..., Image.Image], name: str, form: Any
) -> None:
    method = dataclasses.replace(METHODS[name], form=form)
    image = picture("green", 8)
    prediction = Classifier(COLOURS, encoder=encoder, method=method)(image)
    for number, label in enumerate(prediction.classes):
        explanation = prediction.explain(label)
        assert explanation.label == label
        assert explanation.score == pytest.approx(float(prediction.scores[number]), abs=0)
        assert float(explanation.terms.sum()) == pytest.approx(explanation.score, abs=1e-6)
        count, texts = len(explanation.boxes), len(explanation.descriptions)
        assert explanation.terms.shape == explanation.similarity.shape == (count, texts)
        assert count == (1 if method.crops is None else method.crops.count)
        assert explanation.crop_weights.shape == (count,)
        assert explanation.description_weights.shape == (texts,)
        for weights in (explanation.crop_weights, explanation.description_weights):
            assert (weights >= 0).all()  # top-k leaves crops out
            assert float(weights.sum()) == pytest.approx(1.0, abs=1e-6)
        assert explanation.by_crop.shape == (count,)
        assert explanation.by_description.shape == (texts,)
        assert float(explanation.by_crop.sum()) == pytest.approx(explanation.score, abs=1e-6)
        assert float(explanation.by_description.sum()) == pytest.approx(explanation.score, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_terms_add_up_to_the_score_with_the_builtin_model(
    builtin: Any, photos: list[Path], photo_classes: DescriptionSet, form: Any
) -> None:
    method = dataclasses.replace(METHODS["wca"], form=form)
    prediction = Classifier(photo_classes, encoder=builtin, method=method, crops=12)(photos[0])
    assert prediction.label == "cat"
    for label, score in prediction.ranked():
        explanation = prediction.explain(label)
        assert explanation.descriptions == photo_classes[label]
        assert float(explanation.terms.sum()) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.crops])
def test_whole_image_methods_have_one_box(encoder: Any, name: str) -> None:
    explanation = Classifier(COLOURS, encoder=encoder, method=name)(
        Image.new("RGB", (31, 17), "blue")
    ).explain()
    assert explanation.boxes.tolist() == [[0, 0, 31, 17]]
    assert explanation.crop_weights.tolist() == [1.0]
    assert explanation.top_crops() == [((0, 0, 31, 17), 1.0)]


def test_top_crops_and_top_descriptions_are_in_order(
    encoder: Any, picture: Callable[..., Image.Image]
) -> None:
    explanation = Classifier(COLOURS, encoder=encoder, crops=30)(picture("blue", 4)).explain()
    assert explanation.label == "blue"
    weights = [weight for _, weight in explanation.top_crops(30)]
    assert weights == sorted(explanation.crop_weights.tolist(), reverse=True)
    for box, weight in explanation.top_crops():
        assert weight == explanation.crop_weights[explanation.boxes.tolist().index(list(box))]
    assert len(explanation.top_crops()) == 5
    assert explanation.top_crops(3) == explanation.top_crops(30)[:3]
    assert len(explanation.top_crops(100)) == 30
    added = [value for _, value in explanation.top_descriptions(99)]
    assert added == sorted(explanation.by_description.tolist(), reverse=True)
    assert {text for text, _ in explanation.top_descriptions()} == set(COLOURS["blue"])
    assert explanation.top_descriptions(1) == explanation.top_descriptions()[:1]
    assert all(isinstance(value, float) for _, value in explanation.top_descriptions())
    assert repr(explanation).startswith("Explanation('<image>', 'blue', score=0.")
    assert repr(explanation).endswith("30 crops x 4 descriptions)")


def test_the_description_that_fits_adds_most(encoder: Any) -> None:
    classes = {"fire engine": ["wheels and ladders", "something red"], "lawn": ["mown", "green"]}
    prediction = Classifier(classes, encoder=encoder, crops=4)(Image.new("RGB", (30, 20), "red"))
    assert prediction.explain("fire engine").top_descriptions(1)[0][0] == "something red"


def stream_one(classifier: Classifier, source: Any) -> Prediction:
    (prediction,) = classifier.predict([source])
    return prediction


def test_explaining_after_a_stream_reads_the_image_again(
    encoder: Any, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    picture("red", 1).save(path)
    classifier = Classifier(COLOURS, encoder=encoder, crops=5)
    prediction = stream_one(classifier, path)
    at_once = classifier(path).explain()
    calls = len(encoder.image_batches)
    explanation = prediction.explain()
    assert len(encoder.image_batches) == calls + 1
    assert (explanation.terms == at_once.terms).all()
    assert (explanation.boxes == at_once.boxes).all()
    path.write_bytes(saved(picture("red", 1), "BMP"))
    assert (prediction.explain().terms == at_once.terms).all(), "the pixels are still the same"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: Image.new("RGB", (9, 9)).save(path), "has changed since it was labelled"),
        (lambda path: path.write_bytes(b"no more"), "expected an image"),
        (lambda path: path.unlink(), "no such file"),
    ],
    ids=["other pixels", "broken", "gone"],
)
def test_a_file_that_changed_since_cannot_be_explained(
    encoder: Any,
    picture: Callable[..., Image.Image],
    tmp_path: Path,
    change: Callable[[Path], object],
    message: str,
) -> None:
    path = tmp_path / "x.png"
    picture("red", 1).save(path)
    classifier = Classifier(COLOURS, encoder=encoder, crops=5)
    streamed, kept = stream_one(classifier, path), classifier(path)
    change(path)
    with pytest.raises(ImageError, match=message):
        streamed.explain()
    assert kept.explain().label == "red"


def test_without_a_path_the_evidence_must_be_kept(
    encoder: Any, picture: Callable[..., Image.Image]
) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, crops=5)
    for source in (picture(), np.asarray(picture()), saved(picture(), "PNG")):
        with pytest.raises(ImageError, match="keep_evidence=True"):
            stream_one(classifier, source).explain()
        (kept,) = classifier.predict([source], keep_evidence=True)
        assert kept.explain().label == "red"


def test_an_unknown_class_cannot_be_explained(encoder: Any, pictures: list[Image.Image]) -> None:
    prediction = Classifier(COLOURS, encoder=encoder, crops=2)(pictures[0])
    with pytest.raises(DescriptionError, match=r"one of the 3 classes.*'purple'"):
        prediction.explain("purple")
    assert prediction.explain("blue").label == "blue"


# ------------------------------------------------------------------------------ mistakes of users


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"classes": []}, DescriptionError, "at least one class"),
        ({"classes": "cat"}, DescriptionError, "sequence of class names"),
        ({"classes": ["cat", "Cat"]}, DescriptionError, "every class once"),
        ({"classes": {"cat": []}, "method": "clip-d"}, DescriptionError, "clip-d"),
        ({"method": "wcaa"}, MethodError, "Did you mean 'wca'"),
        ({"encoder": "nope"}, EncoderError, "unknown encoder 'nope'"),
        ({"encoder": 5}, EncoderError, "got int"),
        ({"crops": 0}, CropError, "count"),
        ({"crops": True}, CropError, "count"),
        ({"crops": 2.5}, CropError, "count"),
        ({"crops": 10_001}, CropError, "count"),
        ({"seed": -1}, CropError, "seed"),
        ({"seed": 2**64}, CropError, "seed"),
        ({"batch_size": 0}, MethodError, "batch_size"),
        ({"batch_size": 2.0}, MethodError, "batch_size"),
        ({"batch_size": True}, MethodError, "batch_size"),
        ({"workers": 0}, MethodError, "workers"),
        ({"workers": "2"}, MethodError, "workers"),
        ({"max_pixels": 0}, MethodError, "max_pixels"),
    ],
)
def test_mistakes_are_named_at_once(
    encoder: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    settings = {"classes": ["cat", "dog"], "encoder": encoder, **arguments}
    with pytest.raises(error, match=message):
        Classifier(settings.pop("classes"), **settings)


def test_one_class_is_enough(encoder: Any, pictures: list[Image.Image]) -> None:
    prediction = Classifier(["thing"], encoder=encoder, crops=2)(pictures[0])
    assert prediction.label == "thing"
    assert prediction.margin is None


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (400, 3)])
@pytest.mark.parametrize("method", ["clip", "wca"])
def test_images_of_any_shape(encoder: Any, size: tuple[int, int], method: str) -> None:
    classifier = Classifier(COLOURS, encoder=encoder, method=method, crops=6)
    prediction = classifier(Image.new("RGB", size, "blue"))
    assert prediction.label == "blue"
    assert prediction.explain().size == size


def test_one_image_given_as_many(encoder: Any, tmp_path: Path, picture: Any) -> None:
    picture("red", 0).save(tmp_path / "red.png")
    classifier = Classifier(["red", "green"], encoder=encoder, crops=2)
    with (tmp_path / "red.png").open("rb") as file, pytest.raises(ImageError, match="got one"):
        classifier.predict(file)
    with pytest.raises(ImageError, match="got one"):
        classifier.predict(memoryview(b"x"))


@pytest.mark.parametrize("nothing", [None, 5, object()])
def test_what_yields_no_images_is_told(encoder: Any, nothing: Any) -> None:
    with pytest.raises(ImageError, match="expected several images"):
        Classifier(["red"], encoder=encoder).predict(nothing)
    with pytest.raises(StoreError, match="expected a folder"):
        Classifier(["red"], encoder=encoder, store=5)  # type: ignore[arg-type]


def test_ranks_are_counted_from_the_best(encoder: Any, pictures: list[Image.Image]) -> None:
    prediction = Classifier(COLOURS, encoder=encoder)(pictures[0])
    assert prediction.ranked(0) == []
    assert prediction.ranked(99) == prediction.ranked()
    with pytest.raises(MethodError, match="from 0 up"):
        prediction.ranked(-1)


def test_counts_of_any_whole_kind(encoder: Any) -> None:
    Classifier(["red"], encoder=encoder, batch_size=np.int64(4), workers=np.int32(1))
    with pytest.raises(MethodError, match="batch_size as a whole number"):
        Classifier(["red"], encoder=encoder, batch_size=1.5)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------- other crops


def test_with_other_crops_the_classes_are_not_encoded_again(
    encoder: Any, make_encoder: Any, pictures: list[Image.Image]
) -> None:
    few = Classifier(COLOURS, encoder=encoder, crops=3)
    many = few.with_crops(9, seed=5)
    assert len(encoder.text_calls) == 1
    fresh = Classifier(COLOURS, encoder=make_encoder(), crops=9, seed=5)
    assert [outcome(many(image)) for image in pictures] == [
        outcome(fresh(image)) for image in pictures
    ]
    assert few(pictures[0]).explain().boxes.shape == (3, 4)  # the first is as it was
    assert many(pictures[0]).explain().boxes.shape == (9, 4)
    assert len(encoder.text_calls) == 1
    whole = Classifier(COLOURS, encoder=encoder, method="cupl")
    assert outcome(whole.with_crops(7)(pictures[0])) == outcome(whole(pictures[0]))
    with pytest.raises(CropError):
        few.with_crops(0)


# -------------------------------------------------------------------------------- other classes

DRINKS = ["cup of coffee", "dog", "glass of water"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"crops": "auto"}, id="adaptive"),
        pytest.param({"bank": False}, id="no bank"),
        pytest.param({"method": "waffle", "seed": 7}, id="random words"),
        pytest.param({"method": "bifta", "crops": 5}, id="refined texts"),
        pytest.param({"background": ["a blur", "noise"]}, id="background"),
        pytest.param({"crops": CropSpec(4, kind="grid")}, id="grid"),
    ],
)
def test_with_other_classes_all_else_is_as_it_was(
    builtin: Any, photos: list[Path], options: dict[str, Any]
) -> None:
    options = {"crops": 6, **options}
    first = Classifier(["cat", "rocket"], encoder=builtin, **options)
    before = first(photos[0])
    other = first.with_classes(DRINKS)
    fresh = Classifier(DRINKS, encoder=builtin, **options)
    assert (other.classes, other.texts) == (fresh.classes, fresh.texts)
    assert (other.method, other.adaptive) == (fresh.method, fresh.adaptive)
    for photo in photos:
        ours, theirs = other(photo), fresh(photo)
        assert outcome(ours) == outcome(theirs)
        assert ours.crops == theirs.crops
    assert outcome(first(photos[0])) == outcome(before)
    with pytest.raises(DescriptionError):
        first.with_classes([])


def test_auto_crops_are_at_most_the_methods_own(encoder: Any, pictures: list[Image.Image]) -> None:
    for name in ("wca", "bifta"):
        classifier = Classifier(COLOURS, encoder=encoder, method=name, crops="auto")
        assert classifier.adaptive is not None
        assert classifier.adaptive.maximum == METHODS[name].crops.count
        assert (classifier(pictures[0]).crops or 0) <= METHODS[name].crops.count
    with pytest.raises(CropError, match="'auto'"):
        Classifier(COLOURS, encoder=encoder, crops="all")  # type: ignore[arg-type]
