"""``hf:`` against Transformers itself, on small random checkpoints that are made here."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign import Classifier
from crossalign.encoders import Encoder, fingerprint, load_encoder
from crossalign.encoders.dual import IMAGE_BATCH, TEXT_BATCH
from crossalign.encoders.parity import compare
from crossalign.encoders.preprocessing import read_preprocess
from crossalign.errors import EncoderError

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-torch")
transformers = pytest.importorskip("transformers", reason="needs Transformers: make test-torch")

from _checkpoints import (  # noqa: E402
    CONTEXT,
    CROP,
    DIM,
    LONG,
    SIDE,
    TEXT,
    TEXTS,
    TOWER,
    Home,
    least_cosine,
    make,
    photos,
    pictures,
    word_tokenizer,
    write,
)  # fmt: skip

# Sums run in another order in another batch.
BATCH_TOLERANCE = 2e-6

FAMILIES = [
    "clip", "clip-of-old", "clip-pad-first", "clip-pad-last", "siglip", "siglip-fast",
    "chinese_clip", "align",
]  # fmt: skip


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    made = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = make(tmp_path_factory.mktemp(family), family)
        return made[family]

    return get


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pair(checkpoint, family):
    """Ours and theirs."""
    folder = checkpoint(family)
    return load_encoder(f"hf:{folder}"), Home(folder)


@pytest.fixture
def clip(checkpoint) -> Path:
    return checkpoint("clip")


@pytest.fixture
def copy(clip, tmp_path) -> Path:
    """A CLIP checkpoint of a test's own, to spoil."""
    for file in clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def spy(monkeypatch, encoder, name: str) -> list[dict]:
    """Keep what the network is called with."""
    calls, real = [], getattr(encoder._model, name)
    monkeypatch.setattr(
        encoder._model, name, lambda **given: (calls.append(given), real(**given))[1]
    )
    return calls


# ------------------------------------------------------------------------ the same as Transformers


def test_texts_are_those_of_transformers(pair):
    ours, home = pair
    assert least_cosine(ours.encode_texts(TEXTS), home.texts(TEXTS)) >= 0.99999
    for text in TEXTS:  # alone, hence without any padding where none is needed
        assert least_cosine(ours.encode_texts([text]), home.texts([text])) >= 0.99999
    assert (ours.encode_texts(TEXTS) @ ours.encode_texts(TEXTS).T).min() < 0.999


def test_long_texts_are_cut_as_transformers_cuts_them(pair):
    ours, home = pair
    texts = ["dog", *LONG, LONG[0]]
    with pytest.warns(UserWarning, match="3 of 4 texts are longer than 44 tokens") as caught:
        rows = ours.encode_texts(texts)
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert least_cosine(rows, home.texts(texts)) >= 0.99999


def test_token_ids_are_those_of_transformers(pair, family, monkeypatch):
    ours, home = pair
    calls = spy(monkeypatch, ours, "get_text_features")
    for text in TEXTS:
        ours.encode_texts([text])
        feeds, expected = calls.pop(), home.tokens([text])
        assert set(feeds) == set(expected)
        ids, full = feeds["input_ids"], expected["input_ids"]
        assert torch.equal(ids, full[:, : ids.shape[1]])
        if family.startswith("siglip"):
            assert ids.shape[1] == CONTEXT
        else:
            length = int(expected["attention_mask"].sum())
            # One of the padding is kept where the highest id is looked for, and padding has it.
            assert ids.shape[1] == min(length + (family == "clip-pad-last"), CONTEXT)


SPECIALS = {"clip": "<|endoftext|>", "siglip": "</s>", "siglip-fast": "[SEP]", "align": "[SEP]"}


@pytest.mark.parametrize("name", SPECIALS)
def test_a_special_token_written_out_is_plain_text(checkpoint, name):
    """Else it would end the text, or be taken for its end."""
    ours, special = load_encoder(f"hf:{checkpoint(name)}"), SPECIALS[name]
    end = ours._tokenizer.convert_tokens_to_ids(special)
    texts = [f"a dog {special} cat", f"a dog {special}", "a dog"]
    rows, _, _ = ours._read(texts)
    assert [row["input_ids"].count(end) for row in rows] == [1, 1, 1]
    embedded = ours.encode_texts(texts)
    assert (embedded[0] * embedded[2]).sum() < 0.9999, "what stands behind it counts"
    if name == "clip":  # with blanks between its signs it is plain at home, too
        alike = Home(checkpoint(name)).texts(["a dog <| endoftext |> cat"])
        assert least_cosine(embedded[:1], alike) >= 0.99999


def test_pictures_are_those_of_transformers(pair):
    ours, home = pair
    pixels = pictures(7)
    values = (pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1)
                 for v in (ours.preprocess.mean, ours.preprocess.std))  # fmt: skip
    assert least_cosine(ours.encode_images(pixels), home.images((values - mean) / std)) >= 0.99999


PROCESSORS = {"clip": "CLIP", "siglip": "Siglip", "chinese_clip": "ChineseCLIP"}


@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_bit_equal_to_those_of_transformers(checkpoint, name, monkeypatch):
    """Of pictures that are not square, and tiny: resized, cut or squashed, and normalised."""
    module = pytest.importorskip(
        f"transformers.models.{name}.image_processing_pil_{name}",
        reason="needs Transformers 5, whose image processors do without torchvision",
    )
    folder = checkpoint(name)
    processor = getattr(module, f"{PROCESSORS[name]}ImageProcessorPil").from_pretrained(folder)
    encoder, home = load_encoder(f"hf:{folder}"), Home(folder)
    calls = spy(monkeypatch, encoder, "get_image_features")
    for photo in photos():
        rows = encoder.encode_images(encoder.preprocess.views(photo))
        expected = processor(photo, return_tensors="np", input_data_format="channels_last")
        values = expected["pixel_values"]
        np.testing.assert_array_equal(calls.pop()["pixel_values"].numpy(), values)
        assert least_cosine(rows, home.images(values)) >= 0.99999


PUBLISHED_ALIGN = {
    "image_processor_type": "EfficientNetImageProcessor", "do_resize": True, "resample": 2,
    "size": {"height": 346, "width": 346}, "do_center_crop": True,
    "crop_size": {"height": 289, "width": 289}, "do_rescale": True,
    "rescale_factor": 2 / 255, "rescale_offset": True, "do_normalize": False, "include_top": False,
}  # fmt: skip
CLIP_OF_256 = CROP | {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}


@pytest.mark.parametrize(
    ("module", "config"),
    [
        ("clip", CLIP_OF_256),
        ("clip", CROP | {"size": {"shortest_edge": 37}}),  # an odd number of pixels too many
        ("clip", CROP),
        ("efficientnet", PUBLISHED_ALIGN),
        ("efficientnet", PUBLISHED_ALIGN | {"size": 40, "crop_size": 31, "resample": 3}),
    ],
)
def test_a_crop_after_a_larger_resize_is_bit_equal(module, config):
    """Levels as the model's own processor has them, of whole images and of crops."""
    made = pytest.importorskip(
        f"transformers.models.{module}.image_processing_pil_{module}",
        reason="needs Transformers 5, whose image processors do without torchvision",
    )
    kind = {"clip": "CLIPImageProcessorPil", "efficientnet": "EfficientNetImageProcessorPil"}
    processor = getattr(made, kind[module])(**config)
    steps = read_preprocess(config, "preprocessor_config.json")
    mean, std = np.array(steps.mean), np.array(steps.std)
    sizes = [(640, 480), (227, 224), (225, 300), (301, 200), (256, 256), (9, 7), (1, 1), (31, 3)]
    rng = np.random.default_rng(3)
    for wide, high in sizes:
        photo = Image.fromarray(rng.integers(0, 256, (high, wide, 3), dtype=np.uint8))
        side = max(1, int(0.7 * min(wide, high)))
        box = (wide - side, 0, wide, side)
        pixels = steps.views(photo, [box])
        for ours, image in zip(pixels, (photo, photo.crop(box)), strict=True):
            found = processor(image, return_tensors="np", input_data_format="channels_last")
            values = found["pixel_values"][0].transpose(1, 2, 0)
            levels = np.rint((values.astype(np.float64) * std + mean) * 255)
            np.testing.assert_array_equal(ours, levels)


def test_published_align_loads_and_labels(checkpoint, tmp_path):
    """With the image processor of the published checkpoint, a random network behind it."""
    folder = tmp_path / "align"
    shutil.copytree(checkpoint("align"), folder)
    write(folder / "preprocessor_config.json", PUBLISHED_ALIGN)
    encoder = load_encoder(f"hf:{folder}")
    assert (encoder.preprocess.size, encoder.preprocess.resize) == (289, 346)
    assert "resize=346 centre=floor" in fingerprint(encoder)
    photo = photos()[0].resize((400, 300))
    rows = encoder.encode_images(encoder.preprocess.views(photo))
    made = pytest.importorskip(
        "transformers.models.efficientnet.image_processing_pil_efficientnet",
        reason="needs Transformers 5, whose image processors do without torchvision",
    )
    values = made.EfficientNetImageProcessorPil(**PUBLISHED_ALIGN)(photo, return_tensors="np")
    expected = Home(folder).images(values["pixel_values"])
    assert least_cosine(rows, expected) >= 0.99999
    explanation = Classifier(["cat", "dog"], encoder=encoder, crops=5, bank=False)(photo).explain()
    sides = explanation.boxes[:, 2:] - explanation.boxes[:, :2]
    assert np.all(sides <= np.ceil(0.9 * 300 * 289 / 346) + 1), "what the encoder saw of each crop"


# --------------------------------------------------------------------------- batches and threads


@settings(max_examples=10, deadline=None)
@given(chosen=st.lists(st.integers(0, len(TEXTS) - 1), max_size=20))
def test_texts_embed_alike_in_any_company(pair, chosen):
    ours = pair[0]
    rows = ours.encode_texts([TEXTS[index] for index in chosen])
    assert rows.shape == (len(chosen), ours.card.dim)
    alone = [ours.encode_texts([TEXTS[index]])[0] for index in chosen]
    if chosen:
        np.testing.assert_allclose(rows, alone, rtol=0, atol=BATCH_TOLERANCE)


@pytest.mark.parametrize("count", [0, 1, IMAGE_BATCH - 1, IMAGE_BATCH + 1])
def test_pictures_embed_alike_in_any_batch(pair, count):
    ours, pixels = pair[0], pictures(IMAGE_BATCH + 1)
    pixels.flags.writeable = False
    rows = ours.encode_images(pixels[::-1][:count])
    assert rows.shape == (count, ours.card.dim)
    assert rows.dtype == np.float32
    for index in {0, count - 1} if count else ():
        alone = ours.encode_images(pixels[::-1][index : index + 1])[0]
        np.testing.assert_allclose(rows[index], alone, rtol=0, atol=BATCH_TOLERANCE)


def test_many_texts(clip):
    encoder = load_encoder(f"hf:{clip}")
    texts = [f"{index} " + "dog " * (index % 9) for index in range(TEXT_BATCH * 2 + 1)]
    assert least_cosine(encoder.encode_texts(texts), Home(clip).texts(texts)) >= 0.99999


def test_threads(clip):
    encoder = load_encoder(f"hf:{clip}")
    expected = encoder.encode_texts(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(encoder.encode_texts, [TEXTS] * 12):
            np.testing.assert_allclose(rows, expected, rtol=0, atol=BATCH_TOLERANCE)


# ---------------------------------------------------------------------------------- card, options


def test_card(pair, family):
    ours = pair[0]
    card = ours.card
    assert isinstance(ours, Encoder)
    assert card.name.startswith("hf:")
    assert card.dim == {"siglip": 32, "siglip-fast": 32, "align": 64}.get(family, DIM)
    assert (card.image_size, card.context_length, card.licence) == (SIDE, CONTEXT, "mit")
    assert card.bytes == (Path(card.name[3:]) / "model.safetensors").stat().st_size
    assert re.fullmatch("[0-9a-f]{12}", card.revision)
    assert ours.preprocess.fit == ("crop" if "clip" in family else "squash")
    assert repr(ours).startswith(f"TransformersEncoder({card.name!r}, revision=")
    assert "device='cpu', dtype='fp32'" in repr(ours)


@pytest.mark.parametrize("name", ["clip", "siglip-fast", "chinese_clip"])
def test_attention_is_the_fast_one(checkpoint, name):
    assert load_encoder(f"hf:{checkpoint(name)}")._model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["clip", "siglip-fast", "chinese_clip", "align"])
def test_bfloat16(checkpoint, name):
    exact = load_encoder(f"hf:{checkpoint(name)}", dtype="fp32")
    half = load_encoder(f"hf:{checkpoint(name)}", dtype="bf16")
    assert (half._model.dtype, half.dtype, exact.dtype) == (torch.bfloat16, "bf16", "fp32")
    for word in ("bfloat16", torch.bfloat16):
        assert load_encoder(f"hf:{checkpoint(name)}", dtype=word).card == half.card
    assert half.card.revision == f"{exact.card.revision}-bf16", "it embeds a little differently"
    pixels = pictures(5)
    assert least_cosine(half.encode_images(pixels), exact.encode_images(pixels)) >= 0.99
    assert least_cosine(half.encode_texts(TEXTS), exact.encode_texts(TEXTS)) >= 0.99


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({}, "fp32")],
)
def test_dtype_that_suits_the_processor(clip, monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    encoder = load_encoder(f"hf:{clip}", dtype="auto", device="cpu")
    assert f"dtype={expected!r}" in repr(encoder)


def test_checkpoint_in_half_precision_is_computed_in_single(copy):
    home = Home(copy)
    home.model.half().save_pretrained(copy)
    encoder = load_encoder(f"hf:{copy}")
    assert encoder._model.dtype == torch.float32
    home.model.float()
    assert least_cosine(encoder.encode_texts(TEXTS), home.texts(TEXTS)) >= 0.99999


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "unknown dtype 'int8'; choose one of fp32, fp16, bf16, auto"),
        ({"dtype": 16}, "unknown dtype 16"),
        ({"device": "tpu"}, "unknown device 'tpu'; choose one of auto, cpu, cuda, .*gpu"),
        ({"device": 0}, "unknown device 0"),
        ({"runtime": "openvino"}, "knows no option runtime; its options: device, dtype, revision"),
        ({"revision": "main"}, "has no revisions; got revision='main'"),
    ],
)
def test_wrong_options(clip, options, words):
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"hf:{clip}", **options)


def test_absent_gpu(clip, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.warns(UserWarning, match=r"'cuda' was asked for.* sees only cpu") as caught:
        encoder = load_encoder(f"hf:{clip}", device="cuda")
    assert len(caught) == 1
    assert "device='cpu'" in repr(encoder)
    assert "device='cpu'" in repr(load_encoder(f"hf:{clip}", device="auto"))
    with pytest.warns(UserWarning, match=r"'gpu' was asked for.* sees only cpu"):
        load_encoder(f"hf:{clip}", device="gpu")


def test_overflow_is_an_error(copy):
    home = Home(copy)
    with torch.no_grad():
        home.model.visual_projection.weight.mul_(float("inf"))
    home.model.save_pretrained(copy)
    with pytest.raises(EncoderError, match="infinite or undefined"):
        load_encoder(f"hf:{copy}")


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: apple-amlr\n---\n", "apple-amlr"),
        ("---\ntags: x\n---\nlicense: mit\n", "unknown"),
        ("license: mit\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_licence(copy, readme, licence):
    (copy / "README.md").unlink()
    if readme is not None:
        (copy / "README.md").write_text(readme)
    assert load_encoder(f"hf:{copy}").card.licence == licence


def test_revision_is_that_of_the_content(copy, clip):
    assert load_encoder(f"hf:{copy}").card.revision == load_encoder(f"hf:{clip}").card.revision
    write(copy / "preprocessor_config.json", CROP | {"resample": 2})
    assert load_encoder(f"hf:{copy}").card.revision != load_encoder(f"hf:{clip}").card.revision


def test_processor_config(copy, clip):
    (copy / "preprocessor_config.json").unlink()
    write(copy / "processor_config.json", {"image_processor": CROP})
    assert load_encoder(f"hf:{copy}").preprocess == load_encoder(f"hf:{clip}").preprocess


# ---------------------------------------------------------------------------------- the hub


def test_hub_repository(copy, tmp_path, monkeypatch):
    commit = "0123456789" * 4
    cached = tmp_path / "snapshots" / commit
    cached.parent.mkdir()
    calls = []

    def download(name, **options):
        calls.append((name, options))
        files = [file for file in copy.iterdir() if file.is_file()]
        cached.mkdir()
        for file in files:
            (cached / file.name).write_bytes(file.read_bytes())
        return str(cached)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    encoder = load_encoder("hf:someone/clip-tiny", revision="v1")
    assert (encoder.card.name, encoder.card.revision) == ("hf:someone/clip-tiny", commit)
    ((name, options),) = calls
    assert (name, options["revision"]) == ("someone/clip-tiny", "v1")
    with pytest.raises(EncoderError, match="names the revision 'v1', revision='v2' another"):
        load_encoder("hf:someone/clip-tiny@v1", revision="v2")
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in options["allow_patterns"])


def test_hub_out_of_reach(monkeypatch):
    def download(name, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(EncoderError, match="no network") as caught:
        load_encoder("hf:someone/clip-tiny")
    for word in ("model.safetensors", "preprocessor_config.json", "tokenizer.json", "'builtin'"):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "./nowhere", "/nowhere/at/all", "a/b/c", "a b", "../x"])
def test_names_that_are_neither_folder_nor_repository(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "'builtin' works offline" if name != "." else r"model\.safetensors"
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"hf:{name}")


# -------------------------------------------------------------------------------- what is refused


def test_pickles_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"it has pytorch_model.bin.*convert.*save_pretrained"):
        load_encoder(f"hf:{copy}")


def test_a_pickle_beside_is_left_alone(copy):
    (copy / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert load_encoder(f"hf:{copy}").card.dim == DIM


def test_no_dual_encoder(tmp_path):
    config = transformers.BertConfig(vocab_size=50, **TOWER)
    transformers.BertModel(config).save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    write(tmp_path / "preprocessor_config.json", CROP)
    with pytest.raises(EncoderError, match="a 'bert' model is no dual encoder"):
        load_encoder(f"hf:{tmp_path}")


def test_one_tower_is_no_dual_encoder(copy):
    Home(copy).model.text_model.save_pretrained(copy)
    with pytest.raises(EncoderError, match="'clip_text_model' model is no dual encoder"):
        load_encoder(f"hf:{copy}")


def test_patches_of_any_number_are_refused(copy):
    """SigLIP 2 NaFlex takes patches, not pictures."""
    config = transformers.Siglip2Config(
        text_config=TEXT | {"vocab_size": 600, "projection_size": 32},
        vision_config=TOWER | {"patch_size": 8, "num_patches": 16},
    )
    transformers.AutoModel.from_config(config).save_pretrained(copy)
    with pytest.raises(EncoderError, match="a 'siglip2' model does not embed a square picture"):
        load_encoder(f"hf:{copy}")


def test_sizes_that_contradict(copy):
    size = {"size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}
    write(copy / "preprocessor_config.json", CROP | size)
    with pytest.raises(EncoderError, match=r"pictures of 32 pixels.*preprocessor_config.json 40"):
        load_encoder(f"hf:{copy}")


def test_weights_that_lack_a_tensor(copy):
    """Transformers would fill it in at random."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lack 1 of the tensors.*visual_projection.weight"):
        load_encoder(f"hf:{copy}")


@pytest.mark.parametrize(
    "file", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"]
)
@pytest.mark.parametrize("content", [None, b"", b"[1, 2", b"\x00\xff" * 40])
def test_broken_and_missing_files(copy, file, content):
    (copy / "tokenizer_config.json").unlink()
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(EncoderError, match=r"cannot|expected|missing"):
        load_encoder(f"hf:{copy}")


def test_a_repositorys_own_code_is_not_run(copy):
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "own.Config"}}
    write(copy / "config.json", config)
    (copy / "own.py").write_text("raise SystemExit('was run')")
    with pytest.raises(EncoderError, match="own code is never run"):
        load_encoder(f"hf:{copy}")


@pytest.mark.parametrize("texts", ["dog", [1], None, ["\ud800"]])
def test_wrong_texts(clip, texts):
    with pytest.raises(EncoderError, match="expected"):
        load_encoder(f"hf:{clip}").encode_texts(texts)


@pytest.mark.parametrize("shape", [(1, SIDE, SIDE, 4), (1, 3, SIDE, SIDE), (SIDE, SIDE, 3)])
def test_wrong_pixels(clip, shape):
    with pytest.raises(EncoderError, match="expected pixels"):
        load_encoder(f"hf:{clip}").encode_images(np.zeros(shape, np.uint8))


# ------------------------------------------------------------------------------------- end to end


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_classifier(checkpoint, name):
    classifier = Classifier(
        ["cat", "dog"], encoder=f"hf:{checkpoint(name)}", crops=4, seed=0, bank=False
    )  # the bank's descriptions are longer than what this model reads
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = list(classifier.predict(photos()[:3]))
    for result in results:
        assert result.error is None
        assert result.label in {"cat", "dog"}
        assert np.isfinite(result.scores).all()


# ------------------------------------------------------------------- the same model in ONNX files


class VisionTower(torch.nn.Module):
    """What the hub's conversions call ``vision_model.onnx``."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        output = self.model.get_image_features(pixel_values=pixel_values)
        return output if isinstance(output, torch.Tensor) else output.pooler_output


class TextTower(torch.nn.Module):
    """What they call ``text_model.onnx``."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        output = self.model.get_text_features(input_ids=input_ids)
        return output if isinstance(output, torch.Tensor) else output.pooler_output


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["clip", "clip-of-old", "siglip-fast"])
def test_the_same_model_as_onnx_files(checkpoint, name, tmp_path):
    """Converted with PyTorch's exporter and named ``onnx:``, a checkpoint embeds as ``hf:``."""
    pytest.importorskip("onnx", reason="needs the package onnx to convert a checkpoint")
    source = checkpoint(name)
    for file in source.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "onnx").mkdir()
    model = transformers.AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    pixels, ids = torch.zeros(2, 3, SIDE, SIDE), torch.full((2, 7), 3)
    for tower, value, file, entry, made in (
        (VisionTower(model), pixels, "vision_model", "pixel_values", "image_embeds"),
        (TextTower(model), ids, "text_model", "input_ids", "text_embeds"),
    ):
        axes = {0: "n"} if value.ndim == 4 else {0: "n", 1: "length"}
        torch.onnx.export(
            tower.eval(), (value,), tmp_path / "onnx" / f"{file}.onnx", input_names=[entry],
            output_names=[made], dynamic_axes={entry: axes, made: {0: "n"}}, dynamo=False,
            opset_version=17,
        )  # fmt: skip
    ours, converted = load_encoder(f"hf:{source}"), load_encoder(f"onnx:{tmp_path}")
    assert converted.preprocess == ours.preprocess
    assert converted.card.context_length == ours.card.context_length
    found = compare(ours, converted, photos())
    assert found.min_cosine > 0.99999
    assert found.changed == 0
