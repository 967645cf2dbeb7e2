"""A stream that several processes make together: one leads, the others repeat its calls, each on its share of the work.

All of them have a DiffusionSession in the same state. What only the leader has comes to the others with the calls: the
events, and encoded prompts. `world.dit.parallel` says how the work of a pass is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

import torch

from world.block import Block, Conditions, Made, Pass, Snapshot
from world.diffusion.encoded_prompts import meaningful_parts
from world.diffusion.model import DiffusionModel, TextEncoding
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.dit.dit import CausalDiT
from world.dit.parallel import Ranks, SharedDiT, shared_config
from world.event import Dial, Event, words_of
from world.prompt_mix import Words, parts_of
from world.switch_state import SPARE

Encode = Callable[[str], TextEncoding]


@dataclass(frozen=True)
class Call:
    """A method that every rank calls; `next` and `close` are those of the block in flight."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class LeadingWorld(DiffusionModel):
    """Implements world.block.World for rank 0; the other ranks `follow`. Only its newest session may be used.

    encode_here: encodes a prompt for this rank only.
    """

    ranks: Ranks = field(kw_only=True)
    encode_here: Encode = field(kw_only=True)

    def session(self, seed: int, prompt: str, spare: int = SPARE) -> LeadingSession:
        """A new stream on every rank."""
        self.ranks.tell(Call("session", (seed, prompt, spare)))
        return LeadingSession(DiffusionSession(self, seed, prompt, spare), self)


def lead(world: DiffusionWorld, ranks: Ranks) -> LeadingWorld:
    """`world`, which is open on every rank, shared by all of them; for rank 0.

    Raises WorldError where the work cannot be shared out evenly.
    """
    encode = world.encode

    def encode_for_all(text: str) -> TextEncoding:
        encoding = encode(text)
        ranks.tell(_moved(encoding, torch.device("cpu")))
        return encoding

    parts = _shared_parts(world, ranks) | {"encode": encode_for_all}
    return LeadingWorld(**parts, ranks=ranks, encode_here=encode)


def follow(world: DiffusionWorld, ranks: Ranks) -> NoReturn:
    """Make every call that rank 0 makes; for the other ranks, for as long as their processes live.

    world.encode is not used: rank 0 sends the encoded prompts. Raises RuntimeError when another process has ended.
    """

    def encoded_by_leader(_: str) -> TextEncoding:
        return _moved(ranks.hear(), world.device)

    parts = _shared_parts(world, ranks) | {"encode": encoded_by_leader}
    follower = _Follower(DiffusionWorld(**parts))
    while True:
        follower.do(ranks.hear())


def _shared_parts(world: DiffusionWorld, ranks: Ranks) -> dict[str, Any]:
    """The parts of `world` by name, with the transformer shared and the sizes of this rank's cache."""
    assert isinstance(world.dit, CausalDiT), "only a plain transformer can be shared"
    parts = {part.name: getattr(world, part.name) for part in fields(world)}
    return parts | {"config": shared_config(world.config, ranks.size), "dit": SharedDiT(world.dit, ranks)}


def _moved(encoding: TextEncoding, device: torch.device) -> TextEncoding:
    """The same encoding on `device`."""
    pooled = None if encoding.pooled is None else encoding.pooled.to(device)
    return TextEncoding(encoding.embedding.to(device), pooled)


class LeadingSession:
    """Implements world.block.Session: each call is told to the other ranks, which then make it too."""

    def __init__(self, session: DiffusionSession, world: LeadingWorld) -> None:
        self._session, self._world = session, world

    @property
    def index(self) -> int:
        """The number of the next block, or of the block in flight."""
        return self._session.index

    @property
    def conditions(self) -> Conditions:
        """What the next block is made under; while one is in flight, the block after it."""
        return self._session.conditions

    @property
    def is_recaching(self) -> bool:
        """Whether the recache that `ahead` began is still under way on this rank's device."""
        return self._session.is_recaching

    @property
    def takes_dials(self) -> bool:
        """Whether dials may enter the block in flight before its next denoising step."""
        return self._session.takes_dials

    @property
    def slow_words(self) -> bool:
        """Whether blocks should go on while a prompt is encoded."""
        return self._session.slow_words

    def completed(self, event: Event, after: Words | None = None) -> Event:
        """`event` with words that say all that is to be seen."""
        return self._session.completed(event, after)

    def encode(self, event: Event) -> None:
        """Have the text encoder remember the event's words, so that `prepare` need not wait; another thread may do it.

        The other ranks get them in `prepare`: what is sent to them must be sent in turn.
        """
        words = words_of(event)
        if words is not None:
            with torch.inference_mode():
                for text, _ in meaningful_parts(parts_of(words), self._world.info):
                    self._world.encode_here(text)

    def prepare(self, event: Event, encoded: None = None) -> None:
        """Have the event's words encoded on every rank."""
        self._tell("prepare", event)
        self._session.prepare(event)

    def step(self, events: Sequence[Event] = ()) -> Block:
        """Make the next block, clean pass included."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Generator[Pass, None, None]:
        """Make the next block under `events`, one model pass at a time. Closed early, the block is abandoned."""
        self._tell("begin", tuple(events))
        passes = self._session.begin(events)
        while True:
            self._tell("next")
            done = next(passes, None)
            if done is None:
                return
            try:
                yield done
            except GeneratorExit:
                self._tell("close")
                passes.close()
                raise

    def turn(self, dials: Sequence[Dial]) -> Conditions:
        """Let `dials` enter the block in flight, on every rank."""
        self._tell("turn", tuple(dials))
        return self._session.turn(dials)

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and recache behind the present words."""
        self._tell("ahead", tuple(events))
        self._session.ahead(events)

    def take_back(self, after: int, latents: int | None = None) -> None:
        """Forget the blocks newer than `after`, and of `after` all but `latents` latent frames, if they are given.

        Raises ValueError, on every rank, where a recache could not follow.
        """
        self._tell("take_back", after, latents)
        self._session.take_back(after, latents)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`."""
        self._tell("resume", snapshot)
        self._session.resume(snapshot)

    def fold(self, blocks: Sequence[Block], words: Words | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`; raises ValueError, on every rank, when blocks are missing."""
        self._tell("fold", tuple(blocks), words, dials)
        self._session.fold(blocks, words, dials)

    def skip_to(self, index: int) -> None:
        """Let the next block have the number `index`."""
        self._tell("skip_to", index)
        self._session.skip_to(index)

    def again(self, block: Block) -> Block:
        """Make a logged block anew, after its parent."""
        self._tell("again", block)
        return self._session.again(block)

    def rehearse(self, block: Block) -> Block:
        """Make a logged block anew, and be where the session was before."""
        self._tell("rehearse", block)
        return self._session.rehearse(block)

    def follow(self, block: Block) -> None:
        """Take a logged block for the one after its parent."""
        self._tell("follow", block)
        self._session.follow(block)

    def _tell(self, name: str, *arguments: Any) -> None:
        self._world.ranks.tell(Call(name, arguments))


class _Follower:
    """The session of a rank that follows, and the passes of its block in flight."""

    def __init__(self, world: DiffusionWorld) -> None:
        self._world = world
        self._session: DiffusionSession | None = None
        self._passes: Generator[Pass, None, None] | None = None

    def do(self, call: Call) -> None:
        if call.name == "session":
            self._session, self._passes = self._world.session(*call.arguments), None
            return
        session, passes = self._session, self._passes
        assert session is not None, "a stream is begun before it is used"
        if call.name == "begin":
            self._passes = session.begin(*call.arguments)
        elif call.name == "next":
            assert passes is not None, "a block is begun before its passes"
            next(passes, None)
        elif call.name == "close":
            assert passes is not None, "a block is begun before it is abandoned"
            passes.close()
        else:
            with suppress(ValueError):  # rank 0 meets it too, and goes on if it can
                getattr(session, call.name)(*call.arguments)
