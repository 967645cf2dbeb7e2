"""The pretended GPU gives the numbers of a CPU, and garbage to whoever does not wait or lets go too early."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.pretend.device import PretendedDevice
from tests.pretend.gpu import pretended_gpu

SEEDS = range(30)
CUDA = torch.device("cuda")
Attempt = Callable[[PretendedDevice], Tensor]


def outcomes(attempt: Attempt) -> set[bool]:
    """Whether a tensor came out finite, in many orders of the device's work."""
    found = set()
    for seed in SEEDS:
        with pretended_gpu(seed) as device:
            found.add(bool(torch.isfinite(attempt(device)).all()))
    return found


def copied(x: Tensor) -> Tensor:
    """A copy in pinned memory, which is under way."""
    return torch.empty(x.shape, pin_memory=True).copy_(x, non_blocking=True)


# what is computed


def test_numbers_are_those_of_a_cpu():
    torch.manual_seed(0)
    was_there = torch.cuda.is_available()
    layer, x = torch.nn.Linear(6, 4), torch.randn(3, 6)
    expected = torch.nn.functional.gelu(layer(x)).softmax(-1)[:, [1, 3]]
    with pretended_gpu():
        made = torch.nn.functional.gelu(layer.to(CUDA)(x.to(CUDA))).softmax(-1)[:, [1, 3]]
        assert made.is_cuda and not made.is_cpu and made.device == torch.device("cuda", 0)
        assert torch.equal(made.cpu(), expected) and made.tolist() == expected.tolist()
    assert torch.cuda.is_available() == was_there


def test_views_and_what_is_written_in_place_share_their_memory():
    with pretended_gpu():
        x = torch.zeros(2, 3, device=CUDA)
        x[1].add_(2)
        x.t()[0] = 5
        assert x.tolist() == [[5, 0, 0], [5, 2, 2]]


def trained(device: str) -> list[float]:
    """The losses of a few steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 1))
    x, losses = torch.randn(16, 4).to(device), []
    optimiser = torch.optim.AdamW(model.to(device).parameters(), lr=0.01)
    for _ in range(4):
        with torch.autocast(device, torch.bfloat16):
            made = model(x)
        loss = (made.float() - x.sum(1, keepdim=True)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_a_training_takes_the_same_steps():
    expected = trained("cpu")
    with pretended_gpu():
        assert trained("cuda") == pytest.approx(expected)


def test_numbers_of_chance_are_drawn_where_they_are_wanted():
    expected = torch.randn(3, generator=torch.Generator().manual_seed(1))
    with pretended_gpu():
        here, there = (torch.Generator(device).manual_seed(1) for device in ("cpu", "cuda"))
        assert torch.equal(torch.randn(3, generator=there, device=CUDA).cpu(), expected)
        for generator, device in ((here, "cuda"), (there, "cpu")):
            with pytest.raises(RuntimeError, match=f"Expected a {device}.* device type for generator"):
                torch.randn(3, generator=generator, device=device)


def test_a_deep_copy_is_a_tensor_of_its_own():
    with pretended_gpu():
        model = torch.nn.BatchNorm1d(3).to(CUDA)
        twin = copy.deepcopy(model)
        model.running_mean.fill_(5)
        assert twin.running_mean.tolist() == [0, 0, 0] and twin.weight.is_cuda


def test_complex_numbers_keep_their_conjugation():
    x = torch.tensor([1 + 2j, 3 - 1j])
    with pretended_gpu():
        there = x.to(CUDA)
        assert torch.equal((there * there.conj()).cpu(), x * x.conj())


@pytest.mark.parametrize("grad", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_makes_no_difference_whether_gradients_are_kept(grad):
    x = torch.arange(6.0).view(1, 1, 2, 3)
    with grad():
        expected = torch.nn.functional.interpolate(x, scale_factor=2)
        with pretended_gpu():
            assert torch.equal(torch.nn.functional.interpolate(x.to(CUDA), scale_factor=2).cpu(), expected)


# what is refused


def test_tensors_of_a_host_and_of_the_device_do_not_mix():
    with pretended_gpu():
        there = torch.ones(2, device=CUDA)
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            there + torch.ones(2)
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            there.numpy()
        assert (there + torch.tensor(1.0)).tolist() == [2, 2], "a number may be of the host"


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x.copy_(torch.zeros(3)),
        lambda x: x[[0, 2]],
        lambda x: x[x > 0],
        lambda x: x.quantile(0.5),
        lambda x: torch.tensor([1.0], device=CUDA),
        lambda x: torch.cuda.current_stream().synchronize(),
    ],
)
def test_a_wait_is_refused_where_there_must_be_none(wait):
    with pretended_gpu():
        x = torch.ones(3, device=CUDA)
        wait(x)
        torch.cuda.set_sync_debug_mode("error")
        with pytest.raises(RuntimeError, match="called a synchronizing CUDA operation"):
            wait(x)


def test_a_copy_from_pinned_memory_waits_for_nothing():
    with pretended_gpu():
        torch.cuda.set_sync_debug_mode("error")
        there = torch.ones(3).pin_memory().to(CUDA, non_blocking=True)
        here = copied(there)
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
        assert here.tolist() == [1, 1, 1]


def test_nothing_may_wait_while_a_graph_is_captured():
    with pretended_gpu(), pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        x = torch.ones(1, device=CUDA)
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            x.item()


# what goes wrong, for some order, unless it is waited for


@pytest.mark.parametrize("waits", [True, False])
def test_a_copy_to_the_host_is_there_once_it_is_waited_for(waits):
    def attempt(device: PretendedDevice) -> Tensor:
        here = copied(torch.ones(4, device=CUDA) * 2)
        if waits:
            torch.cuda.current_stream().record_event().synchronize()
        return here.clone()

    assert (outcomes(attempt) == {True}) == waits


@pytest.mark.parametrize("waits", [True, False])
def test_streams_wait_for_one_another_only_where_they_are_told_to(waits):
    def attempt(device: PretendedDevice) -> Tensor:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            x = torch.ones(4, device=CUDA) * 2
        if waits:
            torch.cuda.current_stream().wait_stream(side)
        return (x + 1).cpu()

    assert (outcomes(attempt) == {True}) == waits


@pytest.mark.parametrize("holds", [True, False])
def test_memory_that_is_let_go_is_used_again_while_another_stream_reads_it(holds):
    def attempt(device: PretendedDevice) -> Tensor:
        side, x = torch.cuda.Stream(), torch.ones(4, device=CUDA)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            made = x + 1
        held = x if holds else None
        del x
        torch.cuda.synchronize()
        del held
        return made.cpu()

    assert (outcomes(attempt) == {True}) == holds


def test_memory_that_is_let_go_on_its_own_stream_has_been_read():
    def attempt(device: PretendedDevice) -> Tensor:
        return ((torch.ones(4, device=CUDA) + 1) * 2).cpu()

    assert outcomes(attempt) == {True}


@pytest.mark.parametrize("pinned", [True, False])
def test_only_pinned_memory_is_read_when_the_device_comes_to_it(pinned):
    found = set()
    for seed in SEEDS:
        with pretended_gpu(seed):
            here = torch.ones(1)
            here = here.pin_memory() if pinned else here
            there = here.to(CUDA, non_blocking=True)
            here.fill_(2)
            found.add(there.item())
    assert found == ({1.0, 2.0} if pinned else {1.0})


# graphs


def test_a_graph_does_its_work_again_on_what_lies_there():
    with pretended_gpu():
        x, graph = torch.ones(2, device=CUDA), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = x * 3
        x.fill_(2)
        graph.replay()
        assert made.tolist() == [6, 6]


def test_what_a_graph_gives_lasts_until_another_one_of_its_pool_runs():
    with pretended_gpu():
        x, pool = torch.ones(2, device=CUDA), torch.cuda.graph_pool_handle()
        graphs, made = [torch.cuda.CUDAGraph() for _ in range(2)], []
        for graph in graphs:
            with torch.cuda.graph(graph, pool=pool):
                made.append((x + 1) * 3)
        graphs[1].replay()
        kept = made[1].clone()
        graphs[0].replay()
        torch.cuda.synchronize()
        assert made[0].tolist() == kept.tolist() == [6, 6]
        assert np.isnan(made[1].tolist()).all()
