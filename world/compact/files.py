"""Where compact worlds lie: those in the package by name, others by path. No torch."""

from __future__ import annotations

from pathlib import Path

from world.compact.form import WorldForm, read_form
from world.compact.small import SMALL
from world.info import WorldError

BUNDLED = ("small", "tale")
ASSETS = Path(__file__).parent.parent / "assets"


def file_of(name: str) -> Path:
    """The file of the bundled world of that name, or the path that it is."""
    return ASSETS / f"{name}.safetensors" if name in BUNDLED else Path(name)


def form_of(name: str) -> WorldForm:
    """The form of a world by its name or path; raises WorldError, one line, if its file cannot be read."""
    path = file_of(name)
    try:
        return read_form(path) or SMALL
    except WorldError as error:
        raise explained(path, error) from None


def explained(path: Path, error: Exception) -> WorldError:
    """What went wrong with the file of a world, as one line that says which file and what to do."""
    why = " ".join(str(error).split())[:200]
    own = "`neverblink train package` writes such files"
    return WorldError(f"{path}: {why}; {'install neverblink again' if path.parent == ASSETS else own}")
