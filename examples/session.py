"""Make a film with the four verbs of a world: no window, no clock, as fast as this machine goes.

python examples/session.py film.mp4        # or film.npy: uint8 [T, Y, X, 3]
"""

import sys
from pathlib import Path

import av
import numpy as np
import torch

from world.event import Dial, Prompt
from world.options import default_threads
from world.zoo import open_world

SCORE = {  # what happens, by the number of the block that shows it first
    8: [Prompt("night falls")],
    16: [Dial("zoom", 0.6)],
    24: [Prompt("now a yellow balloon over the forest")],
}


def make_film(path, score, blocks):
    world = open_world("tale")
    session = world.session(seed=7, prompt="a red boat sails over the sea at sunset")
    state = world.decoder.start()
    film = []
    for number in range(blocks):
        block = session.step(score.get(number, []))
        frames, state = world.decoder.decode(state, block.latents)
        film.extend(frames)
        print(f"block {block.index}  latents {block.digest[:12]}  {', '.join(map(str, block.events))}")
    save(path, film, world.info.fps)


def save(path, film, fps):
    if path.suffix == ".npy":
        np.save(path, film)
        return
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=round(fps))
        stream.height, stream.width = film[0].shape[:2]
        for pixels in film:
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        movie.mux(stream.encode(None))


if __name__ == "__main__":
    torch.set_num_threads(default_threads())  # open_world leaves this to whoever owns the process
    make_film(Path(sys.argv[1] if len(sys.argv) > 1 else "film.mp4"), SCORE, blocks=32)
