"""The engine without its loop: a session makes blocks, a decoder turns them into frames, a prompt changes them.

python examples/session.py film.npy
"""

import sys

import numpy as np

from world.event import Dial, Prompt
from world.options import WorldOptions
from world.zoo import open_world

SCORE = {0: [], 8: [Prompt("red stripes moving left")], 16: [Dial("zoom", 0.6)], 24: [Prompt("green rain")]}


def main(path):
    world = open_world(WorldOptions(name="small"))
    session, state, film = world.session(seed=7, prompt="slow blue plasma"), world.decoder.start(), []
    for number in range(32):
        block = session.step(SCORE.get(number, []))
        frames, state = world.decoder.decode(state, block.latents)
        film.append(frames)
        print(block.index, block.digest[:12], [type(event).__name__ for event in block.events])
    np.save(path, np.concatenate(film))


if __name__ == "__main__":
    main(sys.argv[1])
