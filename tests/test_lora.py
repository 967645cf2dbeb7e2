"""Low-rank adapters: added to the weights for good, or refused by name."""

from pathlib import Path

import pytest
import torch

from world.info import WorldError
from world.wan.lora import Lora

PATH = Path("lora.pt")


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
@pytest.mark.parametrize("suffix", [".weight", ".default.weight"])
def test_a_merged_weight_multiplies_like_the_weight_and_the_two_small_matrices(prefix, suffix):
    weight, a, b, x = torch.randn(6, 5), torch.randn(2, 5), torch.randn(6, 2), torch.randn(4, 5)
    lora = Lora({f"{prefix}blocks.0.q.lora_A{suffix}": a, f"{prefix}blocks.0.q.lora_B{suffix}": b}, PATH, alpha=6.0)
    merged = lora.merged("blocks.0.q.weight", weight)
    assert torch.allclose(x @ merged.T, x @ weight.T + (x @ a.T) @ b.T * 3, atol=1e-4)


def test_without_an_alpha_the_product_is_added_as_it_is():
    a, b = torch.randn(2, 5), torch.randn(6, 2)
    lora = Lora({"q.lora_A.weight": a, "q.lora_B.weight": b}, PATH)
    assert torch.allclose(lora.merged("q.weight", torch.zeros(6, 5)), b @ a)


def test_the_sum_is_made_in_float32():
    lora = Lora({"q.lora_A.weight": torch.full((1, 1), 2**-10), "q.lora_B.weight": torch.ones(1, 1)}, PATH)
    assert lora.merged("q.weight", torch.ones(1, 1, dtype=torch.bfloat16)).item() == 1 + 2**-10


def test_other_weights_and_the_biases_are_left_alone():
    lora = Lora({"q.lora_A.weight": torch.ones(2, 5), "q.lora_B.weight": torch.ones(6, 2)}, PATH)
    for name in ("k.weight", "q.bias", "q"):
        weight = torch.zeros(6)
        assert lora.merged(name, weight) is weight
    original = torch.zeros(6, 5)
    lora.merged("q.weight", original)
    assert original.abs().max() == 0


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"q.lora_A.weight": torch.ones(2, 5)}, "has lora_A or lora_B but not both for q"),
        ({"q.weight": torch.ones(2, 5)}, r"q\.weight is no LoRA tensor"),
        (
            {"z.lora_A.weight": torch.ones(2, 5), "z.lora_B.weight": torch.ones(6, 2)},
            r"has not \(1\): z",
        ),
        ({"q.lora_A.weight": torch.ones(2, 4), "q.lora_B.weight": torch.ones(6, 2)}, "6x2 times 2x4 onto 6x5"),
        ({"q.lora_A.weight": torch.ones(3, 5), "q.lora_B.weight": torch.ones(6, 2)}, "6x2 times 3x5 onto 6x5"),
    ],
)
def test_an_adapter_that_does_not_fit_says_what_is_wrong(tensors, complaint):
    with pytest.raises(WorldError, match=complaint):
        Lora(tensors, PATH).check({"q.weight": torch.zeros(6, 5)})
