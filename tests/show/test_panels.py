"""What is drawn over the picture: from the state of a show to the text on its overlay."""

from types import SimpleNamespace

from input.gesture import KeyDown, Text
from loop.controls import ShowControls
from loop.output.receipts import Receipts
from loop.panels import DIAL_TOAST_S, WELCOME, WELCOME_S, Panels
from loop.screen.display_dials import DISPLAY_DIALS
from loop.screen.marks import Label
from tests.show.test_controls import FakeModel, FakeWindow
from world.compact.small import SMALL

SECOND = 10**9


def _measure(text, size):
    return len(text) * size // 2


class Desk:
    """A window with its panels, the keys pressed at it, and a clock that is set by hand."""

    def __init__(self, words="slow purple ripples"):
        model = FakeModel()
        model.info, model.status, model.words = SMALL.info("small"), "", words
        self.t_ns = 0
        pinning = SimpleNamespace(text="", is_possible=False)
        window = SimpleNamespace(size=(1280, 720), measure=_measure, has_programme=False, pinning=pinning)
        controls = ShowControls(FakeWindow(), None, model)
        controls.keyboard.meet({**model.info.dials, **DISPLAY_DIALS})
        counts = {"shown": 0, "skipped": 0, "ticks": SimpleNamespace(tick=0, late=0)}
        out = SimpleNamespace(recordings=None, troubles=[], receipts=Receipts())
        past = SimpleNamespace(status=lambda fps, block_frames: "", told="")
        counts |= {"past": past, "playback": None, "peers": None}
        self.engine = SimpleNamespace(controls=controls, model=model, out=out, first_flip_ns=0, **counts)
        self.panels = Panels(window, SimpleNamespace(now_ns=lambda: self.t_ns))

    def press(self, *gestures):
        shown = [KeyDown(gesture) if isinstance(gesture, str) else gesture for gesture in gestures]
        list(self.engine.controls.gather([(gesture, self.t_ns) for gesture in shown], self.t_ns, 0))

    def texts(self):
        return [mark.text for mark in self.panels.marks(self.engine) if isinstance(mark, Label)]


def test_the_first_seconds_name_the_keys_to_begin_with():
    desk = Desk()
    assert desk.texts() == [WELCOME]
    assert "Enter" in WELCOME and "H" in WELCOME
    desk.t_ns = int((WELCOME_S - 0.1) * SECOND)
    assert desk.texts() == [WELCOME]
    desk.t_ns = int((WELCOME_S + 0.1) * SECOND)
    assert desk.texts() == []


def test_the_first_key_ends_the_welcome():
    desk = Desk()
    desk.press("f5")
    assert desk.texts() == []


def test_unknown_words_that_a_show_begins_with_are_named_at_once():
    assert Desk("a purple spiral").texts() == [WELCOME]
    assert any(text.startswith("unknown here: elephant") for text in Desk("a purple elephant spiral").texts())


def test_a_press_on_a_dial_shows_its_name_and_value_for_a_second():
    desk = Desk()
    desk.press("]", "]")
    assert desk.texts() == ["zoom 0.15"]
    desk.t_ns = int(DIAL_TOAST_S * SECOND) + 1
    assert desk.texts() == []
    desk.press("right", "g")
    assert desk.texts() == ["strobe guard on"]
    desk.press("=", "0")
    assert desk.texts() == ["pan x 0 · zoom 0 · energy 0"]


def test_tab_in_an_empty_line_lists_the_words_and_three_prompts():
    desk = Desk()
    desk.press("enter")
    assert any("Tab  the words" in text for text in desk.texts())
    desk.press("tab")
    told = " ".join(desk.texts())
    assert all(word in told for word in SMALL.info("small").vocabulary)
    assert all(example in desk.texts() for example in SMALL.info("small").examples)
    desk.press(Text("red"))
    assert "colours" not in desk.texts()


def test_a_submitted_text_without_a_known_word_is_told_what_plays():
    desk = Desk()
    desk.press("enter", Text("zebra "))
    assert any(text == "unknown here: zebra" for text in desk.texts())
    desk.press("enter")
    assert any("it plays 'slow purple ripples'" in text for text in desk.texts())


def test_a_file_that_cannot_be_written_any_more_is_named_for_a_while():
    desk = Desk()
    desk.press("f5")
    desk.engine.out.troubles.append("the trace a.jsonl stopped: No space left on device")
    assert desk.texts() == desk.engine.out.troubles
    desk.t_ns = 60 * SECOND
    assert desk.texts() == []


def test_the_words_of_another_machine_are_shown_with_who_sent_them():
    desk = Desk()
    desk.t_ns += 1_000_000_000
    desk.engine.peers = SimpleNamespace(newest=("Ada: blue rain", desk.t_ns), rows=lambda: [])
    assert "Ada: blue rain" in desk.texts()
