import pytest

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.cli.world_options import world_options


def complaint(argv, capsys):
    """The one line on stderr for a mistake that ends with status 2."""
    assert main(argv) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told and "Traceback" not in told
    return told


def test_without_a_command_it_plays():
    assert parse_command_line([]).command == "play"
    assert parse_command_line(["--world", "probe"]).world == "probe"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--world", "atlantis"], "unknown world 'atlantis'"),
        (["dance"], "unknown command 'dance'"),
        (["--size", "0x0"], "WIDTHxHEIGHT"),
        (["--size", "big"], "WIDTHxHEIGHT"),
        (["--seed", "-3"], "whole number"),
        (["--seed", "²"], "whole number"),
        (["--seconds", "nan"], "seconds above 0"),
        (["--prompt", ""], "the prompt is empty"),
        (["--prompt", "\x00\x07 \n"], "the prompt is empty"),
        (["--prompt", "x" * 10_000], "10,000 characters"),
        (["--script", "no-such-file.jsonl"], "file that exists"),
        (["--record", "show.avi"], "ends in .mp4"),
        (["--record", "/no/such/folder/show.mp4"], "folder that exists"),
        (["--trace", "/"], "not a folder"),
        (["--record", "/proc/show.mp4"], "can be written"),
        (["--record-size", "641x360"], "even sides"),
        (["--fit", "cover"], "contain"),
        (["--display", "x"], "whole number"),
        (["--wrold", "small"], "unrecognized arguments"),
        (["--probe-fps", "0", "--world", "probe"], "fps"),
        (["--probe-pace", "2,0"], "speeds above 0"),
        (["--probe-pace", "2,"], "speeds above 0"),
        (["--probe-pace", "2", "--world", "probe"], "block 0 ms: expected all of them above 0"),
        (["render", "--seconds", "1"], "--out"),
        (["render", "--seconds", "1", "--out", "a.gif"], ".mp4 or .npy"),
    ],
)
def test_a_mistake_gets_one_clear_line_and_status_2(argv, told, capsys):
    assert told in complaint(argv, capsys)


@pytest.mark.parametrize(
    "options", [["--projector", "wall.toml"], ["--programme", "0"], ["--fullscreen"], ["--gamepad"], ["--clean"]]
)
def test_what_only_a_window_has_is_refused_where_there_is_none(options, capsys):
    assert complaint(["--headless", *options], capsys).endswith(f"{options[0]} is for a window: leave out --headless")


def test_a_broken_script_line_is_named_with_its_number(tmp_path, capsys):
    script = tmp_path / "show.jsonl"
    script.write_text('{"at_s": 1, "prompt": "red"}\n\n{"at_s": 2, "promt": "blue"}\n')
    told = complaint(["--world", "probe", "--headless", "--seconds", "1", "--script", str(script)], capsys)
    assert "show.jsonl, line 3" in told


def test_control_characters_and_emoji_in_a_prompt_are_no_mistake():
    assert parse_command_line(["--prompt", "a\tblue \x1b world 🌊\n"]).prompt == "a blue world 🌊"


def test_an_unknown_option_is_an_error_and_not_ignored():
    with pytest.raises(UsageError):
        parse_command_line(["--fast"])


def test_one_core_is_left_to_the_window(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert world_options(parse_command_line(["--world", "probe"])).threads == 7
    assert world_options(parse_command_line(["--world", "probe", "--threads", "2"])).threads == 2


def test_worlds_lists_every_world(capsys):
    assert main(["worlds"]) == 0
    listed = capsys.readouterr().out
    assert all(world in listed for world in ("small", "probe", "FILE", "FOLDER"))
