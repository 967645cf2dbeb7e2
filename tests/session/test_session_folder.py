"""A session on the disk: what is written is read again, what is damaged is named, and a full disk ends no show."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from datetime import datetime

import numpy as np
import pytest

from loop.archive import append_file
from loop.archive import writer as writer_file
from loop.archive.append_file import AppendFile, is_in_use
from loop.archive.fingerprint import fingerprint
from loop.archive.opening import open_log, reopen_log
from loop.archive.reading import damaged_latents, read_session
from loop.archive.record import SessionError, seal, unseal
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError, segment_path
from loop.archive.state_folder import make_room, new_session_folder, session_folders
from loop.archive.writer import LOG
from loop.link.kept import Kept
from loop.link.message import BlockMade
from tests.support.saved import WORDS, header_for, new_writer, plain, probe_world, save
from tests.support.tiny import tiny_world
from world.block import Block, Conditions
from world.event import Blend, Dial, Prompt, Rebuild, Scene
from world.options import ProbeOptions, WorldOptions
from world.prompt_mix import PromptMix

EVENTS = [
    [],
    [Prompt("blue: 3")],
    [Dial("zoom", 0.1 + 0.2), Blend(PromptMix((("blue", 0.25), ("ü ß 日本", 0.75))))],
    [Scene("elsewhere", 7)],
    [Rebuild()],
]


def test_a_header_is_read_as_it_was_written(tmp_path):
    world = WorldOptions(
        "small", picture=(64, 32), steps="2", sink_ema=(0.99, 0.9), probe=ProbeOptions(block_ms=9.0, pace=(2.0,))
    )
    writer = new_writer(tmp_path)
    writer.begin(header_for(probe_world(), world))
    writer.close()
    assert read_session(tmp_path).header == header_for(probe_world(), world)


def test_what_was_written_is_read_again(tmp_path):
    made = save(tmp_path, EVENTS, tiny_world())
    saved = read_session(tmp_path)
    assert saved.damage == [] and saved.tip == 4 and saved.header == header_for(tiny_world())
    for message in made:
        record = saved.blocks[message.block.index]
        again = record.block(saved.latents(record.index))
        assert (
            np.array_equal(again.latents, message.block.latents) and again.latents.dtype == message.block.latents.dtype
        )
        assert (again.events, again.cut, again.seen, again.dials, again.parent, again.start) == (
            message.block.events,
            message.block.cut,
            message.block.seen,
            message.block.dials,
            message.block.parent,
            message.block.start,
        )
        assert record.conditions == message.conditions
    assert [asked.event for asked in saved.asked] == [event for events in EVENTS for event in events]
    assert saved.words == "elsewhere" and saved.dials == {"zoom": 0.1 + 0.2}


def test_a_flipped_bit_anywhere_in_a_line_is_noticed():
    line = seal({"kind": "asked", "event": {"type": "prompt", "text": "blue"}, "at_s": 1.5})
    assert unseal(line)["at_s"] == 1.5
    for place in range(len(line) - 1):
        for bit in range(8):
            broken = bytearray(line)
            broken[place] ^= 1 << bit
            with pytest.raises(ValueError):
                unseal(bytes(broken))


@pytest.fixture
def folder(tmp_path):
    """A session of twelve blocks of the tiny world, two in each file of latents."""
    made = save(tmp_path / "one", plain(12, 3, 7), tiny_world())
    assert made[0].block.latents.nbytes > 100
    return tmp_path / "one"


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(writer_file, "SEGMENT_BYTES", 2000)


def digests(saved: SavedSession) -> dict[int, str]:
    """Of the blocks whose latents can be read, made from the latents themselves."""
    found = {}
    for index, record in saved.blocks.items():
        try:
            found[index] = record.block(saved.latents(index)).digest
        except LatentsLostError:
            continue
    return found


def test_any_end_of_the_log_can_be_torn_off_and_no_block_is_lost(folder):
    whole, content = digests(read_session(folder)), (folder / LOG).read_bytes()
    for size in (0, 5, 700, len(content) // 2, len(content) - 1):
        (folder / LOG).write_bytes(content[:size])
        saved = read_session(folder)
        assert digests(saved) == whole and saved.tip == 11 and saved.damage != []
        log = reopen_log(saved)
        log.close()
        again = read_session(folder)
        assert digests(again) == whole and again.damage == [] and again.tip == 11


def test_latents_that_are_torn_off_lose_only_the_newest_block(folder):
    """A kill between the latents and their line, in the midst of the latents."""
    content, log = segment_path(folder, 0).read_bytes(), (folder / LOG).read_bytes()
    segment_path(folder, 0).write_bytes(content[:-20])
    (folder / LOG).write_bytes(b"".join(log.splitlines(keepends=True)[:-1]))
    saved = read_session(folder)
    assert (saved.tip, sorted(digests(saved)), saved.damage) == (10, list(range(11)), [])


def test_a_flipped_bit_in_the_latents_is_named_and_costs_one_block(folder):
    saved = read_session(folder)
    path, place = segment_path(folder, 0), saved.places[5]
    content = bytearray(path.read_bytes())
    content[place.offset + 7] ^= 4
    path.write_bytes(content)
    saved = read_session(folder)
    assert damaged_latents(saved) == ["latents-00000.bin: the latents of block 5 are damaged"]
    assert sorted(digests(saved)) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_a_flipped_bit_in_the_log_is_named_and_costs_nothing(folder):
    whole, content = digests(read_session(folder)), bytearray((folder / LOG).read_bytes())
    lines = bytes(content).splitlines(keepends=True)
    for number in range(len(lines)):
        broken = bytearray((folder / LOG).read_bytes())
        at = sum(map(len, lines[:number])) + 12
        broken[at] ^= 1
        (folder / LOG).write_bytes(broken)
        saved = read_session(folder)
        assert any(f"line {number + 1}" in line for line in saved.damage)
        assert digests(saved) == whole and saved.tip == 11
        (folder / LOG).write_bytes(content)


def test_a_missing_log_is_named_and_made_again_from_the_latents(folder):
    whole = digests(read_session(folder))
    (folder / LOG).unlink()
    saved = read_session(folder)
    assert any(LOG in line for line in saved.damage) and digests(saved) == whole and saved.tip == 11
    reopen_log(saved).close()
    assert digests(read_session(folder)) == whole


def test_a_missing_file_of_latents_is_named_and_costs_only_its_own(small_segments, tmp_path):
    save(tmp_path, plain(12, 3), tiny_world())
    numbers = sorted(path.name for path in tmp_path.glob("*.bin"))
    assert len(numbers) > 3
    (tmp_path / numbers[1]).unlink()
    saved = read_session(tmp_path)
    lost = sorted(set(saved.blocks) - set(digests(saved)))
    assert saved.damage == [f"{numbers[1]} is missing: the latents of blocks {lost[0]} to {lost[-1]} are lost"]
    assert 0 < len(lost) < 6 and len(saved.blocks) == 12


def test_a_file_of_latents_that_is_too_short_is_named(small_segments, tmp_path):
    save(tmp_path, plain(12), tiny_world())
    path = segment_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-40])
    saved = read_session(tmp_path)
    assert saved.damage == [f"{path.name} is 40 bytes too short"]
    assert len(digests(saved)) == 11


def test_a_folder_without_a_session_is_refused(tmp_path):
    with pytest.raises(SessionError, match="neither"):
        read_session(tmp_path)
    (tmp_path / LOG).write_text("{}\n")
    with pytest.raises(SessionError, match="no header"):
        read_session(tmp_path)


def test_a_log_of_another_format_is_named(tmp_path):
    save(tmp_path, plain(2))
    fields = {**header_for(probe_world()).fields(), "format": 99}
    (tmp_path / LOG).write_bytes(seal(fields))
    assert "format 99" in read_session(tmp_path).damage[0]


def made_block(index: int, epoch: int = 0, parent: int | None = None) -> BlockMade:
    latents = np.full((1, 1, 2, 1, 1), index, np.float16)
    block = Block(index, index - 1 if parent is None else parent, index, latents)
    return BlockMade(block, Conditions(WORDS, 3), epoch, 0)


def test_blocks_that_were_dropped_are_not_gone_on_from(tmp_path):
    writer = new_writer(tmp_path)
    writer.begin(header_for(probe_world()))
    for index in range(5):
        writer.block(made_block(index))
    writer.dropped(Kept(2))
    writer.block(made_block(5, epoch=0))  # it was made before the drop was known to the model
    writer.close()
    assert read_session(tmp_path).tip == 2
    assert [record.index for record in read_session(tmp_path).line()] == [0, 1, 2]


def test_a_session_in_which_nothing_happened_leaves_no_folder(tmp_path):
    writer = new_writer(tmp_path / "none")
    writer.asked(Prompt("never played"), "keys")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_not_written_into(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SessionError, match="not empty"):
        open_log(tmp_path)
    with pytest.raises(SessionError, match="letter"):
        open_log(tmp_path / "letter.txt")


def test_two_shows_cannot_write_one_session(tmp_path):
    writer = new_writer(tmp_path)
    writer.begin(header_for(probe_world()))
    assert is_in_use(tmp_path / LOG)
    with pytest.raises(SessionError, match="another show"):
        reopen_log(SavedSession(tmp_path))
    writer.close()
    assert not is_in_use(tmp_path / LOG)


class FullDisk:
    """os.write on a disk that has room for so many bytes more."""

    def __init__(self, room: int) -> None:
        self.room, self._write = room, os.write

    def __call__(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(file, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 30, 900, 2500, 2600, 3000])
def test_a_full_disk_ends_the_saving_and_what_was_saved_is_whole(monkeypatch, tmp_path, room):
    writer = new_writer(tmp_path / "full")
    monkeypatch.setattr(append_file.os, "write", FullDisk(room))
    writer.begin(header_for(probe_world()))
    for index in range(20):
        writer.block(made_block(index))
    writer.close()
    monkeypatch.undo()
    assert "No space left" in writer.trouble and str(writer.folder) in writer.trouble
    if room >= 900:
        saved = read_session(tmp_path / "full")
        assert saved.damage == [] and len(digests(saved)) in (writer.blocks, writer.blocks + 1)


def test_a_disk_that_hangs_holds_up_nobody(monkeypatch, tmp_path):
    monkeypatch.setattr(writer_file, "MOST_WAITING", 4)
    writer = new_writer(tmp_path)
    disk = threading.Event()
    monkeypatch.setattr(AppendFile, "append", lambda self, piece: disk.wait(20))
    writer.begin(header_for(probe_world()))
    for index in range(9):
        writer.block(made_block(index))
    assert "too slow" in writer.trouble
    writer.close(0.01)
    disk.set()


def test_latents_keep_to_their_room_and_the_log_stays_whole(small_segments, tmp_path):
    made = [made_block(index) for index in range(60)]
    writer = new_writer(tmp_path, most_bytes=6000)
    writer.begin(header_for(probe_world()))
    for message in made:
        writer.block(message)
    writer.close()
    saved = read_session(tmp_path)
    assert saved.damage == [] and len(saved.blocks) == 60
    assert len(list(tmp_path.glob("*.bin"))) == 3 and 59 in digests(saved) and 0 not in digests(saved)


def test_the_state_folder_keeps_the_newest_sessions(tmp_path):
    (tmp_path / "mine").mkdir()
    save(tmp_path / "by hand", plain(1))
    for minute in range(5):
        save(new_session_folder(tmp_path, datetime(2026, 1, 2, 3, minute)), plain(2))
    make_room(tmp_path, most=3)
    assert [path.name for path in session_folders(tmp_path)] == ["2026-01-02-030300", "2026-01-02-030400", "by hand"]
    make_room(tmp_path, most=9, most_bytes=1)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["by hand", "mine"]


def test_a_session_that_is_being_played_is_not_removed(tmp_path):
    folder = new_session_folder(tmp_path, datetime(2026, 1, 2))
    writer = new_writer(folder)
    writer.begin(header_for(probe_world()))
    writer.block(made_block(0))
    make_room(tmp_path, most=0)
    assert folder.exists()
    writer.close()
    make_room(tmp_path, most=0)
    assert not folder.exists()


def test_two_shows_of_one_second_have_folders_of_their_own(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5)
    names = [new_session_folder(tmp_path, now).name for _ in range(2)]
    assert names == ["2026-01-02-030405", "2026-01-02-030405-1"]


def test_other_weights_have_another_fingerprint(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"one")
    first = fingerprint([tmp_path / "a.safetensors"])
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert fingerprint([]) == "" and first != fingerprint([tmp_path / "b.safetensors"])
    (tmp_path / "a.safetensors").write_bytes(b"two")
    assert fingerprint([tmp_path / "a.safetensors"]) != first
