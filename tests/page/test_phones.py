"""The page's process as the window's process holds it: what goes to it, what comes back, and what its death does."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from queue import Queue

import numpy as np
import pytest

from input.action import FireCue
from loop.web import outbox as outbox_module
from loop.web import phones as phones_module
from loop.web.outbox import Outbox
from loop.web.phones import FACTS_NS, Phones

PATIENCE_S = 10.0
RED = np.full((2, 3, 3), (255, 0, 0), np.uint8)
BLUE = np.full((2, 3, 3), (0, 0, 255), np.uint8)


class PageProcess:
    """In the place of the process: the test reads and writes its end of the pipe."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.is_killed = self._is_dead = False
        self._dying = threading.Lock()

    def say(self, **message):
        self.pipe.send_bytes(json.dumps(message).encode())

    def next(self):
        """The next message; of a picture its pixels."""
        assert self.pipe.poll(PATIENCE_S)
        message = json.loads(self.pipe.recv_bytes())
        if "pixels" not in message:
            return message
        width, height = message["pixels"]
        return np.frombuffer(self.pipe.recv_bytes(), np.uint8).reshape(height, width, 3)

    def is_told_nothing(self):
        return not self.pipe.poll(0.05)

    def join(self, timeout=None):
        pass

    def kill(self):
        self.is_killed = True
        self.die()

    def die(self):
        with self._dying:
            if not self._is_dead:
                self._is_dead = True
                self.pipe.close()


@pytest.fixture
def show(monkeypatch):
    """Phones, and the lives of their process as they begin."""
    monkeypatch.setattr(phones_module, "AGAIN_S", 0.0)
    lives, all_lives = Queue(), []

    def start():
        ours, theirs = multiprocessing.Pipe()
        all_lives.append(PageProcess(theirs))
        lives.put(all_lives[-1])
        return all_lives[-1], ours

    phones = Phones(start)
    yield phones, lives
    monkeypatch.setattr(phones_module, "PATIENCE_S", 0.05)  # whatever still lives here does not listen
    phones.close()
    for life in all_lives:
        life.die()


def polled(phones, wanted):
    """What the phones ask for, once there is as much as wanted."""
    found, deadline_s = [], time.monotonic() + PATIENCE_S
    while not wanted(found) and time.monotonic() < deadline_s:
        found += [action for action, _ in phones.poll(time.perf_counter_ns())]
        time.sleep(0.002)
    return found


def test_no_picture_goes_to_a_process_of_which_nobody_watches(show):
    phones, lives = show
    life = lives.get()
    phones.show(RED, False)
    phones.decide(True)
    assert life.next() == {"decide": True}
    assert life.is_told_nothing()


def test_who_begins_to_watch_gets_the_picture_that_stands_and_then_each_new_one(show):
    phones, lives = show
    life = lives.get()
    phones.show(RED, False)
    phones.show(None, False)
    life.say(watched=True)
    assert (life.next() == RED).all()
    phones.show(BLUE, False)
    assert (life.next() == BLUE).all()
    phones.show(None, False)
    assert life.is_told_nothing()


def test_a_blackout_is_black_for_phones_and_ends_with_the_picture(show):
    phones, lives = show
    life = lives.get()
    life.say(watched=True)
    phones.show(RED, False)
    assert (life.next() == RED).all()
    phones.show(None, True)
    assert not life.next().any()
    phones.show(BLUE, True)
    assert not life.next().any()
    phones.show(None, False)
    assert (life.next() == BLUE).all()


def test_a_process_that_reads_slowly_gets_the_newest_picture_and_no_tick_waits_for_it(show):
    phones, lives = show
    life = lives.get()
    phones.show(RED, False)
    life.say(watched=True)
    assert (life.next() == RED).all()
    large = [np.full((480, 832, 3), value, np.uint8) for value in range(50)]  # none fits into a pipe
    begun_s = time.perf_counter()
    for picture in large:
        phones.show(picture, False)
    assert time.perf_counter() - begun_s < 2.0
    seen = [int(life.next()[0, 0, 0])]
    while seen[-1] != 49:
        seen.append(int(life.next()[0, 0, 0]))
    assert len(seen) < 10


def test_an_operators_cue_is_fired_here(show):
    phones, lives = show
    life = lives.get()
    life.say(cue=2)
    assert polled(phones, bool) == [FireCue(2)]


def test_the_operator_is_told_what_waits(show):
    phones, lives = show
    life = lives.get()
    life.say(waiting=[["Ada", "blue rain"], ["", "red"]])
    polled(phones, lambda _: phones.text)
    assert phones.text == "Ada asks for: blue rain (and 1 more) · Y lets it in, X refuses"
    life.say(waiting=[])
    polled(phones, lambda _: not phones.text)
    assert phones.text == ""


def test_a_state_is_told_when_it_changes(show):
    phones, lives = show
    life = lives.get()
    words = {"kind": "words", "text": "red"}
    phones.facts = lambda: [words]
    for t_ns in (FACTS_NS, 2 * FACTS_NS):
        phones.poll(t_ns)
    assert life.next() == words
    assert life.is_told_nothing()
    phones.facts = lambda: [{**words, "text": "blue"}]
    phones.poll(3 * FACTS_NS)
    assert life.next()["text"] == "blue"


def test_a_state_that_there_was_no_room_for_is_told_later(monkeypatch):
    outbox, words = Outbox(), {"kind": "words", "text": "red"}
    monkeypatch.setattr(outbox_module, "MOST_WAITING", 0)
    outbox.put_state(words)
    monkeypatch.setattr(outbox_module, "MOST_WAITING", 10)
    outbox.put_state(words)
    outbox.end()
    ours, theirs = multiprocessing.Pipe()
    outbox.write(ours)
    assert json.loads(theirs.recv_bytes()) == words


def test_a_process_that_dies_is_started_again_and_told_what_the_first_one_knew(show, caplog):
    phones, lives = show
    first = lives.get()
    phones.facts = lambda: [{"kind": "words", "text": "red"}]
    phones.poll(FACTS_NS)
    assert first.next()["text"] == "red"
    first.say(
        watched=True,
    )
    first.say(waiting=[["Ada", "blue rain"]])
    polled(phones, lambda _: phones.text)
    phones.show(RED, False)
    assert (first.next() == RED).all()
    first.die()
    second = lives.get(timeout=PATIENCE_S)
    assert first.is_killed
    assert second.next()["text"] == "red"
    polled(phones, lambda _: not phones.text)
    assert phones.text == ""  # the pages ask again
    second.say(watched=True)
    assert (second.next() == RED).all()
    assert "the page for phones has died: it is started again" in caplog.text


def test_the_end_of_the_show_ends_the_process(show):
    phones, lives = show
    life = lives.get()
    closing = threading.Thread(target=phones.close)
    closing.start()
    assert life.next() == {"end": True}
    life.die()
    closing.join(PATIENCE_S)
    assert life.is_killed and not closing.is_alive()


def test_a_process_that_hangs_is_killed_at_the_end(show, monkeypatch):
    phones, lives = show
    monkeypatch.setattr(phones_module, "PATIENCE_S", 0.1)
    life = lives.get()
    phones.close()
    assert life.is_killed
