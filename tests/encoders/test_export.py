"""``crossalign export``: ONNX files that embed as the checkpoint does, or nothing at all."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from crossalign import cli, load_encoder
from crossalign.encoders import export, list_encoders, parity
from crossalign.errors import EncoderError, MissingExtraError

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-torch")
transformers = pytest.importorskip("transformers", reason="needs Transformers: make test-torch")
onnx = pytest.importorskip("onnx", reason="needs the package onnx: make test-torch")

from _checkpoints import LONG, SIDE, TEXTS, make, photos, pictures  # noqa: E402

SPECIALS = ["<|endoftext|>", "a [SEP] cat", "a </s> dog"]
# Of a tiny random network, which is a hard case: its embeddings hang on few numbers.
LEAST = {"fp32": 0.99999, "fp16": 0.9999, "int8": 0.3}
FAMILIES = ["clip", "clip-of-old", "clip-pad-last", "siglip-fast", "chinese_clip", "align"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = make(tmp_path_factory.mktemp(family), family)
        return made[family]

    return get


@pytest.fixture(scope="module")
def clip(checkpoint) -> str:
    return f"hf:{checkpoint('clip')}"


@pytest.fixture
def quick(monkeypatch):
    """Compares on a few pictures."""
    monkeypatch.setattr(parity, "synthetic_pictures", lambda: photos()[:4])


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def exported(checkpoint, family, tmp_path_factory):
    """The original, and the folder that was made of it."""
    name, folder = f"hf:{checkpoint(family)}", tmp_path_factory.mktemp("exported") / family
    found = export.export(name, folder, photos=photos())
    assert found.min_cosine >= LEAST["fp32"]
    return load_encoder(name), folder


# ----------------------------------------------------------------------------------- what is made


@pytest.mark.filterwarnings("ignore:.*texts are longer")
def test_it_embeds_as_the_original(exported, engine, family):
    ours, folder = exported
    if (engine, family) == ("openvino", "align"):
        with pytest.raises(EncoderError, match=r"OpenVINO cannot open .*AveragePool"):
            load_encoder(f"onnx:{folder}", runtime=engine)
        return  # it refuses to average over more than there is, as this network does
    made = load_encoder(f"onnx:{folder}", runtime=engine, dtype="fp32")
    assert made.preprocess == ours.preprocess
    texts = [*TEXTS, *LONG, *SPECIALS]
    pixels = pictures(5)
    for rows, expected in (
        (made.encode_texts(texts), ours.encode_texts(texts)),
        (made.encode_images(pixels), ours.encode_images(pixels)),
    ):
        assert (rows * expected).sum(axis=1).min() >= LEAST["fp32"]


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request) -> str:
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: make test-torch")
    return request.param


def test_token_ids_are_the_same(exported):
    ours, folder = exported
    made = load_encoder(f"onnx:{folder}")
    rows, cut = made._reader.read([*TEXTS, *LONG, *SPECIALS])
    expected, _, expected_cut = ours._read([*TEXTS, *LONG, *SPECIALS])
    assert rows == [row["input_ids"] for row in expected]
    assert set(cut) == expected_cut


def test_short_texts_stay_short_where_that_is_exact(exported, family):
    """So the text side is fast: one text is not padded to the full length."""
    made = load_encoder(f"onnx:{exported[1]}")
    expected = {"clip-pad-last": "full", "siglip-fast": "full"}
    expected |= {"chinese_clip": "mask", "align": "mask"}
    assert f"padding={expected.get(family, 'trim')!r}" in repr(made)


def test_card(exported, family):
    ours, folder = exported
    card = load_encoder(f"onnx:{folder}").card
    for field in ("dim", "image_size", "context_length", "licence"):
        assert getattr(card, field) == getattr(ours.card, field)
    assert card.licence == "mit"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"hf:{Path(ours.card.name).name}" in readme
    assert str(Path(ours.card.name[3:]).parent) not in readme, "no path of this machine"
    assert ours.card.revision in readme


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "x"
    export.export(clip, folder, photos=photos())
    return folder


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
def test_smaller_files(clip, whole, dtype, tmp_path):
    found = export.export(clip, tmp_path / "x", dtype=dtype, accept=True, photos=photos())
    assert found.min_cosine >= LEAST[dtype]
    made = load_encoder(f"onnx:{tmp_path / 'x'}")
    assert made.card.revision.endswith(f"-{dtype}")
    assert "padding='trim'" in repr(made)
    sizes = {kind: sum(map(weights, (folder / "onnx").iterdir())) for kind, folder in
             {"fp32": whole, dtype: tmp_path / "x"}.items()}  # fmt: skip
    assert sizes[dtype] < {"fp16": 0.6, "int8": 0.5}[dtype] * sizes["fp32"]


def test_variants_share_a_folder(clip, whole, checkpoint, tmp_path, quick):
    folder = tmp_path / "x"
    shutil.copytree(whole, folder)
    before = load_encoder(f"onnx:{folder}").card
    export.export(clip, folder, dtype="int8", accept=True)
    assert load_encoder(f"onnx:{folder}").card == before, "what was there stays as it was"
    made = load_encoder(f"onnx:{folder}", dtype="int8")
    assert made.card.revision.endswith("-int8")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme.count("Made by crossalign") == 2
    assert readme.count("```python") == 1
    assert "in int8. Compared" in readme
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with pytest.raises(EncoderError, match="holds int8 already"):
        export.export(clip, folder, dtype="int8", accept=True)
    with pytest.raises(EncoderError, match="does not say that its files were made from"):
        export.export(f"hf:{checkpoint('clip-pad-last')}", folder, dtype="fp16")
    (folder / "tokenizer_config.json").write_text("{}")
    files = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(EncoderError, match=r"its tokenizer_config\.json is not that of"):
        export.export(clip, folder, dtype="fp16")
    assert sorted(path.name for path in folder.rglob("*")) == files


def weights(graph: Path) -> int:
    return sum(len(tensor.raw_data) for tensor in onnx.load(graph).graph.initializer)


def test_weights_beyond_half_precision_stay_single(tmp_path):
    from onnx import helper, numpy_helper

    from crossalign.encoders.onnx.precision import save

    large = np.linspace(-1, 1, 2048, dtype=np.float32).reshape(32, 64)
    held = {"fits": large, "too_large": large * 1e6, "small": np.ones(4, np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "fits"], ["a"]),
             helper.make_node("MatMul", ["x", "too_large"], ["b"]),
             helper.make_node("Sum", ["a", "b", "small"], ["y"])]  # fmt: skip
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, ["n", 32])],
        [helper.make_tensor_value_info("y", kind, ["n", 64])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), tmp_path / "graph.onnx")
    path = save(tmp_path / "graph.onnx", tmp_path / "out", "fp16")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {"fits_half": onnx.TensorProto.FLOAT16, "too_large": kind, "small": kind}


def test_large_weights_go_into_a_file_beside(clip, tmp_path, monkeypatch, quick):
    """As they must beyond 2 GB, which one file cannot hold."""
    monkeypatch.setattr("crossalign.encoders.onnx.precision.LARGEST", 1000)
    export.export(clip, tmp_path / "x")
    names = {path.name for path in (tmp_path / "x" / "onnx").iterdir()}
    assert names == {"vision_model.onnx", "vision_model.onnx_data", "text_model.onnx",
                     "text_model.onnx_data"}  # fmt: skip
    made = load_encoder(f"onnx:{tmp_path / 'x'}")
    assert made.card.bytes > 50_000


# --------------------------------------------------------------------------------------- the gate


class Spoilt:
    """Passes on what ``compare`` gets, with the second encoder's texts turned about."""

    def __init__(self, inner):
        self.card, self.preprocess = inner.card, inner.preprocess
        self.encode_images = inner.encode_images
        self.encode_texts = lambda texts: -inner.encode_texts(texts)


@pytest.fixture
def spoilt(monkeypatch, quick):
    """Makes every export bad."""
    whole = export.compare
    monkeypatch.setattr(export, "compare", lambda a, b, *more: whole(a, Spoilt(b), *more))


@pytest.mark.parametrize(("dtype", "accept", "made"), [
    ("fp32", False, False), ("fp32", True, False), ("fp16", True, False),
    ("int8", False, False), ("int8", True, True),
])  # fmt: skip
def test_nothing_is_left_behind_below_the_gate(clip, spoilt, tmp_path, dtype, accept, made):
    reports = []
    options = {"dtype": dtype, "accept": accept, "report": reports.append}
    if made:
        export.export(clip, tmp_path / "x", **options)
    else:
        with pytest.raises(EncoderError, match=r"cosine of -.*nothing was written") as caught:
            export.export(clip, tmp_path / "x", **options)
        assert ("--accept" in str(caught.value)) == (dtype == "int8")
    assert [path.name for path in tmp_path.iterdir()] == (["x"] if made else [])
    assert len(reports) == 1
    assert reports[0].texts.min_cosine == pytest.approx(-1, abs=0.1)


def test_a_failure_amid_leaves_nothing_behind(clip, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("unsupported operator: made_up")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(EncoderError, match="its image tower as an ONNX graph: unsupported operat"):
        export.export(clip, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_in_the_way_stays(clip, tmp_path, what):
    place = tmp_path / "x"
    if what == "folder":
        place.mkdir()
        place = place / "precious"
    place.write_text("precious")
    with pytest.raises(EncoderError, match="is in the way"):
        export.export(clip, tmp_path / "x")
    assert place.read_text() == "precious"


def test_an_empty_folder_is_taken(clip, tmp_path, quick):
    (tmp_path / "x").mkdir()
    export.export(clip, tmp_path / "x")
    assert load_encoder(f"onnx:{tmp_path / 'x'}").card.dim == 24


# --------------------------------------------------------------------------- what cannot be made


@pytest.mark.parametrize("name", ["builtin", "onnx:nowhere", "hf:/nowhere", "nonsense"])
def test_what_is_no_checkpoint(name, tmp_path):
    with pytest.raises(EncoderError):
        export.export(name, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_unknown_dtype(clip, tmp_path):
    with pytest.raises(
        EncoderError, match="unknown dtype 'bf16'; choose one of fp32, fp16, int8, auto"
    ):
        export.export(clip, tmp_path / "x", dtype="bf16")


def test_without_onnx(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"'onnx'.*crossalign\[export\]"):
        export.export(clip, tmp_path / "x")


def test_a_tokenizer_of_sentence_pieces(checkpoint, tmp_path):
    """The first SigLIP's is a program of Transformers, not data that onnx: could read."""
    with pytest.raises(EncoderError, match=r"cannot be written as a tokenizer\.json"):
        export.export(f"hf:{checkpoint('siglip')}", tmp_path / "x")


# ------------------------------------------------------------------------------------ the command


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return end.value.code, out, err


def test_command(clip, tmp_path, capsys, quick):
    target = str(tmp_path / "x")
    code, out, err = run(capsys, "export", clip, target, "--dtype", "fp16")
    assert code == 0
    assert "error" not in err
    assert "decisions among 48 classes changed" in out
    assert f"--model onnx:{target}" in out
    code, out, err = run(capsys, "export", clip, target, "--dtype", "fp16")
    assert (code, out) == (2, "")
    assert "is in the way" in err


def test_command_below_the_gate(clip, tmp_path, capsys, spoilt):
    code, out, err = run(capsys, "export", clip, str(tmp_path / "x"), "--dtype", "int8")
    assert code == 2
    assert "decisions among" in out, "the comparison is shown all the same"
    assert "Pass --accept" in err
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------- models in the cache


def test_cached_checkpoints_are_listed(checkpoint, tmp_path, monkeypatch):
    """With the card that loading them gives; an image classifier beside is none of ours."""
    import huggingface_hub

    cache = tmp_path / "cache"
    for family in ("clip", "siglip-fast", "chinese_clip", "align"):
        commit = cache / f"models--someone--{family}" / "snapshots" / ("0123456789" * 4)
        shutil.copytree(checkpoint(family), commit)
    other = cache / "models--someone--other" / "snapshots" / ("0123456789" * 4)
    shutil.copytree(checkpoint("clip"), other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(
        json.dumps({key: config[key] for key in config if "_config" not in key})
    )
    whole = huggingface_hub.scan_cache_dir
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: whole(cache))
    found = {card.name: card for card in list_encoders() if card.name.startswith("hf:")}
    assert set(found) == {f"hf:someone/{family}" for family in
                          ("clip", "siglip-fast", "chinese_clip", "align")}  # fmt: skip
    for name, card in found.items():
        folder = cache / f"models--someone--{name.partition('/')[2]}" / "snapshots"
        loaded = load_encoder(f"hf:{next(folder.iterdir())}").card
        for field in ("revision", "dim", "image_size", "context_length", "licence", "bytes"):
            assert getattr(card, field) == getattr(loaded, field), (name, field)
    assert found["hf:someone/clip"].image_size == SIDE
