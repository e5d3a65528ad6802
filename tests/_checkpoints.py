"""Small random checkpoints of Transformers, made on the fly, and what the library makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-torch")
transformers = pytest.importorskip("transformers", reason="needs Transformers: make test-torch")
tokenizers = pytest.importorskip("tokenizers")

SIDE, DIM, CONTEXT = 32, 24, 44

TEXTS = [
    "a photo of a dog.",
    "",
    " ",
    "A PHOTO OF A DOG.",
    "dog",
    "a tabby cat on a red sofa",
    "naïve café — 東京 🙂",
    "🦜🦜",
    "two\nlines\tand a tab",
    "!?.,;:",
]
LONG = ["leaf " * 40, "the very long tale of a dog " * 9]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SQUASH = {
    "image_processor_type": "SiglipImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}
CROP = SQUASH | {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": SIDE},
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "image_mean": MEAN,
    "image_std": STD,
}
CHINESE = CROP | {"image_processor_type": "ChineseCLIPImageProcessor"}
ALIGN = SQUASH | {"image_processor_type": "EfficientNetImageProcessor", "include_top": False}
ALIGN |= {"do_center_crop": False}

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
TOWER |= {"num_attention_heads": 4}
VISION = TOWER | {"image_size": SIDE, "patch_size": 8}
TEXT = TOWER | {"max_position_embeddings": CONTEXT}


# ----------------------------------------------------------------------------- making checkpoints


def clip_tokenizer(pad: str):
    """Byte pairs as CLIP's, with a few merges; where ``pad`` is new, its id is the highest."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g</w>"), ("c", "a"), ("ca", "t</w>"), ("o", "f</w>"), ("l", "e")]
    words = [*alphabet, *(letter + "</w>" for letter in alphabet), *map("".join, merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    words += [] if pad in words else [pad]
    return transformers.CLIPTokenizerFast(
        vocab={word: place for place, word in enumerate(words)},
        merges=merges,
        pad_token=pad,
        model_max_length=CONTEXT,
    )


def word_tokenizer(**options):
    """Pieces of words as BERT's, between [CLS] and [SEP]."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "cat", "photo", "of", *".,!?"]
    words += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", **options,
    )  # fmt: skip


def siglip_tokenizer(folder: Path):
    """The first SigLIP's, of sentence pieces."""
    sentencepiece = pytest.importorskip("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for text in TEXTS if text.strip()] * 4),
        model_prefix=str(folder / "spiece"), vocab_size=60, hard_vocab_limit=False, pad_id=-1,
        bos_id=-1, eos_id=1, unk_id=2, minloglevel=2,
    )  # fmt: skip
    return transformers.SiglipTokenizer(str(folder / "spiece.model"), model_max_length=CONTEXT)


def make(folder: Path, family: str) -> Path:
    """Write a random checkpoint of a family into a folder."""
    torch.manual_seed(0)
    processor = CROP
    if family.startswith("clip"):
        pad = {"clip-pad-first": "!", "clip-pad-last": "<pad>"}.get(family, "<|endoftext|>")
        tokenizer = clip_tokenizer(pad)
        end = 2 if family in {"clip-of-old", "clip-pad-last"} else tokenizer.eos_token_id
        text = TEXT | {"vocab_size": len(tokenizer), "eos_token_id": end}
        text |= {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
        config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    elif family.startswith("siglip"):
        processor = SQUASH
        if family == "siglip":
            tokenizer = siglip_tokenizer(folder)
        else:
            tokenizer = word_tokenizer(model_input_names=["input_ids"])
        text = TEXT | {"vocab_size": len(tokenizer), "projection_size": 32}
        config = transformers.SiglipConfig(text_config=text, vision_config=VISION)
    else:
        tokenizer = word_tokenizer(model_max_length=CONTEXT)
        text = TEXT | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
        if family == "chinese_clip":
            processor = CHINESE
            config = transformers.ChineseCLIPConfig(
                text_config=text, vision_config=VISION, projection_dim=DIM
            )
        else:
            processor = ALIGN
            vision = {"width_coefficient": 0.2, "depth_coefficient": 0.1, "hidden_dim": 64}
            vision |= {"image_size": 600, "initializer_range": 0.2}
            config = transformers.AlignConfig(
                text_config=text, vision_config=vision, projection_dim=64
            )
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():  # as they are made, all texts look alike to a small network
        for name, values in model.named_parameters():
            values.mul_(5 if "text" in name and values.ndim == 2 else 1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write(folder / "preprocessor_config.json", processor)
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [clip]\n---\n# A model\n")
    return folder


def write(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


class Home:
    """What Transformers itself makes of a checkpoint, always at full length."""

    def __init__(self, folder: Path):
        self.model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")
        self.model.eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def tokens(self, texts):
        return self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=CONTEXT,
            return_tensors="pt",
        )  # fmt: skip

    def texts(self, texts):
        with torch.inference_mode():
            return unit(self.model.get_text_features(**self.tokens(texts)))

    def images(self, values):
        with torch.inference_mode():
            return unit(self.model.get_image_features(pixel_values=torch.from_numpy(values)))


def unit(output) -> np.ndarray:
    rows = (output if isinstance(output, torch.Tensor) else output.pooler_output).numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    for index in range(0, count, 3):
        made[index] = rng.integers(0, 256, 3)
    return made


def photos() -> list[Image.Image]:
    rng = np.random.default_rng(1)
    sizes = [(64, 48), (48, 64), (33, 97), (SIDE, SIDE), (1, 1), (3, 2), (1, 40), (200, 31)]
    return [
        Image.fromarray(rng.integers(0, 256, (high, wide, 3), dtype=np.uint8))
        for wide, high in sizes
    ]


def least_cosine(rows: np.ndarray, expected: np.ndarray) -> float:
    assert rows.shape == expected.shape
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=0, atol=1e-5)
    return float(np.einsum("nd,nd->n", rows.astype(np.float64), expected.astype(np.float64)).min())
