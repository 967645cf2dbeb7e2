"""The page's process beside a real show: words asked for at a phone come on the screen, and it ends with the show."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("websockets", reason="the page needs an extra: pip install 'neverblink[web]'")

from websockets.sync.client import connect

from tests.page.page_show import PageShow
from tests.support.shows import wait_until

PATIENCE_S = 60.0


@pytest.mark.slow
def test_a_phone_sees_pictures_asks_for_words_and_is_told_when_they_are_on_the_screen(tmp_path):
    with closing(PageShow(tmp_path, "--world", "probe", "--probe-block-ms", "60", "--seconds", "90")) as show:
        jpegs, states = _play(show.addresses["player"])
        process = show.page_process()
    assert states == ["received", "taken", "flip"]
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in jpegs)
    wait_until(lambda: not Path(f"/proc/{process}/maps").exists(), "the end of the page's process")
    assert "Ada has come" in show.said.read_text() and "Traceback" not in show.said.read_text()


def _play(address):
    """Enter, ask for words, stay until they are on the screen; the pictures, and what became of the words."""
    place, jpegs, states = urlsplit(address), [], []
    with connect(f"ws://{place.netloc}/live", origin=f"http://{place.netloc}", open_timeout=PATIENCE_S) as page:
        page.send(json.dumps({"kind": "enter", "token": place.fragment, "identity": "ab" * 16, "name": "Ada"}))
        event = {"type": "prompt", "text": "blue rain"}
        page.send(json.dumps({"kind": "ask", "number": 1, "event": event}))
        while "flip" not in states or len(jpegs) < 3:
            told = page.recv(timeout=PATIENCE_S)
            if isinstance(told, bytes):
                page.send(json.dumps({"kind": "seen", "picture": int.from_bytes(told[:4], "big")}))
                jpegs.append(told[4:])
            elif json.loads(told)["kind"] == "receipt":
                states.append(json.loads(told)["state"])
    return jpegs, states
