"""The page in a real browser, with the built-in model behind it: asking, and what is answered."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from _browser import CAT, Page, hover, look, opened, photo

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-the-page"


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_photo_gets_its_label(page: Page, how: str) -> None:
    page.write(CAT)
    page.give(how, photo())  # with classes on the page it is labelled at once
    assert page.labels() == ["cat", "dog"]
    assert page.text("#verdict").startswith("cat")
    assert page.text("#status").startswith("cat leads dog by 0.")
    assert "13 views in" in page.text("#status")
    assert page.one("#picture").get_attribute("alt") == "Your photo, photo.png"
    assert page.complaints() == []


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    page.give("drop", photo())
    keys = ActionChains(page.browser)
    page.one("#classes").send_keys(CAT)
    page.one("#go").send_keys(Keys.ENTER)
    page.labels()
    results = page.one("#results")
    assert page.browser.switch_to.active_element == results  # the form it was in is folded away
    first = page.all("#columns .words button")[0]
    page.one("#difference").send_keys(Keys.TAB)
    assert page.browser.switch_to.active_element == first
    assert page.text("#hint").startswith("Answered ")
    keys.send_keys(Keys.ENTER).perform()  # pinned: stays lit when the focus moves on
    assert first.get_attribute("aria-pressed") == "true"
    lit = page.light()
    ActionChains(page.browser).send_keys(Keys.TAB).send_keys(Keys.ESCAPE).perform()
    assert first.get_attribute("aria-pressed") == "false"
    assert page.light().max() == 0
    assert lit.max() > 0
    assert page.complaints() == []


def test_the_keyboard_finds_nothing_under_the_photo(page: Page) -> None:
    look(page.browser, 390, 844, mobile=True)
    page.run("document.querySelector('#examples button').click()")
    page.labels()
    page.run("document.getElementById('crops').focus()")
    seen: list[str] = []
    while "Why" not in seen:
        back = ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB)
        back.key_up(Keys.SHIFT).perform()
        at = page.browser.switch_to.active_element
        top = page.run("return arguments[0].getBoundingClientRect().top", at)
        assert top >= page.place("#look")["bottom"] - 1, at.text
        seen.append(at.accessible_name)
        assert len(seen) < 40
    assert any(name.startswith("Region 1") for name in seen)


def test_everything_has_a_name_for_screen_readers(page: Page) -> None:
    page.all("#examples button")[0].click()
    page.labels()
    tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = {"button", "textbox", "combobox", "slider", "image", "link", "listbox"}
    nameless = [
        node["role"]["value"]
        for node in tree
        if not node.get("ignored")
        and node.get("role", {}).get("value") in controls
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    levels = page.run("return [...document.querySelectorAll('h1,h2,h3')].map((h) => h.tagName)")
    look(page.browser, 1280, 1150)
    hover(page, page.all("#columns .words button")[0])
    page.until(lambda: page.light()[..., 3].max() > 0)
    page.shot("page")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    assert page.run("return document.documentElement.lang") == "en"


LONG = (
    "a name that its writer did not wish to end, so that it goes on and on until nobody reads it",
    "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichen" * 3,
)


def test_long_names_do_not_scroll_sideways(page: Page) -> None:
    page.write("\n".join(["cat", *LONG]))
    page.give("drop", photo())
    assert set(page.labels()) == {"cat", *LONG}
    for width in (1280, 390, 360):
        look(page.browser, width, 844, mobile=width < 500)
        page.until(lambda width=width: page.run("return innerWidth") == width)
        assert page.width() <= width
    page.shot("long-names")


def test_one_class_is_asked_about(page: Page) -> None:
    page.give("drop", photo())
    page.write("cat, dog; rabbit")
    page.one("#go").click()
    page.until(lambda: "is one class" in page.text("#classes-wrong"))
    split, keep = page.all("#classes-ways button")
    assert split.text == "Split into 3 classes"
    assert page.browser.switch_to.active_element == split
    page.shot("one-class")
    keep.click()
    assert page.labels() == ["cat, dog; rabbit"]
    page.one("#classes-part summary").click()
    page.one("#classes").send_keys(" ")  # another line, asked about again
    page.one("#go").click()
    page.until(lambda: page.all("#classes-ways button"))
    page.all("#classes-ways button")[0].click()
    page.until(lambda: len(page.labels()) == 3)
    assert page.one("#classes").get_attribute("value") == "cat\ndog\nrabbit"
    assert page.complaints() == []


@pytest.mark.parametrize("classes", ["- cat\n- dog", "* cat\n\n* dog", "1. cat\n2) dog"])
def test_a_pasted_list_is_a_list_of_classes(page: Page, classes: str) -> None:
    page.write(classes)
    page.give("drop", photo())
    assert page.labels() == ["cat", "dog"]


def test_an_answer_for_an_earlier_photo_is_not_shown(page: Page) -> None:
    page.write(CAT)
    page.slide(40)
    page.give("drop", photo())
    page.write("")  # the next photo cannot be asked about, so nothing takes the first one's place
    page.give("drop", photo("coffee.png"))
    loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    page.until(lambda: any(name.endswith("/v1/explain") for name in page.run(loaded)))
    page.browser.execute_async_script("setTimeout(arguments[0], 200)")
    assert page.all("#ranked li") == []
    assert page.text("#status") == "Photo chosen. Write classes, then label it."
    page.write("cat\ncup of coffee")
    page.one("#go").click()
    assert page.labels()[0] == "cup of coffee"


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("", "Write at least two classes"),
        ("- floppy ears\ncat", "The first line describes no class"),
        ("cat\n- ears\ndog", "Describe every class or none: dog has no description."),
        ("cat\n- ears\ncat\n- nose", "Write every class once: cat is there twice."),
        ('{"cat": [', "This looks like JSON, but is broken"),
    ],
)
def test_a_mistake_is_said_before_anything_is_sent(page: Page, classes: str, message: str) -> None:
    page.give("drop", photo())
    page.write(classes)
    page.one("#go").click()
    page.until(lambda: message in page.text("#classes-wrong"))
    assert page.text("#status") == "No label yet: the classes need a change."
    assert page.one("#classes-note").get_attribute("role") == "alert"
    assert page.browser.switch_to.active_element == page.one("#classes")
    assert page.complaints() == []


def test_a_method_that_needs_words_says_so_where_they_are_written(page: Page) -> None:
    page.write("cat\ndog")
    page.give("drop", photo())
    page.labels()
    page.one("#method").send_keys("clip-d")  # tried in passing: the keyboard stays where it is
    page.until(lambda: "clip-d needs words" in page.text("#classes-wrong"))
    assert page.browser.switch_to.active_element == page.one("#method")
    assert not page.one("#verdict").is_displayed()
    page.write("cat\n- pointed ears\ndog\n- floppy ears")
    page.one("#go").click()
    assert page.labels()[0] == "cat"
    assert page.costs()[0].startswith("clip-d none ")
    assert page.complaints() == []


def test_a_photo_that_the_browser_cannot_show_is_labelled(page: Page) -> None:
    tiff = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(tiff, "TIFF")
    page.write(CAT)
    page.give("drop", tiff.getvalue(), "photo.tif", "image/tiff")
    assert page.labels() == ["cat", "dog"]
    page.until(lambda: page.text("#invitation") == "This browser cannot show this file.")
    hover(page, page.one("h1"))
    assert page.text("#hint").endswith("words or a region, and where it is will be said here.")
    hover(page, page.all("#regions button")[0])
    page.until(lambda: page.text("#hint").startswith("Region 1, "))


def test_what_the_service_refuses_is_said_in_its_words(page: Page) -> None:
    page.write("cat\nCat")
    page.give("drop", photo())
    page.until(lambda: "Expected every class once" in page.text("#error"))
    page.write("cat\ndog")
    page.give("drop", b"<html>404</html>", "page.png")
    page.until(lambda: "got an HTML page" in page.text("#error"))
    page.give("drop", b"x" * 2_000_001)
    page.until(lambda: "at most 2.0 MB" in page.text("#error"))
    page.shot("error")
    page.give("drop", photo())  # and after all that it goes on
    assert page.labels() == ["cat", "dog"]
    page.complaints()  # the browser itself notes the refusals


NASTY = "<img src=x onerror=\"document.title='pwned'\"> & \u202etac"


def test_names_are_text_and_nothing_else(page: Page) -> None:
    page.write(f"cat\n- {NASTY}\n{NASTY}\n- <b>bold</b>\n")
    page.give("drop", photo(), name="<b onclick=alert(1)>.png")
    assert set(page.labels()) == {"cat", NASTY}
    assert page.run("return document.title") == "Label a photo with words"
    assert page.all("#results img, #why img, #results b, #why b") == []
    page.give("drop", b"no image", name=NASTY)
    page.until(lambda: page.one("#error").is_displayed())
    assert page.all("#error *") == []


def test_small_and_dark(page: Page) -> None:
    page.all("#examples button")[1].click()
    assert page.labels()[0] == "cup of coffee"
    page.shot("desktop")
    paper = "return getComputedStyle(document.body).backgroundColor"
    bright = page.run(paper)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    page.until(lambda: page.run(paper) != bright)
    page.shot("desktop-dark")
    for width in (390, 320):
        look(page.browser, width, 844, mobile=True)
        page.until(lambda width=width: page.run("return innerWidth") == width)
        assert page.width() <= width
        button = page.all("#columns .words button")[0]
        hover(page, button)
        page.until(lambda: page.text("#hint").startswith("Answered "))
        seen = page.place("#stage")
        assert 0 <= seen["top"] < 100  # the photo stays in view while its words are read
        page.shot(f"mobile-{width}-dark")


@pytest.mark.parametrize("size", [(1280, 800), (1366, 650), (390, 844), (360, 740)])
def test_the_label_is_in_sight(page: Page, size: tuple[int, int]) -> None:
    look(page.browser, *size, mobile=size[0] < 500)
    page.until(lambda: page.run("return innerWidth") == size[0])
    page.run("document.querySelector('#settings').scrollIntoView({ block: 'end' })")
    page.run("document.querySelector('#examples button').click()")
    page.labels()
    for shown in ("#stage", "#verdict", "#status"):
        place = page.place(shown)
        assert 0 <= place["top"] < place["bottom"] <= size[1], shown
    assert not page.one("#classes").is_displayed()  # folded away
    assert page.text("#classes-shown") == "cat, dog, fox, rabbit"
    page.shot(f"answer-{size[0]}")


def test_a_service_with_a_token_asks_for_it(browser: Any, live: Any, make_encoder: Any) -> None:
    locked = live(make_encoder(), crops=2, token=TOKEN)
    with opened(browser, locked) as page:
        page.until(lambda: page.one("#token").is_displayed())
        assert not page.one("#ask").is_displayed()
        assert not page.one("#token-note").is_displayed()  # nobody has made a mistake yet
        assert not page.one("#error").is_displayed()
        page.give("drop", photo())
        page.shot("token")
        page.one("#token").send_keys("wrong", Keys.ENTER)
        page.until(lambda: "does not know this token" in page.text("#token-note"))
        page.one("#token").send_keys(TOKEN, Keys.ENTER)  # the wrong one is selected: typed over
        page.until(lambda: page.one("#classes").is_displayed())
        assert not page.one("#token-part").is_displayed()
        assert page.text("#status").startswith("The token is right.")
        assert page.one("#method").get_attribute("value") == "wca"
        page.write("red\nblue")
        page.one("#go").click()
        assert set(page.labels()) == {"red", "blue"}
        page.one("#api").click()  # a link cannot carry the token
        page.until(lambda: len(browser.window_handles) == 2)
        here, there = browser.window_handles
        browser.switch_to.window(there)
        try:
            page.until(lambda: '"openapi"' in page.text("body"))
        finally:
            browser.close()
            browser.switch_to.window(here)


def test_a_service_that_is_gone_is_said(browser: Any, live: Any, make_encoder: Any) -> None:
    server = live(make_encoder(), crops=2)
    with opened(browser, server) as page:
        page.write("red\nblue")
        server.stop()
        page.give("drop", photo())
        page.until(lambda: "The service does not answer" in page.text("#error"))


CONTRASTS = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
const weak = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const apart = element.closest(":disabled, option, noscript, script");
  if (!own || apart || !element.checkVisibility()) continue;
  const pair = [light(getComputedStyle(element).color), light(ground(element))];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < 4.5) weak.push(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
}
return weak;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_told_from_its_ground(page: Page, scheme: str) -> None:
    """Contrast as WCAG 2.2 counts it (1.4.3): at least 4.5."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    page.write(CAT)
    page.give("drop", photo())
    page.labels()
    hover(page, page.all("#regions button")[0])
    page.until(lambda: page.text("#hint").startswith("Region"))
    assert page.run(CONTRASTS) == []
    page.write("cat")
    page.one("#classes-part summary").click()
    page.one("#go").click()
    page.until(lambda: page.all("#classes-ways button"))
    assert page.run(CONTRASTS) == []
    page.run("document.querySelector('#verdict .tag').classList.add('shaky')")
    assert page.run(CONTRASTS) == []
