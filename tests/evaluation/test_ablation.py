"""Ablations and costs: what is varied, what is shown, and what is shared."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from crossalign import METHODS, EvaluationError
from crossalign.evaluation import FACTORS, Request, ablate, check
from crossalign.evaluation.cost import CLASS_STAGES, STAGES, measure, tables, to_json
from crossalign.evaluation.plots import Series, dots_svg, lines_svg, ticks
from crossalign.evaluation.run import prepare


def request(photos, **changes) -> Request:
    fields = {"models": ("fake:a",), "methods": ("wca",), "crops": 4}
    return Request(str(photos), **{**fields, **changes})


def test_every_factor_varies_one_thing():
    base = METHODS["wca"]
    for factor in FACTORS.values():
        variants = factor.variants(base)
        names = [variant.method.name for variant in variants]
        assert len(set(names)) == len(names) >= 4
        assert len({(v.method.crops, *_fields(v.method)) for v in variants}) == len(variants)
        assert bool(factor.axis) == all(variant.x is not None for variant in variants)
    parts = FACTORS["parts"].variants(base)
    assert len(parts) == 6  # without crops there are no crop weights
    assert parts[-1].method.crops == base.crops
    assert parts[-1].method.crop_scale == base.crop_scale


def _fields(method):
    return (
        method.texts,
        method.crop_scale,
        method.description_scale,
        method.crop_weighting,
        method.description_weighting,
        method.most_texts,
    )


def test_ablation_reports_and_can_be_checked(photos, encoders, tmp_path):
    factors = ("parts", "count", "texts", "crop-weighting")
    result = ablate(request(photos), tmp_path / "out", factors=factors)
    assert tuple(result["factors"]) == factors
    counts = result["factors"]["count"]["variants"]
    assert [row["x"] for row in counts] == [1, 2, 4, 8, 16, 32, 60, 100]
    assert [row["views"] for row in counts] == [2, 3, 5, 9, 17, 33, 61, 101]
    for row in counts:
        assert row["top1"]["low"] <= row["top1"]["mean"] <= row["top1"]["high"]
    page = (tmp_path / "out" / "report.md").read_text()
    for name in (*factors, "cost"):
        assert f"plots/{name}.svg" in page
        assert (tmp_path / "out" / "plots" / f"{name}.svg").read_text().startswith("<svg")
    assert page.count("significant") >= 4
    assert json.loads((tmp_path / "out" / "ablation.json").read_text()) == result
    assert check(tmp_path / "out" / "parts") == []


def test_variants_share_the_crops_they_have_in_common(photos, encoders, tmp_path):
    ablate(request(photos), tmp_path / "out", factors=("count",))
    assert sum(encoders[-1].image_batches) == 12 * 101  # as many as the largest takes alone


def test_unusable_ablations_are_refused(photos, encoders, tmp_path):
    with pytest.raises(EvaluationError, match="unknown factor 'colour'"):
        ablate(request(photos), tmp_path, factors=("colour",))
    with pytest.raises(EvaluationError, match="one method and one encoder"):
        ablate(request(photos, methods=("wca", "clip")), tmp_path)
    with pytest.raises(EvaluationError, match="'clip' takes no crops"):
        ablate(request(photos, methods=("clip",)), tmp_path)


def test_costs_are_told_by_stage(photos, encoders):
    (photos / "blue_wall" / "0.png").write_bytes(b"broken")
    costs = measure(prepare(request(photos, methods=("cupl", "wca"))), images=3)
    assert (costs.images, costs.skipped) == (3, ("blue_wall/0.png",))
    assert [cost.method for cost in costs.methods] == ["clip", "cupl", "wca"]
    assert [cost.views for cost in costs.methods] == [1, 1, 5]
    for cost in costs.methods:
        assert tuple(cost.stages) == STAGES
        assert tuple(cost.class_stages) == CLASS_STAGES
        assert cost.image_seconds == pytest.approx(sum(cost.stages.values()))
        assert cost.class_seconds == pytest.approx(sum(cost.class_stages.values()))
        assert min(*cost.stages.values(), *cost.class_stages.values()) > 0
        assert cost.process_bytes is None  # the fake encoder lives in this process alone
    clip, cupl, wca = costs.methods
    assert wca.memory["cut"] >= 5 * 8 * 8 * 3  # its own views at least
    assert clip.class_bytes > 3 * 16 * 4  # label, text and vector of 16 numbers
    assert cupl.class_bytes > clip.class_bytes + (cupl.texts - 1) * 16 * 4
    images, classes = tables(costs)
    assert images.rows[0][-1] == "1.0"
    assert classes.rows[0][1] == "1.0"
    assert json.loads(json.dumps(to_json(costs)))[2]["views"] == 5
    for path in photos.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(EvaluationError, match=r"none \(12 cannot be\)"):
        measure(prepare(request(photos)), images=1)


def test_slow_texts_are_the_text_encoder_s(photos, encoders):
    setup = prepare(request(photos))
    (encoder,) = setup.encoders.values()
    quick = encoder.encode_texts

    def slow(texts):
        time.sleep(0.03)
        return quick(texts)

    encoder.encode_texts = slow
    for cost in measure(setup, images=1).methods:
        assert cost.class_stages["text encoder"] > max(0.009, cost.class_stages["pooling"])


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.2, 0.21), (-5, 700), (3, 3), (0, 0), (61.2, 89.9), (1, 101)]
)
def test_ticks_cover_what_they_should(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert found[0] <= low + 1e-9
    assert found[-1] >= high - 1e-9
    steps = {round(b - a, 9) for a, b in itertools.pairwise(found)}
    assert len(steps) == 1


def test_plots_escape_and_stay_inside():
    rows = [("<b>&", 0.5, 0.4, 0.6), ("same", 0.5, 0.5, 0.5)]
    svg = dots_svg(rows, title="a < b", x="x")
    assert "<b>" not in svg
    lines = [Series(f"line {n}", ((0, 0.1 * n), (1, 0.2 * n)), marks=True) for n in range(9)]
    svg = lines_svg(lines, title="t", x="x", y="y")
    assert svg.count("<polyline") == 9
    assert "nan" not in svg
