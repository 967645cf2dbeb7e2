"""The options that concern saved sessions, and where sessions are kept if nobody says."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from loop.cli import accept


def state_folder() -> Path:
    """Where everything is kept for the user that has no other place."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "neverblink"


def default_sessions_folder() -> Path:
    """Where sessions are kept if nobody says."""
    return state_folder() / "sessions"


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """The options of `play` that concern saving."""
    group = parser.add_argument_group("saving (a session holds what was typed)")
    group.add_argument(
        "--session", type=Path, metavar="DIR", help="save into this folder (the last shows: ~/.local/state/neverblink)"
    )
    group.add_argument("--no-save", action="store_true", help="save nothing")
    group.add_argument("--resume", action="store_true", help="go on where the session (the newest) ended")
    group.add_argument(
        "--at", metavar="BLOCK|NAME", help="go on from this block or bookmark of the session (the newest)"
    )
    group.add_argument("--fork", type=Path, metavar="DIR", help="go on in a copy; the session stays as it is")


def session_mistake(options: argparse.Namespace) -> str | None:
    """What is wrong with the options of `play` that concern saving, in one line."""
    goes_on = options.resume or options.at
    if options.no_save and (options.session or goes_on):
        return "--no-save contradicts --session, --resume and --at: leave it out"
    if options.resume and options.at:
        return "--resume goes on from the end, --at from a place before it: give one of them"
    if options.fork and not goes_on:
        return "--fork copies a session to go on from: give --resume, or --at BLOCK"
    return None


def saved_folder(text: str) -> Path:
    """The folder of a session: a path, or the name of one in the user's state folder."""
    for folder in (Path(text), default_sessions_folder() / text):
        if folder.is_dir():
            return folder
    raise argparse.ArgumentTypeError(f"got {text!r}, expected the folder of a session (see `neverblink sessions`)")


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """The options of `replay`."""
    parser.add_argument("folder", type=saved_folder, metavar="DIR", help="the session, or its name in the state folder")
    parser.add_argument("--check", action="store_true", help="make each block twice: straight, and from the log's fold")
    parser.add_argument("--out", type=accept.video_file, metavar="FILE", help="write its film, a .mp4 or .npy file")
    parser.add_argument(
        "--picture", type=accept.width_x_height, metavar="WxH", help="with --out: make it again in this size"
    )
    parser.add_argument("--decoder", choices=("vae", "taehv"), help="with --out: draw it with this decoder")
    parser.add_argument("--world", metavar="NAME|FILE|FOLDER", help="where its world is now, if it has moved")


def add_story_options(parser: argparse.ArgumentParser) -> None:
    """The options of `story`."""
    parser.add_argument("folder", type=saved_folder, metavar="DIR", help="the session, or its name in the state folder")
    parser.add_argument("--out", type=accept.html_file, required=True, metavar="FILE.html", help="the page to write")


def add_sessions_options(parser: argparse.ArgumentParser) -> None:
    """The options of `sessions`."""
    parser.add_argument(
        "folder", type=saved_folder, nargs="?", default=default_sessions_folder(), metavar="DIR", help="one, or many"
    )
