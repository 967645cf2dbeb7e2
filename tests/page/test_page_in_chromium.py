"""The page in a real browser, before a real show: words typed there come on the screen, and its end is not theirs."""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest

from tests.page.browser import Browser, chromium
from tests.page.page_show import PageShow

NEEDED = ("websockets", "segno", "PIL")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None] or ([] if chromium() else ["chromium"])
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]
COLOUR = """(() => {
    const c = document.createElement('canvas'), x = c.getContext('2d');
    c.width = c.height = 1;
    x.drawImage($('picture'), 0, 60, 220, 60, 0, 0, 1, 1);
    return [...x.getImageData(0, 0, 1, 1).data].slice(0, 3);
})()"""


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show")
    running = PageShow(folder, "--world", "probe", "--probe-block-ms", "60", "--seconds", "600")
    yield running
    running.close()
    assert "Traceback" not in running.said.read_text()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    running = Browser(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


def test_words_typed_at_a_phone_change_the_picture_there(show, browser):
    page = browser.open(show.addresses["player"], 390, 844, is_phone=True)
    page.wait_for("hasPicture && joined")
    before = page.value(COLOUR)
    page.tap("#text")
    page.type("blue rain")
    page.press("Enter", 13)
    page.wait_for("kept.asked[0].state === 'flip'")
    assert "on the screen after" in page.value("$('receipts').innerText")
    page.wait_for(f"JSON.stringify({COLOUR}) !== {str(before).replace(' ', '')!r}")
    assert page.value("$('words').innerText") == "blue rain"
    assert page.errors == []
    page.close()


def test_the_audience_asks_and_an_operator_lets_it_in(show, browser):
    asking = browser.open(show.addresses["audience"], 390, 844, is_phone=True)
    deciding = browser.open(show.addresses["operator"], 1280, 800)
    asking.wait_for("isIn && joined")
    asking.tap("#text")
    asking.type("red waves")
    asking.tap("#send")
    asking.wait_for("$('receipts').innerText.includes('waits for the operator')")
    deciding.wait_for("$('waiting').innerText.includes('red waves')")
    deciding.tap("#tabs button:nth-child(4)")
    deciding.tap("#waiting button")
    asking.wait_for("kept.asked[0].state === 'flip'")
    deciding.wait_for("!$('waiting').children.length")
    assert asking.errors == deciding.errors == []
    asking.close()
    deciding.close()


def test_an_operators_blackout_is_black_at_every_phone(show, browser):
    watching = browser.open(show.addresses["viewer"], 844, 390, is_phone=True)
    deciding = browser.open(show.addresses["operator"], 1280, 800)
    deciding.wait_for("hasPicture && joined")
    watching.wait_for("hasPicture")
    deciding.tap("#tabs button:nth-child(3)")
    deciding.tap("#blackout")
    watching.wait_for(f"switches.blackout && Math.max(...{COLOUR}) === 0")
    deciding.tap("#blackout")
    watching.wait_for(f"!switches.blackout && Math.max(...{COLOUR}) > 0")
    assert watching.errors == deciding.errors == []
    watching.close()
    deciding.close()


def test_a_page_goes_on_by_itself_after_the_death_of_its_server_and_loses_no_typed_text(show, browser):
    page = browser.open(show.addresses["player"], 390, 844, is_phone=True)
    page.wait_for("hasPicture && joined")
    page.tap("#text")
    page.type("half a line")
    os.kill(show.page_process(), signal.SIGKILL)
    page.wait_for("!isIn")
    page.press("Enter", 13)
    page.type("another")
    assert "kept until the connection is back" in page.value("$('receipts').innerText")
    page.wait_for("isIn && joined")
    page.wait_for("kept.asked[0].state === 'flip'")
    assert page.value("$('text').value") == "another"
    page.call("Page.reload")
    page.wait_for("document.readyState == 'complete' && isIn && hasPicture")
    assert page.value("$('text').value") == "another"
    assert page.value("kept.asked.length") == 1
    assert "the page for phones has died: it is started again" in show.said.read_text()
    page.close()


def test_a_wrong_address_is_told_so(show, browser):
    page = browser.open(show.addresses["player"][:-4] + "none", 390, 844, is_phone=True)
    page.wait_for("$('veil').innerText.includes('another show')")
    assert not page.value("hasPicture") and not page.value("joined")
    page.close()
