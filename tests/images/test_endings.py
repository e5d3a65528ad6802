"""What counts as a picture by its name is the same for every command."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossalign import load_image
from crossalign.cli.inputs import image_files
from crossalign.evaluation.datasets import load_dataset
from crossalign.images import IMAGE_ENDINGS, has_image_ending
from crossalign.labeling.sources import open_source

FORMATS = {".jpe": "JPEG", ".jfif": "JPEG", ".dib": "DIB", ".j2k": "JPEG2000", ".jp2": "JPEG2000"}
NAMES = ["a.jpe", "b.JFIF", "c.jp2", "d.Dib", "e.ppm"]


def picture(name: str) -> bytes:
    ending = Path(name).suffix.lower()
    stream = io.BytesIO()
    kind = FORMATS.get(ending) or Image.registered_extensions()[ending]
    if kind != "AVIF" or "AVIF" in Image.SAVE:
        Image.new("RGB", (16, 16), "teal").save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("ending", sorted(IMAGE_ENDINGS))
def test_whatever_ends_so_can_be_read(ending, tmp_path):
    content = picture(f"x{ending}")
    if not content:
        pytest.skip("this Pillow writes no AVIF")
    file = tmp_path / f"x{ending.upper()}"
    file.write_bytes(content)
    assert has_image_ending(file)
    assert np.asarray(load_image(file)).shape == (16, 16, 3)


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "notes.txt", ".jpg", "jpg", "a.jpg/b", "icon.ico"])
def test_what_is_no_picture(name):
    assert not has_image_ending(name)


def test_every_command_takes_the_same_files(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    with tarfile.open(tmp_path / "shard-000.tar", "w") as shard:
        for name in [*NAMES, "f.heic"]:
            content = b"?" if name == "f.heic" else picture(name)
            (tmp_path / "photos" / "cat" / name).write_bytes(content)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    (tmp_path / "photos" / "dog").mkdir()
    (tmp_path / "photos" / "dog" / "g.png").write_bytes(picture("g.png"))
    expected = [*(f"cat/{name}" for name in NAMES), "dog/g.png"]
    photos = tmp_path / "photos"
    assert [example.key for example in load_dataset(photos)] == expected
    assert [entry.id for entry in open_source(photos).entries()] == expected
    assert [
        path.relative_to(photos).as_posix() for path in image_files("--photos", photos)
    ] == expected
    shard_entries = open_source(tmp_path / "shard-000.tar").entries()
    archived = [entry.id.rpartition("/")[2] for entry in shard_entries]
    assert archived == NAMES
