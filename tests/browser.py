"""A headless Chromium, or a skip that says what is missing."""

import contextlib
import shutil
import tempfile

import pytest


@contextlib.contextmanager
def chromium(width=1280, height=900, scheme="light"):
    """A Selenium driver whose page is so many pixels wide; every request it makes is logged."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("Chromium or its chromedriver is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "no-first-run",
            "hide-scrollbars",
        ):
            options.add_argument(f"--{flag}")
        for flag in ("background-networking", "component-update", "sync", "dev-shm-usage"):
            options.add_argument(f"--disable-{flag}")
        options.add_argument(f"--user-data-dir={profile}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            resize(browser, width, height)
            wanted = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
            yield browser
        finally:
            browser.quit()


def resize(browser, width, height=900):
    """A page of this width, narrower than any window may be."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
