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
import resource
import numpy as np
from world.dit.device import keep_freed_memory

def fault_count():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        held = [np.ones(4 << 20, np.uint8) for _ in range(4)]  # bytes that are written to, and then given back together
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = [fault_count(), fault_count()]
keep_freed_memory()
kept = [fault_count(), fault_count()]  # the first time it comes from the system
print(given_back[1], kept[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap can be told")
def test_memory_that_is_kept_comes_without_page_faults():
    ran = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True)
    given_back, kept = map(int, ran.stdout.split())
    assert kept * 20 < given_back
