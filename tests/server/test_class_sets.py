"""Classes that the service remembers: encoded once, within bounds, and over a restart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossalign import DescriptionError, DescriptionSet
from crossalign.server.class_sets import ClassMemory, ClassSets, weight
from crossalign.server.errors import ApiError
from crossalign.server.settings import Settings

PETS = {"cat": ["pointed ears", "a pink nose"], "dog": ["floppy ears"]}


def ask(client: TestClient, photo: bytes, **fields: Any) -> Any:
    reply = client.post("/v1/classify", files={"image": ("photo.png", photo)}, data=fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_classes_that_come_again_are_encoded_once(
    make_client: Callable[..., TestClient], encoder: Any, photo: bytes
) -> None:
    client = make_client(encoder)
    for crops in (1, 3, 2):
        assert ask(client, photo, classes=["red", "green"], crops=crops)["crops"] == crops
    assert len(encoder.text_calls) == 1
    ask(client, photo, classes=["green", "red"])  # another order is another list of scores
    ask(client, photo, classes=["red", "green"], method="cupl")
    assert len(encoder.text_calls) == 3


def test_classes_that_come_at_once_are_encoded_once(encoder: Any) -> None:
    memory = ClassMemory(encoder, Settings())
    classes = DescriptionSet.of(["red", "green"])
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(lambda: memory.get(classes, "wca", 0).prepare()) for _ in range(32)]
        assert len({id(future.result(30)) for future in futures}) == 1
    assert len(encoder.text_calls) == 1


def test_the_least_recently_used_go_first(encoder: Any) -> None:
    memory = ClassMemory(encoder, Settings(max_texts=6, kept_texts=6))
    sets = [DescriptionSet.of({name: ["a", "b"]}) for name in ("one", "two", "three")]
    one = memory.get(sets[0], "wca", 0)
    assert weight(one) == 3
    two = memory.get(sets[1], "wca", 0)
    assert memory.get(sets[0], "wca", 0) is one
    memory.get(sets[2], "wca", 0)
    assert len(memory) == 2
    assert memory.get(sets[0], "wca", 0) is one
    assert memory.get(sets[1], "wca", 0) is not two


def test_a_method_that_makes_too_many_texts_is_refused(encoder: Any) -> None:
    memory = ClassMemory(encoder, Settings(max_texts=8, kept_texts=8))
    with pytest.raises(ApiError, match="'wca' makes 16 texts of these classes"):
        memory.get(DescriptionSet.of(["one", "two"]), "wca", 0)
    assert len(memory) == 0


def test_random_words_depend_on_the_seed_and_nothing_else_does(encoder: Any) -> None:
    memory = ClassMemory(encoder, Settings())
    classes = DescriptionSet.of(["red", "green"])
    assert memory.get(classes, "wca", 1) is memory.get(classes, "wca", 2)
    assert memory.get(classes, "waffle", 1) is not memory.get(classes, "waffle", 2)


def test_a_class_set_keeps_its_classes_encoded(
    make_client: Callable[..., TestClient], encoder: Any, photo: bytes
) -> None:
    client = make_client(encoder, kept_texts=8, max_texts=8)
    made = client.post("/v1/class-sets", json={"name": "pets", "descriptions": PETS})
    assert made.status_code == 201
    assert made.json() == {"name": "pets", "classes": 2, "descriptions": 3, "fixed": False}
    calls = len(encoder.text_calls)
    for number in range(4):  # what comes with requests never pushes them out
        ask(client, photo, classes=[f"class {number}"], method="clip")
    before = len(encoder.text_calls)
    assert before == calls + 4
    assert [one["label"] for one in ask(client, photo, class_set="pets")["ranked"]]
    assert len(encoder.text_calls) == before
    listed = client.get("/v1/class-sets").json()["class_sets"]
    assert [one["name"] for one in listed] == ["everyday", "pets"]
    assert client.get("/v1/class-sets/pets").json()["classes"] == PETS
    assert client.delete("/v1/class-sets/pets").status_code == 204
    assert client.get("/v1/class-sets/pets").status_code == 404
    assert client.delete("/v1/class-sets/pets").status_code == 404


def test_names_that_are_taken_and_sets_that_stay(client: TestClient) -> None:
    pets = {"name": "pets", "classes": ["cat", "dog"]}
    assert client.post("/v1/class-sets", json=pets).status_code == 201
    for name in ("pets", "PETS", "everyday"):
        reply = client.post("/v1/class-sets", json={**pets, "name": name})
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "name_taken")
    assert client.delete("/v1/class-sets/everyday").json()["error"]["code"] == "fixed"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "é", "a\n", ".x", "x" * 65])
def test_names_that_could_do_harm_are_refused(
    make_client: Callable[..., TestClient], tmp_path: Path, name: str
) -> None:
    client = make_client(class_sets=tmp_path / "sets")
    reply = client.post("/v1/class-sets", json={"name": name, "classes": ["cat"]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "fields")
    assert list(tmp_path.rglob("*.json")) == []


def test_there_is_an_end_to_class_sets(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_class_sets=2, max_texts=10, kept_texts=10)

    def create(name: str, texts: int) -> Any:
        return client.post(
            "/v1/class-sets", json={"name": name, "descriptions": {"cat": ["a"] * texts}}
        )

    assert create("a", 5).status_code == 201
    full = create("b", 5)
    assert (full.status_code, full.json()["error"]["code"]) == (422, "too_many_texts")
    assert create("b", 2).status_code == 201
    many = create("c", 1)
    assert (many.status_code, many.json()["error"]["code"]) == (422, "too_many_class_sets")
    assert client.delete("/v1/class-sets/a").status_code == 204
    assert create("c", 1).status_code == 201


def test_class_sets_outlive_the_process(
    make_client: Callable[..., TestClient], tmp_path: Path, photo: bytes, make_encoder: Any
) -> None:
    folder = tmp_path / "sets"
    first = make_client(class_sets=folder)
    assert (
        first.post("/v1/class-sets", json={"name": "pets", "descriptions": PETS}).status_code == 201
    )
    assert first.post("/v1/class-sets", json={"name": "x", "classes": ["cat"]}).status_code == 201
    assert first.delete("/v1/class-sets/x").status_code == 204
    (folder / "everyday.json").write_text('["cat"]')  # the name of ours: left alone
    (folder / "no name.json").write_text('["cat"]')
    encoder = make_encoder()
    second = make_client(encoder, class_sets=folder)
    listed = second.get("/v1/class-sets").json()["class_sets"]
    assert [one["name"] for one in listed] == ["everyday", "pets"]
    assert second.get("/v1/class-sets/pets").json()["classes"] == PETS
    assert encoder.text_calls == []  # a restart is quick: encoded when first asked for
    assert ask(second, photo, class_set="pets")["label"] in PETS


def test_a_folder_that_cannot_be_used_is_said_at_once(tmp_path: Path, encoder: Any) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(class_sets=tmp_path / "file")
    with pytest.raises(DescriptionError, match="expected a folder for class sets"):
        ClassSets(ClassMemory(encoder, settings), settings)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "bad.json").write_text("{")
    settings = Settings(class_sets=tmp_path / "sets")
    with pytest.raises(DescriptionError, match=r"bad\.json: Expected JSON"):
        ClassSets(ClassMemory(encoder, settings), settings)


def test_the_set_that_is_always_there_knows_a_cat(builtin: Any) -> None:
    memory = ClassMemory(builtin, Settings())
    everyday = ClassSets(memory, Settings()).get("everyday")
    assert everyday.fixed
    assert "cat" in everyday.classes
