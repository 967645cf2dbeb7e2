"""`fast_decoder`: a decoder for a GPU in the place of a plain one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from world.diffusion.pixels import as_tensor
from world.dit.device import CapturedCall, upload
from world.dit.speed import has_compiler
from world.wan.fast.operations import Operations, Stepwise
from world.wan.fast.taehv import FastTAEHV
from world.wan.fast.vae import FastVAE

log = logging.getLogger(__name__)

State = tuple[Tensor, ...]


class PlainDecoder(Protocol):
    """What is asked of a plain decoder: WanVAE or TAEHV."""

    @property
    def memory(self) -> int:
        """How many latent frames before the next one its pixels depend on."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by their released names."""


Plain = TypeVar("Plain", bound=PlainDecoder)


class FastDecoder:
    """A streaming decoder on `device`, called like the plain one. Its states are its own: neither reads the other's.

    A state is a tuple of tensors, empty at the start of a stream, and never written to.
    The first two latent frames of a new picture size take a second longer: kernels are compiled and captured.
    """

    def __init__(self, model: FastTAEHV | FastVAE, memory: int, device: torch.device) -> None:
        self.memory = memory
        self._model, self._device = model.to(device), device
        self._replays = model.replays and device.type == "cuda"
        self._graphs: dict[tuple[int, ...], CapturedCall] = {}  # by the shape of a latent frame

    def start(self) -> State:
        """The state at the start of a stream."""
        return ()

    @torch.no_grad()
    def decode_raw(self, state: State, latents: Tensor) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> unclamped pixels [1, n, 3, Y, X], on the plain decoder's scale, and a state.

        Without a graph: for tests and trials.
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
        """The first latent frame of a stream, without a graph: it is one of thousands, and its shapes are its own."""
        pixels, state = self._shown(latent, ())
        return pixels[self._model.dropped :], state

    def _next(self, latent: Tensor, state: State) -> tuple[Tensor, State]:
        if self._replays and tuple(latent.shape) not in self._graphs:
            self._capture(latent, state)
        if not self._replays:
            return self._shown(latent, state)
        pixels, *newest = self._graphs[tuple(latent.shape)](latent, *state)
        return pixels, tuple(newest)

    def _capture(self, latent: Tensor, state: State) -> None:
        def call(latent: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            pixels, newest = self._shown(latent, state)
            return pixels, *newest

        try:
            with _measured_convolutions():
                self._graphs[tuple(latent.shape)] = CapturedCall(call, (latent, *state))
        except RuntimeError as error:
            log.warning("the decoder runs without a CUDA graph: %s", str(error).splitlines()[0])
            self._replays = False


@contextmanager
def _measured_convolutions() -> Iterator[None]:
    """Let cuDNN choose the fastest of its kernels by trying them."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def decoder_at(speed: str, decoder: Plain, device: torch.device, dtype: torch.dtype) -> Plain | FastDecoder:
    """The decoder at a speed that `speed_for` gave: `decoder` itself if exact or without a GPU, else a FastDecoder."""
    return decoder if speed == "exact" or device.type != "cuda" else fast_decoder(decoder, device, dtype)


def fast_decoder(
    decoder: PlainDecoder, device: torch.device, dtype: torch.dtype, operations: Operations | None = None
) -> FastDecoder:
    """A decoder that equals `decoder`, a WanVAE or a TAEHV, and is faster on a GPU.

    dtype: of weights and activations. operations: how it computes between convolutions; None for the best here.
    Its pixels differ from the plain decoder's in float32 by at most 1e-4 of the range in float32; in bfloat16 they are
    about as far from them as the plain decoder's own in bfloat16.
    """
    weights = {**decoder.state_dict(), **dict(getattr(decoder, "named_buffers", dict)())}
    make = FastVAE if "conv2.weight" in weights else FastTAEHV
    with torch.no_grad():
        return FastDecoder(make(weights, dtype, operations or operations_for(device)), decoder.memory, device)


def operations_for(device: torch.device) -> Operations:
    """Fused on a GPU where Triton and a compiler are found, else Stepwise."""
    if device.type != "cuda":
        return Stepwise()
    if not (find_spec("triton") and has_compiler()):
        log.warning("no Triton or no C++ compiler found: the decoder runs without fused kernels")
        return Stepwise()
    from world.wan.fast.fused import Fused

    return Fused()
