"""A real Chromium without a window, driven over its own protocol (CDP) by `websockets`."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--mute-audio",
)


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One process of Chromium. folder: where it keeps its profile."""

    def __init__(self, folder: Path) -> None:
        command = [chromium() or "chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                self._address = found[1]
                return
        raise AssertionError("Chromium ended before it listened")

    def open(self, address: str, width: int, height: int, is_phone: bool = False) -> Tab:
        """A page in a tab of this size; a phone has two pixels to each of the page's, and a finger."""
        return Tab(self._address, address, (width, height), is_phone)

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()


class Tab:
    """A page that is open."""

    def __init__(self, browser: str, address: str, size: tuple[int, int], is_phone: bool) -> None:
        from websockets.sync.client import connect

        self._closing = ExitStack()
        self._socket = self._closing.enter_context(connect(browser, max_size=2**26, ping_interval=None))
        self._numbers = itertools.count(1)
        self._session = ""
        self.errors: list[str] = []
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        scale = 2 if is_phone else 1
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=scale,
            mobile=is_phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        self.call("Page.navigate", url=address)
        self.wait_for("location.href != 'about:blank' && document.readyState == 'complete'")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; its result. What the page complains of meanwhile goes to `errors`."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        self._socket.send(json.dumps({"id": number, "method": method, "params": params, **session}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            self._note_error(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, script: str) -> Any:
        """What a piece of JavaScript gives."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait until a piece of JavaScript gives something; what that is."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            if found := self.value(script):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{script} was never true; the page says {self.value('document.body.innerText')!r}")

    def type(self, text: str) -> None:
        """Type characters into what has the focus."""
        for character in text:
            self.call("Input.dispatchKeyEvent", type="char", text=character)

    def press(self, key: str, code: int) -> None:
        """Press a key that has a name."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def tap(self, selector: str) -> None:
        """Click in the middle of an element."""
        box = self.value(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'nearest'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._closing.close()

    def _note_error(self, answer: dict[str, Any]) -> None:
        if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
            self.errors.append(answer["params"]["entry"]["text"])
        if answer.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(answer["params"]["exceptionDetails"])[:400])
