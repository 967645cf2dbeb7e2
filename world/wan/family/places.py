"""Where the files of a folder of checkpoints may lie, and how one is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world.info import WorldError

WAN = ("wan_models/Wan2.1-T2V-1.3B", "Wan2.1-T2V-1.3B", ".")
WAN_14B = ("wan_models/Wan2.1-T2V-14B", "Wan2.1-T2V-14B")
LONGLIVE = ("longlive_models/models", "models", ".")
PLAIN = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json")


def find(folder: Path, places: Sequence[str], *names: str) -> Path | None:
    """The file or folder with one of `names` in the first of `places` below `folder` that has one; None if none has.

    A link that leads nowhere counts as found, so that whoever reads it can name it. Raises WorldError for a place that
    may not be looked into.
    """
    paths = (folder / place / name for place in places for name in names)
    return next((path for path in paths if is_there(path)), None)


def is_there(path: Path) -> bool:
    """Whether there is a file, folder or link of this name; raises WorldError where one may not look."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise WorldError(f"{path} cannot be looked for: {error.strerror}") from None
    return True


def need(folder: Path, places: Sequence[str], *names: str) -> Path:
    """As `find`, but raises WorldError, with the places that were looked at, if none has it."""
    path = find(folder, places, *names)
    if path is None:
        looked = ", ".join(str(Path(place) / names[0]) for place in places)
        raise WorldError(f"{folder} has no {names[0]}: looked for {looked}")
    return path
