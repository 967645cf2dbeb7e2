"""The options of `play` for a show with others: peers on other machines, and what stands on the stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from input.cues import QUANTISE
from loop.cli import accept
from net.message import ROLES, WAYS
from net.web.tokens import PAGE_ROLES


def peer_mistakes(options: argparse.Namespace) -> list[str]:
    """Options that mean something only beside --host or --join."""
    given = vars(options)
    mistakes = []
    for name in ("role", "follow"):
        if given.get(name) and not given["join"]:
            mistakes.append(f"--{name} is for a guest: give it with --join ADDR:PORT")
    if given.get("join") and given["quantise"] != "off":
        mistakes.append("--quantise is the host's to decide: the words of all wait for its beat")
    if given.get("web") and given["join"]:
        mistakes.append("--web is for the host of a show: leave --join out, or serve the page where the host is")
    if given.get("web_qr") and not given["web"]:
        mistakes.append("--web-qr is for the page for phones: give it with --web PORT")
    for name in ("prompt", "seed"):
        if given.get("join") and given[name] is not None:
            mistakes.append(f"--{name} is the host's to decide, not a guest's")
    for name in ("session", "resume", "at"):
        if given.get("join") and given[name]:
            mistakes.append(f"--{name} is for who makes the blocks: the host saves the show, a guest does not")
    for name in ("key", "name"):
        has_peers = given.get("host") or given.get("join") or (name == "name" and given.get("web"))
        if given.get(name) and not has_peers:
            mistakes.append(f"--{name} is for a show with peers: give it with --host or --join")
    return mistakes


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of hosts and guests."""
    peers = parser.add_argument_group("one world on many machines")
    either = peers.add_mutually_exclusive_group()
    either.add_argument(
        "--host", type=accept.listening_place, metavar="[ADDR:]PORT", help="let guests in (from this machine only)"
    )
    told = "be a guest of the show there (auto: of one in this network)"
    either.add_argument("--join", type=accept.place, metavar="ADDR:PORT|auto", help=told)
    peers.add_argument("--role", choices=ROLES, help="of a guest (player); operators need a key")
    told = "how a guest gets the picture: latents, if it has the weights, or video (auto: what it can)"
    peers.add_argument("--follow", choices=WAYS, help=told)
    peers.add_argument("--key", type=accept.input_file, metavar="FILE", help="its first line is what guests must know")
    told = "serve a page for phones (for this machine only without ADDR; docs/phones.md)"
    peers.add_argument("--web", type=accept.listening_place, metavar="[ADDR:]PORT", help=told)
    peers.add_argument("--web-qr", choices=PAGE_ROLES, help="whose address is shown as a QR code (player)")
    peers.add_argument("--name", type=accept.peer_name, metavar="NAME", help="what others see (this machine's name)")


def add_stage_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of cues, instruments, the beat and the programme window."""
    stage = parser.add_argument_group("on stage")
    stage.add_argument(
        "--set",
        dest="set_list",
        type=accept.input_file,
        metavar="FILE",
        help="cues, one a line; loaded again when saved",
    )
    stage.add_argument(
        "--quantise", choices=QUANTISE, default="off", help="what words wait for, once there is a beat (off)"
    )
    stage.add_argument(
        "--map", type=Path, metavar="FILE.toml", help="what controls do; F12 learns, and writes it (docs/stage.md)"
    )
    stage.add_argument("--midi", metavar="NAME|auto", help="MIDI ports whose name contains NAME, or all")
    stage.add_argument(
        "--osc", type=accept.host_and_port, metavar="[ADDR:]PORT", help="OSC (on this machine only without ADDR)"
    )
    stage.add_argument("--audio", metavar="NAME|default", help="listen to a device: for the mapping, and for the beat")
    stage.add_argument("--link", action="store_true", help="share tempo and bar with Ableton Link in this network")
    stage.add_argument("--gamepad", action="store_true", help="gamepads and joysticks, for the mapping")
    stage.add_argument(
        "--programme", type=accept.natural, metavar="N", help="fill display N with the picture alone; --display: yours"
    )
    stage.add_argument(
        "--projector",
        type=Path,
        metavar="FILE.toml",
        help="where its corners are pinned; F10 moves them, and writes it (with --programme: one in the state folder)",
    )
    stage.add_argument("--clean", action="store_true", help="nothing over the picture: messages go to the terminal")
    stage.add_argument("--bpm", type=accept.bpm, metavar="N", help="a beat from the first picture on (tap one with T)")
