import json

import av
import numpy as np
import pytest

from loop.__main__ import main
from world.probe import prompt_colour, read_frame


def render(tmp_path, name, *options):
    out = tmp_path / name
    assert main(["render", "--world", "probe", "--seed", "7", "--out", str(out), *options]) == 0
    return out


def test_a_render_has_exactly_the_frames_of_its_length(tmp_path):
    frames = np.load(render(tmp_path, "a.npy", "--seconds", "2.6"))
    assert frames.dtype == np.uint8 and frames.shape == (42, 144, 256, 3)
    assert [read_frame(frame)[0] for frame in frames] == list(range(42))


def test_two_renders_are_the_same_bytes(tmp_path):
    first, second = (render(tmp_path, name, "--seconds", "1").read_bytes() for name in ("a.npy", "b.npy"))
    assert first == second


def test_a_scripted_event_enters_the_first_block_that_starts_at_or_after_it(tmp_path):
    script = tmp_path / "s.jsonl"
    script.write_text("\n".join(json.dumps({"at_s": t, "prompt": w}) for t, w in ((0.25, "red"), (0.3, "blue"))))
    frames = np.load(render(tmp_path, "a.npy", "--seconds", "1", "--script", str(script), "--prompt", "grey"))
    colours = [tuple(frame[-1, 0]) for frame in frames[::4]]
    assert colours == [prompt_colour(words) for words in ("grey", "red", "blue", "blue")]


def test_a_hard_cut_is_decoded_without_what_was_before_it(tmp_path):
    script = tmp_path / "s.jsonl"
    script.write_text(json.dumps({"at_s": 0.5, "scene": "golden spiral"}))
    both = []
    for name, before in (("a.npy", "blue rain"), ("b.npy", "red ripples")):
        job = ["--world", "small", "--seed", "3", "--threads", "1", "--seconds", "0.75", "--script", str(script)]
        assert main(["render", *job, "--prompt", before, "--out", str(tmp_path / name)]) == 0
        both.append(np.load(tmp_path / name))
    assert (both[0][:12] != both[1][:12]).any()
    assert (both[0][12:] == both[1][12:]).all()


def test_a_rendered_movie_has_the_right_number_of_frames_and_length(tmp_path):
    with av.open(str(render(tmp_path, "a.mp4", "--seconds", "2"))) as movie:
        frames = [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]
        assert float(movie.duration / av.time_base) == pytest.approx(2.0, abs=0.07)
    assert [read_frame(frame)[0] for frame in frames] == list(range(32))


def test_a_failed_render_leaves_what_was_there_before(tmp_path, capsys):
    out = render(tmp_path, "a.npy", "--seconds", "1")
    before = out.read_bytes()
    assert main(["render", "--world", "probe", "--seconds", "1", "--out", str(out), "--picture", "8x8"]) == 2
    assert main(["render", "--world", "probe", "--seconds", "1", "--out", str(out), "--probe-fps", "999"]) == 2
    assert out.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
