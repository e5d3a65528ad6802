"""The service against its own description: no failure, no answer that is not described.

CROSSALIGN_API_EXAMPLES sets how many requests are made up for each address; 10 by default.
"""

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from PIL import Image
from schemathesis import engine
from schemathesis.engine import events

from crossalign.server.app import create_app
from crossalign.server.settings import Settings

EXAMPLES = int(os.environ.get("CROSSALIGN_API_EXAMPLES", "10"))

CONFIG = {
    "seed": 7,
    "generation": {"max-examples": EXAMPLES},
    # Not held: that whatever the description allows is answered with success. What is in base64
    # need be no image.
    "checks": {"positive_data_acceptance": {"enabled": False}},
    "phases": {"stateful": {"generation": {"max-examples": EXAMPLES}}},
}


def picture_file() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (12, 10), "red").save(stream, "PNG")
    return stream.getvalue()


PICTURE = picture_file()


def real_picture(_context: Any, body: Any) -> Any:
    """Give most requests a real picture, or hardly any would come to be labelled."""
    image = body.get("image") if isinstance(body, dict) else None
    if isinstance(image, str | bytes) and len(image) % 3:
        real = base64.b64encode(PICTURE).decode()
        return {**body, "image": real if isinstance(image, str) else PICTURE}
    return body


def is_same_in_a_form(case: Any, check: Any) -> bool:
    """A form knows texts alone: false is the text "false", and a list of one is that one."""
    return check.name == "negative_data_rejection" and case.media_type == "multipart/form-data"


@pytest.mark.slow
def test_every_answer_is_described(make_encoder: Any) -> None:
    app = create_app(make_encoder(), Settings(crops=2, max_crops=10, max_class_sets=10))
    config = schemathesis.Config.from_dict(CONFIG)
    statuses: Counter[str] = Counter()
    problems = []
    with TestClient(app):
        schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
        schema.hook("map_body")(real_picture)
        for event in engine.from_schema(schema).execute():
            if isinstance(event, events.NonFatalError | events.FatalError):
                problems.append(f"{event!r}: {event.info.format()}")
            if isinstance(event, events.ScenarioFinished):
                statuses.update(
                    f"{case.value.method} {case.value.path} {interaction.response.status_code}"
                    for name, case in event.recorder.cases.items()
                    if (interaction := event.recorder.interactions.get(name)) is not None
                    and interaction.response is not None
                )
                problems += [
                    f"{event.label}: {check.failure_info.failure}\n"
                    f"{event.recorder.interactions[name].response.text}"
                    for name, made in event.recorder.checks.items()
                    for check in made
                    if check.failure_info is not None
                    and not is_same_in_a_form(event.recorder.cases[name].value, check)
                ]
    assert not problems, "\n\n".join(problems)
    assert {f"POST /v1/{work} 200" for work in ("classify", "explain")} <= set(statuses)
    assert {"POST /v1/class-sets 201", "DELETE /v1/class-sets/{name} 204"} <= set(statuses)
