"""A headless Chromium and the site of the sample's build, opened from the file system.

Needs Debian's `chromium` and `chromium-driver`, and the extra `browser`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

import pipeline

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@dataclass(frozen=True)
class Browser:
    """A browser window on the site."""

    driver: webdriver.Chrome
    site: Path

    def open(self, page: str) -> None:
        """Open a page of the site by its path."""
        self.driver.get("about:blank")
        self.driver.get((self.site / page).as_uri())

    @property
    def at(self) -> str:
        """Where the browser is, from the site's root."""
        return self.driver.current_url.removeprefix(self.site.as_uri() + "/")

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def box(self, name: str) -> WebElement:
        """The box of a model or source in the lineage."""
        return self.find(f'.box[data-name="{name}"]')

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script and return its result."""
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int) -> None:
        """Take on the size of a screen."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def media(self, scheme: str = "light", media: str = "screen") -> None:
        """Ask for light or dark colours, on screen or in print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        wanted = {"media": media, "features": features}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)

    def requests(self) -> list[str]:
        """The requested addresses since the last call."""
        events = [json.loads(each["message"])["message"] for each in self._log("performance")]
        sent = [each for each in events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]

    def complaints(self) -> list[Mapping[str, Any]]:
        """The console's messages since the last call."""
        return self._log("browser")

    def _log(self, kind: str) -> list[Mapping[str, Any]]:
        return self.driver.get_log(kind)


def _started(javascript: bool) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in [*QUIET.split(), f"--user-data-dir={tempfile.mkdtemp(prefix='chromium-')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not javascript:
        settings = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", settings)
    return webdriver.Chrome(options, Service("/usr/bin/chromedriver"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the sample's build."""
    folder = tmp_path_factory.mktemp("site")
    project = pipeline.connect("duckdb", database=folder / "p.duckdb")
    project.build()
    return project.docs(folder / "docs").parent


@pytest.fixture(scope="session")
def _driver() -> Iterator[webdriver.Chrome]:
    driver = _started(javascript=True)
    yield driver
    driver.quit()


@pytest.fixture
def browser(_driver: webdriver.Chrome, site: Path) -> Browser:
    """A window with a screen's size and light colours."""
    window = Browser(_driver, site)
    window.resize(1280, 900)
    window.media()
    window.complaints()
    window.requests()
    return window


@pytest.fixture
def without_javascript(site: Path) -> Iterator[Browser]:
    """A window that runs no scripts."""
    driver = _started(javascript=False)
    yield Browser(driver, site)
    driver.quit()
