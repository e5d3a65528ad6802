"""The page in a real browser, with the built-in model behind it.

CROSSALIGN_SCREENSHOTS names a folder in which pictures of the page are left to be looked at.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from crossalign import load_encoder
from crossalign.demo import everyday_classes, photo_folder
from crossalign.methods import METHODS

# The browser speaks to nobody but the page's own service, so whatever it asks for is the page's.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)
LIMIT = 60
TOKEN = "a-token-for-the-page"

CAT = "\n".join(
    line
    for name in ("cat", "dog")
    for line in (name, *(f"- {text}" for text in everyday_classes()[name][:3]))
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Chromium and ChromeDriver (Debian: chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as started:
        yield started


@pytest.fixture(scope="module")
def service(live: Any) -> Any:
    return live(load_encoder("builtin"), crops=12, max_crops=40, max_body_bytes=2_000_000)


@pytest.fixture
def page(browser: Any, service: Any) -> Iterator[Page]:
    with opened(browser, service) as page:
        yield page


@contextlib.contextmanager
def opened(browser: Any, service: Any) -> Iterator[Page]:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    look(browser, 1280, 900)
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what came before is not this test's
    browser.get(service.address)
    page = Page(browser, service.address)
    page.until(lambda: page.all("#examples button"))
    page.until(lambda: page.all("#method option") or page.one("#token-part").is_displayed())
    yield page
    page.check_requests()


def look(browser: Any, width: int, height: int, mobile: bool = False) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


class Page:
    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        self.address = address

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> Any:
        (found,) = self.all(selector)
        return found

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def until(self, condition: Callable[[], Any]) -> Any:
        # Whatever is looked at may be drawn anew in between: look again.
        wait = WebDriverWait(self.browser, LIMIT, 0.05, [StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(script, *values)

    def write(self, classes: str) -> None:
        self.run("document.getElementById('classes').value = arguments[0]", classes)

    def give(self, how: str, file: bytes, name: str = "photo.png", kind: str = "image/png") -> None:
        """Drop or paste a file, as the browser itself would tell the page."""
        self.run(
            """const [how, data, name, type] = arguments;
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type }));
            const init = { bubbles: true, cancelable: true };
            const target = document.getElementById("drop");
            target.dispatchEvent(how === "drop"
              ? new DragEvent("drop", { ...init, dataTransfer: transfer })
              : new ClipboardEvent("paste", { ...init, clipboardData: transfer }));""",
            how,
            base64.b64encode(file).decode(),
            name,
            kind,
        )

    def labels(self) -> list[str]:
        self.until(lambda: self.all("#ranked li") or self.one("#error").is_displayed())
        assert not self.one("#error").is_displayed(), self.text("#error")
        self.settled()
        names = "return [...document.querySelectorAll('.ranked .name')].map((e) => e.textContent)"
        return list(self.run(names))

    def settled(self) -> None:
        self.until(lambda: self.run("return !document.body.classList.contains('busy')"))

    def costs(self) -> list[str]:
        return [row.text for row in self.all("#costs tr")]

    def slide(self, crops: int) -> None:
        self.run(
            """const crops = document.getElementById("crops"); crops.value = arguments[0];
            for (const type of ["input", "change"]) crops.dispatchEvent(new Event(type));""",
            crops,
        )

    def place(self, selector: str) -> dict[str, float]:
        script = "return arguments[0].getBoundingClientRect().toJSON()"
        return dict(self.run(script, self.one(selector)))

    def layout(self) -> list[int]:
        parts = "#verdict, #ranked, #why, #columns button"
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.offsetTop)"
        return list(self.run(script, parts))

    def width(self) -> int:
        return int(self.run("return document.documentElement.scrollWidth"))

    def light(self) -> np.ndarray:
        """How dark each place of the photo is made, and in which colour: (H, W, 4), 0 to 255."""
        url = self.run("return document.getElementById('light').toDataURL()")
        png = base64.b64decode(url.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))

    def shot(self, name: str) -> None:
        folder = os.environ.get("CROSSALIGN_SCREENSHOTS")
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(Path(folder) / f"{name}.png"))

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def check_requests(self) -> None:
        events = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert any(url.startswith(self.address) for url in urls)
        ours = (self.address + "/", f"blob:{self.address}/", "data:")
        assert [url for url in urls if not url.startswith(ours)] == []


def photo(name: str = "chelsea.png") -> bytes:
    return (photo_folder() / name).read_bytes()


def hover(page: Page, element: Any) -> None:
    page.run("arguments[0].scrollIntoView({ block: 'center' })", element)
    ActionChains(page.browser).move_to_element(element).perform()


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


def test_two_classes_are_compared_and_more_crops_cost_more(page: Page) -> None:
    Select(page.one("#class-set")).select_by_value("everyday")
    page.give("drop", photo("coffee.png"))
    names = page.labels()
    assert names[0] == "cup of coffee"
    assert len(names) == 20
    assert len(page.all("#ranked li")) == 5
    assert "cup of coffee leads" in page.text("#lead")
    assert page.text("#columns section:first-child h3") == "What cup of coffee says"
    hover(page, page.one("#difference"))
    page.until(lambda: page.light().max() > 0)
    assert "cup of coffee gains most" in page.text("#hint")

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
    assert page.text("#crops-shown") == "3"
    assert page.costs()[0].startswith("wca 3 ")

    Select(page.one("#second")).select_by_value("")
    page.until(lambda: len(page.all("#columns section")) == 1)
    assert not page.one("#difference").is_displayed()
    page.one("#auto").click()
    page.until(lambda: len(page.costs()) == 3)
    assert not page.one("#crops").is_enabled()
    assert 4 <= int(page.costs()[0].split()[1]) <= 12
    assert page.complaints() == []


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
    for light in [*lights, *(page.all("#difference") if lights else [])]:
        hover(page, light)
        page.until(lambda: page.text("#hint") != hint)
    assert "NaN" not in page.text("main")
    assert page.complaints() == []


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
    assert page.one("#classes-note").get_attribute("role") == "alert"
    assert page.browser.switch_to.active_element == page.one("#classes")
    assert page.complaints() == []


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
