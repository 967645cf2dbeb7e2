"""`python -m tests.support.shared_stream PORT`: rank 1 of 2, which follows a test that leads."""

from __future__ import annotations

import sys

import torch

from tests.support.tiny import tiny_world
from world.diffusion.lockstep import follow
from world.dit.parallel import Ranks, meeting_at


def main() -> None:
    torch.set_num_threads(1)
    follow(tiny_world(stored="float32"), Ranks(meeting_at(int(sys.argv[1]), 2), 1, 2, torch.device("cpu")))


if __name__ == "__main__":
    main()
