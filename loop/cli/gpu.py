"""Whether `--device cuda` can work, found out without torch, so that a mistake is told before a window opens."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from pathlib import Path

from world.info import WorldError

_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def check_device(device: str, world: str) -> None:
    """Raise WorldError if the device is cuda and this machine has no GPU that torch could use. The test card has none.

    A driver that is too old for torch is noticed only when the model's process opens the world.
    """
    if device != "cuda" or world == "probe":
        return
    builds = _torch_builds()
    if builds.get("hip", "None") != "None":
        return  # AMD's GPUs go by the name of cuda in torch, and have another driver
    if builds.get("cuda") == "None":
        raise WorldError("device cuda: this torch has no CUDA; use --device cpu, or install torch's CUDA build")
    if not _gpu_count():
        raise WorldError("device cuda: the NVIDIA driver finds no GPU here; use --device cpu or --device auto")


def _torch_builds() -> dict[str, str]:
    """What torch's version file says of `cuda` and `hip`, read without importing torch; empty if it cannot be told."""
    spec = importlib.util.find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    if file is None or not file.is_file():
        return {}
    found = re.findall(r"^(cuda|hip)\b[^=\n]*= *(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: value.strip() for name, value in found}


def _gpu_count() -> int:
    """How many GPUs the NVIDIA driver offers to this process; 0 without a driver."""
    for name in _DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0
