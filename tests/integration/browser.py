"""Headless Chromium on the pages of Airflow: Debian's browser and driver, in a profile of its own that is thrown away.

The waits look again and again until something is there, and say what was on the page when it never came. The invariant: when the `with`
is left, no process of the browser is there.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

__all__ = ["Page", "browser", "why_no_browser"]

T = TypeVar("T")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-proxy-server",
    "--force-color-profile=srgb",
    "--lang=en-GB",
)
_WAIT_S = 40.0
_TEXTS = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText)"
_TEXT = "return document.body ? document.body.innerText : ''"


def why_no_browser() -> str:
    """What is missing for a browser; empty if all is there."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing.append("selenium")
    return f"needs {' and '.join(missing)}: scripts/browser installs them" if missing else ""


@dataclass
class Page:
    """A page that is open, of the web site at `address`."""

    driver: Chrome
    address: str

    def open(self, path: str, *, until: str) -> str:
        """Open a page and wait until it says something; its text."""
        self.driver.get(self.address + path)
        return self.wait_for(until)

    def remember(self, **choices: object) -> None:
        """Set what the web site's pages keep in the browser, such as `default_dag_view`; from the next page on."""
        self.driver.get(f"{self.address}/static/pin_32.png")
        for name, value in choices.items():
            self.driver.execute_script("localStorage.setItem(arguments[0], JSON.stringify(arguments[1]))", name, value)

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.driver.execute_script(_TEXT))

    def wait_for(self, *texts: str, within_s: float = _WAIT_S) -> str:
        """Wait until the page says all of these; its text."""
        return self.until(lambda: text if all(t in (text := self.text) for t in texts) else None, " and ".join(texts), within_s)

    def until(self, look: Callable[[], T | None], what: str, within_s: float = _WAIT_S) -> T:
        """What `look` gives, as soon as it gives anything. A page that changes under its hands is looked at again."""
        from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException

        end = time.monotonic() + within_s
        while True:
            try:
                found = look()
            except (StaleElementReferenceException, ElementNotInteractableException):
                found = None
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{self.driver.current_url} did not show {what} in {within_s:g} s. It says:\n{self.text[:3000]}")
            time.sleep(0.2)

    def shows(self, css: str, *, within_s: float) -> bool:
        """Whether an element can be seen within some seconds."""
        try:
            self.find(css, within_s=within_s)
        except AssertionError:
            return False
        return True

    def find(self, css: str, *, text: str = "", within_s: float = _WAIT_S) -> WebElement:
        """The first element that can be seen, with a text in it, as soon as there is one."""

        def look() -> WebElement | None:
            found = self.driver.find_elements("css selector", css)
            return next((e for e in found if e.is_displayed() and text in e.text), None)

        return self.until(look, f"{css} {text!r}", within_s)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", css)

    def lines(self, css: str) -> list[list[str]]:
        """The lines (of a table's row, the cells) of each element that has any, also of those that one would have to scroll to."""
        texts: list[str] = self.driver.execute_script(_TEXTS, css)
        return [found for text in texts if (found := [line.strip() for line in re.split(r"[\n\t]", text) if line.strip()])]

    def click(self, css: str, *, text: str = "") -> None:
        """Click an element as soon as it lets itself be clicked."""
        from selenium.common.exceptions import ElementClickInterceptedException

        def look() -> bool:
            try:
                self.find(css, text=text).click()
            except ElementClickInterceptedException:
                return False
            return True

        self.until(look, f"{css} {text!r} to click")

    def errors(self) -> list[str]:
        """What the console has had of errors since it was last asked."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def size(self, width: int, height: int) -> None:
        """Make the page so wide and high."""
        asked = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", asked)

    def settle(self) -> None:
        """Wait until nothing moves any more: two pictures, half a second apart, are the same."""
        seen: list[bytes] = []

        def look() -> bool:
            seen.append(self.driver.get_screenshot_as_png())
            time.sleep(0.4)
            return len(seen) > 1 and seen[-1] == seen[-2]

        self.until(look, "a picture that stands still", 15)

    def picture(self, file: Path) -> None:
        """Write what is to be seen, once it stands still."""
        self.settle()
        file.write_bytes(self.driver.get_screenshot_as_png())


@contextmanager
def browser(address: str) -> Iterator[Page]:
    """A browser, in light mode and UTC."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(prefix="headrace-chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*_FLAGS, f"--user-data-dir={profile}", "--window-size=1280,800"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        environment = {**os.environ, "TZ": "UTC", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver")), env=environment))
        try:
            light: dict[str, Any] = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
            driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
            yield Page(driver, address)
        finally:
            driver.quit()
