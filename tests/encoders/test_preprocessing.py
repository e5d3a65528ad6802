"""Preprocessing as models' own files state it: configurations from life, and contradictions."""

from __future__ import annotations

import pytest

from crossalign.encoders.preprocessing import read_json, read_open_clip_preprocess, read_preprocess
from crossalign.errors import EncoderError

SIDE = 16
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

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

OLD_CLIP = {
    "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD, "resample": 3, "size": 224,
}  # fmt: skip
SIGLIP2 = {
    **SIGLIP_PIXELS, "image_processor_type": "SiglipImageProcessorFast", "crop_size": None,
    "do_center_crop": None, "do_convert_rgb": None, "data_format": "channels_first",
    "size": {"height": 256, "width": 256},
}  # fmt: skip
CHINESE = {
    **CLIP_PIXELS, "do_center_crop": False, "image_processor_type": "ChineseCLIPImageProcessor",
    "crop_size": {"height": 224, "width": 224}, "size": {"height": 224, "width": 224},
}  # fmt: skip
ALIGN = {
    "crop_size": {"height": 289, "width": 289}, "do_center_crop": False, "do_normalize": False,
    "do_rescale": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "EfficientNetImageProcessor", "image_std": [0.229, 0.224, 0.225],
    "include_top": False, "resample": 2, "rescale_factor": 0.00784313725490196,
    "rescale_offset": True, "size": {"height": 289, "width": 289},
}  # fmt: skip
HALVES = (0.5,) * 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CLIP_PIXELS, (SIDE, "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD), "crop")),
        (OLD_CLIP, (224, "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD), "crop")),
        ({**OLD_CLIP, "image_processor_type": "CLIPImageProcessorFast"},
         (224, "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD), "crop")),
        ({"image_processor": {**CLIP_PIXELS, "do_normalize": False}},
         (SIDE, "bicubic", (0.0,) * 3, (1.0,) * 3, "crop")),
        (SIGLIP_PIXELS, (SIDE, "bilinear", HALVES, HALVES, "squash")),
        ({**SIGLIP_PIXELS, "size": 384}, (384, "bilinear", HALVES, HALVES, "squash")),
        (SIGLIP2, (256, "bilinear", HALVES, HALVES, "squash")),
        (CHINESE, (224, "bicubic", tuple(CLIP_MEAN), tuple(CLIP_STD), "squash")),
        (ALIGN, (289, "bilinear", HALVES, HALVES, "squash")),
        ({**ALIGN, "do_normalize": True, "image_mean": [0.0] * 3, "image_std": [1.0] * 3},
         (289, "bilinear", HALVES, HALVES, "squash")),
        ({**CLIP_PIXELS, "image_processor_type": "BitImageProcessor", "resample": 1},
         (SIDE, "lanczos", tuple(CLIP_MEAN), tuple(CLIP_STD), "crop")),
        ({**SIGLIP_PIXELS, "image_processor_type": "ViTImageProcessor", "resample": 0},
         (SIDE, "nearest", HALVES, HALVES, "squash")),
    ],
)  # fmt: skip
def test_preprocessing_is_read(config, expected):
    made = read_preprocess(config, "x.json")
    assert (made.size, made.resample, made.mean, made.std, made.fit) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**CLIP_PIXELS, "size": {"shortest_edge": 256}, "crop_size": 224},
         (224, 256, "crop", "floor")),
        ({**ALIGN, "do_center_crop": True, "size": {"height": 346, "width": 346}},
         (289, 346, "squash", "floor")),
        (CLIP_PIXELS, (SIDE, None, "crop", "floor")),
        (ALIGN, (289, None, "squash", "round")),
    ],
)  # fmt: skip
def test_a_crop_after_a_larger_resize_is_read(config, expected):
    made = read_preprocess(config, "x.json")
    assert (made.size, made.resize, made.fit, made.centre) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "drop"}, "'size' cannot be used: it is missing"),
        ({"size": {"height": 16, "width": 20}}, "'size'.*square"),
        ({"size": {"shortest_edge": 16, "longest_edge": 32}}, "'size' cannot be used"),
        ({"size": {"shortest_edge": 0}}, "from 1 up"),
        ({"size": {"shortest_edge": True}}, "from 1 up"),
        ({"size": "16"}, "'size' cannot be used: it is '16'"),
        ({"size": {"shortest_edge": 15}}, "'crop_size'.*at most the side of size"),
        ({"crop_size": "drop"}, "'crop_size' cannot be used: it is missing"),
        ({"crop_size": {"height": 16, "width": 8}}, "'crop_size'.*square"),
        ({"do_center_crop": False}, "'do_center_crop'.*true, since size"),
        ({"do_center_crop": "drop"}, "'do_center_crop' cannot be used: it is missing"),
        ({"do_center_crop": 1}, "'do_center_crop'.*true or false"),
        ({"do_resize": False}, "'do_resize' cannot be used: it is False"),
        ({"do_resize": "drop"}, "'do_resize' cannot be used: it is missing"),
        ({"do_rescale": False}, "'do_rescale'"),
        ({"rescale_factor": 1.0}, "'rescale_factor'.*1/255"),
        ({"rescale_factor": "1/255"}, "'rescale_factor'"),
        ({"rescale_offset": True}, "'rescale_factor'.*1/127.5"),
        ({"do_normalize": "drop"}, "'do_normalize' cannot be used: it is missing"),
        ({"image_mean": "drop"}, "'image_mean' cannot be used: it is missing"),
        ({"image_mean": [0.5]}, "'image_mean'.*3 numbers"),
        ({"image_std": [0.5, 0.5, 0]}, "'image_std'.*3 positive numbers"),
        ({"image_std": [0.5, 0.5, float("nan")]}, "'image_std'"),
        ({"resample": "drop"}, "'resample' cannot be used: it is missing"),
        ({"resample": 4}, r"'resample' cannot be used: it is 4. Supported: one of 0 \(nearest\)"),
        ({"resample": True}, "'resample'"),
        ({"do_pad": True}, "'do_pad'"),
        ({"crop_pct": 0.9}, "'crop_pct'"),
        ({"do_flip_channel_order": True}, "'do_flip_channel_order'"),
        ({"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 256}, "max_num_pat"),
        ({"image_processor_type": "DonutImageProcessor"}, "Donut.*one of .*CLIPImageProcessor"),
        ({"image_processor_type": "drop"}, "'image_processor_type' cannot be used: it is missing"),
        ({"image_processor_type": "EfficientNetImageProcessor"}, "'include_top'"),
    ],
)  # fmt: skip
def test_preprocessing_that_cannot_be_said(changes, words):
    config = {key: value for key, value in {**CLIP_PIXELS, **changes}.items() if value != "drop"}
    with pytest.raises(EncoderError, match=words) as caught:
        read_preprocess(config, "some/x.json")
    assert str(caught.value).startswith("some/x.json: ")


@pytest.mark.parametrize(
    ("changes", "fit", "resample"),
    [
        ({}, "crop", "bicubic"),
        (
            {"size": SIDE, "resize_mode": "squash", "interpolation": "bilinear"},
            "squash",
            "bilinear",
        ),
        ({"resize_mode": "drop", "interpolation": "drop", "mode": "drop"}, "crop", "bicubic"),
    ],
)
def test_open_clip_preprocessing_is_read(changes, fit, resample):
    config = {**OPEN_CLIP_PIXELS, **changes}
    config = {key: value for key, value in config.items() if value != "drop"}
    for given in (config, {"model_cfg": {}, "preprocess_cfg": config}):
        made = read_open_clip_preprocess(given, "x.json")
        assert (made.size, made.fit, made.resample) == (SIDE, fit, resample)
        assert (made.mean, made.std) == (tuple(CLIP_MEAN), tuple(CLIP_STD))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": [16, 20]}, "'size'.*two equal ones"),
        ({"size": None}, "'size'"),
        ({"size": [16]}, "'size'"),
        ({"size": 16.0}, "'size'"),
        ({"mode": "L"}, "'mode'"),
        ({"mean": None}, "'mean'"),
        ({"std": [1, 1, -1]}, "'std'"),
        ({"interpolation": "random"}, "'interpolation'"),
        ({"interpolation": ["bicubic"]}, "'interpolation'"),
        ({"resize_mode": "longest"}, "'resize_mode'.*padding is not supported"),
    ],
)
def test_open_clip_preprocessing_that_cannot_be_said(changes, words):
    with pytest.raises(EncoderError, match=words):
        read_open_clip_preprocess({**OPEN_CLIP_PIXELS, **changes}, "x.json")


def test_json_that_cannot_be_read(tmp_path):
    with pytest.raises(EncoderError, match=r"nothing\.json is missing"):
        read_json(tmp_path / "nothing.json")
    with pytest.raises(EncoderError, match="cannot be read"):
        read_json(tmp_path)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(EncoderError, match="expected JSON"):
        read_json(tmp_path / "deep.json")
