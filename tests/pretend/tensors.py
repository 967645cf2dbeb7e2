"""Tensors on a pretended device: torch's own, computed on this CPU once the device gets to it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from tests.pretend.device import Memory, PretendedDevice
from tests.pretend.operators import EMULATED, MADE_OF_INDEX, UNREAD, WAITING

aten = torch.ops.aten
THERE = torch.device("cuda", 0)
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
ALIGNED = 16  # bytes, for every dtype
CONSTRUCTORS = _device_constructors()
UNWRITTEN = {torch.empty, torch.empty_strided, Tensor.new_empty}
FROM_HOST = {torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor}


class PretendedGenerator(torch.Generator):
    """As torch.Generator; numbers on the device are drawn when it comes to them."""

    def __new__(cls, device: Any = "cpu") -> PretendedGenerator:
        made = super().__new__(cls, "cpu")
        made._is_there = torch.device(device).type == "cuda"
        return made

    def clone_state(self) -> PretendedGenerator:
        twin = PretendedGenerator(self.device)
        twin.set_state(self.get_state())
        return twin

    @property
    def device(self) -> torch.device:
        return THERE if self._is_there else torch.device("cpu")


class PretendedAutocast(torch.autocast):
    """As torch.autocast; which operators are taken for safe is as on a CPU."""

    def __init__(self, device_type: str, *how: Any, **options: Any) -> None:
        super().__init__("cpu", *how, **options)


class PretendedTensors:
    """Which tensors lie on the device, and in what memory; how operators on them come into its queues."""

    def __init__(self, device: PretendedDevice) -> None:
        self.device = device
        self._memories: dict[int, Memory] = {}  # by the storage of the tensors in them
        self._pinned: set[int] = set()
        self._forms: dict[Any, Any] = {}  # of results
        self._default: torch.device | None = None  # where tensors are made if nobody says where

    def set_default(self, device: Any) -> None:
        """As torch.set_default_device."""
        self._default = torch.device(device)

    def default(self) -> torch.device:
        """As torch.get_default_device."""
        return self._default or torch.device("cpu")

    def is_there(self, x: Any) -> bool:
        """Whether x is a tensor on the device."""
        return isinstance(x, Tensor) and x.layout is torch.strided and _storage(x) in self._memories

    def place(self, x: Tensor) -> torch.device:
        """The device of a tensor."""
        return THERE if self.is_there(x) else Tensor.device.__get__(x)

    def is_pinned(self, x: Tensor) -> bool:
        return _storage(x) in self._pinned

    def new(self, like: Tensor) -> Tensor:
        """An unwritten tensor on the device."""
        memory = self.device.allocate(_extent(like))
        made, key, array = _over(memory.for_tensor(), like)
        self._memories[key] = memory

        def free() -> None:
            del self._memories[key]
            memory.free()

        weakref.finalize(array(), free)
        return made

    def new_pinned(self, like: Tensor) -> Tensor:
        """An unwritten tensor in pinned memory of the host."""
        made, key, array = _over(np.full(_extent(like), 0xFF, np.uint8), like)
        self._pinned.add(key)
        weakref.finalize(array(), self._pinned.discard, key)
        return made

    def for_work(self, x: Any) -> Any:
        """What work of the device uses for a tensor: the same memory, but it does not hold it."""
        if not self.is_there(x):
            return x.clone() if isinstance(x, Tensor) and not x.ndim else x  # a number goes along with the call
        memory = self._memories[_storage(x)].for_work()
        same = memory.view(x.dtype).as_strided(x.shape, x.stride(), x.storage_offset())
        return same.conj() if x.is_conj() else same

    def upload(self, x: Tensor, non_blocking: bool) -> Tensor:
        """A copy of a tensor of the host."""
        made = self.new(x)
        self.copy(made, x, non_blocking)
        return made

    def download(self, x: Tensor, non_blocking: bool) -> Tensor:
        """A copy of a tensor of the device, in memory that is not pinned."""
        made = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
        self.copy(made, x, non_blocking)
        return made

    def copy(self, to: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
        """As Tensor.copy_, where one of both is on the device at least."""
        is_upload, is_download = not self.is_there(source), not self.is_there(to)
        target, taken = to if is_download else self.for_work(to), self.for_work(source)
        host, stream = source if is_upload else to, self.device.current
        is_direct = non_blocking and self.is_pinned(host)
        if is_upload and not is_direct:
            taken = source.clone()  # it has been read when the call returns
        if (is_download and not is_direct) or (is_upload and not non_blocking and source.ndim):
            self.device.wait_for(stream.mark())
            target.copy_(taken)
        else:
            stream.put(_quietly(lambda: target.copy_(taken)))
        return to

    def read(self, x: Tensor) -> Tensor:
        """The values of a tensor on the device, which are waited for."""
        self.device.wait_for(self.device.current.mark())
        return self.for_work(x).clone()

    def call(self, operator: Any, args: Any, kwargs: Any) -> Any:
        """An operator on tensors of which some are on the device."""
        if operator is aten.copy_.default:
            return self.copy(*args, **kwargs)
        if operator.is_view or operator in UNREAD:
            return operator(*args, **kwargs)  # no number is read
        self._refuse_other_device(operator, args, kwargs)
        elsewhere = {name: value for name, value in kwargs.items() if name != "device"}  # "cpu", for torch
        ours = each_tensor(self.for_work, (args, elsewhere))
        if operator in WAITING or (operator is aten.index.Tensor and _has_mask(args)):
            self.device.wait_for(self.device.current.mark())
            return each_tensor(lambda x: self.upload(x, True), operator(*ours[0], **ours[1]))
        work = EMULATED.get(operator, operator)
        if any(argument.alias_info for argument in operator._schema.arguments):  # it writes to some
            self.device.current.put(_quietly(lambda: work(*ours[0], **ours[1])))
            return kwargs.get("out", args[0]) if operator._schema.returns else None
        made = each_tensor(self.new, self._form_of_result(work, ours))
        targets = [self.for_work(x) for x in _leaves(made)]

        def write() -> None:
            for target, value in zip(targets, _leaves(work(*ours[0], **ours[1])), strict=True):
                if isinstance(target, Tensor):
                    target.copy_(value)

        self.device.current.put(_quietly(write))
        return made

    def _form_of_result(self, operator: Callable[..., Any], given: tuple[Any, Any]) -> Any:
        """What the operator gives, in tensors without numbers."""
        key = operator, _form(given)
        if key not in self._forms:
            args, kwargs = each_tensor(_without_numbers, given)
            self._forms[key] = operator(*args, **kwargs)
        return self._forms[key]

    def _refuse_other_device(self, operator: Any, args: Any, kwargs: Any) -> None:
        """Raise RuntimeError where a tensor of the host is among them; a number may be, and indices, for a wait."""
        here = [x for x in _leaves((args, kwargs)) if isinstance(x, Tensor) and x.ndim and not self.is_there(x)]
        if here and operator in MADE_OF_INDEX and self.is_there(args[0]):
            self.device.wait_for(self.device.current.mark())
        elif here:
            raise RuntimeError(f"{operator}: Expected all tensors to be on the same device, but found {THERE} and cpu")


class Calls(TorchFunctionMode):
    """What torch does for a device before it comes to operators."""

    def __init__(self, tensors: PretendedTensors) -> None:
        super().__init__()
        self._tensors = tensors
        self._ours: dict[Any, Callable[..., Any]] = {
            Tensor.device.__get__: tensors.place,
            Tensor.is_cuda.__get__: tensors.is_there,
            Tensor.is_cpu.__get__: lambda x: tensors.place(x).type == "cpu",
            Tensor.is_pinned: tensors.is_pinned,
            Tensor.pin_memory: lambda x: tensors.new_pinned(x).copy_(x),
            Tensor.to: self._to,
            Tensor.cpu: lambda x: self._to(x, "cpu"),
            Tensor.cuda: lambda x, *_, **options: self._to(x, "cuda", **options),
            Tensor.numpy: self._numpy,
            Tensor.__array__: self._numpy,
            Tensor.__deepcopy__: self._deepcopy,
            Tensor.quantile: self._quantile,
            Tensor.tolist: lambda x: (tensors.read(x) if tensors.is_there(x) else x).tolist(),
        }

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function in self._ours:
            return self._ours[function](*args, **kwargs)
        if function in CONSTRUCTORS and kwargs.get("device") is None:
            kwargs["device"] = self._tensors.default()
        self._refuse_other_generator(args, kwargs)
        if kwargs.pop("pin_memory", False):
            return self._tensors.new_pinned(function(*args, **kwargs))
        if "device" in kwargs and kwargs["device"] is not None and torch.device(kwargs["device"]).type == "cuda":
            return self._make(function, args, kwargs)
        return function(*args, **kwargs)

    def _refuse_other_generator(self, args: Any, kwargs: dict[str, Any]) -> None:
        """Raise RuntimeError where a generator of the host is to draw numbers of the device, or the other way round."""
        generator = kwargs.get("generator")
        if generator is None:
            return
        given = next(filter(lambda x: isinstance(x, Tensor), args), None)
        device = torch.device(kwargs.get("device") or "cpu") if given is None else self._tensors.place(given)
        if generator.device.type != device.type:
            raise RuntimeError(f"Expected a {device} device type for generator but found {generator.device}")

    def _make(self, function: Any, args: Any, kwargs: Any) -> Tensor:
        tensors = self._tensors
        if any(map(tensors.is_there, args)):
            return function(*args, **{**kwargs, "device": None})
        made = function(*args, **{**kwargs, "device": "cpu"})
        return tensors.new(made) if function in UNWRITTEN else tensors.upload(made, function not in FROM_HOST)

    def _to(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        is_copy = kwargs.pop("copy", False)
        if args and isinstance(args[0], Tensor):  # as that one is
            args = (self._tensors.place(args[0]), args[0].dtype, *args[1:])
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        is_there = self._tensors.is_there(x)
        if device is not None and (device.type == "cuda") != is_there:
            x = self._tensors.download(x, non_blocking) if is_there else self._tensors.upload(x, non_blocking)
        return x.to(dtype=dtype or x.dtype, copy=is_copy)

    def _quantile(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Waited for, since torch makes constants for it where the tensor really is."""
        if not self._tensors.is_there(x):
            return x.quantile(*args, **kwargs)
        return self._tensors.upload(self._tensors.read(x).quantile(*args, **kwargs), True)

    def _deepcopy(self, x: Tensor, memo: dict[int, Any]) -> Tensor:
        if id(x) not in memo:
            is_there = self._tensors.is_there(x)
            memo[id(x)] = x.detach().clone().requires_grad_(x.requires_grad) if is_there else x.__deepcopy__(memo)
        return memo[id(x)]

    def _numpy(self, x: Tensor, *args: Any, **kwargs: Any) -> np.ndarray:
        if self._tensors.is_there(x):
            raise TypeError(f"can't convert {THERE} device type tensor to numpy. Use Tensor.cpu() first")
        return x.numpy(*args, **kwargs)


class Operators(TorchDispatchMode):
    """What comes of it, operator by operator."""

    def __init__(self, tensors: PretendedTensors) -> None:
        super().__init__()
        self._tensors = tensors

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not any(map(self._tensors.is_there, _leaves((args, kwargs)))):
            return operator(*args, **kwargs)
        if torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), COMPOSITE.name):
            with self:  # in inference mode torch has not taken it apart
                return operator._op_dk(COMPOSITE, *args, **kwargs)
        return self._tensors.call(operator, args, kwargs)


def _has_mask(args: Any) -> bool:
    """Whether there is a mask among the indices: how much it chooses is not known before it is there."""
    return any(isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8) for x in _leaves(args[1:]))


def _storage(x: Tensor) -> int:
    return x.untyped_storage()._cdata


def _extent(x: Tensor) -> int:
    """Bytes of a tensor with these strides."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True)) if x.numel() else 0
    return -(-(last + 1) * x.element_size() // ALIGNED) * ALIGNED


def _over(array: np.ndarray, like: Tensor) -> tuple[Tensor, int, Callable[[], np.ndarray]]:
    """A tensor over an array, its storage, and a reference to the array, which lives as long as that storage."""
    with _disable_current_modes():
        made = torch.from_numpy(array).view(like.dtype).as_strided(like.shape, like.stride())
    return made, _storage(made), weakref.ref(array)


def _leaves(x: Any) -> Iterator[Any]:
    """All that lies in tuples, lists and dictionaries."""
    if isinstance(x, list | tuple | dict):
        for part in x.values() if isinstance(x, dict) else x:
            yield from _leaves(part)
    else:
        yield x


def each_tensor(change: Callable[[Tensor], Any], x: Any) -> Any:
    """The same with each tensor in it changed."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, dict):
        return {name: each_tensor(change, part) for name, part in x.items()}
    return type(x)(each_tensor(change, part) for part in x) if type(x) in (list, tuple) else x


def _form(x: Any) -> Any:
    """What the form of a result depends on, of what an operator is given."""
    if isinstance(x, Tensor):
        return x.shape, x.stride(), x.dtype, x.is_conj()
    if isinstance(x, dict):
        return tuple((name, _form(value)) for name, value in x.items())
    return tuple(map(_form, x)) if isinstance(x, list | tuple) else (type(x), x)


def _without_numbers(x: Tensor) -> Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta") if x.ndim else x


def _quietly(work: Callable[[], object]) -> Callable[[], None]:
    """Work of the device: torch runs it as it is, wherever it comes."""

    def run() -> None:
        with _disable_current_modes(), torch.inference_mode():
            work()

    return run
