"""The clipboard: whoever owns it, a tick never waits for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from loop.screen.clip.clipboard import ClipboardReader
from loop.screen.clip.x11_clipboard import MOST_BYTES, read_x11_clipboard
from tests.support.shows import ROOT


def awaited(reader: ClipboardReader) -> str:
    while (text := reader.answer()) is None:
        time.sleep(0.001)
    return text


def test_a_slow_owner_is_waited_for_in_another_thread():
    answers, asked = threading.Event(), []
    reader = ClipboardReader(lambda: asked.append(answers.wait(10)) or "text")
    assert reader.answer() is None
    reader.ask()
    reader.ask()
    assert reader.answer() is None
    answers.set()
    assert awaited(reader) == "text" and asked == [True]
    assert reader.answer() is None


def test_a_clipboard_that_cannot_be_read_is_empty_and_said_so(caplog):
    def fail() -> str:
        raise OSError("no X server answers")

    reader = ClipboardReader(fail)
    reader.ask()
    assert awaited(reader) == ""
    assert "the clipboard cannot be read: no X server answers" in caplog.text


@pytest.fixture(scope="module")
def server():
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed: apt install xvfb")
    from tests.support.xserver import serve

    with serve() as name:
        before = os.environ.get("DISPLAY")
        os.environ["DISPLAY"] = name
        yield name
        os.environ.pop("DISPLAY") if before is None else os.environ.update(DISPLAY=before)


@contextmanager
def owner(name: str, *mode: str):
    command = [sys.executable, "-m", "tests.support.clipboard_owner", name, *mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"owned\n"
            yield
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["whole", "pieces", "latin"])
@pytest.mark.parametrize("characters", [0, 5, 200_000])
def test_the_beginning_of_the_text_is_read_from_any_owner(server, mode, characters):
    with owner(server, mode, str(characters)):
        text = read_x11_clipboard(wait_s=10.0)
    most = MOST_BYTES if mode == "latin" else MOST_BYTES // 2
    assert text == "é" * min(characters, most)


@pytest.mark.slow
def test_an_owner_without_text_and_no_owner_at_all_give_an_empty_text(server):
    with owner(server, "refuses"):
        assert read_x11_clipboard(wait_s=10.0) == ""
    assert read_x11_clipboard(wait_s=10.0) == ""


@pytest.mark.slow
def test_a_mute_owner_is_given_up(server):
    with owner(server, "mute"):
        begun = time.monotonic()
        assert read_x11_clipboard(wait_s=0.2) == ""
        assert 0.2 <= time.monotonic() - begun < 5


@pytest.mark.slow
def test_without_a_server_it_says_so(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":9999")
    with pytest.raises(OSError, match="no X server answers"):
        read_x11_clipboard()
