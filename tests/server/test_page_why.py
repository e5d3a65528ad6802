"""The page in a real browser: why this class, where, and why not another."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from _browser import CAT, Page, hover, photo
from crossalign import Classifier, DescriptionSet
from crossalign.explain import contrast, standout
from crossalign.images.examples import photo_folder
from crossalign.methods import METHODS
from crossalign.reports.summary import distinct_regions
from crossalign.texts.everyday import everyday_classes

pytestmark = pytest.mark.slow


def test_a_description_lights_its_region_and_a_region_its_words(page: Page) -> None:
    page.write(CAT)
    page.one("#file").send_keys(str(photo_folder() / "chelsea.png"))
    page.labels()
    assert page.light().max() == 0
    assert len(page.all("#frames .mark")) == len(page.all("#regions button"))
    words = page.all("#columns section:first-child .words button")
    assert len(words) == 3
    pictures = []
    for button in words:
        before = page.layout()
        hover(page, button)
        page.until(lambda: page.text("#hint").startswith("Answered "))
        assert page.layout() == before  # nothing moves under the pointer
        alpha = page.light()[..., 3]
        assert alpha.min() < 40  # somewhere the photo shows in full
        pictures.append(alpha)
    assert max(picture.max() for picture in pictures) > 60
    assert not np.array_equal(pictures[0], pictures[1])  # each description has a light of its own
    assert page.all(".words .lit") == []
    page.shot("description")

    regions = page.all("#regions button")
    assert 1 <= len(regions) <= 4
    boxes = []
    for button in regions:
        hover(page, button)
        page.until(lambda: page.text("#hint").startswith("Region"))
        standing = page.all(".words .lit")
        like = "like the whole photo" in button.text
        assert bool(standing) or like
        (frame,) = page.all("#frames .frame")
        assert frame.text == button.text.split()[0]
        box = page.light()[..., 3] == 0
        assert 0.02 < box.mean() < 0.95
        boxes.append(box)
    for one, other in itertools.combinations(boxes, 2):  # no two show nearly the same
        assert (one & other).sum() / (one | other).sum() < 0.55
    page.shot("region")

    place = page.one("#stage")
    hover(page, place)
    page.until(lambda: page.text("#hint").startswith("This place: "))
    hover(page, page.one("footer"))
    page.until(lambda: page.light().max() == 0)
    assert page.all(".words .lit") == []
    assert page.complaints() == []


def test_a_finger_leaves_what_it_touched(page: Page) -> None:
    page.write(CAT)
    page.give("drop", photo())
    page.labels()
    for selector, hint in (("#regions button", "Region 1, "), ("#stage", "This place: ")):
        page.run("arguments[0].scrollIntoView({ block: 'center' })", page.all(selector)[0])
        place = page.run("return arguments[0].getBoundingClientRect()", page.all(selector)[0])
        at = {
            axis: place[axis] + place[side] / 2 for axis, side in (("x", "width"), ("y", "height"))
        }
        for kind, points in (("touchStart", [at]), ("touchEnd", [])):
            event = {"type": kind, "touchPoints": points}
            page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        page.until(lambda hint=hint: page.text("#hint").startswith(hint))
        page.browser.execute_async_script("setTimeout(arguments[0], 300)")
        assert page.text("#hint").startswith(hint)
    assert page.all("#regions [aria-pressed=true]") == []
    page.one("body").send_keys(Keys.ESCAPE)
    page.until(lambda: "lights up" in page.text("#hint"))


def test_two_classes_are_compared_and_more_crops_cost_more(page: Page) -> None:
    Select(page.one("#class-set")).select_by_value("everyday")
    page.give("drop", photo("coffee.png"))
    names = page.labels()
    assert names[0] == "cup of coffee"
    assert len(names) == 48
    assert page.text("#more-ranked-title") == "43 more classes"
    assert len(page.all("#ranked li")) == 5
    assert "cup of coffee leads" in page.text("#lead")
    assert page.all("#columns h3 span")[0].text == "What cup of coffee says"
    hover(page, page.one("#difference"))
    page.until(lambda: page.light().max() > 0)
    assert "Blue everywhere: all crops are nearer to cup of coffee" in page.text("#hint")

    ninth = names[8]  # not among those that came explained: it is asked for
    Select(page.one("#second")).select_by_value(ninth)
    page.until(lambda: f"What {ninth} says" in page.text("#columns"))
    page.settled()
    assert page.all("#ranked .second")[0].text.startswith(ninth)
    assert len(page.costs()) == 1  # it is the same answer, and cost what it cost
    page.slide(3)
    page.until(lambda: len(page.costs()) == 2)
    page.settled()
    assert page.one("#second").get_attribute("value") == ninth  # the comparison stays
    assert page.text("#crops-shown") == "3 (wca by itself takes 12)"
    assert page.costs()[0].startswith("wca 3 ")

    Select(page.one("#first")).select_by_value(ninth)
    page.until(lambda: f"{ninth} trails cup of coffee by 0." in page.text("#lead"))
    Select(page.one("#second")).select_by_value("")
    page.until(lambda: len(page.all("#columns section")) == 1)
    assert not page.one("#difference").is_displayed()
    page.one("#auto").click()
    page.until(lambda: len(page.costs()) == 3)
    assert not page.one("#crops").is_enabled()
    assert 4 <= int(page.costs()[0].split()[1]) <= 12
    assert page.complaints() == []


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_what_is_shown_adds_up_to_what_is_said(page: Page) -> None:
    page.write("cat\n- pointed ears\n- grey fur\nfox\n- pointed ears\n- a long bushy red tail")
    page.give("drop", photo())
    page.labels()
    for second in ("fox", ""):
        Select(page.one("#second")).select_by_value(second)
        page.settled()
        said = page.text("#lead").split(" by " if second else " score of ")[1]
        difference = number(said.replace("\u00a0", " ").split()[0].rstrip("."))
        last = [one.text.split()[-1] for one in page.all("#columns .total")]
        sides = [number(text) for text in last]
        shown = [number(one.text) for one in page.all("#columns .words .number")]
        regions = [number(one.text) for one in page.all("#regions .number")]
        assert sum(sides) == pytest.approx(difference, abs=0.0016)
        assert sum(shown) == pytest.approx(difference, abs=0.0005 * (len(shown) + 1))
        assert sum(regions) == pytest.approx(difference, abs=0.0005 * (len(regions) + 1))
        assert page.text("#regions li:last-child").startswith(f"{12 - len(regions) + 1} other crop")


def test_a_small_lead_is_told_in_more_places(page: Page) -> None:
    page.write("cat\n- the head of a cat\nkitty\n- the head of a kitty cat")
    page.give("drop", photo())
    page.labels()
    lead = number(page.text("#lead").split(" by ")[1].replace("\u00a0", " ").split()[0])
    assert 0.005 < lead < 0.05
    assert all(len(one.text) == len("+0.0123") for one in page.all("#columns .total .number"))
    assert page.text("#status").split(" by ")[1].startswith(f"{lead:.4f}.")


def test_classes_without_descriptions_are_named(page: Page) -> None:
    page.write("tabby cat\npug\nkitchen sponge of mine\n\u0642\u0637\u0629\nqqq\nzzz\nxyzzy")
    page.give("drop", photo())
    assert page.labels()[0] == "tabby cat"
    said = page.text("#undescribed")
    assert said.startswith(
        "Nothing is known of how kitchen sponge of mine, \u0642\u0637\u0629, qqq and 2 more"
    )
    page.write(CAT)
    page.run("document.querySelector('#classes-part').open = true")
    page.one("#go").click()
    page.until(lambda: len(page.costs()) == 2)
    page.settled()
    assert not page.one("#undescribed").is_displayed()


def test_an_arrow_key_held_down_asks_once(page: Page) -> None:
    page.write(CAT)
    page.slide(4)
    page.give("drop", photo())
    page.labels()
    page.one("#crops").send_keys(Keys.ARROW_RIGHT * 5)
    page.until(lambda: len(page.costs()) == 2)
    assert page.costs()[0].startswith("wca 9 ")
    assert page.text("#crops-shown") == "9 (wca by itself takes 12)"
    page.one("#crops").send_keys(Keys.ARROW_RIGHT)
    page.run("document.querySelector('#classes-part summary').click()")
    page.one("#go").click()  # at once: what the slider would ask is asked already
    page.until(lambda: len(page.costs()) == 3)
    page.browser.execute_async_script("setTimeout(arguments[0], 400)")
    assert len(page.costs()) == 3


def test_a_single_crop_is_not_called_steady(page: Page) -> None:
    page.write(CAT)
    page.slide(1)
    page.give("drop", photo())
    page.labels()
    assert page.text("#sure") == "A single crop does not tell how sure this is."
    assert page.all("#verdict .tag") == []
    assert page.text("#lead").endswith("1 of 1 crop is for cat.")


def test_crops_without_weight_are_not_counted_as_votes(page: Page) -> None:
    page.write(CAT)
    Select(page.one("#method")).select_by_value("lgca")
    page.slide(30)
    page.give("drop", photo())
    page.labels()
    assert "20 of 20 crops are for cat; the other 10 weigh nothing." in page.text("#lead")


def hover_at(page: Page, selector: str, place: int) -> bool:
    hover(page, page.all(selector)[place])
    return True


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_shown(page: Page, method: str) -> None:
    needs_words = METHODS[method].texts == "descriptors"
    page.write("cat\n- pointed ears\n- whiskers\ndog\n- floppy ears" if needs_words else CAT)
    Select(page.one("#method")).select_by_value(method)
    page.slide(8)
    page.give("drop", photo())
    assert page.labels() == ["cat", "dog"]
    page.settled()
    assert page.costs()[0].startswith(f"{method} ")
    assert page.one("#columns").is_displayed()
    hint = page.text("#hint")
    lights = page.all("#why .lines button")
    assert bool(lights) == ("as a whole" not in hint) == (METHODS[method].crops is not None)
    places = [("#why .lines button", place) for place in range(len(lights))]
    for selector, place in [*places, *([("#difference", 0)] if lights else [])]:
        page.until(partial(hover_at, page, selector, place))
        page.until(lambda: page.text("#hint") != hint)
    assert "NaN" not in page.text("main")
    assert page.complaints() == []


def test_the_page_counts_as_the_package_does(page: Page) -> None:
    words = {name: everyday_classes()[name] for name in ("cup of coffee", "bowl of soup", "cake")}
    classifier = Classifier(DescriptionSet.from_mapping(words), crops=30)
    prediction = classifier(photo("coffee.png"))
    given = [prediction.explain(label) for label in words]
    first, second, _ = given
    counted = page.asked(
        """const [explanations, boxes, weights] = arguments, done = arguments[arguments.length - 1];
        import("/static/evidence.js").then((evidence) => {
          const [first, second] = explanations;
          const { difference, crops, words } = evidence.contrast(first, second);
          done({
            difference, crops, words: words.flat(),
            leanings: evidence.leanings(first, second, weights),
            regions: explanations.map((one) =>
              evidence.distinctRegions(boxes, evidence.shares(one).crops, 4)),
            standing: explanations.map((one) =>
              boxes.map((_, crop) => evidence.standingOut([one], [crop])[0] ?? null)),
            places: evidence.standingOut(explanations, [3]).map(({ here }) => here),
          });
        });""",
        [
            {
                "label": one.label,
                "score": one.score,
                "descriptions": list(one.descriptions),
                "description_weights": one.description_weights.tolist(),
                "terms": one.terms.tolist(),
                "similarity": one.similarity.tolist(),
                "whole_similarity": one.whole_similarity.tolist(),
            }
            for one in given
        ],
        first.boxes.tolist(),
        first.crop_weights.tolist(),
    )
    expected = contrast(first, second)
    np.testing.assert_allclose(counted["difference"], expected.difference, rtol=1e-9)
    np.testing.assert_allclose(counted["crops"], expected.by_crop, atol=1e-12)
    np.testing.assert_allclose(counted["words"], expected.by_description, atol=1e-8)
    assert counted["regions"] == [[r.crop for r in distinct_regions(one)] for one in given]
    by_weight = expected.by_crop / first.crop_weights
    np.testing.assert_allclose(counted["leanings"], by_weight, rtol=1e-4, atol=1e-6)
    assert counted["places"] == sorted(counted["places"], reverse=True)
    found = 0
    for one, standing in zip(given, counted["standing"], strict=True):
        for crop, words in enumerate(standing):
            same = standout(one, crop)
            assert (words is None) == (same is None)
            if same is not None:
                found += 1
                assert (words["label"], words["index"]) == (one.label, same.description)
                assert words["here"] == pytest.approx(same.similarity)
                assert words["lift"] == pytest.approx(same.lift)
    assert 0 < found < len(given) * len(first.boxes)


def test_light_is_as_strong_as_the_answers_differ(page: Page) -> None:
    strengths = page.asked(
        """const done = arguments[arguments.length - 1];
        import("/static/light.js").then(({ lightUp, lightDifference }) => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 64;
          const boxes = [[0, 0, 32, 64], [32, 0, 64, 64]];
          const most = (draw, values) => {
            draw(canvas, boxes, values, [64, 64], 0.02);
            const { data } = canvas.getContext("2d").getImageData(0, 0, 64, 64);
            return Math.max(...data.filter((_, at) => at % 4 === 3));
          };
          done([0, 0.01, 0.02, 0.04, 1].map((step) =>
            [most(lightUp, [0.3, 0.3 + step]), most(lightDifference, [step, -step])]));
        });"""
    )
    for values in zip(*strengths, strict=True):
        assert values[0] == 0  # what is alike everywhere lights nothing up
        assert values[1] * 2 == pytest.approx(values[2], abs=4)
        assert values[2] * 2 == pytest.approx(values[3], abs=4)
        assert values[4] == 210  # the photo is still seen
