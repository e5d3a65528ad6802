"""The addresses: right answers, every refusal in one shape, and nothing that gets in by the way."""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from crossalign import Classifier, EncoderError, __version__
from crossalign.alignment.adaptive import Adaptive
from crossalign.server import middleware

COLOURS = ["red", "green", "blue"]
WORDS = {"red": ["red as a rose", "red"], "green": ["green leaves"], "blue": ["a blue sky", "sea"]}
TOKEN = "0123456789abcdef-token"


def form(client: TestClient, path: str, image: bytes, headers: Any = None, **fields: Any) -> Any:
    data = {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in fields.items()
    }
    files = {"image": ("photo.png", image)}
    return client.post(path, files=files, data=data, headers=headers)


def error_of(reply: Any, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    error: dict[str, Any] = reply.json()["error"]
    assert set(reply.json()) == {"error"}
    assert set(error) == {"code", "message", "request_id"}
    assert error["request_id"] == reply.headers["x-request-id"]
    assert "Traceback" not in error["message"]
    return error


# ---------------------------------------------------------------------------------- right answers


@pytest.mark.parametrize("method", ["wca", "cupl", "waffle"])
def test_a_form_and_json_get_the_offline_answer(
    client: TestClient, photo: bytes, encoder: Any, method: str
) -> None:
    offline = Classifier(WORDS, encoder=encoder, method=method, crops=7, seed=3)(photo)
    asked = {"method": method, "crops": 7, "seed": 3}
    by_form = form(client, "/v1/classify", photo, descriptions=WORDS, **asked).json()
    image = base64.b64encode(photo).decode()
    by_json = client.post(
        "/v1/classify", json={"image": image, "descriptions": WORDS, **asked}
    ).json()
    for got in (by_form, by_json):
        ranked = [(one["label"], one["score"]) for one in got["ranked"]]
        assert [label for label, _ in ranked] == [label for label, _ in offline.ranked()]
        expected = [score for _, score in offline.ranked()]
        np.testing.assert_allclose([score for _, score in ranked], expected, atol=1e-6)
        assert (got["label"], got["method"], got["seed"]) == (offline.label, method, 3)
        assert got["encoder"] == "fake"
        assert got["cost"]["views"] == 1 + got["crops"]
        assert got["crops"] == (7 if method == "wca" else 0)


def test_an_explanation_adds_up(client: TestClient, photo: bytes, encoder: Any) -> None:
    offline = Classifier(WORDS, encoder=encoder, crops=6)(photo)
    got = form(client, "/v1/explain", photo, descriptions=WORDS, crops=6).json()
    assert [one["label"] for one in got["explanations"]] == [
        label for label, _ in offline.ranked(2)
    ]
    assert np.array(got["boxes"]).shape == (6, 4)
    assert abs(sum(got["crop_weights"]) - 1) < 1e-5
    for one in got["explanations"]:
        expected = offline.explain(one["label"])
        np.testing.assert_allclose(one["terms"], expected.terms, atol=1e-6)
        np.testing.assert_array_equal(got["boxes"], expected.boxes)
        assert one["descriptions"] == WORDS[one["label"]]
        assert abs(np.sum(one["terms"]) - one["score"]) < 1e-5


def test_which_classes_are_explained(client: TestClient, photo: bytes) -> None:
    def explained(**fields: Any) -> list[str]:
        got = form(client, "/v1/explain", photo, descriptions=WORDS, **fields).json()
        return [one["label"] for one in got["explanations"]]

    assert explained(labels=["blue"]) == ["blue"]
    assert explained(labels=["blue", "red"]) == ["blue", "red"]
    assert len(explained(best=3)) == 3
    unknown = form(client, "/v1/explain", photo, descriptions=WORDS, labels=["pink"])
    assert "expected one of the 3 classes" in error_of(unknown, 422)["message"]
    twice = form(client, "/v1/explain", photo, descriptions=WORDS, labels=["red", "red"])
    assert error_of(twice, 422)["code"] == "labels"


def test_crops_until_it_is_sure(
    make_client: Callable[..., TestClient], photo: bytes, encoder: Any
) -> None:
    rule = Adaptive(minimum=4, maximum=30)
    offline = Classifier(WORDS, encoder=encoder, crops=rule, seed=2)(photo)
    client = make_client(crops=30)
    got = form(client, "/v1/explain", photo, descriptions=WORDS, crops="auto", seed=2).json()
    taken = len(offline.explain().boxes)
    assert 4 <= taken < 30
    assert (got["crops"], got["cost"]["views"], len(got["boxes"])) == (taken, taken + 1, taken)
    expected = dict(offline.ranked())
    for one in got["ranked"]:
        assert abs(one["score"] - expected[one["label"]]) < 1e-6
    few = make_client(crops=2, max_crops=2)
    reply = form(few, "/v1/classify", photo, classes=COLOURS, crops="auto")
    assert reply.json()["crops"] == 2


def test_top_shortens_the_list(client: TestClient, photo: bytes) -> None:
    got = form(client, "/v1/classify", photo, classes=COLOURS, top=1).json()
    assert [one["label"] for one in got["ranked"]] == [got["label"]]


def test_descriptions_may_be_a_file(client: TestClient, photo: bytes) -> None:
    files = {
        "image": ("photo.png", photo),
        "descriptions": ("words.json", b"\xef\xbb\xbf" + json.dumps(WORDS).encode()),
    }
    assert client.post("/v1/classify", files=files).status_code == 200


def test_what_the_service_says_of_itself(client: TestClient, photo: bytes) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": __version__}
    models = client.get("/v1/models").json()
    assert [model["name"] for model in models["models"]] == ["fake"]
    assert {method["name"] for method in models["methods"]} >= {"wca", "cupl", "clip"}
    assert models["limits"]["crops"] == 200
    form(client, "/v1/classify", photo, classes=COLOURS)
    form(client, "/v1/classify", photo, classes=[])
    client.get("/nothing/here")
    text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    classify = 'crossalign_requests_total{method="POST",route="/v1/classify",status="%d"}'
    assert lines[classify % 200] == "1.0"
    assert lines[classify % 422] == "1.0"
    assert lines['crossalign_requests_total{method="GET",route="other",status="404"}'] == "1.0"
    assert lines["crossalign_batch_views_sum"] == "5.0"
    for gauge in ("in_flight", "waiting", "working"):
        assert lines[f"crossalign_{gauge}"] == "0.0"
    if sys.platform == "linux":
        assert float(lines["process_resident_memory_bytes"]) > 1e6


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, "classes", "exactly one of"),
        ({"classes": COLOURS, "descriptions": WORDS}, "classes", "exactly one of"),
        ({"classes": COLOURS, "class_set": "everyday"}, "classes", "exactly one of"),
        ({"classes": ["red", "Red"]}, "classes", "Expected every class once"),
        ({"classes": ["red", "\x00"]}, "classes", "control character"),
        (
            {"descriptions": {"red": ["a"], "blue": []}},
            "fields",
            "descriptions.blue: expected at least 1 of them; got 0.",
        ),
        ({"descriptions": "{"}, "json", "broken JSON"),
        ({"descriptions": "[1]"}, "json", "expected a JSON object"),
        ({"descriptions": '{"a": ["x"], "a": ["y"]}'}, "json", "more than once"),
        ({"descriptions": "[" * 100_000}, "json", "nested too deeply"),
        (
            {"classes": COLOURS, "crops": "many"},
            "fields",
            "from 1 up, or auto; got 'many'.",
        ),
        (
            {"classes": COLOURS, "crops": "0"},
            "fields",
            "from 1 up, or auto; got 0.",
        ),
        ({"classes": COLOURS, "crops": "201"}, "too_many_crops", "at most 200 crops; got 201"),
        ({"classes": COLOURS, "crops": ["1", "2"]}, "fields", "'crops': expected it once"),
        (
            {"classes": COLOURS, "seed": "-1"},
            "fields",
            "seed: expected a number from 0 up; got",
        ),
        ({"classes": COLOURS, "seed": "one"}, "fields", "seed: expected a whole number; got 'one'"),
        ({"descriptions": {"path": [7]}}, "fields", "descriptions.path.0: expected text; got 7."),
        ({"classes": COLOURS, "seed": "9" * 5000}, "fields", "seed"),
        ({"classes": COLOURS, "method": "magic"}, "method", "unknown method 'magic'"),
        ({"classes": COLOURS, "method": "clip-d"}, "classes", "needs short descriptors"),
        (
            {"classes": COLOURS, "colour": "red"},
            "fields",
            "colour: there is no such field; there",
        ),
        ({"class_set": "x" * 65}, "fields", "class_set: expected text of the pattern ^[A-Za-z0-9]"),
        ({"classes": ["a"] * 1001}, "too_many_classes", "at most 1000 classes; got 1001"),
        ({"descriptions": {"a": ["b"] * 5001}}, "too_many_texts", "at most 5000 descriptions"),
        ({"classes": ["a" * 1001]}, "too_many_text_characters", "at most 1000 characters"),
        (
            {"descriptions": {"a": ["b" * 1000] * 500}},
            "too_many_characters",
            "expected at most 500000 characters in all texts together; got 500001.",
        ),
    ],
)
def test_a_question_that_cannot_be_answered(
    client: TestClient, photo: bytes, fields: dict[str, Any], code: str, words: str
) -> None:
    error = error_of(form(client, "/v1/classify", photo, **fields), 422)
    assert error["code"] == code
    assert words in error["message"]


def test_an_unknown_class_set(client: TestClient, photo: bytes) -> None:
    error = error_of(form(client, "/v1/classify", photo, class_set="pets"), 404)
    assert error["message"] == "there is no class set 'pets'; there are: everyday."


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("", "image: expected text; got nothing."),
        ("http://localhost/cat.jpg", "a URL is never fetched"),
        ("data:image/png;base64,AAAA", "Leave out any data: prefix"),
        ("AAA", "plain base64"),
        ("\ud800", "image"),
        (7, "image: expected text; got 7."),
        (None, "'image' is null; leave it out"),
    ],
)
def test_an_image_in_json_that_is_none(client: TestClient, image: Any, words: str) -> None:
    body = json.dumps({"image": image, "classes": COLOURS})
    reply = client.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert words in error_of(reply, 422)["message"]


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("text/plain", b"hello", 415, "media_type"),
        ("", b"", 415, "media_type"),
        ("application/json", b"", 422, "json"),
        ("application/json", b"\xff", 422, "json"),
        ("application/json", b"[]", 422, "json"),
        ("application/json", b'{"image": NaN}', 422, "fields"),
        ("application/json", b'{"a":' * 50_000, 422, "json"),
        ("multipart/form-data", b"x", 422, "form"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n", 422, "form"),
        ("multipart/form-data; boundary=x", b"", 422, "image"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data", 422, "image"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nhi\r\n--x--\r\n", 422, "form"),
    ],
)
def test_a_body_that_is_none(
    client: TestClient, kind: str, body: bytes, status: int, code: str
) -> None:
    reply = client.post("/v1/classify", content=body, headers={"Content-Type": kind})
    assert error_of(reply, status)["code"] == code


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '{"classes": ["a"], "classes": ["b"]}',
            "expected every name once in a JSON object; got 'classes' more than once, and only",
        ),
        ('{"a":' * 50_000, "expected JSON; got lists or objects that are nested too deeply."),
        ('"a"', "expected a JSON object; got a single value."),
        ("{]", "expected JSON; got broken JSON in line 1, column 2: Expecting property name "),
        ('{"classes": ["a"], "seed": 1.5, "image": "AAAA"}', "seed: expected a whole number; got"),
        ('{"classes": ["a"]}', "image: expected this field; it is missing."),
    ],
)
def test_json_that_is_wrong_is_told_what_is(client: TestClient, body: str, message: str) -> None:
    reply = client.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert error_of(reply, 422)["message"].startswith(message)


def test_an_image_must_be_a_file(client: TestClient, photo: bytes) -> None:
    plain = client.post(
        "/v1/classify", files={"classes": (None, "red"), "image": (None, "/etc/passwd")}
    )
    assert "expected 'image' as a file" in error_of(plain, 422)["message"]
    files = [("image", ("a.png", photo)), ("image", ("b.png", photo))]
    twice = client.post("/v1/classify", files=files, data={"classes": COLOURS})
    assert error_of(twice, 422)["message"] == "expected one field 'image'; got 2."


def test_addresses_and_methods_that_are_not(client: TestClient) -> None:
    assert error_of(client.get("/v2"), 404)["code"] == "not_found"
    assert error_of(client.get("/static/../settings.py"), 404)["code"] == "not_found"
    assert error_of(client.get("/static/%2e%2e/settings.py"), 404)["code"] == "not_found"
    reply = client.put("/v1/classify")
    assert error_of(reply, 405)["code"] == "method_not_allowed"
    assert reply.headers["allow"] == "POST"


def test_a_failing_encoder_is_our_fault_and_says_so(
    make_client: Callable[..., TestClient],
    make_encoder: Any,
    photo: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for failure in (EncoderError("no memory on the device"), RuntimeError("segments")):
        client = make_client(make_encoder(fail_on_call=1, failure=failure))
        error = error_of(form(client, "/v1/classify", photo, classes=COLOURS), 500)
        assert error["code"] == "internal"
        assert str(failure) not in error["message"]  # the log knows it
        assert form(client, "/v1/classify", photo, classes=COLOURS).status_code == 200
    assert "no memory on the device" in caplog.text


# ---------------------------------------------------------------------------------- hostile images


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A tiny PNG that says it is huge, with the pixels to match if anybody unpacks them."""
    packed = zlib.compress(b"\0" * (side // 8 + 1) * 64, 9)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda photo: b"", "empty"),
        (lambda photo: photo[: len(photo) // 2], "cut short"),
        (lambda photo: b"<svg onload=alert(1)>", "expected an image"),
        (lambda photo: b"<html><script>alert(1)</script>", "got an HTML page"),
        (lambda photo: b"%PDF-1.7 nothing", "expected an image"),
        (lambda photo: b"%!PS-Adobe-3.0 EPSF-3.0\n", "expected an image"),
        (lambda photo: b"PK\x03\x04" + photo, "expected an image"),
        (lambda photo: b"\0" * 1000, "expected an image"),
        (lambda photo: bomb(60_000), "shrink the image"),
        (lambda photo: bomb(6_000), "shrink the image"),
        (lambda photo: b"GIF89a<script>alert(1)</script>", "image"),
    ],
)
def test_a_hostile_upload(
    client: TestClient, photo: bytes, make: Callable[[bytes], bytes], words: str
) -> None:
    error = error_of(form(client, "/v1/classify", make(photo), classes=COLOURS), 422)
    assert error["code"] == "image"
    assert words in error["message"]
    assert "max_pixels" not in error["message"]  # a client could do nothing with that
    assert form(client, "/v1/classify", photo, classes=COLOURS).status_code == 200


def test_a_polyglot_is_its_pixels_and_nothing_else(client: TestClient, photo: bytes) -> None:
    """A picture with a page or an archive behind it is labelled as the picture that it is."""
    plain = form(client, "/v1/classify", photo, classes=COLOURS).json()["ranked"]
    for tail in (b"<script>alert(1)</script>", b"PK\x03\x04 archive", b"\0" * 100_000):
        reply = form(client, "/v1/classify", photo + tail, classes=COLOURS)
        assert reply.json()["ranked"] == plain
        assert reply.headers["content-type"] == "application/json"


NASTY = "</script><img src=x onerror=alert(1)>\u202egpj.exe"


def test_names_inject_nothing(
    client: TestClient, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "crossalign")
    files = {"image": ('a"\r\nX-Evil: 1\r\n\r\n<b>.png\x1b[2J', photo, "text/html")}
    reply = client.post("/v1/classify", files=files, data={"classes": [NASTY, "red"]})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert NASTY in {one["label"] for one in reply.json()["ranked"]}
    assert "x-evil" not in reply.headers
    client.get("/a%0d%0a2026-01-01 INFO forged%1b[2J")
    broken = client.post("/v1/classify", files=files, data={"classes": ["a\nb", "red"]})
    assert "control character '\\n'" in error_of(broken, 422)["message"]
    for record in caplog.records:
        assert record.getMessage().isprintable()


def test_an_answer_survives_half_a_character(client: TestClient, photo: bytes) -> None:
    image = base64.b64encode(photo).decode()
    for fields in ({"classes": ["\ud800"]}, {"descriptions": {"\ud800": ["x"]}}, {"\ud800": 1}):
        body = json.dumps({"image": image, **fields})
        reply = client.post(
            "/v1/classify", content=body, headers={"Content-Type": "application/json"}
        )
        error_of(reply, 422)


# ------------------------------------------------------------------------------- who may come in


def test_a_body_beyond_the_limit(make_client: Callable[..., TestClient], photo: bytes) -> None:
    client = make_client(max_body_bytes=10_000)
    declared = client.post("/v1/classify", content=b"x" * 10_001)
    assert "at most 10000 bytes" in error_of(declared, 413)["message"]

    def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 1000

    for kind in ("application/json", "multipart/form-data; boundary=x"):
        chunked = client.post("/v1/classify", content=pieces(), headers={"Content-Type": kind})
        assert error_of(chunked, 413)["code"] == "body_too_large"
    assert form(client, "/v1/classify", photo, classes=COLOURS).status_code == 200


def test_a_picture_beyond_the_limit(make_client: Callable[..., TestClient], photo: bytes) -> None:
    client = make_client(max_pixels=1000)
    error = error_of(form(client, "/v1/classify", photo, classes=COLOURS), 422)
    assert (
        error["message"]
        == "image: expected at most 1000 pixels, got 40 x 30 = 1200; shrink the image."
    )


def test_the_token(make_client: Callable[..., TestClient], photo: bytes) -> None:
    client = make_client(token=TOKEN)
    for path in ("/", "/healthz", "/static/page.js"):
        assert client.get(path).status_code == 200
    wrong = ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"]
    for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/class-sets/everyday", "/nothing"):
        for header in wrong:
            reply = client.get(path, headers={"Authorization": header})
            assert error_of(reply, 401)["code"] == "token"
            assert reply.headers["www-authenticate"] == "Bearer"
    bytes_above_ascii = client.get("/v1/models", headers=[(b"authorization", b"Bearer \xff\xfe")])
    assert bytes_above_ascii.status_code == 401
    assert form(client, "/v1/classify", photo, classes=COLOURS).status_code == 401
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert client.get("/v1/models", headers=headers).status_code == 200
        reply = form(client, "/v1/classify", photo, headers, classes=COLOURS)
        assert reply.status_code == 200
    described = client.get("/openapi.json", headers=headers).json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_other_names_for_this_host(make_client: Callable[..., TestClient]) -> None:
    client = make_client(allowed_hosts=("localhost", "127.0.0.1", "[::1]", "Labels.example"))
    for host in ("localhost:8000", "127.0.0.1", "[::1]:80", "labels.example"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "[::2]", ""):
        assert error_of(client.get("/healthz", headers={"Host": host}), 421)["code"] == "host"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver:81"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://testserver:81"}, False),
        ({"Origin": "http://testserver"}, True),
        ({"Origin": "http://TestServer:80"}, True),
        ({"Origin": "https://labels.example", "Host": "labels.example:443"}, True),
        ({"Origin": "http://[::1]:8000", "Host": "[::1]:8000"}, True),
        ({"Origin": "http://[::1]:8001", "Host": "[::1]:8000"}, False),
        ({}, True),
    ],
)
def test_pages_of_other_sites_may_not_post(
    client: TestClient, photo: bytes, headers: dict[str, str], allowed: bool
) -> None:
    reply = form(client, "/v1/classify", photo, headers, classes=COLOURS)
    if allowed:
        assert reply.status_code == 200
    else:
        assert error_of(reply, 403)["code"] == "cross_site"
    assert client.get("/", headers=headers).status_code == 200  # a link to the page is fine
    assert "access-control-allow-origin" not in client.get("/v1/models").headers


def test_every_answer_carries_the_headers_for_browsers(client: TestClient) -> None:
    for path in ("/", "/static/page.js", "/static/page.css", "/v1/models", "/nothing"):
        headers = client.get(path).headers
        for name, value in middleware.HEADERS.items():
            assert headers[name] == value
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_page_names_no_other_host_and_no_inline_code(client: TestClient) -> None:
    for path in ("/", *(f"/static/{name}" for name in ("page.js", "why.js", "api.js", "page.css"))):
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert "innerHTML" not in text
    page = client.get("/").text
    assert "style=" not in page
    assert "onclick" not in page
    assert "<script>" not in page


def test_the_description_can_be_had_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert description["info"]["version"] == __version__
    assert client.get("/docs").status_code == 404
    for operations in description["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}


def test_a_grey_picture_sixteen_bits_deep(client: TestClient) -> None:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(stream, "PNG")
    assert form(client, "/v1/classify", stream.getvalue(), classes=COLOURS).status_code == 200


def test_the_head_of_whatever_can_be_got(client: TestClient) -> None:
    for path in ("/", "/healthz", "/static/page.js", "/v1/models", "/v1/class-sets"):
        got, head = client.get(path), client.head(path)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == str(len(got.content))
        assert head.headers["content-type"] == got.headers["content-type"]
    assert client.head("/nothing").status_code == 404
    assert client.head("/v1/classify").headers["allow"] == "POST"
    assert client.put("/v1/models").headers["allow"] == "GET, HEAD"
    assert 'method="HEAD",route="/healthz",status="200"' in client.get("/metrics").text


def test_the_page_is_kept_and_asked_about(client: TestClient) -> None:
    for path in ("/", "/static/page.js", "/static/page.css"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
    assert client.get("/v1/models").headers["cache-control"] == "no-store"
