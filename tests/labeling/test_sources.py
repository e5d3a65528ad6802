"""Where images come from: identities that stay, members of archives, and what is left out."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from crossalign.errors import ImageError, LabelingError
from crossalign.images.load import load_image
from crossalign.labeling import open_source

NAMES = ["b/2.png", "a.PNG", "b/c/3.jpeg", "b/1.png"]


def image(number: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8 + number, 8), (40 * number, 9, 9)).save(stream, "PNG")
    return stream.getvalue()


def widths(source) -> dict[str, int]:
    return {entry.id: load_image(entry.load()).width for entry in source.entries()}


@pytest.fixture
def folder(tmp_path):
    """Photos in folders, and much that is none."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image(number))
    for name in (".hidden.png", ".cache/x.png", "notes.txt", "b/clip.mp4"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image())
    return tmp_path / "photos"


def test_a_folder_is_searched_with_all_folders_below(folder):
    source = open_source(folder)
    assert source.files
    assert widths(source) == {"a.PNG": 9, "b/1.png": 11, "b/2.png": 8, "b/c/3.jpeg": 10}
    assert next(source.entries()).path == str(folder / "a.PNG")
    assert [e.id for e in source.entries()] == [e.id for e in open_source(str(folder)).entries()]


def test_links_to_files_are_followed_and_links_to_folders_are_not(folder):
    (folder / "link.png").symlink_to(folder / "a.PNG")
    (folder / "loop").symlink_to(folder)
    assert set(widths(open_source(folder))) == {
        *("a.PNG", "b/1.png", "b/2.png", "b/c/3.jpeg", "link.png")
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_a_row(folder):
    (folder / "b").chmod(0)
    entries = list(open_source(folder).entries())
    (folder / "b").chmod(0o700)
    with pytest.raises(ImageError, match="cannot be listed"):
        entries[1].load()


def test_patterns(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert set(widths(open_source("photos/**/*.png"))) == {"photos/b/1.png", "photos/b/2.png"}
    (folder / "odd[1].png").write_bytes(image(3))
    assert widths(open_source("photos/odd[1].png")) == {"odd[1].png": 11}
    with pytest.raises(LabelingError, match="no file fits"):
        open_source("photos/*.gif")
    with pytest.raises(LabelingError, match="there is no 'nowhere'"):
        open_source("nowhere")


def test_lists_are_relative_to_their_own_folder(folder):
    listed = folder / "list.txt"
    listed.write_text("# mine\nb/1.png\r\n\n" + str(folder / "a.PNG") + "\nb/1.png\n")
    assert [entry.id for entry in open_source(listed).entries()] == [
        *("b/1.png", str(folder / "a.PNG"), "b/1.png")
    ]
    assert load_image(next(open_source(listed).entries()).load()).width == 11


def test_names_that_are_not_valid_text(folder):
    name = os.fsdecode(b"caf\xe9.png")
    (folder / name).write_bytes(image(5))
    assert widths(open_source(folder))[name] == 13
    (folder / "list.txt").write_bytes(b"caf\xe9.png\n")
    assert widths(open_source(folder / "list.txt")) == {name: 13}


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_tables_of_paths(folder, ending):
    table = folder / f"table.{ending}"
    rows = [{"id": str(n), "image": name} for n, name in enumerate(NAMES)]
    if ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), table)
    else:
        with table.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter="," if ending == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    assert list(widths(open_source(table)).values()) == [8, 9, 10, 11]
    with pytest.raises(LabelingError, match=r"column 'photo' in .*it has 'id', 'image'"):
        list(open_source(table, column="photo").entries())


def test_parquet_of_image_files(folder):
    cells = {
        "bytes": [image(1), None, image(3)],
        "image": [{"bytes": image(n), "path": "gone.png"} for n in range(3)],
        "path": ["gone.png"] * 3,
    }
    table = folder / "t.parquet"
    parquet.write_table(pa.table(cells), table)
    for column, expected in (("image", [8, 9, 10]), (None, [9, None, 11])):
        for entry, width in zip(open_source(table, column=column).entries(), expected, strict=True):
            if width is None:
                with pytest.raises(ImageError, match="empty cell"):
                    entry.load()
            else:
                assert load_image(entry.load()).width == width
    assert [entry.id for entry in open_source(table).entries()][2] == "t.parquet#2"
    table.write_bytes(b"PAR1 no")
    with pytest.raises(LabelingError, match="not a parquet table"):
        open_source(table)


def make_tar(path: Path, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for number, name in enumerate(["k1.jpg", "k1.json", "sub/k2.png", "._k2.png", "k3.webp"]):
            info = tarfile.TarInfo(name)
            data = image(number)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_tar_archives(tmp_path, ending):
    path = tmp_path / f"shard{ending}"
    make_tar(path, "w" if ending == ".tar" else "w:gz")
    source = open_source(path)
    assert not source.files
    ids = [f"{path.name}/{name}" for name in ("k1.jpg", "sub/k2.png", "k3.webp")]
    assert widths(source) == dict(zip(ids, (8, 10, 12), strict=True))
    skipped = [entry.load().name for entry in source.entries() if "k3" in entry.id]
    assert skipped == [f"{path}/k3.webp"]


def test_shards_by_pattern_have_identities_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tar(tmp_path / "s-0.tar")
    make_tar(tmp_path / "s-1.tar")
    assert len(widths(open_source("s-*.tar"))) == 6


def test_a_damaged_archive_gives_what_comes_before_the_damage_and_a_row(tmp_path):
    make_tar(tmp_path / "whole.tar.gz", "w:gz")
    data = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(data[: len(data) - 30])
    (tmp_path / "none.zip").write_bytes(b"no archive at all")
    for name in ("cut.tar.gz", "none.zip"):
        *_, last = open_source(tmp_path / name).entries()
        with pytest.raises(ImageError, match="cannot be read"):
            last.load()


def test_zip_archives(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/", b"")
        archive.writestr("a/1.png", image(1))
        archive.writestr("__MACOSX/a/1.png", b"")
        archive.writestr("readme.txt", b"")
        archive.writestr("2.jpg", image(2))
    assert widths(open_source(path)) == {"photos.zip/a/1.png": 9, "photos.zip/2.jpg": 10}
    broken = bytearray(path.read_bytes())
    broken[60:64] = b"oops"
    path.write_bytes(broken)
    with pytest.raises(ImageError, match=r"photos\.zip/a/1\.png: cannot be read from the archive"):
        next(open_source(path).entries()).load()


@pytest.mark.parametrize("kind", ["txt", "csv", "parquet"])
def test_lists_in_several_folders_keep_pictures_apart_that_are_called_alike(
    tmp_path, monkeypatch, kind
):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate("ab"):
        Path("lists", name).mkdir(parents=True)
        Path("lists", name, "1.png").write_bytes(image(number))
        Path("lists", name, "2.png").write_bytes(image(number + 4))
        rows = ["1.png", "2.png", str(Path("lists/a/1.png").resolve())]
        if kind == "parquet":
            parquet.write_table(pa.table({"path": rows}), f"lists/{name}/l.parquet")
        else:
            lines = ["path", *rows] if kind == "csv" else rows
            Path("lists", name, f"l.{kind}").write_text("\n".join(lines) + "\n")
    found = widths(open_source(f"lists/*/l.{kind}"))
    own = {"lists/a/1.png": 8, "lists/a/2.png": 12, "lists/b/1.png": 9, "lists/b/2.png": 13}
    assert found == {**own, str(Path("lists/a/1.png").resolve()): 8}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_stands_between_columns_is_found_out(folder, delimiter):
    table = folder / "t.csv"
    lines = [("note, or none" if delimiter != "," else "note", "image"), ("x", "a.PNG")]
    table.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert widths(open_source(table)) == {"a.PNG": 9}
    lines[0] = (lines[0][0], "picture")
    table.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert widths(open_source(table, column="picture")) == {"a.PNG": 9}
    table.write_text(delimiter.join(("note", "picture")) + "\n")
    with pytest.raises(LabelingError, match="it has 'note', 'picture'"):
        open_source(table)


def test_a_table_without_names_of_columns_loses_no_image(folder):
    (folder / "t.csv").write_text("a.PNG\nb/1.png\n")
    with pytest.raises(LabelingError, match=r"it has the image 'a\.PNG'"):
        open_source(folder / "t.csv")
    (folder / "t.csv").write_text("photo\na.PNG\n")
    assert widths(open_source(folder / "t.csv")) == {"a.PNG": 9}


def test_files_of_other_kinds_are_refused_and_images_with_odd_names_are_not(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("l.jsonl", "notes"):
        Path(name).write_text('{"path": "a.PNG"}\n')
        with pytest.raises(LabelingError, match="is neither"):
            open_source(name)
    with pytest.raises(LabelingError, match=r"l\.jsonl is neither"):
        open_source("*.json*")
    Path("photo").write_bytes(image(3))
    assert widths(open_source("photo")) == {"photo": 11}


@pytest.mark.parametrize("name", ["", "notes.txt", "a.PNG", "*.PNG", "t.tar"])
def test_a_column_is_for_tables(folder, name):
    make_tar(folder / "t.tar")
    with pytest.raises(LabelingError, match="is for tables"):
        open_source(str(folder / name) if name else folder, column="image")


def test_a_pattern_of_photos_everywhere_grows(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert open_source("photos/**/*.png").folder == Path("photos")
    assert open_source("photos/*.PNG").folder is None
    assert open_source("photos/**/*.txt").folder is None
    assert open_source("photos/*.PNG").parts == (Path("photos/a.PNG"),)
