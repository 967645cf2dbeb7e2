"""The door to CUDA, on a machine without it."""

import platform
import subprocess
import sys

import pytest
import torch

from world.dit.device import resolve, upload, working_dtype
from world.info import WorldError

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def test_cpu_is_always_there():
    assert resolve("cpu") == torch.device("cpu") and working_dtype(resolve("cpu")) == torch.float32


def test_a_dtype_that_is_asked_for_is_taken():
    cpu = resolve("cpu")
    assert working_dtype(cpu, "bfloat16") == torch.bfloat16 and working_dtype(cpu, "float32") == torch.float32
    with pytest.raises(WorldError, match="dtype 'int4': expected float32 or bfloat16"):
        working_dtype(cpu, "int4")


@without_gpu
def test_auto_is_the_cpu_without_a_gpu():
    assert resolve("auto") == torch.device("cpu")


@without_gpu
def test_asking_for_cuda_without_a_gpu_says_what_to_do():
    with pytest.raises(WorldError, match="torch sees no GPU here; use --device cpu"):
        resolve("cuda")


def test_an_unknown_device_is_refused():
    with pytest.raises(WorldError, match="device 'tpu': expected auto, cpu or cuda"):
        resolve("tpu")


def test_an_upload_to_the_cpu_is_the_tensor_itself():
    tensor = torch.arange(3)
    assert upload(tensor, torch.device("cpu")) is tensor


ROUNDS = """
import resource, sys
import numpy as np
from world.dit.device import keep_freed_memory

def fault_count():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [np.ones(8 << 20, np.uint8) for _ in range(4)]  # bytes that are written to, and then given back together
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
print(fault_count(), fault_count())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap can be told")
def test_memory_that_is_kept_comes_without_page_faults():
    def later_faults(way: str) -> int:
        ran = subprocess.run([sys.executable, "-c", ROUNDS, way], capture_output=True, text=True, check=True)
        return int(ran.stdout.split()[1])

    assert later_faults("kept") * 20 < later_faults("given back")
