"""Ablations and costs: what is varied, what is shown, and what is shared."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import time

import numpy as np
import pytest

from crossalign import METHODS, CrossalignError, EvaluationError
from crossalign.alignment.weights import WEIGHTINGS, weigh
from crossalign.evaluation import FACTORS, Request, ablate, check
from crossalign.evaluation.cost import CLASS_STAGES, STAGES, measure, tables, to_json
from crossalign.evaluation.run import prepare
from crossalign.reports.charts import (
    Panel,
    Series,
    dots_svg,
    lines_svg,
    panels_svg,
    ratio_ticks,
    ticks,
)


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


@pytest.mark.parametrize("way", WEIGHTINGS)
def test_weights_that_are_off_are_equal_whatever_they_were(way):
    base = dataclasses.replace(METHODS["wca"], crop_weighting=way, description_weighting=way, top=2)
    variants = {one.method.name: one.method for one in FACTORS["parts"].variants(base)}
    off, on = variants["crops"], variants["crops + w + v"]
    random = np.random.default_rng(0)
    rows = random.normal(size=(6, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for name, scale in (("crop_weighting", "crop_scale"),
                        ("description_weighting", "description_scale")):  # fmt: skip
        weights = weigh(
            getattr(off, name), rows[0], rows[1:], getattr(off, scale), top=off.top, classes=rows
        )
        assert np.allclose(weights, 0.2)
        assert (getattr(on, name), getattr(on, scale)) == (way, getattr(base, scale))


def _fields(method):
    return (
        method.texts,
        method.crop_scale,
        method.description_scale,
        method.crop_weighting,
        method.description_weighting,
        method.most_texts,
    )


@pytest.mark.slow
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


def test_factors_take_values_of_ones_own(photos, encoders, tmp_path):
    factors = ("count=3,5", "side=0.2-0.4,0.5-0.9", "texts=label,2", "kind=random,grid")
    asked = request(photos, crop_scale=20.0, description_scale=3.0)
    result = ablate(asked, tmp_path / "out", factors=factors)
    names = [[row["name"] for row in found["variants"]] for found in result["factors"].values()]
    assert names == [
        ["N = 3", "N = 5"],
        ["side 0.2 to 0.4", "side 0.5 to 0.9"],
        ["label prompt", "2 texts"],
        ["random", "grid"],
    ]
    receipt = json.loads((tmp_path / "out" / "side" / "receipt.json").read_text())
    method = receipt["methods"]["side 0.2 to 0.4"]
    assert (method["crop_scale"], method["description_scale"]) == (20.0, 3.0)
    assert (method["crops"]["count"], method["crops"]["side"]) == (4, [0.2, 0.4])
    assert ["method wca", "crops 4, not 60; S_c 20, not 54.6; S_d 3, not 7.389"] in result["made"]
    page = (tmp_path / "out" / "report.md").read_text()
    assert "[count/receipt.json](count/receipt.json)" in page
    for word, message in (
        ("count=few", "count=whole numbers, as in 4,16,60; got 'count=few'"),
        ("side=0.1", "side=ranges"),
        ("parts=1", "no values to choose"),
        ("texts=some", "label, whole numbers or all"),
    ):
        with pytest.raises(EvaluationError, match=message):
            ablate(asked, tmp_path / "bad", factors=(word,))
    with pytest.raises(EvaluationError, match="'count' stands there twice"):
        ablate(asked, tmp_path / "bad", factors=("count", "count=2"))
    with pytest.raises(CrossalignError, match="crop_weighting 'soft'"):
        ablate(asked, tmp_path / "bad", factors=("crop-weighting=soft",))


def test_texts_are_called_what_they_are(photos, encoders, tmp_path):
    result = ablate(request(photos, bank=False), tmp_path / "out", factors=("texts=label,3,all",))
    rows = result["factors"]["texts"]["variants"]
    assert [row["name"] for row in rows] == ["label prompt", "3 texts", "all texts"]
    assert [row["texts"] for row in rows] == ["label prompt", *["ensemble templates"] * 2]
    assert "| 3 texts | ensemble templates |" in (tmp_path / "out" / "report.md").read_text()


def test_ablations_under_the_published_protocol(photos, encoders, tmp_path):
    asked = request(photos, protocol="published", pool=9, runs=3)
    result = ablate(asked, tmp_path / "out", factors=("count=2,4",))
    rows = result["factors"]["count"]["variants"]
    assert [row["views"] for row in rows] == [10, 10]  # the pool is encoded either way
    assert [row["top1"]["runs"] for row in rows] == [3, 3]
    assert sum(encoders[-1].image_batches) == 12 * 10
    assert "leaves out the chance in the pool" in (tmp_path / "out" / "report.md").read_text()
    with pytest.raises(EvaluationError, match="'published' sets the range"):
        ablate(asked, tmp_path / "bad", factors=("side",))


def test_images_that_cannot_be_read_are_told(photos, encoders, tmp_path):
    (photos / "red_wall" / "0.png").write_bytes(b"broken")
    result = ablate(request(photos), tmp_path / "out", factors=("count=2,4",))
    assert result["failed"] == 1
    assert {row["failed"] for row in result["factors"]["count"]["variants"]} == {1}
    assert {row["images"] for row in result["factors"]["count"]["variants"]} == {11}
    page = (tmp_path / "out" / "report.md").read_text()
    assert "12 images of 3 classes, of which 1 could not be read: left out" in page


def test_what_a_factor_sets_itself_is_said_to_have_no_effect(photos, encoders, tmp_path):
    heard: list[str] = []
    ablate(request(photos), tmp_path / "a", factors=("count=2,3",), on_note=heard.append)
    assert heard == ["without effect: --crops: the only factor, 'count', sets it"]
    heard.clear()
    ablate(request(photos), tmp_path / "b", factors=("count=2,3", "parts"), on_note=heard.append)
    assert heard == []


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


def test_an_axis_of_one_value_stays_among_shares():
    assert ticks(100, 100)[-1] == 100
    assert ticks(0, 0)[0] == 0


def test_plots_escape_and_stay_inside():
    rows = [("<b>&", 0.5, 0.4, 0.6), ("same", 0.5, 0.5, 0.5)]
    svg = dots_svg(rows, title="a < b", x="x")
    assert "<b>" not in svg
    lines = [Series(f"line {n}", ((0, 0.1 * n), (1, 0.2 * n)), marks=True) for n in range(9)]
    svg = lines_svg(lines, title="t", x="x", y="y")
    assert svg.count("<polyline") == 9
    assert "nan" not in svg


def test_counts_are_as_far_apart_as_their_ratios():
    counts = (1, 2, 4, 8, 16)
    line = Series("top-1", tuple((count, 0.5) for count in counts), marks=True)
    svg = lines_svg([line], title="t", x="N", y="y", ratios=True)
    places = [float(place) for place in re.findall(r'<circle cx="([\d.]+)"', svg)]
    steps = {round(b - a) for a, b in itertools.pairwise(places)}
    assert max(steps) - min(steps) <= 1
    assert ratio_ticks(1, 16) == [1, 2, 5, 10]
    assert ratio_ticks(3, 4) == [3, 4]
    nothing = Series("top-1", ((0, 0.5), (3, 0.6)), marks=True)  # 0 has no place among ratios
    assert "nan" not in lines_svg([nothing], title="t", x="N", y="y", ratios=True)


def test_the_legend_draws_what_the_plot_draws():
    lines = [
        Series("joined", ((0, 0.1), (1, 0.2)), marks=True),
        Series("dots", ((0, 0.1), (1, 0.2)), marks=True, joined=False),
    ]
    svg = lines_svg(lines, title="t", x="x", y="y")
    legend = svg[svg.rindex("</circle>") :]  # those of the plot have titles
    assert legend.count("<line") == 1
    assert legend.count("<circle") == 2
    assert svg.count("<polyline") == 1


def test_reliability_has_a_panel_a_method_and_dots_as_large_as_their_bins():
    panels = [Panel(f"a&b {number}", ((0.2, 0.1, 10), (0.9, 0.8, 90))) for number in range(7)]
    panels.append(Panel("a name that is far too long for its panel", ((0.5, 0.5, 1),)))
    svg = panels_svg(panels, title="t", x="x", y="y")
    assert svg.count('class="d"') == 8
    sizes = [float(size) for size in re.findall(r' r="([\d.]+)"', svg)]
    assert sizes[1] / sizes[0] == pytest.approx(3, rel=0.05)  # areas as 90 to 10
    assert "90 images" in svg
    assert "a&amp;b 0" in svg
    assert "…too long for its panel<" in svg.replace("…r too", "…too").replace("…ar too", "…too")
