"""The page in a real browser, with the built-in model behind it.

CROSSALIGN_SCREENSHOTS names a folder in which pictures of the page are left to be looked at.
"""

from __future__ import annotations

import base64
import contextlib
import io
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
    page.until(lambda: page.all("#method option") or page.one("#error").is_displayed())
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
        self.until(lambda: self.one("#go").is_enabled())
        names = "return [...document.querySelectorAll('#ranked .name')].map((e) => e.textContent)"
        return list(self.run(names))

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
    assert page.text("#status").startswith("cat, score 0.")
    assert "13 views in" in page.text("#status")
    assert page.one("#picture").get_attribute("alt") == "Your photo, photo.png"
    assert page.complaints() == []


def test_a_description_lights_its_region_and_a_region_its_words(page: Page) -> None:
    page.write(CAT)
    page.one("#file").send_keys(str(photo_folder() / "chelsea.png"))
    page.labels()
    assert page.light().max() == 0
    words = page.all("#columns .first .words button")
    assert len(words) == 3
    pictures = []
    for button in words:
        hover(page, button)
        page.until(lambda: page.light()[..., 3].max() > 150)
        alpha = page.light()[..., 3]
        assert alpha.min() < 40  # somewhere the photo shows in full
        assert page.text("#hint").startswith("Answered best ")
        pictures.append(alpha)
    assert not np.array_equal(pictures[0], pictures[1])  # each description has a light of its own
    assert page.all(".words .lit") == []
    page.shot("description")

    regions = page.all("#regions button")
    assert len(regions) == 6
    lit = set()
    for button in regions:
        hover(page, button)
        page.until(lambda: page.text("#hint").startswith("Region"))
        lit.add(tuple(one.text for one in page.all(".words .lit")))
        box = page.light()[..., 3] == 0
        assert 0.02 < box.mean() < 0.95
    assert len(lit) > 1  # not every region answers the same words
    page.shot("region")

    place = page.one("#stage")
    hover(page, place)
    page.until(lambda: page.text("#hint").startswith("This place answers"))
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
    first = page.all("#columns .words button")[0]
    page.one("#difference").send_keys(Keys.TAB)
    assert page.browser.switch_to.active_element == first
    assert page.light()[..., 3].max() > 150
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
    page.until(lambda: page.light()[..., 3].max() > 150)
    page.shot("page")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    assert page.run("return document.documentElement.lang") == "en"


def test_two_classes_are_compared_and_more_crops_cost_more(page: Page) -> None:
    names = list(everyday_classes())
    Select(page.one("#class-set")).select_by_value("everyday")
    page.give("drop", photo("coffee.png"))
    assert page.labels()[0] == "cup of coffee"
    assert len(page.labels()) == 10
    assert page.text("#columns .first h3").startswith("cup of coffee, score")
    hover(page, page.one("#difference"))
    page.until(lambda: page.light().max() > 0)
    assert "cup of coffee leads" in page.text("#hint")
    ninth = page.labels()[8]  # not among those that came explained: it is asked for
    assert ninth in names
    Select(page.one("#second")).select_by_value(ninth)
    page.until(lambda: page.text("#columns .second h3").startswith(f"{ninth}, score"))
    page.labels()
    Select(page.one("#second")).select_by_value("")
    assert page.all("#columns .second") == []
    assert not page.one("#difference").is_displayed()
    rows = len(page.all("#costs tr"))
    page.run(
        """const crops = document.getElementById("crops"); crops.value = 3;
        for (const type of ["input", "change"]) crops.dispatchEvent(new Event(type));"""
    )
    page.until(lambda: len(page.all("#costs tr")) == rows + 1)
    assert page.text("#crops-shown") == "3"
    assert page.all("#costs tr")[0].text.startswith("3 4 ")
    page.labels()
    page.one("#auto").click()
    page.until(lambda: len(page.all("#costs tr")) == rows + 2)
    assert not page.one("#crops").is_enabled()
    assert 4 <= int(page.all("#costs tr")[0].text.split()[0]) <= 12
    assert page.complaints() == []


def test_an_answer_for_an_earlier_photo_is_not_shown(page: Page) -> None:
    page.write(CAT)
    page.run("document.getElementById('crops').value = 40")
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
        ("", "Write at least one class"),
        ("- floppy ears", "The first line describes no class"),
        ("cat\n- ears\ndog", "Describe every class or none: dog has no description."),
        ("cat\n- ears\ncat\n- nose", "Write every class once: cat is there twice."),
        ('{"cat": [', "This looks like JSON, but is broken"),
    ],
)
def test_a_mistake_is_said_before_anything_is_sent(page: Page, classes: str, message: str) -> None:
    page.give("drop", photo())
    page.write(classes)
    page.one("#go").click()
    page.until(lambda: message in page.text("#error"))
    assert page.one("#error").get_attribute("role") == "alert"
    assert page.complaints() == []


def test_what_the_service_refuses_is_said_in_its_words(page: Page) -> None:
    page.write("cat\nCat")
    page.give("drop", photo())
    page.until(lambda: "Expected every class once" in page.text("#error"))
    page.write("cat\ndog")
    page.give("drop", b"<html>404</html>", "page.png")
    page.until(lambda: "got an HTML page" in page.text("#error"))
    page.give("drop", b"x" * 2_000_001)
    page.until(lambda: "at most 2000000 bytes" in page.text("#error"))
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
        assert page.run("return document.documentElement.scrollWidth") <= width
        button = page.all("#columns .words button")[0]
        hover(page, button)
        page.until(lambda: page.light()[..., 3].max() > 150)
        seen = page.run("return document.getElementById('stage').getBoundingClientRect().toJSON()")
        assert 0 <= seen["top"] < 100  # the photo stays in view while its words are read
        page.shot(f"mobile-{width}-dark")


def test_a_service_with_a_token_asks_for_it(browser: Any, live: Any, make_encoder: Any) -> None:
    locked = live(make_encoder(), crops=2, token=TOKEN)
    with opened(browser, locked) as page:
        page.until(lambda: page.one("#token").is_displayed())
        page.write("red\nblue")
        page.give("drop", photo())
        page.until(lambda: "Bearer TOKEN" in page.text("#error"))
        page.one("#token").send_keys(TOKEN, Keys.ENTER)
        page.until(lambda: page.all("#ranked li"))
        assert set(page.labels()) == {"red", "blue"}
        assert page.one("#method").get_attribute("value") == "wca"


def test_a_service_that_is_gone_is_said(browser: Any, live: Any, make_encoder: Any) -> None:
    server = live(make_encoder(), crops=2)
    with opened(browser, server) as page:
        page.write("red\nblue")
        server.stop()
        page.give("drop", photo())
        page.until(lambda: "The service does not answer" in page.text("#error"))
