"""What every test runs under."""

import os
import re
import zlib

import pytest

# Tiny tensors gain nothing from a second thread, and threads that spin for one another bring a busy machine to a
# standstill. Read when torch is loaded; the model's process chooses its own number.
os.environ["OMP_NUM_THREADS"] = "1"


NEEDS_GPU = re.compile(r'mark\.gpu|def test_\w+\([^)]*\bcuda\b|usefixtures\("cuda"')


@pytest.fixture(autouse=True, scope="session")
def own_state_folder(tmp_path_factory):
    """Shows save their sessions in the user's state folder: not in that of whoever runs the tests."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def without_tf32():
    """float32 throughout on a GPU: TF32 would round every factor to eleven bits."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    assert not torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(params=["pretended", pytest.param("real", marks=pytest.mark.gpu)])
def cuda(request):
    """A CUDA device: on any machine one that is pretended, with an order of its streams for each test, and a real one.

    The pretended one itself, or None.
    """
    import torch

    from tests.pretend.gpu import pretended_gpu

    if request.param == "pretended":
        with pretended_gpu(zlib.crc32(request.node.name.encode())) as device:
            yield device
    elif torch.cuda.is_available():
        yield None
    else:
        pytest.skip("needs a CUDA device")


def pytest_ignore_collect(collection_path, config):
    """With `-m gpu`, files without such a test are left alone: a GPU's machine need not have all that they import."""
    if config.option.markexpr == "gpu" and collection_path.name.startswith("test_"):
        return None if NEEDS_GPU.search(collection_path.read_text()) else True
    return None
