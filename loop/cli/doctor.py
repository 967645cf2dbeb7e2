"""`neverblink doctor`: what is installed, which devices and displays there are, and how to install what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

Row = tuple[str, str, str]  # subject, what was found, what to do about it ("" if nothing is missing)


@dataclass(frozen=True)
class Package:
    """A Python package, its purpose, and the extra of neverblink that installs it ("" if every show needs it)."""

    name: str
    purpose: str
    extra: str = ""


PACKAGES = (
    Package("torch", "the model"),
    Package("numpy", "frames"),
    Package("safetensors", "weights"),
    Package("pygame-ce", "the window"),
    Package("av", "recording"),
    Package("msgpack", "peers"),
    Package("tokenizers", "published checkpoints' text", "wan"),
    Package("ftfy", "published checkpoints' text", "wan"),
    Package("mido", "MIDI", "midi"),
    Package("python-rtmidi", "MIDI", "midi"),
    Package("python-osc", "OSC", "osc"),
    Package("sounddevice", "audio in", "audio"),
    Package("LinkPython-extern", "Ableton Link", "link"),
    Package("zeroconf", "hosts found by --join auto", "discover"),
    Package("websockets", "the page for phones", "web"),
    Package("pillow", "the page for phones", "web"),
    Package("segno", "the page's QR code", "web"),
    Package("matplotlib", "pictures of the latency page", "plot"),
)


def rows() -> Iterator[Row]:
    """Everything that is looked at, in the order in which it is printed."""
    yield "Python", platform.python_version(), "" if sys.version_info >= (3, 10) else "install Python 3.10 or newer"
    yield "system", f"{platform.system()} {platform.release()}, {os.cpu_count()} cores", ""
    for package in PACKAGES:
        yield _package(package)
    yield from _gpu()
    yield from _displays()


def _package(package: Package) -> Row:
    try:
        return package.name, f"{importlib.metadata.version(package.name)} ({package.purpose})", ""
    except importlib.metadata.PackageNotFoundError:
        wanted = f"neverblink[{package.extra}]" if package.extra else package.name
        return package.name, f"not installed ({package.purpose})", f"pip install '{wanted}'"


def _gpu() -> Iterator[Row]:
    """The driver, and only if there is one, CUDA and uploads: without a driver neither can be used."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        yield "GPU", "no NVIDIA driver: the model runs on the CPU", ""
        return
    asked = [smi, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    yield "GPU", subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip(), ""
    yield _torch_cuda()
    yield from _published()
    yield _uploads()


def _torch_cuda() -> Row:
    from world.dit.device import describe_cuda

    found = describe_cuda()
    return "torch CUDA", found or "this torch has no CUDA", "" if found else "pip install --force-reinstall torch"


def _published() -> Iterator[Row]:
    """What the published checkpoints would need of the GPU's free memory, if torch sees one."""
    from world.dit.device import free_gib, resolve
    from world.zoo import checkpoints_fit

    free = free_gib(resolve("auto"))
    if free is not None:
        yield "Wan, LongLive", f"{free:.1f} GiB free: {checkpoints_fit(free)}", ""


def _uploads() -> Row:
    from loop.worker.upload import describe_uploads

    return "uploads", *describe_uploads()


def _displays() -> Iterator[Row]:
    from loop.screen.display import WindowError
    from loop.screen.opening import displays

    try:
        for number, (width, height) in enumerate(displays()):
            yield f"display {number}", f"{width}x{height}", ""
    except WindowError as error:
        yield "display", "none", str(error)


def print_findings() -> int:
    """Print all rows; returns the exit status, which is 1 if a package that every show needs is missing."""
    missing = False
    for what, found, remedy in rows():
        print(f"{what:<14} {found}" + (f"   -> {remedy}" if remedy else ""))
        missing |= any(package.name == what and not package.extra and bool(remedy) for package in PACKAGES)
    return 1 if missing else 0
