"""What keys and scripts do to the state of the show."""

from types import SimpleNamespace

import pytest

from input.action import Command
from input.gesture import Closed, KeyDown, Pasted, Text
from input.script import Script
from loop.controls import ShowControls
from loop.output.recordings import Recordings
from loop.screen.display_dials import DISPLAY_DIALS
from loop.screen.screen import Headless
from world.event import Dial, Prompt, Scene
from world.info import DialRange

NOW = 5_000_000_000


class FakeModel:
    """A model that keeps the mode it is told."""

    def __init__(self, mode="auto"):
        self.mode, self.words, self.info = mode, "grey", SimpleNamespace(vocabulary=("red",))
        self.options, self.transition = SimpleNamespace(transition=1), 1

    def set_mode(self, mode):
        self.mode = mode

    def set_transition(self, blocks):
        self.transition = blocks


class FakeWindow(Headless):
    """A screen that one can type at."""

    def __init__(self):
        self.calls = []

    def toggle_fullscreen(self):
        self.calls.append("full screen")

    def next_fit(self):
        self.calls.append("next fit")

    def toggle_pinning(self):
        self.calls.append("pinning")

    def start_text(self):
        self.calls.append("text starts")

    def stop_text(self):
        self.calls.append("text stops")

    def ask_clipboard(self):
        self.calls.append("clipboard")


def pressed(controls, *gestures):
    return list(controls.gather([(gesture, NOW) for gesture in gestures], NOW, None))


@pytest.mark.parametrize(("key", "name"), [("space", "frozen"), ("b", "blackout"), ("h", "help"), ("f1", "statistics")])
def test_a_key_turns_a_state_of_the_show_on_and_off_again(key, name):
    controls = ShowControls(Headless(), None, FakeModel())
    assert not getattr(controls, name)
    pressed(controls, KeyDown(key))
    assert getattr(controls, name)
    pressed(controls, KeyDown(key))
    assert not getattr(controls, name)


def test_a_closed_window_ends_the_show():
    controls = ShowControls(Headless(), None, FakeModel())
    pressed(controls, Closed())
    assert controls.quitting


def test_f2_asks_the_model_for_the_next_mode_and_for_the_first_after_one_of_the_benchmarks():
    model = FakeModel()
    controls = ShowControls(Headless(), None, model)
    modes = [model.mode for _ in range(5) if pressed(controls, KeyDown("f2")) == []]
    assert modes == ["inline", "overlap", "snap", "leap", "auto"]
    model.mode = "plain"
    pressed(controls, KeyDown("f2"))
    assert model.mode == "auto"


def test_a_window_is_told_when_typing_begins_and_ends_and_an_empty_screen_is_nobody():
    window = FakeWindow()
    controls = ShowControls(window, None, FakeModel())
    assert not controls.is_nobody and ShowControls(Headless(), None, FakeModel()).is_nobody
    found = pressed(controls, KeyDown("f11"), KeyDown("enter"), Text("red"), KeyDown("enter"))
    assert window.calls == ["full screen", "text starts", "text stops"]
    assert found == [(Prompt("red"), "keys", NOW)] and controls.newest == (Prompt("red"), NOW)


def test_f3_changes_the_fit_of_a_window_and_f9_begins_and_ends_a_recording():
    window, recordings = FakeWindow(), Recordings(None)
    controls = ShowControls(window, None, FakeModel(), recordings)
    pressed(controls, KeyDown("f3"))
    assert window.calls == ["next fit"] and controls.newest == (Command.FIT, NOW)
    pressed(controls, KeyDown("enter"), KeyDown("f9"))
    assert recordings.is_on, "also while a line is being written"
    pressed(controls, KeyDown("f9", repeat=True))
    assert recordings.is_on
    pressed(controls, KeyDown("f9"))
    assert not recordings.is_on and controls.newest == (Command.RECORD, NOW)


def test_a_script_counts_from_the_first_flip():
    controls = ShowControls(Headless(), Script(((1.0, Dial("zoom", 0.5)),)), FakeModel())
    assert list(controls.gather([], NOW, None)) == []
    assert list(controls.gather([], NOW, NOW - 999_999_999)) == []
    assert list(controls.gather([], NOW, NOW - 10**9)) == [(Dial("zoom", 0.5), "script", NOW)]


def test_a_hard_cut_goes_to_the_words_that_were_submitted_last_even_in_the_same_breath():
    model = FakeModel()
    controls, found = ShowControls(Headless(), None, model), []
    gestures = [KeyDown("enter"), Text("red"), KeyDown("enter"), KeyDown("enter", frozenset({"shift"}))]
    for event, _, _ in controls.gather([(gesture, NOW) for gesture in gestures], NOW, None):
        found.append(event)
        model.words = event.text
    assert found == [Prompt("red"), Scene("red")]


def test_the_events_of_a_script_at_0_are_due_once_when_the_world_is_open():
    model = FakeModel()
    model.info, info = None, model.info
    script = Script(((0.0, Prompt("red")), (0.0, Dial("zoom", 0.5)), (0.5, Prompt("blue"))))
    controls = ShowControls(Headless(), script, model)
    assert list(controls.gather([], NOW, None)) == []
    model.info = info
    assert list(controls.gather([], NOW, None)) == [(Prompt("red"), "script", NOW), (Dial("zoom", 0.5), "script", NOW)]
    assert list(controls.gather([], NOW, None)) == []
    assert list(controls.gather([], NOW + 5 * 10**8, NOW)) == [(Prompt("blue"), "script", NOW + 5 * 10**8)]


def test_keys_after_a_paste_wait_for_the_clipboard_and_keep_their_times():
    window = FakeWindow()
    controls = ShowControls(window, None, FakeModel())
    paste = KeyDown("v", frozenset({"ctrl"}))
    assert pressed(controls, KeyDown("enter"), Text("a "), paste, Text("!"), KeyDown("enter")) == []
    assert window.calls == ["text starts", "clipboard"]
    found = list(controls.gather([(Pasted("red rain"), NOW + 7)], NOW + 7, None))
    assert found == [(Prompt("a red rain!"), "keys", NOW)]
    assert window.calls[-1] == "text stops"


def test_a_closed_window_ends_the_show_even_while_the_clipboard_is_awaited():
    controls = ShowControls(FakeWindow(), None, FakeModel())
    pressed(controls, KeyDown("enter"), KeyDown("v", frozenset({"ctrl"})), Closed())
    assert controls.quitting


def test_a_dial_pressed_is_the_newest_also_at_its_limit_and_a_dial_scripted_is_not():
    controls = ShowControls(FakeWindow(), Script(((0.0, Scene("red")), (1.0, Dial("zoom", 0.5)))), FakeModel())
    controls.keyboard.meet({"zoom": DialRange(), **DISPLAY_DIALS})
    list(controls.gather([], NOW, NOW))
    list(controls.gather([], NOW + 10**9, NOW))
    assert controls.newest[0] == Scene("red") and not controls.has_pressed
    pressed(controls, *[KeyDown("]")] * 20)
    assert controls.newest[0] == (Dial("zoom", 1.0),) and controls.has_pressed
    assert pressed(controls, KeyDown("]")) == [] and controls.newest[0] == (Dial("zoom", 1.0),)
