"""The browser of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.programs import program

OPTIONS = "no-sandbox disable-gpu disable-background-networking disable-sync"


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Chromium, found by name or in CHROMIUM."""
    arguments = [f"--{option}" for option in OPTIONS.split()]
    arguments.append("--disable-component-update")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=arguments
        )
        yield browser
        browser.close()
