"""Why one class and not another, and how sure: what ``/v1/explain`` says beside the terms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from crossalign import Classifier, explain
from crossalign.methods import METHODS

WORDS = {"red": ["red as a rose", "red"], "green": ["green leaves"], "blue": ["a blue sky", "sea"]}


def ask(client: TestClient, image: bytes, **fields: Any) -> Any:
    data = {"descriptions": json.dumps(WORDS), **fields}
    return client.post("/v1/explain", files={"image": ("a.png", image)}, data=data)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_taken_apart_in_full(
    client: TestClient, photo: bytes, encoder: Any, method: str
) -> None:
    offline = Classifier(WORDS, encoder=encoder, method=method, crops=9)(photo)
    reply = ask(client, photo, method=method, crops=9, best=3)
    assert reply.status_code == 200, reply.text
    got = reply.json()
    for one in got["explanations"]:
        expected = offline.explain(one["label"])
        shape = (len(got["boxes"]), len(one["descriptions"]))
        assert np.shape(one["similarity"]) == np.shape(one["terms"]) == shape
        np.testing.assert_allclose(one["similarity"], expected.similarity, atol=1e-6)
        np.testing.assert_allclose(one["whole_similarity"], expected.whole_similarity, atol=1e-6)
        assert one["whole_score"] == pytest.approx(expected.whole_score, abs=1e-6)
        assert all(region["label"] == one["label"] for region in one["regions"])
        for region in one["regions"]:
            stands_out = explain.standout(expected, region["crop"])
            if stands_out is None:
                assert region["words"] is None
                continue
            assert region["words"] == pytest.approx(asdict(stands_out), abs=1e-6)
    contrast = got["contrast"]
    first, second = contrast["first"], contrast["second"]
    assert [first["label"], second["label"]] == [label for label, _ in offline.ranked(2)]
    parts = [side["adds"] for one in (first, second) for side in one["descriptions"]]
    assert contrast["difference"] == pytest.approx(first["score"] - second["score"], abs=1e-6)
    assert sum(parts) == pytest.approx(contrast["difference"], abs=1e-5)
    assert sum(contrast["by_crop"]) == pytest.approx(contrast["difference"], abs=1e-5)
    for region in contrast["regions"]:
        assert region["adds"] == contrast["by_crop"][region["crop"]]
        assert region["label"] == (first if region["adds"] >= 0 else second)["label"]
    if METHODS[method].crops is None:
        assert got["stability"] is None
        return
    expected = explain.stability(offline)
    assert got["stability"]["margin"] == pytest.approx(expected.margin, abs=1e-6)
    assert got["stability"]["standard_error"] == pytest.approx(expected.standard_error, abs=1e-6)
    assert got["stability"]["agreement"] == pytest.approx(expected.agreement, abs=0.01)
    assert got["stability"]["rival"] == expected.rival


def test_the_second_class_may_be_chosen(client: TestClient, photo: bytes) -> None:
    order = [one["label"] for one in ask(client, photo).json()["ranked"]]
    got = ask(client, photo, against=order[2]).json()
    assert got["contrast"]["second"]["label"] == got["stability"]["rival"] == order[2]
    other_way = ask(client, photo, labels=[order[2]], against=order[0]).json()
    assert other_way["contrast"]["difference"] == pytest.approx(-got["contrast"]["difference"])
    assert other_way["stability"]["label"] == order[0]


def test_what_cannot_be_compared(client: TestClient, photo: bytes) -> None:
    best = ask(client, photo).json()["label"]
    for fields in ({"against": best}, {"against": "sea", "labels": ["red"]}, {"against": "pink"}):
        error = ask(client, photo, **fields).json()["error"]
        assert error["code"] == "against", fields
        assert error["message"].startswith("against: expected ")
    alone = ask(client, photo, descriptions=json.dumps({"red": ["rose"]})).json()
    assert alone["contrast"] is None
    assert alone["stability"] is None


def test_classes_that_cannot_be_explained_are_refused_before_the_work(
    make_client: Callable[..., TestClient], make_encoder: Any, photo: bytes
) -> None:
    encoder = make_encoder()
    reply = ask(make_client(encoder), photo, labels=["red", "pink"])
    assert reply.status_code == 422
    assert "got 'pink'" in reply.json()["error"]["message"]
    assert encoder.image_batches == encoder.text_calls == []


def test_every_method_takes_its_own_number_of_crops(
    make_client: Callable[..., TestClient], photo: bytes
) -> None:
    client = make_client(crops=None, max_crops=80)
    offer = client.get("/v1/models").json()
    own = {one["name"]: one["crops"] for one in offer["methods"]}
    assert (own["clip"], own["wca"], own["bifta"]) == (0, 60, 80)  # bifta's hundred, capped
    assert offer["default_crops"] == 60
    for method, crops in own.items():
        assert ask(client, photo, method=method).json()["crops"] == crops
    for one in offer["methods"]:
        reply = ask(client, photo, method=one["name"], crops="auto")
        assert reply.status_code == (200 if one["auto"] or not one["crops"] else 422)
