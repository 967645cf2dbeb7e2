"""Whole shows on made-up time, a host and its guests in one process: what each screen shows, what becomes of all."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from input.action import Command, FireCue
from input.script import Script
from input.set_list import SetList
from loop.controls import ShowControls
from loop.engine import Engine, Parts
from loop.output.outputs import Outputs
from loop.peer.follow_way import FollowWay
from loop.peer.following import Following
from loop.peer.guest_model import GuestModel
from loop.peer.hosting import Hosting
from loop.supervise.live_model import LiveModel
from loop.supervise.model import StreamOptions
from loop.timing.clock import TICK_NS
from loop.video.encoding import Packet
from loop.video.h264 import VideoEncoder
from loop.worker.no_world import NoWorld
from loop.worker.process import SerialDevice
from net.guest import Guest, Introduction
from tests.peers.network import MemoryNetwork
from tests.simulation.card import DIALS, PICTURE, CardWorld, Story
from tests.simulation.process import Delay, Mishap, Rings, SimulatedProcess
from tests.simulation.show import Lines, SimulatedScreen
from tests.simulation.virtual_time import START_NS, VirtualTime
from world.event import Dial, Prompt, Recall, Rewind, Scene
from world.info import WorldInfo
from world.options import ProbeOptions, WorldOptions

MS = 1_000_000
KEY = b"a long secret"
PROBE = ProbeOptions(16.0, 4, 100.0, 60.0)
OPTIONS = WorldOptions("probe", probe=PROBE)


DESCRIBED = WorldInfo("probe", PROBE.fps, PROBE.frames, PICTURE, "the first words", 0, DIALS)


class InlineEncoder:
    """A PictureEncoder without a thread, which would have a time of its own."""

    def __init__(self, picture, fps):
        self.error, self._encoder, self._ready = None, VideoEncoder(picture, fps), []

    def put(self, pixels, tag, as_key):
        self._ready.append(Packet(tag, *self._encoder.encode(pixels, as_key)))

    def take(self):
        ready, self._ready = self._ready, []
        return ready

    def close(self):
        """Nothing runs."""


@dataclass
class Seat:
    """One machine: its engine, what it wrote down and what it showed. until_s: when it ends, or is killed."""

    name: str
    engine: Engine
    trace: Lines
    screen: SimulatedScreen
    story: Story
    until_s: float
    is_killed: bool = False
    started_s: float = 0.0

    def shown(self):
        """When each frame was shown for the first time."""
        times = {}
        for line in self.trace.of("flip"):
            times.setdefault(line["frame"], line["t_ns"])
        return times

    def ends(self):
        """The last stage of each event of this machine's own."""
        own = {line["id"] for line in self.trace.of("event") if not line["source"].startswith("peer")}
        stages = {line["id"]: line["stage"] for line in self.trace.of("stage") if line["id"] in own}
        return [stages[number] for number in sorted(stages)]

    def blocks(self):
        return [line["block"] for line in self.trace.of("block")]


@dataclass
class Together:
    """Machines that share one made-up time and one network."""

    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    mode: str = "auto"
    reserve: int = 0
    probe: ProbeOptions = PROBE
    clock: VirtualTime = field(default_factory=VirtualTime)
    seats: dict[str, Seat] = field(default_factory=dict)

    def __post_init__(self):
        self.network = MemoryNetwork(self.clock.now_ns, round(self.delay_ms * MS), round(self.jitter_ms * MS))
        self.rings = Rings()
        self._tasks = []

    def host(self, until_s, script=(), is_killed=False, key=None):
        model, story = self._model(lambda options, launch: LiveModel(options, launch, self.clock, self.rings.create))
        peers = Hosting(self.network.listen(7474), model, self.clock, "Hilda", "ff", key, InlineEncoder)
        return self._seat("Hilda", model, peers, story, until_s, script, is_killed)

    def guest(self, name, until_s, script=(), joins_s=0.0, port=0, role="player", mishap=None, wish="latents"):
        """wish: how it is to follow; "only video" is a machine without weights."""
        key, weights = KEY if role == "operator" else None, "" if wish == "only video" else "ff"
        way = FollowWay(wish.removeprefix("only "), bool(weights))
        introduction = Introduction(name.encode().ljust(16, b"."), name, role, way.current, weights=weights, key=key)
        guest = Guest(self.network.connect, ("127.0.0.1", 7474), introduction, self.clock.now_ns)
        world = None if weights else DESCRIBED
        model, story = self._model(
            lambda options, launch: GuestModel(options, launch, self.clock, guest, way, world, self.rings.create),
            mishap,
            world is None,
        )
        listener = self.network.listen(port) if port else None
        hosting = Hosting(listener, model, self.clock, name, "ff", None, InlineEncoder) if listener else None
        seat = self._seat(name, model, Following(model, self.clock, hosting), story, until_s, script)
        seat.started_s = joins_s
        return seat

    def play(self, also=()):
        """Play to the end of all; also: (seconds, function) to be called in between."""
        for seat in self.seats.values():
            self._tasks.append(self.clock.start(lambda seat=seat: self._run(seat)))
        for at_s, act in sorted(also, key=lambda entry: entry[0]):
            self._wait(at_s)
            act()
        self._wait(max(seat.until_s for seat in self.seats.values()) + 0.5)
        for task in self._tasks:
            assert task.has_ended, "a machine did not end"
            if task.error:
                raise task.error
        return self

    def _model(self, make, mishap=None, has_weights=True):
        story, mishaps = Story(), [mishap] if mishap else []

        def opening(clock):
            clock.sleep_until(clock.now_ns() + 100 * MS)
            if not has_weights:
                return NoWorld()
            return CardWorld(self.probe, 0.0, SerialDevice(False, clock).spend, story, clock.now_ns)

        def launch(options):
            mishap = mishaps.pop() if mishaps else None
            return SimulatedProcess(self.clock, self.rings, opening, mishap, Delay(random.Random(1), 0.0, 0.0))

        options = StreamOptions(OPTIONS, 7, "the first words", self.reserve, self.mode, 1, "off")
        return make(options, launch), story

    def _seat(self, name, model, peers, story, until_s, script, is_killed=False):
        screen, trace = SimulatedScreen(self.clock, []), Lines()
        controls = ShowControls(screen, Script(tuple(script)), model)
        outputs = Outputs(trace, None, self.clock.now_ns)
        engine = Engine(
            Parts(screen, model, controls, outputs, lambda engine: (), self.clock, None, peers), None, 0.005
        )
        self.seats[name] = Seat(name, engine, trace, screen, story, until_s, is_killed)
        return self.seats[name]

    def _run(self, seat):
        self._wait(seat.started_s)
        engine = seat.engine
        until_ns = START_NS + round(seat.until_s * 1e9)
        engine._is_over = lambda: self.clock.now_ns() >= until_ns
        engine.ticks.start_ns = self.clock.now_ns()
        engine.run()
        if seat.is_killed:
            self.network.lose_connections()
            self.network.listeners.pop(7474)
        else:
            engine.peers.close()
        engine.model.close()

    def _wait(self, at_s):
        self.clock.sleep_until(START_NS + round(at_s * 1e9))


def differences_ms(one: Seat, other: Seat, since_s: float):
    """By how much later each frame was on the other screen."""
    ours, theirs = one.shown(), other.shown()
    since_ns = START_NS + since_s * 1e9
    return [(theirs[n] - ours[n]) / MS for n in ours if n in theirs and theirs[n] > since_ns]


def test_a_guest_shows_the_same_frames_within_a_tick():
    show = Together()
    host, ada = show.host(10), show.guest("Ada", 9, joins_s=2.0)
    show.play()
    differences = differences_ms(host, ada, 4.0)
    assert len(differences) > 70
    assert max(map(abs, differences)) <= TICK_NS / MS + 0.1
    assert dict(card[1:] for card in ada.screen.cards).items() <= dict(card[1:] for card in host.screen.cards).items()


def test_prompts_of_all_are_seen_by_all():
    show = Together()
    host = show.host(12, [(2.0, Prompt("from the host"))])
    ada = show.guest("Ada", 11, [(2.0, Prompt("from Ada")), (3.0, Dial("zoom", 0.5))], joins_s=1.0)
    bob = show.guest("Bob", 11, [(4.0, Scene("from Bob"))], joins_s=1.5)
    show.play()
    words = [card.words for card in host.story.cards]
    assert list(dict.fromkeys(words)) == ["the first words", "from the host", "from Ada", "from Bob"]
    assert [seat.ends() for seat in (host, ada, bob)] == [["flip"], ["flip", "flip"], ["flip"]]
    assert ada.engine.peers.newest[0] == bob.engine.peers.newest[0] == "Bob: from Bob"


def test_joining_disturbs_nobody():
    show = Together()
    host = show.host(8)
    for number in range(10):
        show.guest(f"guest {number}", 7, joins_s=2.0 + number / 10)
    show.play()
    assert host.engine.repeats == host.engine.skipped == host.engine.ticks.late == 0


@pytest.mark.parametrize("mode", ["auto", "snap", "overlap"])
def test_what_the_host_takes_back_no_guest_shows(mode):
    show = Together(delay_ms=20.0, mode=mode, reserve=2)
    host = show.host(14, [(2.0 + 0.7 * n, Prompt(f"words {n}")) for n in range(12)])
    ada = show.guest("Ada", 13, joins_s=1.0)
    show.play()
    assert set(ada.shown()) - {0} <= set(host.shown())


CUT = ProbeOptions(16.0, 12, 100.0, 60.0, latents=3)  # blocks that can be cut between their latent frames


@pytest.mark.parametrize("joins_s", [3.9, 4.0, 4.1, 4.2, 4.3, 4.4, 4.5, 4.6])
def test_a_guest_that_joins_around_a_cut_shows_and_continues_what_is_left(joins_s):
    show = Together(probe=CUT)
    host = show.host(12, [(2.0, Prompt("a")), (3.0, Prompt("b")), (4.1, Prompt("c")), (7.0, Prompt("d"))])
    ada = show.guest("Ada", 11, joins_s=joins_s)
    show.play()
    assert any(line["t_ns"] > START_NS + 4e9 for line in host.trace.of("cut")) == (joins_s > 4.25)
    assert set(ada.shown()) - {0} <= set(host.shown()) and len(ada.shown()) > 80
    assert not ada.trace.of("fault") and not host.engine.repeats
    differences = differences_ms(host, ada, 8.0)
    assert len(differences) > 30 and max(map(abs, differences)) <= TICK_NS / MS + 0.1


def test_while_a_guest_follows_no_block_is_cut():
    words = [(2.0 + 0.9 * n, Prompt(f"words {n}")) for n in range(9)]
    alone, together = Together(probe=CUT), Together(probe=CUT)
    host = alone.host(12, words)
    alone.play()
    assert len(host.trace.of("cut")) > 2
    host, _ = together.host(12, words), together.guest("Ada", 11.9, joins_s=0.3)
    together.play()
    assert not host.trace.of("cut")


def test_a_guest_that_joined_after_a_cut_can_take_the_hosts_place():
    show = Together(probe=CUT)
    host = show.host(5.0, [(2.0, Prompt("a")), (3.0, Prompt("b")), (4.1, Prompt("c"))], is_killed=True)
    ada = show.guest("Ada", 14, joins_s=4.2, port=7501)
    show.play()
    assert host.trace.of("cut") and not ada.engine.model.follows
    assert len(ada.story.cards) > 4 and ada.story.cards[-1].words == "c"


def test_a_bad_network_forks_nothing_and_loses_no_prompt():
    show = Together(delay_ms=80.0, jitter_ms=20.0)
    host = show.host(22, [(3.0, Prompt("from the host"))])
    ada = show.guest("Ada", 21, [(2.0 + n, Prompt(f"Ada {n}")) for n in range(10)], joins_s=1.0)
    show.play([(4.0 + 2.3 * n, show.network.lose_connections) for n in range(5)])
    asked = [line["event"]["text"] for line in host.trace.of("event") if line["source"] == "peer Ada"]
    assert asked == [f"Ada {n}" for n in range(10)]
    assert set(ada.ends()) <= {"flip", "lost"} and "flip" in ada.ends()
    cards = dict(card[1:] for card in host.screen.cards)
    assert all(cards.get(number, prompts) == prompts for _, number, prompts in ada.screen.cards)
    assert ada.engine.longest_still_s < 1.5


def test_a_guest_goes_on_when_the_host_is_killed_and_others_follow_it():
    show = Together()
    host = show.host(6, [(2.0, Prompt("the last words"))], is_killed=True)
    ada = show.guest("Ada", 16, [(9.0, Prompt("under a new host"))], joins_s=1.0, port=7501)
    bob = show.guest("Bob", 15, [(10.0, Prompt("from Bob"))], joins_s=1.5, port=7502)
    show.play()
    assert not ada.engine.model.follows and bob.engine.model.follows
    words = list(dict.fromkeys(card.words for card in ada.story.cards))
    assert words == ["the last words", "under a new host", "from Bob"]
    assert ada.story.cards[0].block.parent in {card.block.index for card in host.story.cards}
    assert bob.ends() == ["flip"]
    differences = differences_ms(ada, bob, 12.0)
    assert len(differences) > 30 and max(map(abs, differences)) <= 1.1 * TICK_NS / MS


def test_when_the_host_ends_the_show_nobody_takes_its_place():
    show = Together()
    show.host(4)
    ada = show.guest("Ada", 9, joins_s=1.0, port=7501)
    show.play()
    assert ada.engine.model.follows
    assert ada.story.cards == []


def test_an_operator_freezes_and_blacks_out_every_screen():
    show = Together()
    host = show.host(8, key=KEY)
    ada = show.guest("Ada", 8, joins_s=1.0, role="operator")
    found = []
    show.play(
        [
            (3.0, lambda: setattr(ada.engine.controls, "blackout", True)),
            (3.5, lambda: found.append((host.engine.controls.blackout, ada.engine.controls.blackout))),
            (4.0, lambda: setattr(ada.engine.controls, "frozen", True)),
            (4.5, lambda: found.append((host.engine.controls.frozen, len(host.shown())))),
            (5.0, lambda: found.append((ada.engine.controls.frozen, len(host.shown())))),
            (5.5, lambda: setattr(host.engine.controls, "frozen", False)),
            (6.0, lambda: found.append((ada.engine.controls.frozen, len(host.shown()) > found[-1][1]))),
        ]
    )
    assert found[0] == (True, True)
    assert found[1] == found[2]
    assert found[3] == (False, True)


def test_a_guest_whose_latents_are_others_than_the_hosts_is_healed_by_a_snapshot(caplog):
    show = Together()
    host, ada = show.host(12), show.guest("Ada", 11, joins_s=1.0)

    def fork():
        model = ada.engine.model
        made = model._memory._made[-1]
        other = replace(made.block, latents=made.block.latents + 1)
        model._memory._made[-1] = replace(made, block=other)
        model._line.note_given(model._memory._made[-1])
        model._digest_ns = 0  # it compares now, before the next block

    show.play([(4.0, fork)])
    newest = ada.engine.model.snapshot().blocks[-1]
    assert newest.digest == next(c.block.digest for c in host.story.cards if c.block.index == newest.index)
    assert "is at another block" in caplog.text


@pytest.mark.parametrize("kind", ["death", "hang", "broken pipe"])
def test_a_guest_whose_process_fails_follows_again(kind):
    show = Together()
    host = show.host(20)
    ada = show.guest("Ada", 19, joins_s=1.0, mishap=Mishap(0, kind, at_s=4.0))
    show.play()
    assert ada.trace.of("fault")
    late = [n for n, t_ns in ada.shown().items() if t_ns > START_NS + 14e9]
    assert len(late) > 70 and set(late) <= set(host.shown())


def test_when_the_host_goes_back_its_guests_go_back_with_it():
    show = Together()
    host, ada = show.host(16), show.guest("Ada", 15, joins_s=1.0)
    controls, now_ns = host.engine.controls, show.clock.now_ns
    show.play(
        [
            (6.0, lambda: controls.past.append((Command.REWIND, now_ns()))),
            (6.05, lambda: controls.past.append((Command.REWIND_ENDED, now_ns()))),
        ]
    )
    rewound = [card for card in host.story.cards if any(isinstance(event, Rewind) for event in card.block.events)]
    jumps = [card for card in host.story.cards if card.block.parent not in (-1, card.block.index - 1)]
    assert rewound or jumps, "the host has not gone back"
    late = [number for number, t_ns in ada.shown().items() if t_ns > START_NS + 10e9]
    assert len(late) > 70 and set(late) <= set(host.shown())
    differences = differences_ms(host, ada, 12.0)
    assert max(map(abs, differences)) <= 1.1 * TICK_NS / MS


def test_a_guest_by_video_shows_the_same_frames_and_knows_when_they_are_due():
    show = Together()
    host = show.host(12, [(3.0, Prompt("from the host"))])
    ada = show.guest("Ada", 11, [(4.0, Prompt("from Ada"))], joins_s=2.0, wish="only video")
    show.play()
    differences = differences_ms(host, ada, 4.0)
    assert len(differences) > 90
    assert max(map(abs, differences)) <= 3.1 * TICK_NS / MS
    assert set(ada.shown()) <= set(host.shown())
    assert ada.ends() == ["flip"] and ada.engine.model.status is None


def test_a_video_goes_on_through_what_the_host_takes_back():
    show = Together(delay_ms=20.0, mode="snap", reserve=2)
    host = show.host(14, [(2.0 + 0.7 * n, Prompt(f"words {n}")) for n in range(12)])
    ada = show.guest("Ada", 13, joins_s=1.0, wish="only video")
    show.play()
    assert set(ada.shown()) - {0} <= set(host.shown())
    assert len(ada.shown()) > 150


def test_a_guest_may_turn_to_video_and_back_while_it_runs():
    show = Together()
    host, ada = show.host(16), show.guest("Ada", 15, joins_s=1.0)
    ways = []

    def turn():
        ada.engine.controls.ways_asked += 1

    show.play(
        [(at_s, turn) for at_s in (4.0, 7.0, 10.0)]
        + [(at_s, lambda: ways.append(ada.engine.model.way.text())) for at_s in (3.9, 6.9, 9.9, 12.9)]
    )
    assert ways == ["latents", "video", "latents (auto)", "video"]
    shown = [line["frame"] for line in ada.trace.of("flip")]
    assert shown == sorted(shown), "a frame was shown again"
    assert set(shown) <= set(host.shown())
    assert ada.engine.longest_still_s < 0.5
    late = [card for card in ada.screen.cards if START_NS + 8.5e9 < card[0] < START_NS + 9.9e9]
    assert dict(card[1:] for card in late).items() <= dict(card[1:] for card in host.screen.cards).items()


def test_a_bad_network_costs_a_video_no_more_than_the_disconnections():
    show = Together(delay_ms=80.0, jitter_ms=20.0)
    host = show.host(13)
    ada = show.guest("Ada", 12, [(2.0 + n, Prompt(f"Ada {n}")) for n in range(5)], joins_s=1.0, wish="only video")
    show.play([(4.0 + 2.3 * n, show.network.lose_connections) for n in range(3)])
    asked = [line["event"]["text"] for line in host.trace.of("event") if line["source"] == "peer Ada"]
    assert asked == [f"Ada {n}" for n in range(5)]
    assert set(ada.shown()) <= set(host.shown())
    assert ada.engine.longest_still_s < 1.5


def test_a_guest_by_video_whose_process_dies_follows_again():
    show = Together()
    host = show.host(10)
    ada = show.guest("Ada", 9, joins_s=1.0, mishap=Mishap(0, "death", at_s=3.0), wish="only video")
    show.play()
    assert ada.trace.of("fault")
    late = [n for n, t_ns in ada.shown().items() if t_ns > START_NS + 6e9]
    assert len(late) > 40 and set(late) <= set(host.shown())


def test_a_guest_by_video_never_takes_the_hosts_place_and_finds_the_one_that_does():
    show = Together()
    show.host(6, is_killed=True)
    bob = show.guest("Bob", 13, joins_s=1.0, wish="only video")
    ada = show.guest("Ada", 13, joins_s=1.5, port=7502)
    show.play()
    assert bob.engine.model.follows and not ada.engine.model.follows
    differences = differences_ms(ada, bob, 10.0)
    assert len(differences) > 30 and max(map(abs, differences)) <= 3.1 * TICK_NS / MS


def test_an_operator_fires_the_hosts_cues(tmp_path):
    cues = [f"{name} | the words of {name}\n" for name in ("dawn", "noon", "night")]
    (tmp_path / "set.txt").write_text("".join(cues))
    show = Together()
    host = show.host(9, key=KEY)
    ada = show.guest("Ada", 8, joins_s=1.0, role="operator")
    host.engine.controls.desk.set_list = SetList(tmp_path / "set.txt")
    told, desk = [], ada.engine.controls.desk

    def press(command):
        ada.engine.controls._act(command, "keys", show.clock.now_ns())

    show.play(
        [
            (2.9, lambda: told.append(desk.text(show.clock.now_ns()))),
            (3.0, lambda: press(Command.NEXT)),
            (5.0, lambda: press(FireCue(2))),
            (7.0, lambda: press(Command.PREVIOUS)),
        ]
    )
    words = list(dict.fromkeys(card.words for card in host.story.cards))
    assert words == ["the first words", "the words of dawn", "the words of night", "the words of noon"]
    assert told == ["next: 1 dawn (the host's)"]


def test_who_takes_the_hosts_place_no_longer_fires_the_cues_of_the_old_one(tmp_path):
    (tmp_path / "set.txt").write_text("dawn | the words of dawn\n")
    show = Together()
    host = show.host(4, key=KEY, is_killed=True)
    ada = show.guest("Ada", 9, joins_s=1.0, port=7501, role="operator")
    host.engine.controls.desk.set_list = SetList(tmp_path / "set.txt")
    desk, had = ada.engine.controls.desk, []
    show.play([(3.0, lambda: had.append(desk.has_next))])
    assert had == [True] and not ada.engine.model.follows
    assert not desk.has_next


def test_words_of_a_guest_wait_for_the_beat_of_the_host():
    show = Together()
    host = show.host(10)
    ada = show.guest("Ada", 9, [(2.2, Prompt("on the beat")), (4.8, Prompt("never"))], joins_s=1.0)
    desk = host.engine.controls.desk
    desk.quantise = "bar"
    desk.clock.fix(120.0, START_NS)  # a bar is two seconds
    show.play([(6.7, desk.launches.cancel)])
    (launch,) = host.trace.of("launch")
    assert (launch["target_ns"] - START_NS) % 2e9 == 0
    (launched,) = host.trace.of("launched")
    assert abs(launched["error_ms"]) < 70  # a frame and a tick
    (taken,) = [line for line in host.trace.of("event") if line["source"] == "peer Ada"]
    assert taken["event"]["text"] == "on the beat"
    assert ada.ends() == ["flip", "lost"]


def test_auto_turns_to_video_where_blocks_are_decoded_slower_than_they_play():
    way = FollowWay("auto", True)
    assert [way.note_block(120, 100.0) for _ in range(5)] == [False] * 4 + [True]
    assert way.text() == "video (auto)"
    assert not any(FollowWay("latents", True).note_block(900, 100.0) for _ in range(20))


def test_what_the_host_recalls_its_guests_see_and_the_words_of_it_too():
    show = Together()
    host, ada = show.host(16, script=((2.0, Prompt("red")), (5.0, Prompt("green")))), show.guest("Ada", 15, joins_s=1.0)
    controls, now_ns = host.engine.controls, show.clock.now_ns
    show.play(
        [
            (4.0, lambda: controls.past.append((Command.SET_F5, now_ns()))),
            (8.0, lambda: controls.past.append((Command.RECALL_F5, now_ns()))),
        ]
    )
    recalled = [card.block for card in host.story.cards if any(isinstance(e, Recall) for e in card.block.events)]
    assert len(recalled) == 1 and host.engine.model.words == ada.engine.model.words == "red"
    followed = next(made for made in ada.engine.model.past.line(host.story.cards[-1].block.index - 8)[-1:])
    assert followed.conditions.words == "red"
    late = [number for number, t_ns in ada.shown().items() if t_ns > START_NS + 10e9]
    assert len(late) > 70 and set(late) <= set(host.shown())
