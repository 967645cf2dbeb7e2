"""A show with a page for phones: its options, its addresses, the keys for the audience, what phones are told."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from input.gesture import KeyDown
from input.help import help_rows
from input.set_list import SetList
from loop.__main__ import main
from loop.controls import ShowControls
from loop.screen.screen import Headless
from loop.stage.desk import CueDesk
from loop.stage.stage import OnStage
from loop.web import opening
from loop.web.addresses import addresses
from loop.web.facts import show_facts
from net.transport import TcpListener, own_address
from net.web.tokens import PAGE_ROLES, Tokens
from tests.show.test_controls import FakeModel, pressed
from tests.show.test_panels import Desk
from tests.support.shows import ROOT
from world.compact.small import SMALL

TOKENS = Tokens({role: f"token-of-{role}" for role in PAGE_ROLES})
SHOW = ("--headless", "--world", "probe", "--seed", "1", "--no-save", "--seconds", "1")
needs_segno = pytest.mark.skipif(importlib.util.find_spec("segno") is None, reason="segno draws the QR code")


class FakeAudience:
    """Words that wait, and what was decided."""

    name = "page"

    def __init__(self, text="Ada asks for: blue rain"):
        self.text, self.decided = text, []

    def poll(self, now_ns):
        return []

    def close(self):
        pass

    def decide(self, let_in):
        self.decided.append(let_in)


def controls_with(audience):
    model = FakeModel()
    return ShowControls(Headless(), None, model, None, replace(OnStage.empty(model), audience=audience))


def test_keys_let_the_oldest_words_of_the_audience_in_or_refuse_them():
    audience = FakeAudience()
    controls = controls_with(audience)
    assert pressed(controls, KeyDown("y"), KeyDown("x")) == []
    assert audience.decided == [True, False]


def test_without_a_page_these_keys_do_nothing():
    assert pressed(controls_with(None), KeyDown("y"), KeyDown("x")) == []


def test_the_window_tells_what_waits_in_the_place_of_the_cues():
    desk = Desk()
    desk.engine.controls.audience = FakeAudience()
    assert "Ada asks for: blue rain" in desk.texts()
    desk.engine.controls.audience.text = ""
    assert "Ada asks for: blue rain" not in desk.texts()


def test_the_keys_of_the_audience_are_listed_where_there_is_one():
    assert not any("audience" in what for _, what in help_rows({}))
    assert any("audience" in what for _, what in help_rows({}, has_audience=True))


def test_each_role_has_an_address_of_its_own_and_its_token_is_in_no_request():
    found = addresses(("192.168.1.20", 8080), TOKENS)
    assert found["player"] == "http://192.168.1.20:8080/#token-of-player"
    assert len(set(found.values())) == len(PAGE_ROLES)


def test_the_address_of_a_page_for_all_networks_is_one_that_others_can_reach():
    assert addresses(("0.0.0.0", 8080), TOKENS)["viewer"].startswith(f"http://{own_address()}:8080/#")


@needs_segno
def test_the_terminal_shows_a_code_for_the_chosen_role():
    from loop.web.addresses import announcement

    lines = announcement(addresses(("192.168.1.20", 8080), TOKENS), "audience").split("\n")
    assert sum(line.startswith("█") for line in lines) > 10
    assert lines[-1] == "  (audience)"
    assert max(map(len, lines)) <= 100


def test_phones_are_told_of_dials_words_cues_and_switches(tmp_path):
    file = tmp_path / "cues.txt"
    file.write_text("Rain | blue rain\n")
    model = FakeModel()
    model.info, model.words = SMALL.info("small"), "red"
    controls = controls_with(None)
    show = SimpleNamespace(desk=CueDesk(model, SetList(file)), keyboard=controls.keyboard, frozen=False, blackout=True)
    controls.keyboard.meet(model.info.dials)
    told = {state["kind"]: state for state in show_facts(show, model)}
    assert told["words"]["text"] == "red"
    assert told["cues"] == {"kind": "cues", "names": ["Rain"], "next": 0}
    assert told["switches"] == {"kind": "switches", "freeze": False, "blackout": True}
    assert told["dials"]["dials"]["zoom"]["value"] == model.info.dials["zoom"].rest
    assert "blue" in told["world"]["vocabulary"]


def test_phones_are_told_nothing_before_the_world_is_open():
    assert show_facts(SimpleNamespace(), SimpleNamespace(info=None)) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--web", "70000"], "expected [ADDRESS:]PORT"),
        (["--web", "8085", "--join", "127.0.0.1:7474"], "--web is for the host of a show"),
        (["--web", "8085", "--web-qr", "king"], "invalid choice"),
        (["--web-qr", "viewer"], "give it with --web PORT"),
        (["--web", "8085", "--key", __file__], "--key is for a show with peers"),
    ],
)
def test_a_mistake_in_the_options_of_the_page_is_told_in_one_line(options, said, capsys):
    assert main(["--headless", "--world", "probe", *options]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_without_its_libraries_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(opening, "NEEDED", ("a_library_that_nobody_has",))
    assert main([*SHOW, "--web", "0"]) == 2
    assert "pip install 'neverblink[web]'" in capsys.readouterr().err


def test_a_port_of_the_page_that_is_taken_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(opening, "NEEDED", ())
    listener = TcpListener(("127.0.0.1", 0))
    assert main([*SHOW, "--web", str(listener.port)]) == 2
    listener.close()
    assert f"cannot listen on 127.0.0.1:{listener.port}" in capsys.readouterr().err


def test_the_windows_process_does_without_the_libraries_of_the_page():
    told = "import loop.web.opening, sys; print(sorted({'websockets', 'PIL', 'segno'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
