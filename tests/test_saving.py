"""Shows that are saved, on the test card: where, what, and what happens at a kill or on a full disk."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from loop.__main__ import main
from loop.archive.saved import damaged_latents, read_session
from loop.archive.state_folder import session_folders
from tests.shows import end_all, finish, start, wait_until
from world.event import Dial, Prompt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /dev/shm")
CARD = ("--world", "probe", "--headless", "--seed", 3, "--spare", "off")


@pytest.fixture(autouse=True)
def no_show_outlives_its_test():
    yield
    end_all()


def test_a_show_is_saved_with_all_that_was_asked_for(tmp_path):
    script = tmp_path / "script.jsonl"
    entries = ({"at_s": 0.5, "prompt": "red"}, {"at_s": 0.8, "dial": "brightness", "value": 0.5})
    script.write_text("\n".join(map(json.dumps, entries)))
    folder = tmp_path / "one"
    status, out, err = finish(start(*CARD, "--seconds", 2, "--session", folder, "--script", script))
    saved = read_session(folder)
    assert (status, err, saved.damage) == (0, "", [])
    assert f"saved {len(saved.blocks)} blocks to {folder}" in out and len(saved.blocks) > 6
    assert [asked.event for asked in saved.asked] == [Prompt("red"), Dial("brightness", 0.5)]
    assert [record.events for record in saved.line() if record.events] == [(Prompt("red"),)]
    assert saved.header.world.name == "probe" and saved.header.seed == 3 and damaged_latents(saved) == []


def test_without_a_folder_the_session_lies_in_the_state_folder(tmp_path):
    root = tmp_path / "neverblink" / "sessions"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    assert finish(start(*CARD, "--seconds", 1, env=environment))[0] == 0
    (folder,) = session_folders(root)
    assert folder.stat().st_mode & 0o077 == 0 and (folder / "log.jsonl").stat().st_mode & 0o077 == 0
    assert finish(start(*CARD, "--seconds", 1, "--no-save", env=environment))[0] == 0
    assert session_folders(root) == [folder]


def test_a_state_folder_that_cannot_be_made_costs_no_show(tmp_path):
    (tmp_path / "neverblink").write_text("a file")
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    status, out, err = finish(start(*CARD, "--seconds", 1, env=environment))
    assert status == 0 and "shown" in out and "the session is not saved" in err


def test_a_folder_that_cannot_be_used_is_told_before_anything_opens(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("dear")
    assert main(["play", *map(str, CARD), "--session", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["play", "--session", "x", "--no-save"]) == 2
    assert "contradict" in capsys.readouterr().err


def test_a_killed_show_leaves_a_session_that_lacks_at_most_the_newest_block(tmp_path):
    folder = tmp_path / "one"
    show = start(*CARD, "--session", folder)
    wait_until(lambda: (folder / "log.jsonl").exists() and len(read_blocks(folder)) > 5, "some blocks")
    show.send_signal(signal.SIGKILL)
    show.communicate()
    saved = read_session(folder)
    assert saved.tip >= 5 and damaged_latents(saved) == [] and not any("missing" in line for line in saved.damage)


def read_blocks(folder):
    return [line for line in (folder / "log.jsonl").read_bytes().splitlines() if b'"kind": "block"' in line]
