"""Where a show is saved, and from which saved session it goes on."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from loop.archive.going_on import blocks_to_go_on, dials_at, fork, newest_place, past_of, place_of, words_at
from loop.archive.opening import open_log, reopen_log
from loop.archive.reading import read_session
from loop.archive.record import SessionError
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError
from loop.archive.state_folder import MOST_OF_ONE, make_room, new_session_folder, session_folders
from loop.archive.writer import SessionWriter
from loop.cli.session_options import default_sessions_folder
from loop.cli.usage import UsageError
from loop.supervise.model import GoingOn, StreamOptions
from world.options import DEFAULT_WORLD, WorldOptions
from world.zoo import check_name, check_options

log = logging.getLogger(__name__)


def new_archive(options: Namespace) -> SessionWriter | None:
    """The writer of a new show's session; None if nothing is to be saved, or the state folder cannot be written.

    Raises SessionError for a folder that was named and cannot be used.
    """
    if options.no_save:
        return None
    if options.session:
        return SessionWriter(open_log(options.session), time.time)
    try:
        root = default_sessions_folder()
        make_room(root)
        folder = new_session_folder(root, datetime.now())
        return SessionWriter(open_log(folder), time.time, MOST_OF_ONE)
    except (OSError, SessionError) as error:
        log.warning("the session is not saved: %s", error)
        return None


def go_on(options: Namespace) -> tuple[StreamOptions, SessionWriter]:
    """The stream of a show that goes on, and the writer of its session. Raises SessionError or UsageError.

    The world is that of the session, and so is the seed.
    """
    saved = _chosen_session(options)
    for line in saved.damage:
        log.warning("%s: %s", saved.folder, line)
    at = place_of(saved, options.at) if options.at else newest_place(saved)
    if at != saved.tip and not options.at:
        log.warning("block %d is the newest that can be gone on from", at)
    stream = _stream(options, saved, going_on_from(options, saved, at))
    is_ours = saved.folder.parent == default_sessions_folder()
    return stream, SessionWriter(reopen_log(saved, at), time.time, MOST_OF_ONE if is_ours else None)


def _chosen_session(options: Namespace) -> SavedSession:
    """The session that was named, or the newest one in the state folder; or a copy of it."""
    saved = read_session(options.session) if options.session else _newest_session(default_sessions_folder())
    return fork(saved.folder, options.fork) if options.fork else saved


def _newest_session(root: Path) -> SavedSession:
    for folder in reversed(session_folders(root)):
        try:
            return read_session(folder)
        except SessionError as error:
            log.info("%s", error)
    raise SessionError(f"there is no session to go on from in {root}: name one with --session DIR")


def going_on_from(options: Namespace, saved: SavedSession, at: int) -> GoingOn | None:
    """What the model needs to go on from block `at`; None if the session has no block."""
    if at < 0:
        return None
    made, record = blocks_to_go_on(saved, at), saved.blocks[at]
    if not made:
        raise SessionError(f"block {at} of {saved.folder} cannot be gone on from: its latents are lost")
    try:
        saved.averages(at)
    except LatentsLostError as error:
        log.warning("%s: %s: they begin anew", saved.folder, error)
    if options.at:
        words, dials = words_at(saved, record), dials_at(saved, record)
    else:
        words, dials = saved.words or words_at(saved, record), {**dials_at(saved, record), **saved.dials}
    return GoingOn(made, max(saved.blocks), options.prompt or words, dials, past_of(saved, at), saved.bookmarks)


def _stream(options: Namespace, saved: SavedSession, going_on: GoingOn | None) -> StreamOptions:
    begun_with = ("seed", "picture", "sink", "sink_ema", "steps", "carry", "press")
    if any(getattr(options, name) is not None for name in begun_with):
        told = "a session goes on with the seed, picture, sink, average, steps, carry and press that it was begun with"
        raise UsageError(f"{told}: leave them out")
    header, prompt = saved.header, saved.header.prompt
    if going_on is None:
        prompt = options.prompt or saved.words or prompt
    world = _world(options, header.world)
    return StreamOptions(
        world,
        header.seed,
        prompt,
        options.reserve,
        options.switch,
        options.transition,
        options.spare,
        going_on,
        options.memory,
        options.brake,
    )


def _world(options: Namespace, saved: WorldOptions) -> WorldOptions:
    """The session's world, at the place and on the device that the command line names, if it names any."""
    given = {"name": options.world, "device": options.device, "threads": options.threads, "speed": options.speed}
    given["memory_slots"] = options.memory_slots
    plain = {"name": DEFAULT_WORLD, "device": "auto"}  # the defaults: nothing was said, as by None
    world = replace(saved, **{name: value for name, value in given.items() if value != plain.get(name)})
    check_name(world.name)
    check_options(world)
    return world
