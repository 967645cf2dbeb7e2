"""Takes: each stretch between new words is made several times from the same past, and the best one is kept."""

from __future__ import annotations

import numpy as np
import pytest

from loop.__main__ import main
from loop.takes import Choice, Takes
from tests.support.tiny import tiny_world
from world.block import Block, Session
from world.event import Event, Prompt, Scene

SCRIPT = [(1.0, Prompt("b")), (2.0, Scene("c")), (3.0, Prompt("d"))]


class Pixels:
    """A decoder that shows the latents of a tiny world as grey pictures, eight for each block."""

    def start(self) -> int:
        return 0

    def decode(self, state: int, latents: np.ndarray) -> tuple[np.ndarray, int]:
        grey = np.clip(latents[0, :, 0].astype(np.float32) * 40 + 128, 0, 255).astype(np.uint8)
        return np.repeat(np.repeat(grey[..., None], 3, -1), 4, 0), state + 1


def world():
    made = tiny_world()
    object.__setattr__(made, "decoder", Pixels())
    return made


def film(count: int, score: str = "contrast", script=SCRIPT) -> tuple[np.ndarray, list[Choice], list[Block]]:
    """Four seconds of film, what was chosen, and every block that was made."""
    made, choices = list[Block](), list[Choice]()

    def next_block(session: Session, events: list[Event]) -> Block:
        made.append(session.step(events))
        return made[-1]

    takes = Takes(world(), script, count, score, next_block)
    return np.stack(list(takes.film(7, "first words", 64, choices.append))), choices, made


def test_one_take_is_the_film_that_there_always_was():
    session, decoder, shown = world().session(7, "first words"), Pixels(), []
    for block in range(8):
        shown.append(decoder.decode(0, session.step([e for at_s, e in SCRIPT if at_s == block / 2]).latents)[0])
    assert (film(1)[0] == np.concatenate(shown)).all()


def test_every_stretch_is_made_so_many_times_from_the_same_past():
    _, choices, made = film(3)
    assert [choice.at_s for choice in choices] == [0.0, 1.0, 2.0, 3.0]
    assert len(made) == 3 * 8 and len({block.index for block in made}) == len(made)
    for number, choice in enumerate(choices[1:], 1):
        firsts = [block for block in made if any(event in block.events for _, event in SCRIPT[number - 1 : number])]
        assert len(firsts) == 3 and len({block.parent for block in firsts}) == 1
        assert choice.block in [block.index for block in firsts]


@pytest.mark.parametrize("score", ["contrast", "motion"])
def test_the_take_with_the_highest_measure_is_the_one_that_is_shown(score):
    shown, choices, made = film(3, score)
    by_number = {block.index: block for block in made}
    for choice in choices:
        assert choice.scores[choice.take] == max(choice.scores) and len(set(choice.scores)) == 3
        at = round(choice.at_s * 16)
        assert (shown[at : at + 8] == Pixels().decode(0, by_number[choice.block].latents)[0]).all()


def test_the_same_seed_gives_the_same_takes():
    assert (film(2)[0] == film(2)[0]).all()


def test_a_take_that_is_made_in_another_session_is_what_the_first_session_would_have_made():
    """The past of every take is the chosen one, bit for bit: another session makes it too, past as many numbers."""
    _, choices, made = film(2, script=SCRIPT[:1])
    by_number, session = {block.index: block for block in made}, world().session(7, "first words")
    for choice in choices:
        session.skip_to(choice.block)
        block = session.step([Prompt("b")] if choice.at_s else [])
        assert block.digest == by_number[choice.block].digest
        while session.index in by_number and by_number[session.index].parent == block.index:
            block = session.step()
            assert block.digest == by_number[block.index].digest


def test_a_render_tells_which_takes_it_kept(tmp_path, capsys):
    script = tmp_path / "s.jsonl"
    script.write_text('{"at_s": 0.5, "prompt": "green rain"}')
    out = ["--seed", "3", "--seconds", "1", "--script", str(script), "--out", str(tmp_path / "a.npy")]
    assert main(["render", "--world", "small", "--takes", "2", *out]) == 0
    told = capsys.readouterr().err
    assert "0.0 s: take " in told and "of 2, from block" in told and told.count("by motion: ") == 2
    assert np.load(tmp_path / "a.npy").shape[0] == 24
