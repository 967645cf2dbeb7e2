"""The door of a host: connections that have not said who they are, and what is asked of them before they come in."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from net.allowance import Allowance
from net.channel import Channel
from net.key import is_proven
from net.message import MAX_GUESTS, Bye, Challenge, Hello
from net.picture import WorldDescription
from net.refusals import Refusals
from net.schema import NetError
from net.transport import Listener
from net.wire import MAX_FIRST_HEAD, Limits

log = logging.getLogger(__name__)
NS = 1_000_000_000
HELLO_NS = 3 * NS  # for a stranger to say who it is
MAX_STRANGERS = 16
MAX_ACCEPTED = 2  # connections at a time
COMINGS_HZ, COMINGS_BURST = 10.0, 2 * MAX_GUESTS  # of all guests: they all come again when the network was away
_FIRST = Limits((Hello,), head=MAX_FIRST_HEAD)


class FinalRefusal(NetError):
    """The same guest would be refused again."""


@dataclass(frozen=True)
class HostFacts:
    """What a host says of its world. key: None where anybody may come. name: the host's own, for the roster.

    own_key: what this machine's own guests prove, the phones; whatever role they ask for, they have it.
    """

    world: str
    about: WorldDescription
    fps: float
    block_frames: int
    name: str
    key: bytes | None = None
    own_key: bytes | None = None


@dataclass
class Stranger:
    """A connection that has not been let in. nonce: what its proof of the key has to sign."""

    channel: Channel
    nonce: bytes
    since_ns: int


class Door:
    """Owned by the host. is_full(identity): whether there is no seat for this guest.

    closed_because: why nobody is let in for now; empty while the door is open.
    """

    def __init__(
        self,
        listener: Listener,
        facts: HostFacts,
        refusals: Refusals,
        now_ns: Callable[[], int],
        is_full: Callable[[bytes], bool],
    ) -> None:
        self.closed_because = ""
        self._listener, self._facts, self._refusals = listener, facts, refusals
        self._now_ns, self._is_full = now_ns, is_full
        self._strangers: list[Stranger] = []
        self._comings = Allowance(COMINGS_HZ, COMINGS_BURST, now_ns())

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    def poll(self) -> list[tuple[Hello, Channel]]:
        """Go on with those at the door; those who may come in now."""
        self._accept()
        found = []
        for stranger in list(self._strangers):
            hello = self._hear(stranger)
            if hello is not None:
                found.append((hello, stranger.channel))
        return found

    def close(self) -> None:
        """Let nobody in any more."""
        for stranger in self._strangers:
            stranger.channel.close()
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(MAX_ACCEPTED):
            stream = self._listener.accept()
            if stream is None:
                return
            now_ns = self._now_ns()
            channel = Channel(stream, _FIRST, now_ns)
            if len(self._strangers) >= MAX_STRANGERS:
                self._refuse(channel, NetError(f"{MAX_STRANGERS} others are at the door"))
                continue
            stranger = Stranger(channel, secrets.token_bytes(16), now_ns)
            channel.send(Challenge(stranger.nonce, self._facts.key is not None))
            self._strangers.append(stranger)

    def _hear(self, stranger: Stranger) -> Hello | None:
        """What a stranger says, once it has said who it is and may come in."""
        try:
            hello = self._read(stranger)
            if hello is None:
                return None
            self._check(hello, stranger.nonce)
        except ConnectionError as error:
            log.debug("a stranger at %s went away: %s", stranger.channel.address, error)
            stranger.channel.close()
            hello = None
        except NetError as error:
            self._refuse(stranger.channel, error)
            hello = None
        self._strangers.remove(stranger)
        return hello

    def _read(self, stranger: Stranger) -> Hello | None:
        """A stranger's Hello, None before it has come. Raises NetError and ConnectionError."""
        now_ns = self._now_ns()
        stranger.channel.flush()
        messages = list(stranger.channel.receive(now_ns, MAX_FIRST_HEAD))
        if len(messages) > 1:
            raise NetError("a guest waits for its welcome before it goes on")
        if not messages and now_ns - stranger.since_ns > HELLO_NS:
            raise NetError(f"it did not say who it is within {HELLO_NS // NS} s")
        hello = messages[0][0] if messages else None
        return hello if isinstance(hello, Hello) else None

    def _check(self, hello: Hello, nonce: bytes) -> None:
        """Raise NetError unless this guest may come in."""
        facts = self._facts
        if self.closed_because:
            raise NetError(self.closed_because)
        is_own = facts.own_key is not None and is_proven(facts.own_key, nonce, hello.identity, hello.role, hello.proof)
        is_keyed = facts.key is not None and is_proven(facts.key, nonce, hello.identity, hello.role, hello.proof)
        if facts.key is not None and not (is_own or is_keyed):
            raise FinalRefusal("it does not know the key of this world")
        if hello.role == "operator" and facts.key is None and not is_own:
            raise FinalRefusal("an operator has to prove a key, and this host has none: start it with --key FILE")
        if hello.follow == "latents" and hello.weights != facts.about.weights:
            ours, theirs = f"{facts.world} {facts.about.weights[:12]}", f"{hello.world} {hello.weights[:12]}"
            raise FinalRefusal(f"this is the world {ours}, not {theirs}: open the same one, or follow by video")
        if self._is_full(hello.identity):
            raise NetError(f"{MAX_GUESTS} guests are here, more are not let in")
        if not self._comings.take(self._now_ns()):  # each costs a snapshot or a key frame, and lines of the log
            raise NetError("too many come at once: try again")

    def _refuse(self, channel: Channel, error: NetError) -> None:
        self._refusals.note(channel.address, str(error), self._now_ns())
        channel.close(Bye(str(error)[:300], is_final=isinstance(error, FinalRefusal)))
