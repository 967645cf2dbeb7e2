"""`pretended_gpu`: torch takes this machine for one with a GPU."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from tests.pretend.cupy import pretended_cupy
from tests.pretend.device import Event, Graph, Pool, PretendedDevice, Stream
from tests.pretend.tensors import Calls, Operators, PretendedAutocast, PretendedGenerator, PretendedTensors, each_tensor


@contextmanager
def pretended_gpu(seed: int = 0) -> Iterator[PretendedDevice]:
    """Within this context "cuda" is a pretended device, for this thread and those that it starts.

    seed: of how far its streams get. Nothing is compiled for it.
    """
    device = PretendedDevice(seed)
    tensors = PretendedTensors(device)
    known = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda *_: "a pretended GPU",
        "get_device_capability": lambda *_: (9, 0),
        "mem_get_info": lambda *_: (2**36, 2**36),
        "max_memory_reserved": lambda *_: 0,
        "max_memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": lambda *_: None,
        "empty_cache": lambda: None,
        "Stream": partial(Stream, device),
        "Event": partial(Event, device),
        "CUDAGraph": partial(Graph, device),
        "graph": device.capture,
        "graph_pool_handle": Pool,
        "current_stream": lambda *_: device.current,
        "stream": device.on,
        "set_stream": device.use,
        "synchronize": device.synchronize,
        "set_sync_debug_mode": device.set_sync_debug_mode,
    }
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(torch, Generator=PretendedGenerator, autocast=PretendedAutocast))
        stack.enter_context(patch.object(torch, "compile", _as_written))
        defaults = {"set_default_device": tensors.set_default, "get_default_device": tensors.default}
        stack.enter_context(patch.multiple(torch, **defaults))
        files = {"load": _loading(torch.load), "save": _saving(torch.save)}
        stack.enter_context(patch.multiple(torch, **files))
        stack.enter_context(patch.multiple(torch.cuda, **known))
        stack.enter_context(_imported("cupy", pretended_cupy(device, tensors)))
        stack.enter_context(patch.object(threading.Thread, "run", _in_every_thread(threading.Thread.run, tensors)))
        stack.enter_context(Operators(tensors))
        stack.enter_context(Calls(tensors))
        yield device


def _loading(load: Callable[..., Any]) -> Callable[..., Any]:
    """As torch.load: everything goes to the device that is named."""

    def load_there(*what: Any, map_location: Any = None, **options: Any) -> Any:
        loaded = load(*what, map_location="cpu", **options)
        return each_tensor(lambda x: x.to(map_location or "cpu"), loaded)

    return load_there


def _saving(save: Callable[..., None]) -> Callable[..., None]:
    """As torch.save, which waits for the device."""

    def save_from_there(*what: Any, **options: Any) -> None:
        torch.cuda.synchronize()
        save(*what, **options)

    return save_from_there


def _as_written(function: Any, **_: Any) -> Any:
    """As torch.compile, for what is no faster then."""
    return function


def _in_every_thread(run: Callable[[Any], None], tensors: PretendedTensors) -> Callable[[Any], None]:
    def run_there(thread: threading.Thread) -> None:
        with Operators(tensors), Calls(tensors):
            run(thread)

    return run_there


@contextmanager
def _imported(name: str, module: Any) -> Iterator[None]:
    """Within this context it is the module of that name."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
