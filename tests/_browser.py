"""A real browser for the tests of the page, and what can be done in it.

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
from selenium.webdriver.support.ui import WebDriverWait

from crossalign.images.examples import photo_folder
from crossalign.texts.everyday import everyday_classes

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

CAT = "\n".join(
    line
    for name in ("cat", "dog")
    for line in (name, *(f"- {text}" for text in everyday_classes()[name][:3]))
)


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Any]:
    """A browser without a window; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Chromium and ChromeDriver (Debian: chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as driven:
        yield driven


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

    def asked(self, script: str, *values: Any) -> Any:
        """Run a script that hands its result to its last argument."""
        return self.browser.execute_async_script(script, *values)

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
