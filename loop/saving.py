"""Where a show is saved."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from loop.archive.record import SessionError
from loop.archive.saved import open_log
from loop.archive.state_folder import MOST_OF_ONE, make_room, new_session_folder
from loop.archive.writer import SessionWriter
from loop.cli.session_options import default_sessions_folder

log = logging.getLogger(__name__)


def open_archive(options: Namespace) -> SessionWriter | None:
    """The writer of this show's session; None if nothing is to be saved, or the user's state folder cannot be written.

    Raises SessionError for a folder that was named and cannot be used.
    """
    if options.no_save:
        return None
    if options.session:
        return SessionWriter(open_log(options.session), time.time)
    try:
        folder = _new_folder(default_sessions_folder())
        return SessionWriter(open_log(folder), time.time, MOST_OF_ONE)
    except (OSError, SessionError) as error:
        log.warning("the session is not saved: %s", error)
        return None


def _new_folder(root: Path) -> Path:
    make_room(root)
    return new_session_folder(root, datetime.now())
