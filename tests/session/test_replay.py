"""A saved session made again: every block is the same, or the replay says what is not."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.archive.going_on import blocks_to_go_on
from loop.archive.reading import damaged_latents, read_session
from loop.archive.record import record_of
from loop.archive.saved import SavedSession
from loop.archive.segment import segment_path
from loop.link.kept import Kept
from loop.link.message import BlockMade
from loop.replay.check import Comparison, compare
from loop.replay.film import frames_of, write_film
from loop.replay.listing import branches, describe_session, length_s, prompts_of
from loop.replay.remake import Remaker
from tests.simulation.invariants import complaints
from tests.simulation.random_shows import Allow, random_plan
from tests.simulation.show import Plan, play
from tests.stream.test_take_back import CACHES, Film
from tests.support.saved import WORDS, header_for, new_writer, plain, probe_world, save
from tests.support.tiny import tiny_world
from world.block import Block, Made, Snapshot
from world.diffusion.session import DiffusionSession
from world.dit.denoise import normal
from world.event import Dial, Prompt, Rebuild, Scene
from world.options import ProbeOptions, WorldOptions
from world.probe import ProbeWorld, read_frame
from world.zoo import open_world


class SavedFilm(Film):
    """A film at random that is saved: blocks are taken back, and now and then its model dies and another goes on."""

    def __init__(self, world, seed: int, folder: Path) -> None:
        super().__init__(world.session(3, WORDS), seed)
        self.world, self.writer, self.epoch, self.lives = world, new_writer(folder), 0, 1
        self.under: dict[int, object] = {}
        self.writer.begin(header_for(world))

    def play(self, blocks: int) -> list[Block]:
        while len(self.blocks) < blocks:
            if self.chance.random() < 0.15:
                self.session.ahead(self.events())
            if self.chance.random() < 0.2:
                self.take_back()
            if self.knife.random() < 0.3:
                self.cut()
            if self.chance.random() < 0.1:
                self.die()
            self.block()
        self.writer.close()
        return self.line()

    def block(self) -> None:
        passes, under = self.session.begin(self.events()), None
        for done in passes:
            under = under or self.session.conditions
            if isinstance(done, Made):
                self.log(done.block)
                self.under[done.block.index] = under
                self.writer.block(BlockMade(done.block, under, self.epoch, 0))
            while self.chance.random() < 0.18:
                self.session.ahead(self.events())
            if self.chance.random() < 0.06:
                passes.close()

    def take_back(self) -> None:
        before = self.taken_back
        super().take_back()
        if self.taken_back > before:
            self.writer.dropped(Kept(self.tip))
            self.epoch += 1

    def cut(self) -> None:
        before = self.cuts
        super().cut()
        if self.cuts > before:
            self.writer.dropped(Kept(self.tip, self.left))
            self.epoch += 1

    def die(self) -> None:
        """Another model goes on after the newest block, as loop.supervise.block_memory has it."""
        line = self.line()
        if not line:
            return
        since = max((place for place, block in enumerate(line) if block.start == 0), default=0)
        under = self.under[line[-1].index]
        place = max(self.blocks) + 1, self.session.state.line.newest.end
        self.session = self.world.session(3, WORDS)
        self.session.resume(Snapshot(under.seed, *place, under.words, under.dials, tuple(line[since:])))
        self.lives += 1


def quiet(done: int, of_all: int) -> None:
    """Progress that nobody sees."""


def replayed(folder: Path, world, twice: bool = True) -> Comparison:
    return compare(world, read_session(folder), twice, quiet)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "cache", ["sink of a block", "uneven window", "sink made anew at each switch", "averaged sink", "two averages"]
)
def test_every_block_of_any_film_comes_out_twice_as_it_was_saved(tmp_path, cache, seed):
    world = tiny_world(CACHES[cache])
    film = SavedFilm(world, seed, tmp_path)
    line = film.play(24)
    saved = read_session(tmp_path)
    assert [record.index for record in saved.line()] == [block.index for block in line]
    found = replayed(tmp_path, world)
    assert found.is_whole and found.same == len(film.blocks) == 24, found


AVERAGED = tiny_world(CACHES["two averages"])


def saved_with_averages(folder: Path) -> SavedSession:
    """Twelve blocks of a cache with two averages; its model died after block 6, and the next one went on from them."""
    session, writer, made = AVERAGED.session(3, WORDS), new_writer(folder), list[BlockMade]()
    writer.begin(header_for(AVERAGED))
    for number in range(12):
        if number == 7:
            session = AVERAGED.session(3, WORDS)
            session.resume(Snapshot(3, 7, 14, WORDS, {}, tuple(one.block for one in made[-3:])))
        made.append(BlockMade(session.step(), session.conditions, 0, 0))
        writer.block(made[-1])
    writer.close()
    return read_session(folder)


def test_a_show_that_is_resumed_goes_on_from_the_averages_of_its_newest_block(tmp_path):
    saved = saved_with_averages(tmp_path)
    assert saved.blocks[7].events == (Rebuild(keeps_averages=True),)
    block = blocks_to_go_on(saved, 11)[-1].block
    assert block.averages.shape == AVERAGED.stored_averages and block.averages.dtype == np.float32
    session = AVERAGED.session(3, WORDS)
    session.resume(Snapshot(3, 12, 24, WORDS, {}, tuple(made.block for made in blocks_to_go_on(saved, 11))))
    next(session.begin())
    assert np.array_equal(session.banks.front.averages(24).array(), block.averages)


def test_averages_that_are_damaged_are_named_and_the_log_still_makes_every_block(tmp_path):
    """Of the latents alone: those averages are not gone on from."""
    saved = saved_with_averages(tmp_path)
    path, place = segment_path(tmp_path, 0), saved.places[6]
    content = bytearray(path.read_bytes())
    content[place.offset + saved.blocks[6].size_bytes + 5] ^= 4
    path.write_bytes(content)
    saved = read_session(tmp_path)
    assert damaged_latents(saved) == ["latents-00000.bin: the averages of block 6 are damaged"]
    assert saved.block(6).averages is None and saved.block(7).averages is not None
    assert replayed(tmp_path, AVERAGED).same == 12


def test_a_session_without_averages_as_they_were_saved_before_is_read(tmp_path):
    """It goes on with a Rebuild that begins them anew."""
    saved = saved_with_averages(tmp_path)
    fields = saved.blocks[11].fields()
    del fields["averages"]
    record = record_of(fields)
    assert record.averages is None and record.stored_bytes == record.size_bytes
    assert replace(saved.blocks[11], averages=None) == record


def test_a_replay_notices_averages_that_are_others_than_the_log_says(tmp_path):
    saved = saved_with_averages(tmp_path)
    saved.blocks[9] = replace(saved.blocks[9], averages=replace(saved.blocks[9].averages, digest="0" * 64))
    assert compare(AVERAGED, saved, False, quiet).differing == [9]


def test_the_film_of_a_show_holds_what_was_shown_of_each_block_that_was_cut(tmp_path):
    """And its words come when they came in the show."""
    script = ((2.0, Prompt("green")), (3.0, Prompt("black")), (5.6, Prompt("red")), (7.85, Scene("white")))
    plan = Plan(frames=12, latents=3, block_ms=120.0, recache_ms=60.0, script=script)
    show = play(plan, folder=tmp_path)
    saved, world = read_session(tmp_path), ProbeWorld(ProbeOptions(frames=12, latents=3), None, lambda seconds: None)
    assert complaints(show) == [] and len(show.trace.of("cut")) == 2 and len(saved.cuts) == 2
    assert replayed(tmp_path, world).is_whole
    newest = show.trace.of("flip")[-1]["block"]
    drawn = [read_frame(frame)[0] for block, frames in frames_of(world, saved, False) for frame in frames]
    shown = list(dict.fromkeys(line["frame"] for line in show.trace.of("flip")))
    assert [number for number in drawn if number < 12 * newest] == [number for number in shown if number < 12 * newest]
    assert length_s(saved) == len(drawn) / 16
    begins = {words: at_s for at_s, _, words in prompts_of(saved)}
    assert [begins[words] * 16 for words in ("red", "white")] == [
        next(place for place, number in enumerate(drawn) if number // 12 == block.index)
        for block in (card.block for card in show.story.cards)
        if any(getattr(event, "text", "") in ("red", "white") for event in block.events)
    ]


def test_films_hold_what_a_replay_must_follow(tmp_path):
    films = [SavedFilm(tiny_world(), seed, tmp_path / str(seed)) for seed in range(6)]
    blocks = [block for film in films for block in film.play(24) and film.blocks.values()]
    assert sum(film.taken_back for film in films) > 8 and sum(film.lives - 1 for film in films) > 5
    assert sum(film.cuts for film in films) > 8
    assert any(isinstance(event, Scene) for block in blocks for event in block.events)


class ImpureWorld:
    """A world whose noise also depends on how often noise was drawn in this session."""

    def __init__(self) -> None:
        self._world = tiny_world()
        self.info = self._world.info

    def session(self, seed: int, prompt: str, spare: int = 8) -> DiffusionSession:
        drawn = [0]

        def noise(seed: int, block: int, step: int, shape):
            drawn[0] += 1
            return normal(seed + drawn[0], block, step, shape)

        return DiffusionSession(self._world, seed, prompt, spare, noise)


def test_noise_that_is_not_a_function_of_its_place_is_noticed(tmp_path):
    save(tmp_path, plain(8, 3), ImpureWorld())
    assert replayed(tmp_path, ImpureWorld(), twice=False).is_whole
    assert replayed(tmp_path, ImpureWorld(), twice=True).impure != []


def test_a_block_that_differs_is_named_and_measured_and_the_others_are_compared_all_the_same(tmp_path):
    made = save(tmp_path / "one", plain(8, 3), tiny_world())
    writer = new_writer(tmp_path / "two")
    writer.begin(header_for(tiny_world()))
    for message in made:
        if message.block.index == 5:
            block = message.block
            other = Block(5, 4, block.start, block.latents + np.float16(0.5), block.events, dials=block.dials)
            message = BlockMade(other, message.conditions, 0, 0)
        writer.block(message)
    writer.close()
    found = replayed(tmp_path / "two", tiny_world())
    assert 5 in found.differing and not {0, 1, 2, 3, 4} & set(found.differing)
    assert found.worst >= 0.49 and found.share > 0


def test_latents_that_are_lost_are_made_again_as_they_were(tmp_path):
    made = save(tmp_path, plain(9, 4), tiny_world())
    path = segment_path(tmp_path, 0)
    content = bytearray(path.read_bytes())
    for index in (3, 4):
        content[read_session(tmp_path).places[index].offset] ^= 1
    path.write_bytes(content)
    found = replayed(tmp_path, tiny_world())
    assert (found.same, found.healed, found.differing, found.lost) == (9, 2, [], [])
    path.unlink()
    found = replayed(tmp_path, tiny_world())
    assert (found.same, found.healed) == (len(made), len(made))


def test_blocks_after_a_hole_in_log_and_latents_are_named_and_the_rest_is_compared(tmp_path):
    save(tmp_path, [*plain(4), [], [], [Scene("elsewhere")], *plain(3)], tiny_world())
    log = (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_bytes(b"".join(line for line in log if b'"index": 3,' not in line))
    path = segment_path(tmp_path, 0)
    path.write_bytes(path.read_bytes().replace(b'"index": 3,', b'"index": 9,'))
    found = replayed(tmp_path, tiny_world())
    assert found.same == 7 and len(found.lost) == 2 and "no block 3" in found.lost[0]


def test_the_film_is_that_of_the_blocks_that_were_kept(tmp_path):
    world = probe_world()
    made = save(tmp_path, plain(6, 2), world)
    expected = np.concatenate([world.decoder.decode(None, message.block.latents)[0] for message in made])
    frames, path = write_film(world, read_session(tmp_path), tmp_path / "a.npy", False, False, quiet)
    assert frames == 24 and np.array_equal(np.load(path), expected)


def test_the_film_can_be_made_again_from_the_log_in_another_size(tmp_path):
    save(tmp_path, plain(6, 2))
    large = ProbeWorld(ProbeOptions(), (320, 160), lambda seconds: None)
    frames = [frames for _, frames in frames_of(large, read_session(tmp_path), True)]
    assert np.concatenate(frames).shape == (24, 160, 320, 3)


def test_a_npy_film_of_fewer_frames_than_reserved_is_whole(tmp_path):
    from loop.render import open_video

    sink = open_video(tmp_path / "a.npy", ".npy", 1000, probe_world())
    for number in range(7):
        sink.add(np.full((144, 256, 3), number, np.uint8))
    sink.close()
    assert np.load(tmp_path / "a.npy")[:, 0, 0, 0].tolist() == list(range(7))
    assert (tmp_path / "a.npy").stat().st_size < 8 * 144 * 256 * 3


@pytest.fixture
def no_warnings(caplog):
    caplog.set_level(logging.CRITICAL)


def card_world(plan: Plan) -> ProbeWorld:
    return ProbeWorld(ProbeOptions(plan.fps, plan.frames), None, lambda seconds: None)


@pytest.mark.parametrize("seed", range(300, 316))
def test_a_random_show_whose_model_dies_replays_to_the_same_blocks(tmp_path, no_warnings, seed):
    plan = random_plan(seed, Allow())
    show = play(plan, folder=tmp_path / "one")
    if not show.story.cards:
        return
    saved = read_session(tmp_path / "one")
    assert saved.damage == []
    known = {card.block.index: card.block.digest for card in show.story.cards}
    assert {index: record.digest for index, record in saved.blocks.items()}.items() <= known.items()
    shown = {line["block"] for line in show.trace.of("flip")}
    # a model that dies between a block's frames and its latents takes the latents with it; a show may end there too
    assert len(shown - set(saved.blocks) - {max(shown)}) <= len(plan.mishaps)
    found = compare(card_world(plan), saved, True, quiet)
    assert found.is_whole and found.same == len(saved.blocks), (plan.to_line(), found)


def test_what_was_asked_for_in_a_show_is_in_its_log(tmp_path, no_warnings):
    script = ((1.0, Prompt("red")), (1.5, Dial("zoom", 0.5)), (2.0, Scene("blue")))
    play(Plan(script=script, typed=((3.0, "green"),)), folder=tmp_path / "one")
    saved = read_session(tmp_path / "one")
    assert [asked.event for asked in saved.asked] == [*(event for _, event in script), Prompt("green")]
    assert (saved.words, saved.dials) == ("green", {"zoom": 0.5})


def test_the_command_compares_and_draws(tmp_path, capsys):
    save(tmp_path / "one", plain(6, 2))
    assert main(["replay", str(tmp_path / "one"), "--check"]) == 0
    assert "replayed 6 of 6 blocks: every one of them identical" in capsys.readouterr().out
    assert main(["replay", str(tmp_path / "one"), "--out", str(tmp_path / "a.npy")]) == 0
    assert np.load(tmp_path / "a.npy").shape == (24, 144, 256, 3)


def test_the_command_names_damage_and_ends_with_an_error(tmp_path, capsys, caplog):
    save(tmp_path / "one", plain(6, 2))
    log = tmp_path / "one" / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    assert main(["replay", str(tmp_path / "one")]) == 1
    assert "ends within a line" in caplog.text and "identical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "nowhere"], "expected the folder of a session"),
        (["replay", "empty"], "no saved session"),
        (["replay", "one", "--picture", "320x160"], "give --out FILE too"),
        (["replay", "one", "--out", "a.txt"], ".mp4 or .npy"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save(tmp_path / "one", plain(2))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1


def test_sessions_are_listed_with_their_prompts_and_branches(tmp_path, capsys):
    save(tmp_path / "one", plain(9, 2, 5))
    assert main(["sessions", str(tmp_path)]) == 0
    assert "3 prompts" in capsys.readouterr().out
    assert main(["sessions", str(tmp_path / "one")]) == 0
    told = capsys.readouterr().out
    assert "words 2" in told and "words 5" in told and "0:01  block 5" in told
    (tmp_path / "none").mkdir()
    assert main(["sessions", str(tmp_path / "none")]) == 0
    assert "no sessions" in capsys.readouterr().out


def test_a_branch_that_was_rewound_from_is_listed(tmp_path):
    session, writer = probe_world().session(3, WORDS), new_writer(tmp_path)
    writer.begin(header_for(probe_world()))
    for _ in range(6):
        writer.block(BlockMade(session.step(), session.conditions, 0, 0))
    session.take_back(3)
    writer.went_back(3)
    for _ in range(2):
        writer.block(BlockMade(session.step(), session.conditions, 1, 0))
    writer.close()
    saved = read_session(tmp_path)
    assert (saved.tip, branches(saved)) == (7, [5])
    assert any("branch to block 5: 2 blocks that go on from block 3" in line for line in describe_session(saved))
    assert Remaker(probe_world(), saved).straight(saved.blocks[6]).digest == saved.blocks[6].digest


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("there", [{"device": "cuda"}, {"speed": "fp8"}])
def test_what_was_made_on_a_gpu_is_made_again_and_drawn_where_there_is_none(there, tmp_path, caplog, capsys):
    save(tmp_path / "s", plain(2), open_world("small"), WorldOptions("small", threads=1, **there))
    assert main(["replay", str(tmp_path / "s")]) == 0
    assert "it was made on a GPU, and there is none here: it is made again on the CPU" in caplog.text
    assert "replayed 2 of 2 blocks" in capsys.readouterr().out
    assert main(["replay", str(tmp_path / "s"), "--out", str(tmp_path / "s.npy")]) == 0
    assert len(np.load(tmp_path / "s.npy")) == 2 * open_world("small").info.block_frames
    assert (
        main(["story", str(tmp_path / "s"), "--out", str(tmp_path / "s.html")]) == 0 and (tmp_path / "s.html").exists()
    )
