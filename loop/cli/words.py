"""`neverblink words`: the words that a world knows, under headings, with prompts to try."""

from __future__ import annotations

import shlex
import textwrap

from world.options import DEFAULT_WORLD
from world.zoo import listed_words

_WIDTH = 100  # columns


def print_words(world: str) -> int:
    """Print the vocabulary of the world of this name; returns the exit status. Raises WorldError for a wrong name."""
    groups, examples = listed_words(world)
    if not groups:
        print(f"the world {world!r} takes any words")
        return 0
    for heading, words in groups:
        print(textwrap.fill(" ".join(words), _WIDTH, initial_indent=f"{heading:<12}", subsequent_indent=" " * 12))
    print("\nOther words are ignored. Prompts to try:\n")
    command = "neverblink" if world == DEFAULT_WORLD else f"neverblink --world {shlex.quote(world)}"
    for example in examples:
        print(f'    {command} --prompt "{example}"')
    return 0
