"""The host's blocks for those who follow by latents."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import replace

from loop.link.message import BlockMade
from loop.peer.blocks import to_latents, to_state
from loop.supervise.live_model import LiveModel
from net.host import Host
from net.picture import Digest
from net.schema import NetError
from net.seats import Member
from world.block import Conditions

log = logging.getLogger(__name__)
KEPT_DIGESTS = 256


class LatentsFeed:
    """Owned by Hosting."""

    def __init__(self, host: Host, model: LiveModel) -> None:
        self._host, self._model = host, model
        self._without_snapshot: list[Member] = []
        self._digests: OrderedDict[int, str] = OrderedDict()

    def made(self, message: BlockMade) -> None:
        """Send a block; before it, a snapshot to those who came when there was none."""
        if self._model.is_dropped(message.block.index, message.epoch):
            return
        self._digests[message.block.index] = message.block.digest
        while len(self._digests) > KEPT_DIGESTS:
            self._digests.popitem(last=False)
        waiting, self._without_snapshot = self._without_snapshot, []
        for member in waiting:
            self.send_snapshot(member)
        if not any(member.follow == "latents" for member in self._host.members):
            return
        try:
            self._host.broadcast(*to_latents(message.block, message.conditions), follows=("latents",))
        except NetError as error:  # the protocol has no room for it
            log.warning("guests cannot be sent block %d: %s", message.block.index, error)

    def send_snapshot(self, member: Member) -> None:
        """Send where the world is at; before its first block that is not known yet."""
        snapshot = self._model.snapshot()
        if snapshot is None:
            self._without_snapshot.append(member)
            return
        line, now = snapshot.line(), Conditions(snapshot.words, snapshot.seed, snapshot.dials)
        self._host.send(member, to_state(replace(snapshot, blocks=tuple(block for block, _ in line))))
        for block, words in line:  # of one that was cut there is only what is left: no guest is to show the rest
            under = Conditions(words or now.words, now.seed, block.dials or now.dials)
            self._host.send(member, *to_latents(block, under))
        if line and line[-1][0].index in self._digests:
            self._digests[line[-1][0].index] = line[-1][0].digest

    def compare(self, member: Member, digest: Digest) -> None:
        """A guest says what its newest block is: where that is not ours, or it knows none, it begins from ours."""
        ours = self._digests.get(digest.block)
        if digest.digest and ours == digest.digest:
            return
        if digest.digest and ours is None and self._digests and digest.block < next(iter(self._digests)):
            return  # too old to tell
        if digest.digest:
            log.warning("%s is at another block %d than this host: it gets a snapshot", member.name, digest.block)
        self.send_snapshot(member)
