"""Encoders of open_clip: the same pixels, tokens and embeddings as open_clip itself.

Two tiny random models, with a CLIP's and a SigLIP's kind of towers, are made here; no network.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier
from crossalign.encoders import Encoder, load_encoder
from crossalign.encoders.torch import open_clip as crossalign_open_clip
from crossalign.errors import EncoderError, MissingExtraError

torch = pytest.importorskip("torch", reason="PyTorch is not installed; make test-torch brings it")


def import_open_clip():
    """Import it, also where torchvision is of another build than torch.

    It imports torchvision, which then misses the schemas of two operators that nothing here calls.
    """
    try:
        import open_clip
    except ModuleNotFoundError as error:
        pytest.skip(f"needs open_clip: {error}; make test-torch brings it", allow_module_level=True)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return open_clip, None
    for name in list(sys.modules):
        if name.split(".")[0] in {"open_clip", "timm", "torchvision"}:
            del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    schemas.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    schemas.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        import open_clip
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"open_clip cannot be imported: {error}", allow_module_level=True)
    return open_clip, schemas  # the schemas last as long as the object


open_clip, _schemas = import_open_clip()

COSINE = 0.99999
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIGS = {
    "tiny-clip": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-squash": {
        "embed_dim": 24,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": VISION | {"pool_type": "avg", "final_ln_after_pool": True},
        "text_cfg": TEXT
        | {"context_length": 16, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    },
}
SQUASH = {"mean": [0.5] * 3, "std": [0.25, 0.5, 0.5], "interpolation": "bilinear"}
SQUASH |= {"resize_mode": "squash"}
TEXTS = [
    "a photo of a tabby cat.",
    "",
    " ",
    "dog",
    "A PHOTO OF A TABBY CAT.",
    "naïve café — 東京 🙂",
    "dog",
    "two\nlines &amp; a\ttab",
]
LONG = " ".join(["leaf"] * 100)


@pytest.fixture(scope="module", params=list(CONFIGS))
def architecture(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of each architecture, the one that squashes with its configuration beside it."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("open_clip")
    made = {}
    for name, config in CONFIGS.items():
        (folder / "configs").mkdir(exist_ok=True)
        (folder / "configs" / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder / "configs")
    for name in CONFIGS:
        torch.manual_seed(0)
        model = open_clip.create_model(name)
        for parameter in model.parameters():  # large weights, so that inputs matter
            torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim > 1 else 1.0)
        (folder / name).mkdir()
        made[name] = folder / name / "weights.safetensors"
        save_file(
            {key: value.contiguous() for key, value in model.state_dict().items()}, made[name]
        )
    sidecar = {"model_cfg": CONFIGS["tiny-squash"], "preprocess_cfg": {"size": 32, **SQUASH}}
    (folder / "tiny-squash" / "open_clip_config.json").write_text(json.dumps(sidecar), "utf-8")
    return made


@pytest.fixture(scope="module")
def encoder(architecture, files):
    return load_encoder(f"open_clip:{architecture}/{files[architecture]}")


@pytest.fixture(scope="module")
def home(architecture, files):
    """The model as open_clip loads it."""
    return open_clip.create_model(architecture, pretrained=str(files[architecture])).eval()


@pytest.fixture
def clip_name(files) -> str:
    return f"open_clip:tiny-clip/{files['tiny-clip']}"


def pictures(count: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def stated(architecture: str) -> dict:
    """open_clip's defaults, or what stands beside the weights."""
    return SQUASH if architecture == "tiny-squash" else vars(open_clip.transform.PreprocessCfg())


def normalised(pixels: np.ndarray, architecture: str) -> np.ndarray:
    mean, std = (np.array(stated(architecture)[key], np.float32) for key in ("mean", "std"))
    levels = pixels.astype(np.float32) / np.float32(255)
    return ((levels - mean) / std).transpose(0, 3, 1, 2)


def home_texts(home, architecture: str, texts: list[str]) -> np.ndarray:
    ids = open_clip.get_tokenizer(architecture)(texts)
    assert ids.shape[1] == CONFIGS[architecture]["text_cfg"]["context_length"]
    with torch.inference_mode():
        return home.encode_text(ids, normalize=True).numpy()


def check_alike(rows: np.ndarray, expected: np.ndarray) -> None:
    assert rows.shape == expected.shape
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=0, atol=1e-5)
    assert (rows * expected).sum(axis=1).min() >= COSINE


# --------------------------------------------------------------------------------- what it is


def test_card(encoder, architecture, files):
    card, config = encoder.card, CONFIGS[architecture]
    assert isinstance(encoder, Encoder)
    assert card.name == f"open_clip:{architecture}/{files[architecture]}"
    assert (card.dim, card.image_size) == (config["embed_dim"], 32)
    assert card.context_length == config["text_cfg"]["context_length"]
    assert len(card.revision) == 12
    assert card.licence == "unknown"
    assert card.bytes == files[architecture].stat().st_size
    assert architecture in repr(encoder)
    assert "fp32" in repr(encoder)


def test_preprocessing_is_what_is_stated(encoder, architecture):
    made, said = encoder.preprocess, stated(architecture)
    assert (made.mean, made.std) == (tuple(said["mean"]), tuple(said["std"]))
    assert made.resample == said["interpolation"]
    assert made.fit == {"shortest": "crop", "squash": "squash"}[said["resize_mode"]]


def test_a_relative_path(files, monkeypatch):
    monkeypatch.chdir(files["tiny-clip"].parents[1])
    encoder = load_encoder("open_clip:tiny-clip/tiny-clip/weights.safetensors")
    assert encoder.card.name == "open_clip:tiny-clip/tiny-clip/weights.safetensors"


# ------------------------------------------------------------------------------------- images


def test_images_as_open_clip_embeds_them(encoder, home, architecture):
    pixels = pictures(35)  # more than one batch
    with torch.inference_mode():
        network_input = torch.from_numpy(normalised(pixels, architecture))
        expected = home.encode_image(network_input, normalize=True).numpy()
    assert (expected[0] * expected[1]).sum() < 0.999  # else alike would say nothing
    check_alike(encoder.encode_images(pixels), expected)
    check_alike(encoder.encode_images(pixels[:, ::-1])[:2], encoder.encode_images(pixels[:2, ::-1]))


def test_pixels_into_the_network_are_bit_equal(encoder, architecture, monkeypatch):
    seen = []
    whole = encoder._model.encode_image
    monkeypatch.setattr(
        encoder._model, "encode_image", lambda x, **options: (seen.append(x), whole(x))[1]
    )
    pixels = pictures(3)
    pixels[0] = np.arange(32 * 32 * 3).reshape(32, 32, 3) % 256  # every level in every channel
    encoder.encode_images(pixels)
    np.testing.assert_array_equal(torch.cat(seen).numpy(), normalised(pixels, architecture))


@pytest.mark.parametrize("size", [(32, 32), (50, 33), (33, 50), (200, 41), (3, 7), (1, 1)])
def test_pictures_become_square_as_in_open_clip(encoder, architecture, size):
    picture = Image.fromarray(pictures(1, 256)[0]).resize(size, Image.Resampling.BICUBIC)
    config = open_clip.transform.PreprocessCfg(
        **{key: stated(architecture)[key] for key in ("mean", "std", "interpolation")},
        resize_mode=stated(architecture)["resize_mode"],
        size=32,
    )
    expected = open_clip.transform.image_transform_v2(config, is_train=False)(picture).numpy()
    views = encoder.preprocess.views(picture)
    np.testing.assert_array_equal(normalised(views, architecture)[0], expected)


def test_no_images_and_wrong_ones(encoder):
    assert encoder.encode_images(pictures(0)).shape == (0, encoder.card.dim)
    with pytest.raises(EncoderError, match=r"\(n, 32, 32, 3\)"):
        encoder.encode_images(pictures(1, 16))


# -------------------------------------------------------------------------------------- texts


def test_texts_as_open_clip_embeds_them(encoder, home, architecture):
    expected = home_texts(home, architecture, TEXTS)
    assert (expected[0] * expected[3]).sum() < 0.999
    rows = encoder.encode_texts(TEXTS)
    check_alike(rows, expected)
    np.testing.assert_array_equal(rows[3], rows[6])
    many = [f"a photo of number {number}" for number in range(70)]  # more than one batch
    check_alike(encoder.encode_texts(many[::-1]), home_texts(home, architecture, many[::-1]))


@pytest.mark.parametrize("special", ["<start_of_text>", "<end_of_text>", "<END_OF_TEXT>"])
def test_a_special_token_written_out_is_plain_text(encoder, home, architecture, special):
    """Else it would end the text. With blanks between its signs it is plain in open_clip too."""
    texts = [f"a dog {special} and a cat", f"{special} a cat", f"&lt;{special[1:-1]}&gt; a cat"]
    apart = [f"a dog {' '.join(re.findall('[a-z]+|.', special.lower()))} and a cat"]
    apart += [" ".join(re.findall("[a-z]+|.", special.lower())) + " a cat"] * 2
    if architecture == "tiny-squash":  # of 16 tokens
        texts, apart = texts[1:], apart[1:]
    rows = encoder.encode_texts(texts)
    check_alike(rows, home_texts(home, architecture, apart))
    cut_there = home_texts(home, architecture, [f"{special.lower()} a cat"])
    assert (rows[-1:] * cut_there).sum() < 0.999


def test_no_texts_and_wrong_ones(encoder):
    assert encoder.encode_texts([]).shape == (0, encoder.card.dim)
    for wrong in ("cat", [3], None, ["\ud800"]):
        with pytest.raises(EncoderError, match=r"list of texts|valid Unicode"):
            encoder.encode_texts(wrong)


def test_token_ids_are_those_of_the_tokenizer(encoder, architecture, monkeypatch):
    """In order of length, and cut behind the longest end of text, but only in a causal tower."""
    seen = []
    whole = type(encoder._model).encode_text
    monkeypatch.setattr(
        type(encoder._model),
        "encode_text",
        lambda self, ids, **options: (seen.append(ids), whole(self, ids))[1],
    )
    encoder.encode_texts(TEXTS)
    ids = open_clip.get_tokenizer(architecture)(list(dict.fromkeys(TEXTS)))
    if architecture == "tiny-clip":
        ends = ids.argmax(dim=1)
        ids = ids[torch.argsort(ends, stable=True), : int(ends.max()) + 1]
    assert torch.equal(torch.cat(seen), ids)


@pytest.mark.parametrize(
    ("custom", "text", "trims"),
    [
        (False, {}, True),
        (True, {}, True),
        (True, {"pool_type": "eos", "eos_id": 49407}, True),
        (True, {"pool_type": "eos", "eos_id": 5}, True),
        (True, {"pool_type": "first"}, False),
        (True, {"pool_type": "last"}, False),
        (True, {"no_causal_mask": True}, False),
        (True, {"embed_cls": True}, False),
        (True, {"qk_norm": True}, True),
    ],
)
def test_trimming_is_exact(tmp_path, custom, text, trims):
    from safetensors.torch import save_file

    kind = f"tiny-{'-'.join(map(str, [custom, *text.values()]))}"
    config = CONFIGS["tiny-clip"] | {"custom_text": custom, "text_cfg": TEXT | text}
    (tmp_path / f"{kind}.json").write_text(json.dumps(config), "utf-8")
    open_clip.add_model_config(tmp_path / f"{kind}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(kind).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim > 1 else 1.0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    encoder = load_encoder(f"open_clip:{kind}/{tmp_path}/weights.safetensors")
    ids, _ = encoder._tokenize(TEXTS)
    lengths = crossalign_open_clip._lengths(encoder._model, ids)
    assert (max(lengths) < 77) == trims
    check_alike(encoder.encode_texts(TEXTS), home_texts_of(model, kind))
    before = {key: value.clone() for key, value in encoder._model.state_dict().items()}
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def home_texts_of(model, kind: str) -> np.ndarray:
    with torch.inference_mode():
        return model.encode_text(open_clip.get_tokenizer(kind)(TEXTS), normalize=True).numpy()


def test_overlong_texts_are_cut_and_counted(encoder, home, architecture):
    texts = [LONG, "dog", LONG, f"a {LONG}"]
    with pytest.warns(UserWarning, match=r"^3 of 4 texts are longer than \d+ tokens") as caught:
        rows = encoder.encode_texts(texts)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    check_alike(rows, home_texts(home, architecture, texts))


@pytest.mark.parametrize("over", [0, 1, 2])
def test_only_what_is_cut_is_counted(encoder, over):
    """A text that just fits, and those that are one and two tokens too long."""
    text = " ".join(["leaf"] * (encoder.card.context_length - 2 + over))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.encode_texts([text, "<" + text[:-30]])
    assert [str(one.message)[:6] for one in caught] == (["1 of 2"] if over else [])


def test_threads_embed_alike(encoder):
    expected, got = encoder.encode_texts(TEXTS), {}
    threads = [
        threading.Thread(target=lambda key=key: got.update({key: encoder.encode_texts(TEXTS)}))
        for key in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in got.values():
        np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-6)
    assert len(got) == 4


# ----------------------------------------------------------------------------- device and dtype


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_is_near(architecture, files, encoder, dtype):
    half = load_encoder(f"open_clip:{architecture}/{files[architecture]}", dtype=dtype)
    assert half.card.revision == f"{encoder.card.revision}-{dtype}"
    assert half.dtype == dtype
    pixels = pictures(4)
    for rows, expected in (
        (half.encode_images(pixels), encoder.encode_images(pixels)),
        (half.encode_texts(TEXTS), encoder.encode_texts(TEXTS)),
    ):
        assert rows.dtype == np.float32
        assert (rows * expected).sum(axis=1).min() > 0.99  # weights of 1 and 0.3: a hard case


def test_a_gpu_that_is_not_there(clip_name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="sees only cpu; the CPU is used") as caught:
        encoder = load_encoder(clip_name, device="cuda")
    assert "test_open_clip" in caught[0].filename
    assert "'cpu'" in repr(encoder)
    assert "'cpu'" in repr(load_encoder(clip_name, device="auto"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_on_a_gpu(architecture, files, encoder, dtype):
    gpu = load_encoder(
        f"open_clip:{architecture}/{files[architecture]}", device="cuda", dtype=dtype
    )
    assert "'cuda:0'" in repr(gpu)
    least = 0.9999 if dtype == "fp32" else 0.99
    pixels = pictures(4)
    assert (gpu.encode_images(pixels) * encoder.encode_images(pixels)).sum(axis=1).min() > least
    assert (gpu.encode_texts(TEXTS) * encoder.encode_texts(TEXTS)).sum(axis=1).min() > least


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"device": "tpu"}, {"device": 3}])
def test_unknown_options(clip_name, options):
    with pytest.raises(
        EncoderError, match=r"unknown (dtype .* fp32, fp16, bf16, auto|device .* auto, cpu, cuda)"
    ):
        load_encoder(clip_name, **options)


def test_overflow_is_an_error(clip_name, monkeypatch):
    encoder = load_encoder(clip_name)
    monkeypatch.setattr(
        type(encoder._model),
        "encode_text",
        lambda self, ids, **options: torch.full((len(ids), 16), np.nan),
    )
    with pytest.raises(EncoderError, match="load it with dtype='fp32'"):
        encoder.encode_texts(["a"])


# --------------------------------------------------------------------------- names and failures


def test_unknown_architecture():
    with pytest.raises(EncoderError, match=r"'vit-b32'.*close to it: .*ViT-B-32"):
        load_encoder("open_clip:vit-b32/openai")


@pytest.mark.parametrize("rest", ["", "/", "no-such-thing-at-all/x"])
def test_nonsense_names(rest):
    with pytest.raises(EncoderError, match="knows no architecture"):
        load_encoder(f"open_clip:{rest}")


@pytest.mark.parametrize("rest", ["ViT-B-32/nonsense", "ViT-B-32/", "ViT-B-32"])
def test_unknown_tag(rest):
    with pytest.raises(EncoderError, match=r"tag of ViT-B-32 \(.*laion2b_s34b_b79k.*\)"):
        load_encoder(f"open_clip:{rest}")


@pytest.mark.parametrize("path", ["/nowhere/weights.safetensors", "weights.pt", "some/folder"])
def test_missing_file(path):
    with pytest.raises(EncoderError, match=f"there is no file {path}.*'builtin' works"):
        load_encoder(f"open_clip:ViT-B-32/{path}")


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pth", ""])
def test_pickles_are_refused_unread(tmp_path, suffix):
    file = tmp_path / f"weights{suffix}"
    torch.save({"state_dict": {}}, file)
    with pytest.raises(EncoderError, match=r"expected a \.safetensors .* Pickles"):
        load_encoder(f"open_clip:ViT-B-32/{file}")


def test_weights_of_another_architecture(files):
    with pytest.raises(EncoderError, match="Is it whole and tiny-squash") as caught:
        load_encoder(f"open_clip:tiny-squash/{files['tiny-clip']}")
    assert len(str(caught.value)) < 900


def test_broken_file(files, tmp_path):
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(files["tiny-clip"].read_bytes()[:5000])
    with pytest.raises(EncoderError, match="Is it whole and tiny-clip"):
        load_encoder(f"open_clip:tiny-clip/{broken}")


def test_no_network(monkeypatch):
    def fail(stated):
        raise ConnectionError("no route to huggingface.co")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(
        EncoderError, match=r"no route .* laion/CLIP-ViT-B-32-laion2B-s34B-b79K/ .*'builtin' works"
    ):
        load_encoder("open_clip:ViT-B-32/laion2b_s34b_b79k")


def test_weights_with_another_activation():
    with pytest.raises(EncoderError, match="QuickGELU; use open_clip:ViT-B-32-quickgelu/openai"):
        load_encoder("open_clip:ViT-B-32/openai")


@pytest.mark.parametrize(("module", "missing"), [("torch", "torch"), ("open_clip", "open_clip")])
def test_missing_extra(monkeypatch, module, missing):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"'{missing}'.*crossalign\[open-clip\]"):
        load_encoder("open_clip:ViT-B-32/openai")


# ----------------------------------------------------------------- tags and stated preprocessing


@pytest.fixture
def publish(files, monkeypatch):
    """Makes tags of the tiny CLIP known to open_clip, as those of files on this machine."""

    def make(*entries: dict) -> None:
        tags = {
            f"tag_{number}": {"file": str(files["tiny-clip"]), **entry}
            for number, entry in enumerate(entries)
        }
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-clip", tags)

    return make


def test_a_tag(publish, monkeypatch):
    import huggingface_hub

    asked = []
    card = huggingface_hub.ModelCard("---\nlicense: mit\n---\n# A model\n")
    monkeypatch.setattr(
        huggingface_hub.ModelCard, "load", lambda name: (asked.append(name), card)[1]
    )
    publish(SQUASH | {"hf_hub": "owner/model/"})
    encoder = load_encoder("open_clip:tiny-clip/tag_0")
    assert asked == ["owner/model"]
    assert (encoder.card.revision, encoder.card.licence) == ("tag_0", "mit")
    assert (encoder.preprocess.fit, encoder.preprocess.resample) == ("squash", "bilinear")
    assert encoder.preprocess.std == (0.25, 0.5, 0.5)


def test_a_tag_at_a_revision(publish, files, monkeypatch, tmp_path):
    import huggingface_hub

    commit = "0123456789" * 4
    file = tmp_path / "snapshots" / commit / "open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(files["tiny-clip"].read_bytes())
    asked = []

    def download(*place, revision):
        asked.append((*place, revision))
        return str(file)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda name, revision: [file.name])
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(
        huggingface_hub.ModelCard, "load", lambda name: huggingface_hub.ModelCard("# A model\n")
    )
    publish(SQUASH | {"hf_hub": "owner/model/"})
    encoder = load_encoder("open_clip:tiny-clip/tag_0", revision="v1")
    assert (encoder.card.name, encoder.card.revision) == (
        "open_clip:tiny-clip/tag_0",
        f"tag_0-{commit}",
    )
    assert load_encoder("open_clip:tiny-clip/tag_0@v1").card == encoder.card
    assert asked == [("owner/model", file.name, "v1")] * 2
    with pytest.raises(EncoderError, match="expected one revision"):
        load_encoder("open_clip:tiny-clip/tag_0@v1", revision="v2")


def test_revisions_that_mean_nothing(publish, clip_name):
    publish(SQUASH)
    with pytest.raises(EncoderError, match="has no revisions; got revision='v1'"):
        load_encoder(clip_name, revision="v1")
    with pytest.raises(EncoderError, match="do not lie on the hub, so they have no revisions"):
        load_encoder("open_clip:tiny-clip/tag_0", revision="v1")


def test_a_local_file_is_prepared_as_the_published_weights(publish, clip_name):
    publish(SQUASH, SQUASH)
    assert load_encoder(clip_name).preprocess.fit == "squash"


def test_published_weights_that_disagree(publish, clip_name):
    publish(SQUASH, SQUASH | {"mean": [0.4] * 3})
    with pytest.raises(
        EncoderError, match=r"differ in their preprocessing.*open_clip_config\.json"
    ):
        load_encoder(clip_name)


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ({"preprocess_cfg": SQUASH | {"resize_mode": "longest"}}, "'resize_mode' cannot be used"),
        ({"preprocess_cfg": SQUASH | {"size": 64}}, r"says 64 pixels, tiny-clip \(32"),
        ({"preprocess_cfg": SQUASH | {"interpolation": "random"}}, "'interpolation' cannot be"),
        ({"preprocess_cfg": SQUASH, "model_cfg": {"quick_gelu": True}}, "says quick_gelu=True"),
        ({"preprocess_cfg": {"mean": [0.5] * 3}}, "expected an object 'preprocess_cfg'"),
        ({"preprocess_cfg": []}, "expected an object 'preprocess_cfg'"),
        ({}, "expected an object 'preprocess_cfg'"),
    ],
)
def test_unusable_statements(files, tmp_path, sidecar, message):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(files["tiny-clip"].read_bytes())
    (tmp_path / "open_clip_config.json").write_text(json.dumps(sidecar), "utf-8")
    with pytest.raises(EncoderError, match=message):
        load_encoder(f"open_clip:tiny-clip/{file}")


# ------------------------------------------------------------------------- the same in ONNX files


@pytest.mark.filterwarnings("ignore:.*texts are longer")
@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_export(architecture, files, encoder, tmp_path, dtype):
    """Written in the layout of photo libraries, it embeds as open_clip does, to the token."""
    pytest.importorskip("onnx", reason="needs the package onnx: make test-torch")
    from crossalign.encoders.export import export

    name = f"open_clip:{architecture}/{files[architecture]}"
    views = [Image.fromarray(picture) for picture in pictures(4, 50)]
    found = export(name, tmp_path / "x", dtype=dtype, accept=True, photos=views)
    made = load_encoder(f"onnx:{tmp_path / 'x'}")
    assert made.preprocess == encoder.preprocess
    for field in ("dim", "image_size", "context_length"):
        assert getattr(made.card, field) == getattr(encoder.card, field)
    expected = "full" if architecture == "tiny-squash" else "trim"
    assert f"padding={expected!r}" in repr(made) or dtype == "int8"
    texts = [*TEXTS, LONG, "<end_of_text> a cat", "don't &lt;i&gt; 12 cats!", "ÉTÉ ΣΑΣ"]
    texts += ["\u201cdon\u2019t\u201d ﬁne \uff37\uff29\uff24\uff25\u3000cafe\u0301 A_B"]
    rows, cut = made._reader.read(texts)
    ids, was_cut = encoder._tokenize(texts)
    width = ids.shape[1]
    pad = made._reader._pad_id
    assert [row + [pad] * (width - len(row)) for row in rows] == ids.tolist()
    assert set(cut) == was_cut
    if dtype == "fp32":
        assert found.min_cosine >= COSINE
        check_alike(made.encode_texts(texts), encoder.encode_texts(texts))
        pixels = pictures(5)
        check_alike(made.encode_images(pixels), encoder.encode_images(pixels))


def test_cached_tags_are_listed(tmp_path, monkeypatch, files):
    import huggingface_hub

    from crossalign.encoders import list_encoders

    known = {architecture for architecture, _ in open_clip.list_pretrained()}
    assert "ViT-B-32" in known
    place = tmp_path / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K" / "snapshots" / "c0ffee"
    place.mkdir(parents=True)
    (place / "open_clip_model.safetensors").write_bytes(b"0" * 1234)
    (place / "README.md").write_text("---\nlicense: mit\n---\n")
    whole = huggingface_hub.scan_cache_dir
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: whole(tmp_path))
    (card,) = [card for card in list_encoders() if card.name.startswith("open_clip:")]
    assert card.name == "open_clip:ViT-B-32/laion2b_s34b_b79k"
    assert (card.dim, card.image_size, card.context_length) == (512, 224, 77)
    assert (card.licence, card.bytes) == ("mit", 1234)


# ---------------------------------------------------------------------------------- end to end


def test_classifier(clip_name, tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pictures(1, 40 + number)[0]).save(paths[-1])
    classifier = Classifier(["cat", "dog", "tree"], encoder=clip_name, crops=4, seed=0)
    predictions = list(classifier.predict(paths))
    assert [prediction.error for prediction in predictions] == [None] * 3
    assert {prediction.label for prediction in predictions} <= {"cat", "dog", "tree"}
    again = Classifier(["cat", "dog", "tree"], encoder=clip_name, crops=4, seed=0)(paths[1])
    np.testing.assert_allclose(again.scores, predictions[1].scores, rtol=0, atol=1e-5)
