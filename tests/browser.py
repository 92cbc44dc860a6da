"""A real browser for tests: Chromium without a window, spoken to in the WebDriver protocol."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_START_S = 30


def find_browser() -> tuple[str, str]:
    """Chromium and its driver; a Debian machine that runs as root and lacks them installs them.

    Raises:
        RuntimeError: when there is no browser and none can be installed.
    """
    found = _which()
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "chromium", "chromium-driver"]):
            subprocess.run(["apt-get", *command], check=False, capture_output=True, timeout=600)
        found = _which()
    if found is None:
        msg = "these tests need Chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"
        raise RuntimeError(msg)
    return found


def _which() -> tuple[str, str] | None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One tab; the answers of the driver are checked, so that a failing command fails the test."""

    def __init__(self, address: str) -> None:
        self._address = address

    def open(self, url: str) -> None:
        """Load a page."""
        self._do("POST", "url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns; it may return a promise."""
        return self._do("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """What a script returns once that is true."""
        for _ in range(int(seconds * 10)):
            if found := self.run(script, *arguments):
                return found
            time.sleep(0.1)
        msg = f"never true: {script}"
        raise AssertionError(msg)

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector."""
        self._element("click", selector, {})

    def press(self, key: str) -> None:
        """Press a key, which goes to what has the focus."""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._do("POST", "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def emulate(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Take on a size, a colour scheme and the habits of a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._do("GET", "screenshot")))

    def console(self) -> list[str]:
        """The errors and warnings that were logged since the last call."""
        entries = self._do("POST", "se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """The addresses that were asked for over the network since the last call."""
        messages = [
            json.loads(each["message"])["message"]
            for each in self._do("POST", "se/log", {"type": "performance"})
        ]
        sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
        urls = [str(each["params"]["request"]["url"]) for each in sent]
        return [url for url in urls if not url.startswith(("data:", "chrome", "about:"))]

    def close(self) -> None:
        """End the browser."""
        self._do("DELETE", "")

    def _element(self, what: str, selector: str, body: dict[str, Any]) -> None:
        found = self._do("POST", "element", {"using": "css selector", "value": selector})
        self._do("POST", f"element/{next(iter(found.values()))}/{what}", body)

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._do("POST", "goog/cdp/execute", {"cmd": command, "params": parameters})

    def _do(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        address = f"{self._address}/{what}".rstrip("/")
        value = requests.request(method, address, json=body, timeout=60).json()["value"]
        if isinstance(value, dict) and "error" in value:
            msg = f"{what}: {value['message']}"
            raise AssertionError(msg)
        return value


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with a profile of its own while the block runs."""
    chromium, driver = find_browser()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (
        TemporaryDirectory() as profile,
        subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            browser = _started(f"http://127.0.0.1:{port}", chromium, profile)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()


def _started(driver: str, chromium: str, profile: str) -> Browser:
    options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={profile}"]}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options}
    wanted["goog:loggingPrefs"] = {"browser": "ALL", "performance": "ALL"}
    for _ in range(_START_S * 10):
        try:
            if requests.get(f"{driver}/status", timeout=5).json()["value"]["ready"]:
                break
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    body = {"capabilities": {"alwaysMatch": wanted}}
    value = requests.post(f"{driver}/session", json=body, timeout=60).json()["value"]
    if "sessionId" not in value:
        raise RuntimeError(value.get("message", "the browser did not start"))
    return Browser(f"{driver}/session/{value['sessionId']}")
