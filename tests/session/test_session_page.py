"""A session as a thing to keep: its page, its pictures, and the words beside its films."""

from __future__ import annotations

import base64
import json
import re
import sys
import zlib

import av
import numpy as np
import pytest

from loop.__main__ import main
from loop.output.subtitles import webvtt
from loop.replay.png import png
from tests.support.saved import plain, save
from tests.support.shows import end_all, finish, start
from world.event import Prompt
from world.probe import read_frame


@pytest.fixture(autouse=True)
def no_show_outlives_its_test():
    yield
    end_all()


def test_subtitles_name_the_words_and_their_times():
    told = webvtt([(0.0, "a <b> & c"), (61.5, "blue"), (3661.25, "red")], 3662.0)
    assert told == (
        "WEBVTT\n\n00:00:00.000 --> 00:01:01.500\na &lt;b&gt; &amp; c\n\n"
        "00:01:01.500 --> 01:01:01.250\nblue\n\n01:01:01.250 --> 01:01:02.000\nred\n\n"
    )


def test_words_that_were_replaced_at_once_have_no_subtitle():
    assert "red" not in webvtt([(0.0, "blue"), (1.0, "red"), (1.0, "green")], 2.0)


def test_a_picture_is_written_as_png(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (13, 7, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), pixels)


def embedded(page: str, kind: str) -> list[bytes]:
    return [base64.b64decode(found) for found in re.findall(rf"data:{kind};base64,([^\"]+)\"", page)]


def test_the_page_holds_a_picture_for_each_prompt_and_the_film(tmp_path, capsys):
    save(tmp_path / "one", [*plain(14, 4), [Prompt("<b> & done")], [], []])
    out = tmp_path / "story.html"
    assert main(["story", str(tmp_path / "one"), "--out", str(out)]) == 0
    page = out.read_text()
    assert "3 prompts" in capsys.readouterr().out and "&lt;b&gt; &amp; done" in page and "<b> &" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    pictures = [first_pixels(content) for content in embedded(page, "image/png")]
    assert [read_frame(pixels)[1] for pixels in pictures] == [0, 1, 2]
    (film,) = embedded(page, "video/mp4")
    (tmp_path / "a.mp4").write_bytes(film)
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert len(list(film.decode(video=0))) == 17 * 4
    assert b"words 4" in embedded(page, "text/vtt")[0]


def first_pixels(content: bytes) -> np.ndarray:
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    start = content.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(content[start:]), np.uint8)[: height * (1 + 3 * width)]
    return rows.reshape(height, -1)[:, 1:].reshape(height, width, 3)


def test_a_film_that_is_drawn_has_its_words_beside_it(tmp_path):
    save(tmp_path / "one", plain(6, 2))
    assert main(["replay", str(tmp_path / "one"), "--out", str(tmp_path / "a.mp4")]) == 0
    assert (tmp_path / "a.vtt").read_text().splitlines()[2:7] == [
        "00:00:00.000 --> 00:00:00.500",
        "the first words",
        "",
        "00:00:00.500 --> 00:00:01.500",
        "words 2",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="plays a show")
def test_a_recording_has_the_words_beside_it_at_the_times_of_their_first_pixels(tmp_path):
    script, movie = tmp_path / "script.jsonl", tmp_path / "show.mp4"
    script.write_text(json.dumps({"at_s": 1.0, "prompt": "red"}))
    options = ("--world", "probe", "--headless", "--seconds", 2.5, "--prompt", "blue", "--no-save")
    assert finish(start(*options, "--script", script, "--record", movie))[0] == 0
    with av.open(str(movie)) as film:
        cards = [read_frame(frame.to_ndarray(format="rgb24"))[1] for frame in film.decode(video=0)]
    at_s = cards.index(1) / 16
    lines = (tmp_path / "show.vtt").read_text().splitlines()
    begins = re.findall(r"00:00:0(\d\.\d+) -->", "\n".join(lines))
    assert "blue" in lines and "red" in lines and float(begins[1]) == pytest.approx(at_s, abs=0.07)


def test_a_session_without_a_block_has_no_story(tmp_path, capsys):
    save(tmp_path / "one", [])
    assert main(["story", str(tmp_path / "one"), "--out", str(tmp_path / "a.html")]) == 2
    assert "no block" in capsys.readouterr().err
