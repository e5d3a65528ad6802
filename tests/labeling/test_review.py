"""What to look at first, contact sheets, and what comes after labelling."""

from __future__ import annotations

import html.parser
import io
import json
import urllib.parse
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign import Classifier
from crossalign.errors import LabelingError
from crossalign.labeling import Decisions, JobFile, job_path, open_source, run_job
from crossalign.labeling.contact_sheets import write_sheets
from crossalign.labeling.exports import EXPORTS, Job, export, parse_export
from crossalign.labeling.near_duplicates import bits_apart, distances, groups, near_pairs, simhash
from crossalign.labeling.review import review

CLASSES = ["red", "green", "blue"]
NASTY = '<img src=x onerror=alert(1)> & "q".png'


@pytest.fixture
def photos(tmp_path, picture):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number in range(30):
        picture(CLASSES[number % 3], number).save(folder / f"{number:03}.png")
    picture("red", 0).save(folder / "deep" / "000.png")  # the same pixels as 000.png
    picture("green", 77).save(folder / NASTY)
    (folder / "z.png").write_bytes(b"<html>")
    (folder / "y.png").write_bytes(b"<html>")
    return folder


@pytest.fixture
def finished(photos, make_encoder):
    """A finished job: function that runs one and opens its job file."""

    def finish(decisions=None, source=photos, restart=False):
        out = photos.parent / "labels.csv"
        classifier = Classifier(CLASSES, encoder=make_encoder(), method="clip")
        run_job(open_source(source), out, classifier, decisions, restart=restart)
        return JobFile(job_path(out))

    return finish


def test_a_review_says_what_to_look_at(finished, photos):
    with finished() as job:
        found = review(job, near=0.9999)
    assert found.counts == (("green", 11), ("red", 11), ("blue", 10))
    assert found.sure == "margin"
    values = [image.value for image in found.least_sure]
    assert values == sorted(values)
    assert len(values) == 5
    assert found.failed == 2
    ((kind, number, example),) = found.errors
    assert "HTML page" in kind
    assert str(photos) not in kind
    assert (number, Path(example).name) == (2, "y.png")
    assert found.duplicates[0] == (str(photos / "000.png"), str(photos / "deep/000.png"))


def test_with_several_labels_each_is_counted(finished):
    with finished(Decisions(multi_label=True, threshold=-1.0)) as job:
        assert review(job).counts == (("blue", 32), ("green", 32), ("red", 32))
    with finished(Decisions(threshold=1.0), restart=True) as job:
        assert review(job).counts == (("undecided", 32),)


def test_the_odd_one_out_is_the_most_unusual(finished, photos):
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, :, 0], pixels[::2, ::2] = 255, (255, 255, 255)
    pixels[15:, 20:] = (255, 200, 255)
    Image.fromarray(pixels).save(photos / "odd.png")
    with finished() as job:
        unusual = review(job, count=3).unusual
    assert "odd.png" in [Path(image.path).name for image in unusual]
    assert [image.value for image in unusual] == sorted(image.value for image in unusual)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0.7, 1.0))
def test_sketches_measure_angles(seed, cosine):
    rng = np.random.default_rng(seed)
    first, other = rng.standard_normal((2, 256))
    first /= np.linalg.norm(first)
    other -= (other @ first) * first
    other /= np.linalg.norm(other)
    second = cosine * first + np.sqrt(1 - cosine**2) * other
    rows = [
        np.frombuffer(simhash(one.astype(np.float32)), np.uint8)[None] for one in (first, second)
    ]
    apart = int(distances(*rows)[0])
    assert abs(apart - bits_apart(cosine)) < 60  # five standard deviations of a binomial


def test_nearly_all_near_duplicates_are_found_among_many():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4000, 64)).astype(np.float32)
    vectors[2000:2200] = vectors[:200] + 0.1 * rng.standard_normal((200, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.stack([np.frombuffer(simhash(one), np.uint8) for one in vectors])
    found = groups(near_pairs(rows, bits_apart(0.97)))
    wanted = {(n, n + 2000) for n in range(200)}
    pairs = {tuple(group) for group in found}
    assert len(pairs & wanted) >= 190
    assert len(pairs - wanted) <= 2


class Page(html.parser.HTMLParser):
    """Tags and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.text = [], ""
        self.cells: list[str] = []  # of tables
        self.cards: list[str] = []  # the words under pictures
        self._into: list[str] | None = None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        kinds = {"td": self.cells, "figcaption": self.cards}
        if tag in kinds:
            self._into = kinds[tag]
            self._into.append("")
        elif tag == "br" and self._into is not None:
            self._into[-1] += "\n"

    def handle_endtag(self, tag):
        if tag in ("td", "figcaption"):
            self._into = None

    def handle_data(self, data):
        self.text += data
        if self._into is not None:
            self._into[-1] += data

    def of(self, tag: str, name: str) -> list[str]:
        return [values[name] for tag_, values in self.tags if tag_ == tag and name in values]


def test_contact_sheets_show_the_doubtful_first_and_escape_everything(finished, photos, tmp_path):
    folder = tmp_path / "report"
    with finished() as job:
        index = write_sheets(folder, job, open_source(photos), title="<T> & co", page=4, most=10)
        doubtful = review(job, count=50).least_sure
    page = Page(index)
    assert "<T> & co" in page.text
    first = Page(folder / page.of("a", "href")[0])
    assert "11 images, the 10 most doubtful are shown" in first.text
    greens = [Path(image.path).name for image in doubtful if image.label == "green"]
    assert first.of("img", "alt") == greens[:4]
    pages = sorted(folder.glob("label-*.html"))
    assert len(pages) == 9, "three labels with ten images each, four on a page"
    everything = [Page(one) for one in (index, *pages)]
    assert any(NASTY in one.text for one in everything)
    for one in everything:
        assert not any("onerror" in values for _, values in one.tags)
        assert not any(tag == "script" for tag, _ in one.tags)
        for address in one.of("img", "src"):
            with Image.open(folder / address) as preview:
                assert max(preview.size) <= 192
        for address in one.of("a", "href"):
            if address.startswith("file:"):
                assert Path(urllib.parse.unquote(address.removeprefix("file://"))).exists()
            else:
                assert (folder / address).exists()
    assert "HTML page" in page.text
    before = sorted(p.name for p in folder.rglob("*"))
    with finished() as job:
        write_sheets(folder, job, open_source(photos), title="again", page=4, most=10)
    assert sorted(p.name for p in folder.rglob("*")) == before


def cards_of(page: Page) -> list[list[str]]:
    """The lines of each card."""
    return [card.split("\n") for card in page.cards]


@pytest.mark.parametrize("restrict", [False, True])
def test_with_several_labels_an_image_is_on_the_page_of_each(finished, photos, tmp_path, restrict):
    """Counts, pages and summary all go by the pairs of image and label."""
    scores = sorted(row.score for row in rows_of(finished()))
    threshold = scores[10] + 1e-6 if restrict else -1.0
    with finished(Decisions(multi_label=True, threshold=threshold)) as job:
        found = review(job, count=200)
        rows = {row.path: row for row in job.rows() if row.error is None}
        index = write_sheets(tmp_path / "r", job, open_source(photos), title="t", page=1000)
    expected = {}
    for path, row in rows.items():
        for name in row.decision or ["no label"]:
            expected.setdefault(name, []).append(Path(path).name)
    assert ("no label" in expected) == restrict
    assert dict(found.counts) == {name: len(paths) for name, paths in expected.items()}
    assert (found.several, found.sure) == (True, "distance to the threshold")
    assert len(found.least_sure) == sum(len(row.decision) for row in rows.values())
    assert {one.label for one in found.least_sure} <= set(CLASSES)
    page = Page(index)
    assert "An image counts once for each label" in page.text
    counts, links = page.cells[: 3 * len(expected)], page.of("a", "href")[: len(expected)]
    table = dict(zip(counts[::3], map(int, counts[1::3]), strict=True))
    assert table == dict(found.counts)
    for name, link in zip(table, links, strict=True):
        label = Page(index.parent / link)
        assert len(label.cards) == len(expected[name])
        assert sorted(card[-1] for card in cards_of(label)) == sorted(expected[name])
        assert {card[0].split(" · ")[0] for card in cards_of(label)} == {name}


def test_outcomes_are_told_as_such_and_kept_out_of_the_least_sure(finished, photos, tmp_path):
    scores = sorted(row.score for row in rows_of(finished()))
    decisions = Decisions(threshold=scores[20] - 1e-6)  # twenty stay below
    with finished(decisions) as job:
        found = review(job, count=200)
        rows = [row for row in job.rows() if row.error is None]
        index = write_sheets(tmp_path / "r", job, open_source(photos), title="t", page=1000)
    below = [row for row in rows if row.decision == "undecided"]
    assert len(below) == 20
    assert found.counts[-1] == ("undecided", 20), "after the classes"
    assert not {one.path for one in found.least_sure} & {row.path for row in below}
    assert not {one.path for one in found.unusual} & {row.path for row in below}
    (link,) = [
        link
        for name, link in zip(Page(index).cells[::3], Page(index).of("a", "href"), strict=False)
        if name == "undecided"
    ]
    page = Page(index.parent / link)
    assert "those nearest to a class come first" in page.text
    nearest = sorted(below, key=lambda row: -row.score)
    for card, row in zip(cards_of(page), nearest, strict=True):
        away = decisions.threshold - row.score
        assert card[:2] == ["undecided", f"nearest class {row.label}"]
        assert card[2] == f"score {row.score:.3f}, {away:.3f} too low"


def rows_of(job: JobFile):
    with job:
        return [row for row in job.rows() if row.error is None]


def test_lists_that_were_cut_say_so(finished):
    with finished() as job:
        whole, cut = review(job, count=50), review(job, count=1)
        assert whole.duplicate_groups > 1
        assert whole.groups_in_words == f"{whole.duplicate_groups} groups"
        assert cut.groups_in_words == f"{whole.duplicate_groups} groups, the largest is shown"


def test_a_report_never_lands_in_its_source(finished, photos):
    with finished() as job, pytest.raises(LabelingError, match="inside the source"):
        write_sheets(photos / "report", job, open_source(photos), title="t")


def test_images_that_are_gone_have_no_preview(finished, photos, tmp_path):
    with finished() as job:
        (photos / "003.png").unlink()
        index = write_sheets(tmp_path / "r", job, open_source(photos), title="t")
    text = "".join(Page(one).text for one in index.parent.glob("*.html"))
    assert "no preview" in text


# ----------------------------------------------------------------------------------------- exports


def the_job(job, source) -> Job:
    return Job(job, open_source(source), tuple(CLASSES), "crossalign test")


@pytest.mark.parametrize("kind", ["copy", "link", "move"])
def test_class_folders(finished, photos, tmp_path, kind):
    out = tmp_path / "sorted"
    originals = {
        p.relative_to(photos): p.read_bytes() for p in photos.rglob("*.png") if p.is_file()
    }
    with finished() as job:
        assert export(kind, out, the_job(job, photos)) == 32
        found = sorted(path for path in out.rglob("*") if not path.is_dir())
        assert len(found) == 32
        assert {path.relative_to(out).parts[0] for path in found} == set(CLASSES)
        assert (out / "red" / "deep" / "000.png").exists()
        assert (out / "red" / "000.png").is_symlink() == (kind == "link")
        assert (photos / "000.png").exists() == (kind != "move")
        assert (photos / "z.png").exists(), "what has no label stays where it is"
        for path in found:
            if "onerror" not in path.name:
                assert path.read_bytes() == originals[Path(*path.relative_to(out).parts[1:])]
        again = export(kind, out, the_job(job, photos))
        assert again == (0 if kind == "move" else 32)
        assert sorted(path for path in out.rglob("*") if not path.is_dir()) == found


def test_a_move_never_overwrites(finished, photos, tmp_path):
    (tmp_path / "sorted" / "red").mkdir(parents=True)
    (tmp_path / "sorted" / "red" / "003.png").write_bytes(b"mine")
    with finished() as job, pytest.raises(LabelingError, match="is in the way"):
        export("move", tmp_path / "sorted", the_job(job, photos))
    assert (tmp_path / "sorted" / "red" / "003.png").read_bytes() == b"mine"
    assert (photos / "003.png").exists()


def test_names_that_folders_cannot_have(finished, photos, tmp_path):
    from crossalign.labeling.class_folders import _safe

    names = ["a/b", "a_b", "..", ".", "", "a.", "a%2Fb", "con?", "a\0b"]
    made = [_safe(name) for name in names]
    assert len(set(made)) == len(names)
    assert not any(set(name) & set('/\\?*"<>|\0') or name in (".", "..", "") for name in made)


def test_archives_can_be_copied_into_class_folders_and_not_linked(finished, picture, tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for number, colour in enumerate(CLASSES):
            data = io.BytesIO()
            picture(colour, number).save(data, "PNG")
            stream.writestr(f"in/{number}.png", data.getvalue())
    with finished(source=archive) as job:
        assert export("copy", tmp_path / "sorted", the_job(job, archive)) == 3
        with Image.open(tmp_path / "sorted/green/a.zip/in/1.png") as image:
            assert image.size == picture("green", 1).size
        with pytest.raises(LabelingError, match="link needs images that are files"):
            export("link", tmp_path / "s", the_job(job, archive))
        for kind in ("fiftyone", "label-studio", "coco", "move"):
            with pytest.raises(LabelingError, match=f"{kind} needs images that are files"):
                export(kind, tmp_path / "s", the_job(job, archive))


@pytest.mark.parametrize("several", [False, True])
def test_label_formats(finished, photos, tmp_path, several):
    decisions = Decisions(multi_label=True, threshold=-1.0) if several else Decisions()
    with finished(decisions) as job:
        rows = [row for row in job.rows() if row.error is None]
        for kind, name in (("coco", "c.json"), ("label-studio", "l.json"), ("fiftyone", "f")):
            assert export(kind, tmp_path / name, the_job(job, photos)) == len(rows) == 32
    expected = [row.decision if several else [row.decision] for row in rows]

    coco = json.loads((tmp_path / "c.json").read_text())
    names = {one["id"]: one["name"] for one in coco["categories"]}
    found = {one["id"]: [] for one in coco["images"]}
    for one in coco["annotations"]:
        found[one["image_id"]].append(names[one["category_id"]])
    assert list(found.values()) == expected
    for one, row in zip(coco["images"], rows, strict=True):
        assert one["file_name"] == row.path
        with Image.open(row.path) as image:
            assert (one["width"], one["height"]) == image.size

    tasks = json.loads((tmp_path / "l.json").read_text())
    for task, labels, row in zip(tasks, expected, rows, strict=True):
        (made,) = task["predictions"]
        assert made["result"][0]["value"]["choices"] == labels
        assert made["score"] == row.score
        address = urllib.parse.urlsplit(task["data"]["image"])
        assert address.path == "/data/local-files/"
        assert urllib.parse.parse_qs(address.query) == {"d": [row.path.lstrip("/")]}
        assert not set(address.query) & set(' <>"&')

    labels = json.loads((tmp_path / "f" / "labels.json").read_text())
    places = json.loads((tmp_path / "f" / "data.json").read_text())
    for key, row, wanted in zip(labels["labels"], rows, expected, strict=True):
        numbers = labels["labels"][key] if several else [labels["labels"][key]]
        assert [labels["classes"][number] for number in numbers] == wanted
        assert places[key] == row.path


def test_undecided_images_are_exported_without_a_label(finished, photos, tmp_path):
    with finished(Decisions(threshold=1.0)) as job:
        export("coco", tmp_path / "c.json", the_job(job, photos))
        export("copy", tmp_path / "sorted", the_job(job, photos))
    assert json.loads((tmp_path / "c.json").read_text())["annotations"] == []
    assert [path.name for path in (tmp_path / "sorted").iterdir()] == ["undecided"]


@pytest.mark.parametrize("text", ["coco", "coco=", "xml=a.xml", "=a"])
def test_exports_that_are_none(text):
    with pytest.raises(LabelingError, match="KIND=PATH"):
        parse_export(text)
    assert set(EXPORTS) == {"copy", "link", "move", "fiftyone", "label-studio", "coco"}


def test_an_export_never_lands_in_its_source(finished, photos):
    with finished() as job, pytest.raises(LabelingError, match="inside the source"):
        export("copy", photos / "sorted", the_job(job, photos))
