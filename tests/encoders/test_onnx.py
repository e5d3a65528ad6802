"""Encoders in ONNX files, against tiny models built here and computed a second time in NumPy."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import huggingface_hub.errors
import huggingface_hub.utils
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from crossalign import Classifier, load_encoder
from crossalign.encoders import Encoder, list_encoders
from crossalign.encoders.dual import IMAGE_BATCH, TEXT_BATCH
from crossalign.encoders.onnx.encoder import OnnxEncoder, cards
from crossalign.encoders.onnx.files import find, patterns, variants
from crossalign.encoders.onnx.runtime import _choose_providers
from crossalign.errors import EncoderError, MissingExtraError

SIDE, WIDTH, DIM, CONTEXT = 16, 24, 8, 12
WORDS = ["a", "photo", "of", "cat", "dog", "red", "blue", "on", "sofa", "big", "!", ",", "🙂"]
TOKENS = ["<unk>", "<pad>", "<start>", *WORDS, "<end>"]
IDS = {token: place for place, token in enumerate(TOKENS)}
END = IDS["<end>"]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

# In half precision weights and sums are rounded to 11 bits.
LEAST_COSINE = {"fp32": 0.99999, "fp16": 0.9999}

TEXTS = [
    "a photo of a cat",
    "",
    " ",
    "A PHOTO OF A DOG!",
    "dog",
    "🙂",
    "a small 🙂 on the big red sofa",
    "the cat , the dog , the sofa",
    "words that nobody knows",
    "dog",
    "<end> a dog",
    "blue",
]

# ------------------------------------------------------------------------------ building models


def weights(kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(sum(map(ord, kind)))

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    return {
        "pixels": draw(3 * SIDE * SIDE, WIDTH),
        "image_projection": draw(WIDTH, DIM),
        "tokens": rng.normal(size=(len(TOKENS), WIDTH)).astype(np.float32),
        "positions": rng.normal(size=(CONTEXT, WIDTH)).astype(np.float32),
        "text_projection": draw(WIDTH, DIM),
    }


def save(path, nodes, inputs, outputs, constants, half=False):
    """Write a graph; ``half`` makes its weights and its pixels half precision."""
    real = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    tensors = [
        numpy_helper.from_array(
            value.astype(np.float16) if half and value.dtype == np.float32 else value, name
        )
        for name, value in constants.items()
    ]
    described = [
        [helper.make_tensor_value_info(name, kind or real, shape) for name, kind, shape in entries]
        for entries in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "tower", *described, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def save_vision(path, kind, *, name="pixel_values", out="image_embeds", batch="n", side=SIDE,
                half=False, dim=None, extra=()):  # fmt: skip
    held = weights(kind)
    constants = {key: held[key] for key in ("pixels", "image_projection")}
    if dim:
        constants["image_projection"] = constants["image_projection"][:, :dim]
    nodes = [
        helper.make_node("Flatten", [name], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "pixels"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["bent"]),
        helper.make_node("MatMul", ["bent", "image_projection"], [out]),
    ]
    outputs = [(out, None, [batch, dim or DIM])] + [(key, None, [batch, WIDTH]) for key in extra]
    save(path, nodes, [(name, None, [batch, 3, side, side])], outputs, constants, half)


def save_text(path, kind, *, names=("input_ids",), integer=TensorProto.INT64, out="text_embeds",
              length="l", batch="n", half=False, pooling="causal"):  # fmt: skip
    held = weights(kind)
    constants = {key: held[key] for key in ("tokens", "positions", "text_projection")}
    constants |= {
        "one": np.array([1], np.int64), "two": np.array([2], np.int64),
        "zero": np.array([0], np.int64), "axis": np.array(1, np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", [names[0]], ["ids"], to=TensorProto.INT64),
        helper.make_node("Shape", ["ids"], ["shape"]),
        helper.make_node("Slice", ["shape", "one", "two"], ["length"]),
        helper.make_node("Slice", ["positions", "zero", "length", "zero"], ["places"]),
        helper.make_node("Gather", ["tokens", "ids"], ["looked_up"]),
        helper.make_node("Add", ["looked_up", "places"], ["hidden"]),
    ]
    if pooling == "causal":
        nodes += [
            helper.make_node("CumSum", ["hidden", "axis"], ["seen"]),
            helper.make_node("Tanh", ["seen"], ["bent"]),
            helper.make_node("ArgMax", ["ids"], ["ends"], axis=1, keepdims=1),
            helper.make_node("GatherND", ["bent", "ends"], ["pooled"], batch_dims=1),
        ]
    elif pooling == "mask":
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"],
                             to=TensorProto.FLOAT16 if half else TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "two"], ["wide"]),
            helper.make_node("Tanh", ["hidden"], ["bent"]),
            helper.make_node("Mul", ["bent", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["pooled"], keepdims=0),
        ]  # fmt: skip
    else:
        nodes += [
            helper.make_node("Tanh", ["hidden"], ["bent"]),
            helper.make_node("ReduceMean", ["bent"], ["pooled"], axes=[1], keepdims=0),
        ]
    nodes.append(helper.make_node("MatMul", ["pooled", "text_projection"], [out]))
    inputs = [(name, integer, [batch, length]) for name in names]
    outputs = [(out, None, [batch, DIM])]
    if out == "pooler_output":
        outputs.insert(0, ("bent", None, [batch, length, WIDTH]))
    save(path, nodes, inputs, outputs, constants, half)


def make_tokenizer(start=True):
    tokenizer = Tokenizer(models.WordLevel(IDS, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<pad>", "<start>", "<end>"])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>" if start else "$A <end>",
        special_tokens=[("<start>", IDS["<start>"]), ("<end>", END)],
    )
    return tokenizer


def token_ids(text: str, start=True) -> list[int]:
    """The same by hand; a special token within a text is text, here unknown words."""
    words = re.findall(r"\w+|[^\w\s]+", text.lower())
    known = [IDS[word] if word in WORDS else 0 for word in words]
    return [IDS["<start>"]] * start + known[: CONTEXT - 1 - start] + [END]


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


CLIP_PIXELS = {
    "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
    "image_processor_type": "CLIPImageProcessor", "resample": 3,
    "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": SIDE},
}  # fmt: skip
SIGLIP_PIXELS = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3,
    "image_processor_type": "SiglipImageProcessor", "image_std": [0.5] * 3,
    "processor_class": "SiglipProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
    "size": {"height": SIDE, "width": SIDE},
}  # fmt: skip
OPEN_CLIP_PIXELS = {
    "size": [SIDE, SIDE], "mode": "RGB", "mean": CLIP_MEAN, "std": CLIP_STD,
    "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0,
}  # fmt: skip
TOKENIZER_CONFIG = {"model_max_length": CONTEXT, "pad_token": "<pad>"}


def make_clip(
    folder, dtypes=("fp32", "fp16"), *, place="onnx", vision=None, text=None, kind="clip"
):
    for dtype in dtypes:
        suffix = "" if dtype == "fp32" else f"_{dtype}"
        half = dtype == "fp16"
        names = ("input_ids", "attention_mask")
        save_vision(
            folder / place / f"vision_model{suffix}.onnx", kind, half=half, **(vision or {})
        )
        options = {"names": names, "half": half, **(text or {})}
        save_text(folder / place / f"text_model{suffix}.onnx", kind, **options)
    text_config = {"max_position_embeddings": CONTEXT}
    config = {"model_type": "clip", "projection_dim": DIM, "text_config": text_config}
    write(folder / "config.json", config)
    write(folder / "preprocessor_config.json", CLIP_PIXELS)
    write(folder / "tokenizer_config.json", {**TOKENIZER_CONFIG, "pad_token": "<end>"})
    make_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def make_siglip(folder, dtypes=("fp32", "fp16")):
    for dtype in dtypes:
        suffix, half = ("" if dtype == "fp32" else f"_{dtype}"), dtype == "fp16"
        save_vision(folder / f"onnx/vision_model{suffix}.onnx", "siglip", half=half,
                    out="pooler_output")  # fmt: skip
        save_text(folder / f"onnx/text_model{suffix}.onnx", "siglip", half=half, pooling="mean",
                  out="pooler_output")  # fmt: skip
    write(folder / "config.json", {"model_type": "siglip", "text_config": {}})
    write(folder / "preprocessor_config.json", SIGLIP_PIXELS)
    write(folder / "tokenizer_config.json",
          {**TOKENIZER_CONFIG, "pad_token": {"content": "<pad>"}})  # fmt: skip
    make_tokenizer(start=False).save(str(folder / "tokenizer.json"))
    return folder


def make_split(folder, dtypes=("fp32", "fp16"), **text_cfg):
    for dtype in dtypes:
        suffix, half = ("" if dtype == "fp32" else f"_{dtype}"), dtype == "fp16"
        save_vision(folder / f"visual/model{suffix}.onnx", "split", half=half, name="image",
                    out="image_embedding")  # fmt: skip
        save_text(folder / f"textual/model{suffix}.onnx", "split", half=half, names=("text",),
                  integer=TensorProto.INT32, out="text_embedding")  # fmt: skip
    towers = {
        "vision_cfg": {"image_size": SIDE},
        "text_cfg": {"context_length": CONTEXT, **text_cfg},
    }
    write(folder / "config.json", {"embed_dim": DIM, **towers})
    write(folder / "visual/preprocess_cfg.json", OPEN_CLIP_PIXELS)
    write(folder / "textual/tokenizer_config.json", TOKENIZER_CONFIG)
    make_tokenizer().save(str(folder / "textual/tokenizer.json"))
    return folder


def make_chinese(folder, dtypes=("fp32", "fp16")):
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    make_clip(folder, dtypes, text={"pooling": "mask", "names": names}, kind="chinese")
    text_config = {"max_position_embeddings": 2 * CONTEXT}
    write(folder / "config.json", {"model_type": "chinese_clip", "text_config": text_config})
    write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    return folder


MAKERS = {"clip": make_clip, "siglip": make_siglip, "split": make_split, "chinese": make_chinese}


# --------------------------------------------------------------------- the same models in NumPy


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def expected_images(kind: str, pixels: np.ndarray) -> np.ndarray:
    held = weights(kind)
    mean, std = ([0.5] * 3, [0.5] * 3) if kind == "siglip" else (CLIP_MEAN, CLIP_STD)
    values = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return unit(np.tanh(values @ held["pixels"]) @ held["image_projection"])


def expected_text(kind: str, text: str) -> np.ndarray:
    held = weights(kind)
    ids = token_ids(text, start=kind != "siglip")
    if kind == "siglip":
        ids += [IDS["<pad>"]] * (CONTEXT - len(ids))
    hidden = (held["tokens"][ids] + held["positions"][: len(ids)]).astype(np.float64)
    if kind == "siglip":
        pooled = np.tanh(hidden).mean(axis=0)
    elif kind == "chinese":
        pooled = np.tanh(hidden).sum(axis=0)
    else:
        pooled = np.tanh(hidden.cumsum(axis=0))[-1]
    return unit(pooled @ held["text_projection"])


def pictures(count: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    made = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    made[:1], made[1:2] = 0, 255
    return made


@pytest.fixture(scope="module", params=MAKERS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory) -> Path:
    return MAKERS[kind](tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def dtype(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(request) -> str:
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: make test-torch")
    return request.param


@pytest.fixture(scope="module")
def encoder(folder, dtype, engine) -> Encoder:
    return load_encoder(f"onnx:{folder}", dtype=dtype, threads=1, runtime=engine)


@pytest.fixture
def clip(tmp_path) -> Path:
    return make_clip(tmp_path / "clip", ["fp32"])


def assert_close(rows, expected, least):
    assert rows.dtype == np.float32
    assert rows.shape == np.shape(expected)
    assert np.sum(rows * expected, axis=1).min() >= least


# --------------------------------------------------------------------------------------- parity


def test_images_match(encoder, kind, dtype):
    pixels = pictures(IMAGE_BATCH + 3)
    rows = encoder.encode_images(pixels)
    assert_close(rows, expected_images(kind, pixels), LEAST_COSINE[dtype])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_images(pixels[5:6]), rows[5:6], atol=1e-6)
    np.testing.assert_allclose(encoder.encode_images(pixels[::-1]), rows[::-1], atol=1e-6)


def test_texts_match_in_any_company(encoder, kind, dtype):
    """Duplicates, order, empty ones, emoji, special tokens as text; alone and in one batch."""
    rows = encoder.encode_texts(TEXTS)
    assert_close(rows, [expected_text(kind, text) for text in TEXTS], LEAST_COSINE[dtype])
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(rows, alone, atol=2e-6 if dtype == "fp32" else 2e-3)
    np.testing.assert_array_equal(rows[4], rows[9])


def test_texts_beyond_one_batch(encoder, kind, dtype):
    texts = [f"{first} {second} {'a ' * (len(first) % 5)}" for first in WORDS for second in WORDS]
    assert len(texts) > TEXT_BATCH
    rows = encoder.encode_texts(texts)
    assert_close(rows, [expected_text(kind, text) for text in texts], LEAST_COSINE[dtype])


def test_long_texts_are_cut_with_one_warning(encoder, kind, dtype):
    room = CONTEXT - (1 if kind == "siglip" else 2)
    long = "cat " * room + "dog"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting = encoder.encode_texts(["cat " * room])
    words = f"3 of 4 texts are longer than {CONTEXT} tokens"
    with pytest.warns(UserWarning, match=words) as caught:
        rows = encoder.encode_texts([long, "dog", long, "cat " * 99])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_allclose(rows[[0, 2, 3]], fitting.repeat(3, 0), atol=2e-3)
    assert_close(rows[:1], [expected_text(kind, long)], LEAST_COSINE[dtype])


def test_nothing_to_embed(encoder):
    assert encoder.encode_texts([]).shape == (0, DIM)
    assert encoder.encode_images(np.empty((0, SIDE, SIDE, 3), np.uint8)).shape == (0, DIM)


def test_card(encoder, kind, dtype, folder):
    card = encoder.card
    assert isinstance(encoder, Encoder)
    assert (card.name, card.dim, card.image_size) == (f"onnx:{folder}", DIM, SIDE)
    assert (card.context_length, card.licence) == (CONTEXT, "unknown")
    assert card.revision.endswith(f"-{dtype}")
    assert card.revision in repr(encoder)
    assert encoder.preprocess.fit == ("squash" if kind == "siglip" else "crop")
    files = find(folder, dtype)
    assert card.bytes == files.vision.stat().st_size + files.text.stat().st_size


def test_wrong_input(encoder):
    with pytest.raises(EncoderError, match=rf"\(n, {SIDE}, {SIDE}, 3\)"):
        encoder.encode_images(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(EncoderError, match="Put a text in a list"):
        encoder.encode_texts("a dog")


def test_what_runs_it(encoder, engine):
    runs_on = {"onnxruntime": "CPUExecutionProvider", "openvino": "OpenVINO CPU fp32"}[engine]
    assert encoder.providers[0] == runs_on
    assert runs_on in repr(encoder)


def test_threads(encoder):
    """Several at once embed as one alone does."""
    pixels, expected = pictures(9), encoder.encode_texts(TEXTS)
    images = encoder.encode_images(pixels)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(encoder.encode_texts, TEXTS) for _ in range(8)]
        more = [pool.submit(encoder.encode_images, pixels) for _ in range(8)]
        for job in jobs:
            np.testing.assert_allclose(job.result(), expected, atol=1e-6)
        for job in more:
            np.testing.assert_allclose(job.result(), images, atol=1e-6)


def seen_by(encoder: OnnxEncoder, tower: str, monkeypatch) -> list[dict[str, np.ndarray]]:
    """What a graph is fed, from now on."""
    fed = []
    inner = getattr(encoder, tower).session

    class Spy:
        def run(self, names, feeds):
            fed.append(feeds)
            return inner.run(names, feeds)

    object.__setattr__(getattr(encoder, tower), "session", Spy())
    return fed


@pytest.mark.parametrize("kind_dtype", [("clip", "fp32"), ("siglip", "fp16")])
def test_pixels_are_bit_equal(kind_dtype, tmp_path, monkeypatch):
    kind, dtype = kind_dtype
    encoder = load_encoder(f"onnx:{MAKERS[kind](tmp_path)}", dtype=dtype)
    fed = seen_by(encoder, "_image_tower", monkeypatch)
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, SIDE, SIDE, 3)
    encoder.encode_images(pixels)
    mean, std = np.float32(encoder.preprocess.mean), np.float32(encoder.preprocess.std)
    values = ((pixels.astype(np.float32) / np.float32(255)) - mean) / std
    expected = values.transpose(0, 3, 1, 2).astype(np.float16 if dtype == "fp16" else np.float32)
    np.testing.assert_array_equal(fed[0]["pixel_values"], expected)
    assert fed[0]["pixel_values"].dtype == expected.dtype


@pytest.mark.parametrize(
    ("kind", "length"), [("clip", 5), ("chinese", 5), ("split", 5), ("siglip", CONTEXT)]
)
def test_token_ids_and_padding(kind, length, tmp_path, monkeypatch):
    """Identical ids; rows as short as the architecture allows, and sorted."""
    encoder = load_encoder(f"onnx:{MAKERS[kind](tmp_path, ['fp32'])}")
    fed = seen_by(encoder, "_text_tower", monkeypatch)
    encoder.encode_texts(["a red dog", "cat", "a red dog"])
    pad = END if kind == "clip" else IDS["<pad>"]
    start = kind != "siglip"
    rows = [token_ids(text, start) for text in ("cat", "a red dog")]
    ids = fed[0]["text" if kind == "split" else "input_ids"]
    assert ids.tolist() == [row + [pad] * (length - len(row)) for row in rows]
    assert ids.dtype == (np.int32 if kind == "split" else np.int64)
    if "attention_mask" in fed[0]:
        assert fed[0]["attention_mask"].sum(axis=1).tolist() == [len(row) for row in rows]


def test_trimmed_rows_embed_as_full_ones_do(tmp_path):
    for kind in ("clip", "chinese", "split"):
        encoder = load_encoder(f"onnx:{MAKERS[kind](tmp_path / kind, ['fp32'])}")
        trimmed = encoder.encode_texts(TEXTS)
        assert "padding='full'" not in repr(encoder)
        encoder._padding = "full"
        np.testing.assert_allclose(encoder.encode_texts(TEXTS), trimmed, atol=1e-6)


def test_siglip_masks_nothing(tmp_path, monkeypatch):
    folder = make_siglip(tmp_path, ["fp32"])
    names = ("input_ids", "attention_mask")
    save_text(folder / "onnx/text_model.onnx", "siglip", pooling="mean", names=names)
    encoder = load_encoder(f"onnx:{folder}")
    fed = seen_by(encoder, "_text_tower", monkeypatch)
    encoder.encode_texts(["a dog"])
    assert fed[0]["attention_mask"].all()
    assert fed[0]["input_ids"].shape == (1, CONTEXT)


def test_trimming_is_given_up_where_padding_is_seen(tmp_path):
    """config.json says CLIP, but the tower is not causal: the probe finds out."""
    folder = make_clip(tmp_path, ["fp32"], text={"pooling": "mean"})
    assert "padding='full'" in repr(load_encoder(f"onnx:{folder}"))


@pytest.mark.parametrize("setting", [{"no_causal_mask": True}, {"pool_type": "last"},
                                     {"hf_model_name": "x"}, {"embed_cls": True}])  # fmt: skip
def test_open_clip_towers_that_see_padding(tmp_path, setting):
    encoder = load_encoder(f"onnx:{make_split(tmp_path, ['fp32'], **setting)}")
    assert "padding='full'" in repr(encoder)


def test_open_clip_cleans_texts(tmp_path):
    cleaned = {"tokenizer_kwargs": {"clean": "canonicalize"}}
    encoder = load_encoder(f"onnx:{make_split(tmp_path, ['fp32'], **cleaned)}")
    rows = encoder.encode_texts(["a   Red_dog!", "a red dog"])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_fixed_batch_and_length(tmp_path):
    """Graphs that take four pictures, and two texts of full length, at a time."""
    text = {"names": ("input_ids",), "batch": 2, "length": CONTEXT}
    folder = make_clip(tmp_path, ["fp32"], vision={"batch": 4}, text=text)
    encoder = load_encoder(f"onnx:{folder}")
    pixels = pictures(7)
    assert_close(encoder.encode_images(pixels), expected_images("clip", pixels), 0.99999)
    expected = [expected_text("clip", entry) for entry in TEXTS]
    assert_close(encoder.encode_texts(TEXTS), expected, 0.99999)


@pytest.mark.parametrize(
    "setting", [{"padding_side": "left"}, {"tokenizer_class": "GemmaTokenizer"}]
)
def test_padding_on_the_left(clip, monkeypatch, setting):
    write(clip / "tokenizer_config.json", {**TOKENIZER_CONFIG, **setting})
    encoder = load_encoder(f"onnx:{clip}")
    fed = seen_by(encoder, "_text_tower", monkeypatch)
    encoder.encode_texts(["a dog"])
    row = token_ids("a dog")
    pads = CONTEXT - len(row)
    assert fed[0]["input_ids"].tolist() == [[IDS["<pad>"]] * pads + row]
    assert fed[0]["attention_mask"].tolist() == [[0] * pads + [1] * len(row)]


def test_a_tokenizer_without_an_end_of_text(clip):
    content = json.loads((clip / "tokenizer.json").read_text(encoding="utf-8"))
    write(clip / "tokenizer.json", {**content, "post_processor": None})
    with pytest.raises(EncoderError, match="adds none"):
        load_encoder(f"onnx:{clip}")


def test_a_context_too_short_for_the_special_tokens(clip):
    write(clip / "tokenizer_config.json", {**TOKENIZER_CONFIG, "model_max_length": 1})
    with pytest.raises(EncoderError, match="1 tokens has no room beside the 2 special tokens"):
        load_encoder(f"onnx:{clip}")


def test_unknown_types_are_padded_in_full(clip):
    config = {"model_type": "new", "text_config": {"max_position_embeddings": CONTEXT}}
    write(clip / "config.json", config)
    encoder = load_encoder(f"onnx:{clip}")
    assert "padding='full'" in repr(encoder)
    assert_close(encoder.encode_texts(["a dog"]), [expected_text("clip", "a dog")], 0.99999)


def test_weights_in_a_file_of_their_own(clip):
    graph = clip / "onnx" / "text_model.onnx"
    onnx.save(onnx.load(graph), graph, save_as_external_data=True, size_threshold=64,
              location="text_model.onnx_data")  # fmt: skip
    encoder = load_encoder(f"onnx:{clip}")
    assert_close(encoder.encode_texts(["a dog"]), [expected_text("clip", "a dog")], 0.99999)
    assert encoder.card.bytes == sum(path.stat().st_size for path in (clip / "onnx").iterdir())
    (clip / "onnx" / "text_model.onnx_data").unlink()
    with pytest.raises(EncoderError, match=r"text_model\.onnx cannot be opened.*onnx_data"):
        load_encoder(f"onnx:{clip}")


def test_classifier_end_to_end(clip, tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(path)
    classifier = Classifier(["cat", "dog"], encoder=f"onnx:{clip}", crops=4, bank=False)
    prediction = classifier(path)
    assert prediction.error is None
    assert prediction.label in ("cat", "dog")
    assert np.isfinite(prediction.scores).all()


# ------------------------------------------------------------------------- layouts and variants


def test_variants():
    names = ["onnx/vision_model_fp16.onnx", "onnx/text_model_fp16.onnx"]
    names += ["vision_model_q4.onnx", "text_model_q4.onnx"]
    names += ["onnx/vision_model.onnx", "onnx/text_model_int8.onnx"]
    assert list(variants(names)) == ["fp16", "q4"]


def test_files_at_the_root(tmp_path):
    folder = make_clip(tmp_path, ["fp32", "fp16"], place="")
    assert load_encoder(f"onnx:{folder}").card.revision.endswith("-fp32")


def test_the_only_variant_is_the_default(tmp_path):
    folder = make_clip(tmp_path, ["int8"])
    assert load_encoder(f"onnx:{folder}").card.revision.endswith("-int8")


def test_a_missing_variant_lists_those_present(tmp_path):
    folder = make_clip(tmp_path, ["fp32", "int8"])
    with pytest.raises(
        EncoderError, match=r"no variant 'q4'; there is fp32, int8\..*text_model_q4"
    ):
        load_encoder(f"onnx:{folder}", dtype="q4")
    with pytest.raises(
        EncoderError, match=r"unknown dtype 'quarter'; choose one of fp32, fp16.*bf16.*auto"
    ):
        load_encoder(f"onnx:{folder}", dtype="quarter")
    automatic = load_encoder(f"onnx:{folder}", dtype="auto").card
    assert automatic == load_encoder(f"onnx:{folder}").card
    encoder = load_encoder(f"onnx:{folder}", dtype="float32")
    assert (encoder.dtype, encoder.card) == ("fp32", automatic)
    with pytest.raises(EncoderError, match="no variant 'fp16'"):
        load_encoder(f"onnx:{folder}", dtype="half")


def test_settings_in_processor_config(clip):
    (clip / "preprocessor_config.json").unlink()
    write(clip / "processor_config.json", {"image_processor": CLIP_PIXELS})
    assert load_encoder(f"onnx:{clip}").preprocess.size == SIDE


def test_revision_follows_every_input(clip):
    seen = {load_encoder(f"onnx:{clip}").card.revision}
    assert load_encoder(f"onnx:{clip}").card.revision in seen
    write(clip / "preprocessor_config.json", {**CLIP_PIXELS, "resample": 2})
    seen.add(load_encoder(f"onnx:{clip}").card.revision)
    save_vision(clip / "onnx/vision_model.onnx", "other")
    seen.add(load_encoder(f"onnx:{clip}").card.revision)
    assert len(seen) == 3


def test_revision_follows_every_byte(clip):
    """External weights are large, and a few numbers amid them decide as the others do."""
    weights = clip / "onnx/vision_model.onnx_data"
    weights.write_bytes(bytes(8 << 20))
    seen = {find(clip).revision()}
    for place in (5_000, (3 << 20) + 100_000, (8 << 20) - 1):
        with weights.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        seen.add(find(clip).revision())
    assert len(seen) == 4
    (clip / "onnx/text_model.onnx.data").write_bytes(b"more")
    assert find(clip).revision() not in seen


def test_licence(clip):
    (clip / "README.md").write_text("---\ntags: [a]\nlicense: apache-2.0\n---\n# Model\n")
    assert load_encoder(f"onnx:{clip}").card.licence == "apache-2.0"


def remove(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def rewrite(name, **changes):
    def change(folder):
        content = {**json.loads((folder / name).read_text()), **changes}
        write(folder / name, {key: value for key, value in content.items() if value != "drop"})

    return change


def spoil(name, content=b"not at all"):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("onnx/text_model.onnx"), r"holds onnx/vision_model.onnx, no text tower.*Needed: "),
        (remove("onnx/vision_model.onnx"), r"holds onnx/text_model.onnx, no vision tower"),
        (remove("onnx/text_model.onnx", "onnx/vision_model.onnx"), r"no \.onnx file.*builtin"),
        (remove("config.json"), r"config\.json is missing"),
        (remove("tokenizer.json"), r"tokenizer\.json is missing"),
        (remove("preprocessor_config.json"), r"preprocessor_config\.json is missing"),
        (spoil("config.json"), r"expected JSON in .*config\.json"),
        (spoil("config.json", b"[]"), r"expected a JSON object in .*got list"),
        (spoil("config.json", b"\xff\xfe\x00"), "expected JSON"),
        (spoil("tokenizer.json", b"{}"), r"expected a tokenizer in .*tokenizer\.json"),
        (spoil("onnx/vision_model.onnx"), r"vision_model\.onnx cannot be opened"),
        (spoil("onnx/text_model.onnx", b""), r"text_model\.onnx cannot be opened"),
        (rewrite("tokenizer_config.json", pad_token="<nothing>"), "does not know. Set its 'pad_to"),
        (rewrite("tokenizer_config.json", pad_token="drop"), "expected a padding token"),
        (rewrite("preprocessor_config.json", size={"shortest_edge": 8}, crop_size=8),
         r"takes pixels of shape .*\(n, 3, 8, 8\)"),
        (rewrite("preprocessor_config.json", do_resize=False), "'do_resize' cannot be used"),
        (lambda f: save_vision(f / "onnx/vision_model.onnx", "clip", dim=5), "embeds in 5 dim"),
        (lambda f: save_vision(f / "onnx/vision_model.onnx", "clip", out="pooler_output"),
         r"expected an output 'image_embeds'.*it has pooler_output"),
        (lambda f: save_vision(f / "onnx/vision_model.onnx", "clip", out="a", extra=["bent"]),
         r"it has a tensor\(float\).*bent"),
        (lambda f: save_text(f / "onnx/text_model.onnx", "clip", length=13), "texts of 13 tokens"),
        (lambda f: save_text(f / "onnx/text_model.onnx", "clip", names=("input_ids", "odd")),
         "expected inputs among input_ids.*odd"),
        (lambda f: save_text(f / "onnx/vision_model.onnx", "clip", out="image_embeds"),
         "expected one input of pixels"),
        (lambda f: save_vision(f / "onnx/text_model.onnx", "clip", out="text_embeds"),
         "whole numbers of shape"),
    ],
)  # fmt: skip
def test_broken_folders(clip, change, words):
    change(clip)
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"onnx:{clip}")


def test_no_context_length(clip):
    write(clip / "config.json", {"model_type": "new"})
    write(clip / "tokenizer_config.json", {"model_max_length": 10**30, "pad_token": "<pad>"})
    with pytest.raises(EncoderError, match="expected the longest text in tokens"):
        load_encoder(f"onnx:{clip}")


def test_a_tokenizer_of_another_model(clip):
    """Ids beyond the table of tokens."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["zebra"])
    tokenizer.save(str(clip / "tokenizer.json"))
    encoder = load_encoder(f"onnx:{clip}")
    with pytest.raises(EncoderError, match=r"cannot be run on .*another model's"):
        encoder.encode_texts(["a zebra"])


def test_vectors_that_are_not_numbers(clip):
    held = weights("clip")
    held["pixels"][:] = np.nan
    nodes = [helper.make_node("Flatten", ["pixel_values"], ["flat"], axis=1),
             helper.make_node("MatMul", ["flat", "pixels"], ["image_embeds"])]  # fmt: skip
    save(clip / "onnx/vision_model.onnx", nodes, [("pixel_values", None, ["n", 3, SIDE, SIDE])],
         [("image_embeds", None, ["n", WIDTH])], {"pixels": held["pixels"]})  # fmt: skip
    with pytest.raises(EncoderError, match="zero or not numbers"):
        load_encoder(f"onnx:{clip}")


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was loaded')",))


def test_no_pickle_is_ever_loaded(clip):
    for name in (
        "pytorch_model.bin",
        "model.pt",
        "onnx/model.pkl",
        "onnx/text_model.onnx_data.bin",
    ):
        (clip / name).write_bytes(pickle.dumps(Bomb()))
    load_encoder(f"onnx:{clip}").encode_texts(["a dog"])
    remove("onnx/text_model.onnx", "onnx/vision_model.onnx")(clip)
    with pytest.raises(EncoderError, match="Weights of PyTorch lie there too; they are not read"):
        load_encoder(f"onnx:{clip}")


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "nowhere",
        "x" * 5000,
        "~nobody-here/x",
        "./nowhere/at all",
        "/nowhere/x",
        "a/b/c",
        "../x",
    ],
)
def test_no_such_folder(rest):
    words = r"expected 'onnx:<folder>' or 'onnx:<owner>/<name>'.*config\.json.*'builtin' works"
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"onnx:{rest}")


# ------------------------------------------------------------------------------ devices, threads


def test_a_gpu_that_is_not_there(clip, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for device in ("cuda", "gpu"):
        words = f"device '{device}' was asked for, but .* only CPUExecutionProvider"
        with pytest.warns(UserWarning, match=words) as caught:
            encoder = load_encoder(f"onnx:{clip}", device=device)
        assert caught[0].filename == __file__
        assert encoder.providers == ("CPUExecutionProvider",)
    quietly = load_encoder(f"onnx:{clip}", device="auto")
    assert quietly.providers == ("CPUExecutionProvider",)


@pytest.mark.parametrize(
    ("device", "wanted"),
    [
        ("auto", [("CUDAExecutionProvider", {})]),
        ("gpu", [("CUDAExecutionProvider", {})]),
        ("cuda", [("CUDAExecutionProvider", {})]),
        ("cuda:1", [("CUDAExecutionProvider", {"device_id": "1"})]),
        ("mps", [("CoreMLExecutionProvider", {})]),
        ("cpu", []),
        (None, []),
    ],
)
def test_words_for_devices(device, wanted):
    there = ["CoreMLExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    names, settings = _choose_providers(there, None, device)
    assert list(zip(names, settings, strict=True)) == [*wanted, ("CPUExecutionProvider", {})]


def test_the_option_engine_is_called_runtime(clip):
    with pytest.warns(DeprecationWarning, match="engine is called runtime") as caught:
        encoder = load_encoder(f"onnx:{clip}", engine="onnxruntime")
    assert caught[0].filename == __file__
    assert encoder.card == load_encoder(f"onnx:{clip}", runtime="onnxruntime").card


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"device": "tpu"},
            "unknown device 'tpu'; choose one of auto, cpu, cuda, .*mps, gpu",
        ),
        ({"providers": ["NoSuchProvider"]}, "among .*CPUExecutionProvider.*NoSuchProvider"),
        ({"providers": []}, "expected providers"),
        ({"providers": ["CPUExecutionProvider"], "device": "cpu"}, "no device with them"),
        ({"threads": 0}, "from 1 up; got 0"),
        ({"runtime": "tensorrt"}, "'tensorrt'; choose one of onnxruntime, openvino"),
        ({"runtime": "openvino", "providers": ["CPUExecutionProvider"]}, "takes none"),
        ({"dtype": "bf16"}, "needs runtime 'openvino'"),
    ],
)
def test_wrong_options(clip, options, words):
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"onnx:{clip}", **options)


def test_options_that_fit(clip):
    rows = load_encoder(f"onnx:{clip}").encode_texts(["a dog"])
    for options in ({"providers": ["CPUExecutionProvider"]}, {"device": "cpu", "threads": 2}):
        again = load_encoder(f"onnx:{clip}", **options).encode_texts(["a dog"])
        np.testing.assert_allclose(again, rows, atol=1e-6)


# -------------------------------------------------------------------------------------- OpenVINO


def test_openvino_that_is_not_installed(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"'openvino'.*crossalign\[openvino\]"):
        load_encoder(f"onnx:{clip}", runtime="openvino")


class Vino:
    """OpenVINO's core on a processor of another kind."""

    def __init__(self, native: str) -> None:
        self._core, self._native = Vino.real(), native

    def get_property(self, device, name):
        return type("Type", (), {"to_string": lambda _: self._native})()

    def __getattr__(self, name):
        return getattr(self._core, name)


@pytest.fixture
def processor(monkeypatch):
    """Makes OpenVINO believe in a processor with these numbers."""
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: make test-torch")
    Vino.real = openvino.Core
    return lambda native: monkeypatch.setattr(openvino, "Core", lambda: Vino(native))


@pytest.mark.parametrize(("native", "precision"), [("bf16", "bf16"), ("f32", "fp32"),
                                                   ("f16", "fp32")])  # fmt: skip
def test_openvino_takes_the_precision_of_the_processor(clip, processor, native, precision):
    """bf16 embeds a little differently, so it is another revision."""
    processor(native)
    exact = load_encoder(f"onnx:{clip}", runtime="openvino", dtype="fp32")
    fast = load_encoder(f"onnx:{clip}", runtime="openvino")
    assert fast.providers == (f"OpenVINO CPU {precision}",)
    assert exact.card == load_encoder(f"onnx:{clip}").card
    suffix = "-bf16" if precision == "bf16" else ""
    assert fast.card.revision == f"{exact.card.revision}{suffix}"
    assert "padding='trim'" in repr(fast)
    pixels = pictures(5)
    assert_close(fast.encode_images(pixels), expected_images("clip", pixels), 0.999)
    assert_close(fast.encode_texts(TEXTS), [expected_text("clip", text) for text in TEXTS], 0.999)


def test_openvino_refuses_what_it_cannot_do(clip, processor):
    processor("f32")
    for options, words in (
        ({"dtype": "bf16"}, "no instructions for bf16.*fp32"),
        ({"device": "cuda"}, "processor alone; got device 'cuda'"),
        ({"dtype": "q4"}, "no variant 'q4'"),
    ):
        with pytest.raises(EncoderError, match=words):
            load_encoder(f"onnx:{clip}", runtime="openvino", **options)


@pytest.mark.parametrize("native", ["bf16", "f32"])
def test_openvino_gives_up_trimming_where_padding_is_seen(tmp_path, processor, native):
    processor(native)
    folder = make_clip(tmp_path, ["fp32"], text={"pooling": "mean"})
    assert "padding='full'" in repr(load_encoder(f"onnx:{folder}", runtime="openvino"))


@pytest.mark.parametrize("content", [b"", b"not at all"])
def test_openvino_on_a_broken_file(clip, processor, content):
    processor("f32")
    (clip / "onnx/vision_model.onnx").write_bytes(content)
    with pytest.raises(EncoderError, match=r"OpenVINO cannot open .*vision_model\.onnx: \w+"):
        load_encoder(f"onnx:{clip}", runtime="openvino")


# ---------------------------------------------------------------------------------------- the hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that copies the allowed files of a model into a snapshot folder."""
    source, snapshot = tmp_path / "source", tmp_path / "cache" / "snapshots" / ("c0ffee00" * 5)
    make_clip(source, ["fp16", "int8"])
    (source / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    calls = []

    def download(repository, allow_patterns, revision=None):
        assert repository == "someone/model"
        calls.append(revision)
        snapshot.mkdir(parents=True, exist_ok=True)
        for path in huggingface_hub.utils.filter_repo_objects(
            [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()],
            allow_patterns=allow_patterns,
        ):
            (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / path).write_bytes((source / path).read_bytes())
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    names = [path.relative_to(source).as_posix() for path in source.rglob("*")]
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda repository, revision=None: names)
    return snapshot, calls


def test_a_repository_is_downloaded(hub):
    snapshot, calls = hub
    card = load_encoder("onnx:someone/model", dtype="int8").card
    assert card.name == "onnx:someone/model"
    assert card.revision == f"{snapshot.name}-int8"
    fetched = {path.suffix for path in snapshot.rglob("*") if path.is_file()}
    assert fetched == {".onnx", ".json"}
    assert len(calls) == 1
    assert not list(snapshot.rglob("*fp16*")), "one variant alone"


def test_a_revision_of_a_repository(hub, tmp_path):
    _, calls = hub
    card = load_encoder("onnx:someone/model", dtype="int8").card
    for name, options in (("@v1", {}), ("", {"revision": "v1"}), ("@v1", {"revision": "v1"})):
        assert load_encoder(f"onnx:someone/model{name}", dtype="int8", **options).card == card
    assert calls == [None, "v1", "v1", "v1"]
    with pytest.raises(EncoderError, match="names the revision 'v1', revision='v2' another"):
        load_encoder("onnx:someone/model@v1", revision="v2")
    with pytest.raises(EncoderError, match=r"expected 'onnx:<folder>'.*@REVISION"):
        load_encoder("onnx:someone/model@")
    with pytest.raises(EncoderError, match="has no revisions; got revision='v1'"):
        load_encoder(f"onnx:{tmp_path}", revision="v1")


def test_a_repository_without_the_default_variant(hub):
    assert load_encoder("onnx:someone/model").card.revision.endswith("-fp16")


def test_a_repository_without_the_variant(hub):
    with pytest.raises(
        EncoderError, match=r"someone/model has no variant 'q8'; there is fp16, int8"
    ):
        load_encoder("onnx:someone/model", dtype="q8")


def test_a_cached_variant_serves_offline(hub, monkeypatch):
    load_encoder("onnx:someone/model", dtype="int8")

    def fail(repository):
        raise OSError("offline")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", fail)
    assert load_encoder("onnx:someone/model").card.revision.endswith("-int8")
    with pytest.raises(EncoderError, match="no variant 'q4'; there is int8"):
        load_encoder("onnx:someone/model", dtype="q4")


@pytest.mark.parametrize(
    "error", [OSError("no route"), huggingface_hub.errors.LocalEntryNotFoundError("offline"),
              ConnectionError(""), ValueError("odd")]
)  # fmt: skip
def test_a_hub_out_of_reach(monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(EncoderError) as caught:
        load_encoder("onnx:someone/model")
    message = str(caught.value)
    for words in ("'someone/model'", "HF_HUB_OFFLINE", "onnx/vision_model.onnx", "'builtin' works"):
        assert words in message
    assert caught.value.__cause__ is error


def test_only_settings_and_graphs_are_fetched():
    for entry in patterns("q8"):
        assert re.search(r"\.(onnx|onnx[_.]data\*|json)$|^README.md$", entry), entry


def test_what_is_fetched_is_what_counts_as_the_models(clip):
    beside = ("vision_model.onnx_data", "vision_model.onnx_data_1", "text_model.onnx.data")
    for name in beside:
        (clip / "onnx" / name).write_bytes(b"weights")
    counted = {path.relative_to(clip).as_posix() for path in find(clip).graphs()}
    assert counted >= {f"onnx/{name}" for name in beside}
    fetched = set(
        huggingface_hub.utils.filter_repo_objects(counted, allow_patterns=patterns("fp32"))
    )
    assert fetched == counted


def test_cached_models_are_listed(hub, monkeypatch):
    snapshot, _ = hub
    load_encoder("onnx:someone/model")

    class Revision:
        snapshot_path, last_modified = snapshot, 1.0

    class Empty:
        snapshot_path, last_modified = snapshot / "onnx" / "nothing", 1.0

    class Repository:
        repo_id, revisions = "someone/model", frozenset([Revision])

    class Other:
        repo_id, revisions = "a/b", frozenset([Empty])

    class Info:
        repos = frozenset([Repository, Other])

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", Info)
    assert cards() == [load_encoder("onnx:someone/model", dtype="fp16").card]
    assert cards()[0] in list_encoders()


def test_no_cache_lists_nothing(monkeypatch):
    def fail():
        raise huggingface_hub.errors.CacheNotFound("none", cache_dir="x")

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", fail)
    assert cards() == []


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, crossalign.encoders.onnx\n"
        "heavy = {'onnxruntime', 'tokenizers', 'huggingface_hub', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
