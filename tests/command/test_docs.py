"""The documents: their links lead somewhere, their commands are accepted, and their Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from input.cues import read_cues
from input.script import read_script
from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from tests.support.shows import ROOT
from world.compact.small import SMALL
from world.event import Prompt, Scene
from world.train.story.form import TALE
from world.train.tale.words import PLACES, SUBJECTS, named_values

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)


def code_blocks(page: Path, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every call of `neverblink` in the code blocks of the pages, without its comment."""
    lines = [line for page in PAGES for block in code_blocks(page) for line in block.splitlines()]
    return [line.partition(" #")[0].strip() for line in lines if line.startswith("neverblink ")]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """The links of a page to files, or to headings in them, that do not exist."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            dead.append(link)
    return dead


def unknown_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The options of a training command that its help does not name."""
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    known = capsys.readouterr().out
    return [word for word in words if word.startswith("--") and word not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it(page):
    assert dead_links(page) == []


def test_a_dead_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](page.md#one-two) [b](page.md#three) [c](gone.md) [d](https://example.org/gone)\n")
    assert dead_links(page) == ["page.md#three", "gone.md"]


@pytest.mark.parametrize("command", dict.fromkeys(commands()))
def test_every_command_is_accepted(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "evening").mkdir()  # a session
    words = shlex.split(command)[1:]
    if words[0] == "train":
        assert unknown_options(words, capsys) == []
    elif "--help" not in words:
        parse_command_line(words)


def test_a_command_that_is_out_of_date_is_noticed(capsys):
    assert unknown_options(["train", "small", "--hours", "3"], capsys) == ["--hours"]
    with pytest.raises(UsageError, match="unrecognized arguments: --hours"):
        parse_command_line(["--hours", "3"])


@pytest.mark.slow
def test_the_python_of_the_readme_runs(capsys):
    (block,) = code_blocks(ROOT / "README.md", "python")
    exec(compile(block, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 4


def prompts_of(text: str) -> list[str]:
    """Every prompt and mix in a text."""
    shown = re.findall(r'(?:--prompt |prompt=|Prompt\(|"prompt": |"scene": )"([^"]+)"', text)
    return [*shown, *re.findall(r"`([^`]*:\d\.\d \| [^`]*)`", text)]


def test_the_bundled_worlds_know_every_word_of_the_prompts_that_are_shown():
    told, colours = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "examples/colours.jsonl"))
    cues = [cue.prompt for cue in read_cues(ROOT / "examples/set.txt")]
    for world, form, prompts in (("tale", TALE, [*prompts_of(told), *cues]), ("small", SMALL, prompts_of(colours))):
        assert len(prompts) > 5
        assert [text for text in prompts if form.info(world).unknown_words(text)] == []


def test_the_story_has_twelve_sentences_and_every_place_and_subject_that_the_storybook_knows():
    script = read_script(ROOT / "examples/story.jsonl")
    told = [event.text for _, event in script if isinstance(event, Prompt | Scene)]
    assert len(told) == len(script) == 12
    assert [text for text in told if TALE.info("tale").unknown_words(text)] == []
    named = [named_values(text) for text in told]
    assert {scene.get("place") for scene in named} >= set(PLACES)
    assert {scene.get("subject") for scene in named} >= set(SUBJECTS) - {"none"}


def test_the_story_goes_on_by_prompts_alone_some_of_which_name_one_thing():
    first, *others = [event for _, event in read_script(ROOT / "examples/story.jsonl")]
    assert isinstance(first, Scene) and all(isinstance(event, Prompt) for event in others)
    assert sum(len(named_values(event.text)) == 1 for event in others if isinstance(event, Prompt)) >= 4
