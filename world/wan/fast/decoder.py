"""`fast_decoder`: a decoder for a GPU in the place of a plain one, compiled and replayed as one CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from world.diffusion.pixels import as_tensor
from world.dit.device import CapturedCall, upload
from world.wan.fast.taehv import FastTAEHV
from world.wan.fast.vae import FastVAE

log = logging.getLogger(__name__)

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], tuple[Tensor, State]]


class PlainDecoder(Protocol):
    """What is asked of a plain decoder: WanVAE or TAEHV."""

    @property
    def memory(self) -> int:
        """How many latent frames before the next one its pixels depend on."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by their released names."""


class FastDecoder:
    """A streaming decoder on `device`, called like the plain one. Its states are its own: neither reads the other's.

    A state is a tuple of tensors, empty at the start of a stream, and never written to.
    The first two latent frames of a new picture size prepare it, compilation included; that takes seconds.
    """

    def __init__(self, model: FastTAEHV | FastVAE, memory: int, device: torch.device, compiled: bool) -> None:
        self.memory = memory
        self._model, self._device = model.to(device), device
        self._later: Step = torch.compile(self._shown, dynamic=False, fullgraph=True) if compiled else self._shown
        self._replays = compiled and device.type == "cuda"
        self._graphs: dict[tuple[int, ...], CapturedCall] = {}  # by the shape of a latent frame

    def start(self) -> State:
        """The state at the start of a stream."""
        return ()

    @torch.no_grad()
    def decode_raw(self, state: State, latents: Tensor) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> unclamped pixels [1, n, 3, Y, X], on the plain decoder's scale, and a state.

        Not compiled: for tests and trials.
        """
        frames = []
        for latent in self._latent_frames(latents):
            raw, state = self._model(latent, state)
            frames.append(raw)
        return torch.cat(frames)[None], state

    @torch.no_grad()
    def decode_tensor(self, state: State, latents: Tensor | np.ndarray) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB on the device, and the next state."""
        frames = []
        # always one latent frame at a time: the first pixels come early, and the shapes stay the same
        for latent in self._latent_frames(as_tensor(latents)):
            pixels, state = self._next(latent, state) if state else self._first(latent)
            frames.append(pixels)
        return frames[0] if len(frames) == 1 else torch.cat(frames), state

    def decode(self, state: State, latents: Tensor | np.ndarray) -> tuple[np.ndarray, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB in host memory, and the next state."""
        frames, state = self.decode_tensor(state, latents)
        return frames.cpu().numpy(), state

    def _latent_frames(self, latents: Tensor) -> tuple[Tensor, ...]:
        on_host = latents.device.type == "cpu"
        return (upload(latents, self._device) if on_host else latents)[0].float().split(1)

    def _shown(self, latent: Tensor, state: State) -> tuple[Tensor, State]:
        raw, state = self._model(latent, state)
        return self._model.shown(raw), state

    def _first(self, latent: Tensor) -> tuple[Tensor, State]:
        """The first latent frame of a stream, not compiled: it is one of thousands, and its shapes are its own."""
        pixels, state = self._shown(latent, ())
        return pixels[self._model.dropped :], state

    def _next(self, latent: Tensor, state: State) -> tuple[Tensor, State]:
        if self._replays and tuple(latent.shape) not in self._graphs:
            self._capture(latent, state)
        if not self._replays:
            return self._later(latent, state)
        pixels, *newest = self._graphs[tuple(latent.shape)](latent, *state)
        return pixels, tuple(newest)

    def _capture(self, latent: Tensor, state: State) -> None:
        def call(latent: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            pixels, newest = self._later(latent, state)
            return pixels, *newest

        try:
            self._graphs[tuple(latent.shape)] = CapturedCall(call, (latent, *state))
        except RuntimeError as error:
            log.warning("the decoder runs without a CUDA graph: %s", str(error).splitlines()[0])
            self._replays = False


def fast_decoder(decoder: PlainDecoder, device: torch.device, dtype: torch.dtype, compiled: bool = True) -> FastDecoder:
    """A decoder that equals `decoder`, a WanVAE or a TAEHV, and is faster on a GPU.

    dtype: of weights and activations. compiled: without it, the same arithmetic runs step by step.
    Its pixels differ from the plain decoder's in float32 by at most 1e-4 of the range in float32; in bfloat16 they are
    about as far from them as the plain decoder's own in bfloat16.
    """
    weights = {**decoder.state_dict(), **dict(getattr(decoder, "named_buffers", dict)())}
    make = FastVAE if "conv2.weight" in weights else FastTAEHV
    with torch.no_grad():
        return FastDecoder(make(weights, dtype), decoder.memory, device, compiled)
