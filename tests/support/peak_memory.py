"""How many bytes the tensors of some computation take at most, at any one time, on any device (meta included)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakBytes(TorchDispatchMode):
    """While it is entered, `peak` follows the bytes of all tensors that operations have made and that still live.

    Tensors that were there before do not count, nor does what an operation needs only within itself, such as the
    workspace of a convolution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._living: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = {storage._cdata for storage in _storages([args, kwargs])}
        made = func(*args, **kwargs)
        self._living = {key: entry for key, entry in self._living.items() if not entry[0].expired()}
        for storage in _storages(made):
            if storage._cdata not in given:
                self._living[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._living.values()))
        return made


def _storages(tree: Any) -> Iterator[torch.UntypedStorage]:
    return (leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
