"""The options that concern saved sessions, and where sessions are kept if nobody says."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def default_sessions_folder() -> Path:
    """Where sessions are kept if nobody says: in the user's state folder."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "neverblink" / "sessions"


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """The options of `play` that concern saving."""
    group = parser.add_argument_group("saving (a session holds what was typed)")
    group.add_argument(
        "--session", type=Path, metavar="DIR", help="save into this folder (the last shows: ~/.local/state/neverblink)"
    )
    group.add_argument("--no-save", action="store_true", help="save nothing")
