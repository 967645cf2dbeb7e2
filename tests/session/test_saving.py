"""Shows that are saved, on the test card: where, what, and what happens at a kill or on a full disk."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from loop.__main__ import main
from loop.archive.reading import damaged_latents, read_session
from loop.archive.state_folder import session_folders
from tests.support.saved import plain, save
from tests.support.shows import end_all, finish, start, wait_until
from tests.trials.kills import kill_again_and_again
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_shows_that_are_killed_again_and_again_go_on(tmp_path):
    assert kill_again_and_again(tmp_path / "one", 4) == []


@pytest.mark.slow
def test_a_show_goes_on_under_the_same_words_and_dials(tmp_path):
    script = tmp_path / "script.jsonl"
    entries = ({"at_s": 0.3, "prompt": "red"}, {"at_s": 0.4, "dial": "zoom", "value": 0.5})
    script.write_text("\n".join(map(json.dumps, entries)))
    small = ("--world", "small", "--headless", "--spare", "off", "--session", tmp_path / "one")
    assert finish(start(*small, "--seed", 3, "--seconds", 1.5, "--script", script))[0] == 0
    first = read_session(tmp_path / "one")
    assert finish(start(*small[2:], "--resume", "--seconds", 1))[0] == 0
    saved = read_session(tmp_path / "one")
    later = [record for record in saved.line() if record.index > max(first.blocks)]
    assert len(later) > 2 and later[0].parent == first.tip
    assert all(record.conditions.words == "red" for record in later) and later[-1].dials["zoom"] == 0.5


@pytest.mark.slow
def test_a_show_goes_on_from_any_block_in_a_copy(tmp_path):
    assert finish(start(*CARD, "--seconds", 2, "--session", tmp_path / "one"))[0] == 0
    before = (tmp_path / "one" / "log.jsonl").read_bytes()
    where = ("--session", tmp_path / "one", "--at", 3, "--fork", tmp_path / "two", "--prompt", "blue")
    assert finish(start("--headless", "--seconds", 1, "--spare", "off", *where))[0] == 0
    assert (tmp_path / "one" / "log.jsonl").read_bytes() == before
    old, new = read_session(tmp_path / "one"), read_session(tmp_path / "two")
    line = new.line()
    assert [record.index for record in line[:4]] == [0, 1, 2, 3] and line[4].index == max(old.blocks) + 1
    assert line[4].conditions.words == "blue" and new.header.seed == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume"], "no session to go on from"),
        (["--resume", "--session", "nowhere"], "no saved session"),
        (["--resume", "--session", "one", "--seed", "4"], "the seed"),
        (["--at", "99", "--session", "one"], "no block or bookmark '99': expected a block (0 to 4)"),
        (["--at", "1", "--resume"], "give one of them"),
        (["--fork", "two"], "give --resume"),
        (["--resume", "--session", "one", "--fork", "full"], "there already"),
        (["--resume", "--session", "one", "--no-save"], "--no-save"),
        (["--session", "one"], "--resume"),
    ],
)
def test_a_mistake_in_going_on_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    save(tmp_path / "one", plain(5))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    assert main(["play", "--headless", "--seconds", "1", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1


def test_where_the_newest_latents_are_lost_a_show_goes_on_from_the_newest_that_are_not(tmp_path):
    save(tmp_path / "one", plain(6))
    path = tmp_path / "one" / "latents-00000.bin"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    where = ("--headless", "--seconds", 1, "--spare", "off", "--session", tmp_path / "one", "--resume")
    status, _, err = finish(start(*where))
    assert status == 0 and "block 4 is the newest that can be gone on from" in err
    saved = read_session(tmp_path / "one")
    assert saved.blocks[6].parent == 4 and 5 not in [record.index for record in saved.line()]
