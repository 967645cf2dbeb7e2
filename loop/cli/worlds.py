"""`neverblink worlds`: the worlds there are, or what a folder of checkpoints is recognised as and why."""

from __future__ import annotations

from world.zoo import NAMES, folder_facts


def print_worlds(folder: str | None) -> int:
    """Print the names of the worlds, or the facts about a folder; the exit status. Raises WorldError."""
    if folder is None:
        for name, purpose in NAMES.items():
            print(f"{name:<8} {purpose}")
        print(f"{'FILE':<8} a world like small that you trained: the .safetensors of `neverblink train package`")
        print(f"{'FOLDER':<8} published checkpoints of a family on Wan2.1: `neverblink worlds FOLDER` says which")
        return 0
    for what, value, why in folder_facts(folder):
        print(f"{what:<10}{value}{f'  ({why})' if why else ''}")
    return 0
