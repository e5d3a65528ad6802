"""How fast each engine runs one network, and how alike they embed.

    python benchmarks/encoders.py                # a random ViT-B/32, made on the spot; minutes
    python benchmarks/encoders.py --quick        # a tiny network, to see that it all works
    python benchmarks/encoders.py --json FILE    # the figures, too

Needs the extras transformers, export and openvino. The network is a CLIP of the shape of ViT-B/32
with random weights, made by Transformers and exported by crossalign. All rows take turns in every
round, so that a machine that slows down slows all of them. The baseline is Transformers itself in
single precision, texts padded to all 77 positions, as its own examples do. The texts are the
descriptions of the demo's everyday classes. Expected on a processor with bf16: OpenVINO in bf16
embeds at least 3.5 times the images and 9 times the texts of the baseline a second, at a cosine of
at least 0.999.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _common import Table, finish, parser
from crossalign import load_encoder
from crossalign.encoders.export import export
from crossalign.encoders.parity import synthetic_pictures
from crossalign.errors import MissingExtraError
from crossalign.texts.everyday import everyday_classes

BASELINE = "Transformers, fp32, 77 positions"
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "`hf:` fp32": ("hf", {}),
    "`hf:` bf16": ("hf", {"dtype": "bf16"}),
    "`onnx:` fp32": ("fp32", {}),
    "`onnx:` int8": ("int8", {}),
    "`onnx:` OpenVINO fp32": ("fp32", {"engine": "openvino", "dtype": "fp32"}),
    "`onnx:` OpenVINO bf16": ("fp32", {"engine": "openvino", "dtype": "bf16"}),
}
GPU_ROWS: dict[str, tuple[str, dict[str, str]]] = {
    f"`hf:` {dtype} on the GPU": ("hf", {"dtype": dtype, "device": "cuda"})
    for dtype in ("fp32", "fp16", "bf16")
}
IMAGE_BATCH, TEXT_BATCH, CONTEXT, VOCABULARY = 32, 64, 77, 49_408
# So that embeddings of different things are about as far apart as in a trained network.
SCALE = 2.0
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


@dataclass(frozen=True)
class Row:
    """One engine on one kind of thing; ratios are to the baseline in the same round."""

    engine: str
    a_second: float
    ratio: float
    least_ratio: float
    most_ratio: float
    least_cosine: float
    median_cosine: float


def main() -> int:
    """Print a table of images and one of texts."""
    options_ = parser(__doc__)
    options_.add_argument("--rounds", type=int, default=5)
    options_.add_argument("--images", type=int, default=64)
    options_.add_argument("--texts", type=int, default=128)
    options_.add_argument("--quick", action="store_true", help="a tiny network, two rounds")
    options = options_.parse_args()
    if options.quick:
        options.rounds, options.images, options.texts = 2, 8, 16
    texts = [text for group in everyday_classes().texts for text in group][: options.texts]
    with tempfile.TemporaryDirectory() as folder:
        home, places = prepare(Path(folder), texts, options.quick)
        encoders = load(places)
        size = encoders["`hf:` fp32"].preprocess
        pixels = np.concatenate([size.views(image) for image in synthetic_pictures(options.images)])
        lengths = [len(ids) for ids in home.tokenizer(texts)["input_ids"]]
        middle = statistics.median(lengths)
        print(f"{options.rounds} rounds, texts of {middle:.0f} tokens in the median")
        tables = {
            "images": measure(
                home.images,
                {name: entry.encode_images for name, entry in encoders.items()},
                pixels,
                options.rounds,
            ),
            "texts": measure(
                home.texts,
                {name: entry.encode_texts for name, entry in encoders.items()},
                texts,
                options.rounds,
            ),
        }
    shown = [show(kind, rows) for kind, rows in tables.items()]
    return finish(options, *shown, median_tokens=middle)


# ------------------------------------------------------------------------------------ the network


class Home:
    """Transformers itself, in single precision and at full length."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        self.torch = torch
        self.model = transformers.AutoModel.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.mean = torch.tensor(MEAN).reshape(1, 3, 1, 1)
        self.std = torch.tensor(STD).reshape(1, 3, 1, 1)

    def images(self, pixels: Any) -> Any:
        """Embed pictures, uint8 (n, S, S, 3)."""
        parts = []
        for start in range(0, len(pixels), IMAGE_BATCH):
            batch = self.torch.from_numpy(pixels[start : start + IMAGE_BATCH])
            values = (batch.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
            with self.torch.inference_mode():
                parts.append(self.model.get_image_features(pixel_values=values.contiguous()))
        return self.unit(parts)

    def texts(self, texts: list[str]) -> Any:
        """Embed texts."""
        parts = []
        for start in range(0, len(texts), TEXT_BATCH):
            batch = texts[start : start + TEXT_BATCH]
            feeds = self.tokenizer(
                batch, padding="max_length", max_length=CONTEXT, truncation=True,
                return_tensors="pt",
            )  # fmt: skip
            with self.torch.inference_mode():
                parts.append(self.model.get_text_features(**feeds))
        return self.unit(parts)

    def unit(self, parts: list[Any]) -> Any:
        """Unit rows of what the network gave."""
        plain = [getattr(part, "pooler_output", part) for part in parts]
        return self.torch.nn.functional.normalize(self.torch.cat(plain), dim=-1).numpy()


def prepare(folder: Path, texts: list[str], quick: bool) -> tuple[Home, dict[str, str]]:
    """Make the network and its exports; give the library's own, and encoder names by kind."""
    source = folder / "hf"
    source.mkdir()
    make_checkpoint(source, texts, quick)
    places = {"hf": f"hf:{source}"}
    for dtype in ("fp32", "int8"):
        export(places["hf"], folder / dtype, dtype=dtype, accept=True)
        places[dtype] = f"onnx:{folder / dtype}"
    return Home(source), places


def make_checkpoint(folder: Path, texts: list[str], quick: bool) -> None:
    """Write a CLIP with random weights, and a tokenizer that knows the texts' words."""
    import torch
    import transformers

    tokenizer = make_tokenizer(texts)
    ends = {"bos_token_id": VOCABULARY - 2, "eos_token_id": VOCABULARY - 1}
    ends["pad_token_id"] = VOCABULARY - 1
    tower = {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128} if quick else {}
    tower |= {"num_attention_heads": 2} if quick else {}
    config = transformers.CLIPConfig(
        text_config={**tower, **ends}, vision_config=dict(tower), projection_dim=512
    )
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            if ".layers." in name and values.ndim == 2:
                values.mul_(SCALE)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = config.vision_config.image_size
    processor = {
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": True,
        "size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side},
        "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": MEAN, "image_std": STD,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")


def make_tokenizer(texts: list[str]) -> Any:
    """Make CLIP's kind of tokenizer, of its size, in which the words of the texts are merged."""
    import tokenizers
    import transformers

    signs = tokenizers.pre_tokenizers
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = tokenizers.normalizers.Lowercase()
    trained.pre_tokenizer = signs.Sequence([signs.Punctuation(), signs.WhitespaceSplit()])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, end_of_word_suffix="</w>", show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    alphabet = sorted(signs.ByteLevel.alphabet())
    known = dict.fromkeys([*alphabet, *(f"{sign}</w>" for sign in alphabet)])
    known |= dict.fromkeys(map("".join, merges))
    entries = [*known, *(f"unused {number}" for number in range(VOCABULARY - 2 - len(known)))]
    entries += ["<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizerFast(
        vocab={entry: place for place, entry in enumerate(entries)},
        merges=merges,
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT,
    )


def load(places: dict[str, str]) -> dict[str, Any]:
    """Load what is there of the rows."""
    import torch

    rows = ROWS | (GPU_ROWS if torch.cuda.is_available() else {})
    found = {name: _loaded(name, places[kind], choice) for name, (kind, choice) in rows.items()}
    return {name: encoder for name, encoder in found.items() if encoder is not None}


def _loaded(name: str, place: str, choice: dict[str, str]) -> Any:
    try:
        return load_encoder(place, **choice)
    except MissingExtraError as error:
        print(f"left out: {name}: {error}", file=sys.stderr)
        return None


# ---------------------------------------------------------------------------------- the measuring


def measure(
    baseline: Callable[[Any], Any], jobs: dict[str, Callable[[Any], Any]], things: Any, rounds: int
) -> list[Row]:
    """Time all in turns, and compare what they give with the baseline's."""
    expected = baseline(things)
    print(f"cosine of different things: median {np.median(expected @ expected.T):.3f}")
    cosines = {name: np.sum(job(things) * expected, axis=1) for name, job in jobs.items()}
    cosines[BASELINE] = np.ones(len(expected))
    everyone = {BASELINE: baseline, **jobs}
    times: dict[str, list[float]] = {name: [] for name in everyone}
    for number in range(rounds):
        order = list(everyone.items())
        for name, job in order if number % 2 else reversed(order):
            start = time.perf_counter()
            job(things)
            times[name].append(time.perf_counter() - start)
    rows = []
    for name, taken in times.items():
        ratios = [base / mine for base, mine in zip(times[BASELINE], taken, strict=True)]
        rows.append(
            Row(
                engine=name,
                a_second=len(things) / statistics.median(taken),
                ratio=statistics.median(ratios),
                least_ratio=min(ratios),
                most_ratio=max(ratios),
                least_cosine=float(cosines[name].min()),
                median_cosine=float(np.median(cosines[name])),
            )
        )
    return rows


def show(kind: str, rows: list[Row]) -> Table:
    """Print a table."""
    table = Table(
        kind, kind, "a second", "ratio", "least to most", "least cosine", "median cosine"
    )  # fmt: skip
    for row in rows:
        table.add(
            row.engine,
            f"{row.a_second:.1f}",
            f"{row.ratio:.2f}",
            f"{row.least_ratio:.2f} to {row.most_ratio:.2f}",
            f"{row.least_cosine:.5f}",
            f"{row.median_cosine:.5f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
