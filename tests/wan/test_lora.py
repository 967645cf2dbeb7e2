"""Low-rank adapters: added to the weights for good, or refused by name."""

import json
import math
from pathlib import Path

import pytest
import torch

from world.info import WorldError
from world.wan.adapter import LoraRules, read_rules
from world.wan.lora import Lora

PATH = Path("lora.pt")
WEIGHTS = {"blocks.0.self_attn.q.weight": torch.zeros(6, 5), "blocks.0.ffn.0.weight": torch.zeros(6, 5)}
WEIGHTS |= {"q.weight": torch.zeros(6, 5), "square.weight": torch.zeros(5, 5)}


def pair(layer: str, a: str = "lora_A.weight", b: str = "lora_B.weight") -> dict[str, torch.Tensor]:
    """Two small matrices of rank 2 for a layer from 5 to 6, the same each time."""
    chance = torch.Generator().manual_seed(3)
    return {
        f"{layer}.{a}": torch.randn(2, 5, generator=chance),
        f"{layer}.{b}": torch.randn(6, 2, generator=chance),
    }


def update(lora: Lora, layer: str = "q") -> torch.Tensor:
    """What `lora` adds to a weight of zeros."""
    return lora.merged(f"{layer}.weight", WEIGHTS[f"{layer}.weight"])


def product(layer: str = "q") -> torch.Tensor:
    a, b = pair(layer).values()
    return b @ a


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
@pytest.mark.parametrize("suffix", [".weight", ".default.weight"])
def test_a_merged_weight_multiplies_like_the_weight_and_the_two_small_matrices(prefix, suffix):
    weight, a, b, x = torch.randn(6, 5), torch.randn(2, 5), torch.randn(6, 2), torch.randn(4, 5)
    layer = "blocks.0.self_attn.q"
    tensors = {f"{prefix}{layer}.lora_A{suffix}": a, f"{prefix}{layer}.lora_B{suffix}": b}
    merged = Lora(tensors, PATH, WEIGHTS, LoraRules(alpha=6.0)).merged(f"{layer}.weight", weight)
    assert torch.allclose(x @ merged.T, x @ weight.T + (x @ a.T) @ b.T * 3, atol=1e-4)


def test_without_an_alpha_the_product_is_added_as_it_is():
    assert torch.allclose(update(Lora(pair("q"), PATH, WEIGHTS)), product())


def test_the_sum_is_made_in_float32():
    tensors = {"q.lora_A.weight": torch.full((1, 1), 2**-10), "q.lora_B.weight": torch.ones(1, 1)}
    lora = Lora(tensors, PATH, {"q.weight": torch.ones(1, 1)})
    assert lora.merged("q.weight", torch.ones(1, 1, dtype=torch.bfloat16)).item() == 1 + 2**-10


def test_other_weights_and_the_biases_are_left_alone():
    lora = Lora(pair("q"), PATH, WEIGHTS)
    for name in ("k.weight", "q.bias", "q"):
        weight = torch.zeros(6)
        assert lora.merged(name, weight) is weight
    original = torch.zeros(6, 5)
    lora.merged("q.weight", original)
    assert original.abs().max() == 0


@pytest.mark.parametrize(
    "names",
    [
        ("blocks.0.self_attn.q", "lora_A.weight", "lora_B.weight"),
        ("base_model.model.model._orig_mod.blocks.0.self_attn.q", "lora_A.mine.weight", "lora_B.mine.weight"),
        ("diffusion_model.blocks.0.self_attn.q", "lora_down.weight", "lora_up.weight"),
        ("model.blocks.0._checkpoint_wrapped_module.self_attn.q", "lora.down.weight", "lora.up.weight"),
        ("transformer.blocks.0.attn1.to_q", "lora_A.weight", "lora_B.weight"),
        ("transformer.blocks.0.attn1.to_q", "lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
        ("lora_unet_blocks_0_self_attn_q", "lora_down.weight", "lora_up.weight"),
    ],
)
def test_a_layer_is_found_under_the_names_that_tools_give_it(names):
    lora = Lora(pair(*names), PATH, WEIGHTS)
    assert torch.allclose(update(lora, "blocks.0.self_attn.q"), product("blocks.0.self_attn.q"))


def test_a_feed_forward_layer_is_found_under_its_name_in_diffusers():
    lora = Lora(pair("transformer.blocks.0.ffn.net.0.proj"), PATH, WEIGHTS)
    assert torch.allclose(update(lora, "blocks.0.ffn.0"), product())


@pytest.mark.parametrize("alpha", [torch.tensor(8.0), torch.tensor([8]), torch.tensor(8.0).half()])
def test_an_alpha_beside_a_layer_scales_that_layer(alpha):
    lora = Lora(pair("q", "lora_down.weight", "lora_up.weight") | {"q.alpha": alpha}, PATH, WEIGHTS, LoraRules(2.0))
    assert torch.allclose(update(lora), 4 * product())


def described(tmp_path: Path, **content) -> LoraRules:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 4, **content}))
    return read_rules(tmp_path / "lora.pt")


@pytest.mark.parametrize(
    ("content", "scale"),
    [
        ({}, 4 / 2),
        ({"r": 2, "use_rslora": True}, 4 / math.sqrt(2)),
        ({"r": 2, "alpha_pattern": {"q": 16}}, 16 / 2),
        ({"r": 2, "alpha_pattern": {"self_attn.q": 16}}, 16 / 2),
        ({"r": 2, "alpha_pattern": {r"blocks\.\d+\.self_attn\.(q|k)": 16}}, 16 / 2),
        ({"r": 2, "alpha_pattern": {"attn.q": 16, "blocks.0": 32, "k": 64}}, 4 / 2),
        ({"r": 2, "alpha_pattern": {"q": 16}, "use_rslora": True}, 16 / math.sqrt(2)),
        ({"r": 32, "rank_pattern": {"self_attn.q": 2}}, 4 / 2),
    ],
)
def test_the_description_beside_a_lora_scales_it_as_peft_does(content, scale, tmp_path):
    lora = Lora(pair("blocks.0.self_attn.q"), PATH, WEIGHTS, described(tmp_path, **content))
    assert torch.allclose(update(lora, "blocks.0.self_attn.q"), scale * product())


def test_a_pattern_may_name_a_layer_as_it_was_wrapped_in_training(tmp_path):
    rules = described(tmp_path, alpha_pattern={"^model.blocks.0.self_attn.q": 16})
    lora = Lora(pair("base_model.model.model.blocks.0.self_attn.q"), PATH, WEIGHTS, rules)
    assert torch.allclose(update(lora, "blocks.0.self_attn.q"), 8 * product())


def test_layers_that_were_trained_transposed_are_turned():
    a, b = torch.randn(2, 6), torch.randn(5, 2)
    square = torch.randn(2, 5), torch.randn(5, 2)
    tensors = {"q.lora_A.weight": a, "q.lora_B.weight": b}
    tensors |= {"square.lora_A.weight": square[0], "square.lora_B.weight": square[1]}
    lora = Lora(tensors, PATH, WEIGHTS, LoraRules(fan_in_fan_out=True))
    assert torch.allclose(update(lora), (b @ a).T)
    assert torch.allclose(update(lora, "square"), (square[1] @ square[0]).T)


def test_layers_that_are_plainly_not_transposed_are_not_turned_as_in_peft():
    square = {"square.lora_A.weight": torch.randn(2, 5), "square.lora_B.weight": torch.randn(5, 2)}
    lora = Lora(pair("q") | square, PATH, WEIGHTS, LoraRules(fan_in_fan_out=True))
    assert torch.allclose(update(lora), product())
    assert torch.allclose(update(lora, "square"), square["square.lora_B.weight"] @ square["square.lora_A.weight"])


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
        ({"q.lora_A.weight": torch.ones(0, 5), "q.lora_B.weight": torch.ones(6, 0)}, "6x0 times 0x5 onto 6x5"),
        ({"q.lora_A.weight": torch.ones(2), "q.lora_B.weight": torch.ones(6)}, "6 times 2 onto 6x5"),
        ({"q.lora_A.weight": torch.tensor(1.0), "q.lora_B.weight": torch.ones(6, 2)}, "times a number onto 6x5"),
        (pair("q") | {"q.lora_A.weight": torch.full((2, 5), float("nan"))}, "of q has numbers that are not finite"),
        (pair("q") | {"q.lora_A.weight": torch.ones(2, 5, dtype=torch.int64)}, "of q is int64, expected floats"),
        (pair("q") | {"q.alpha": torch.tensor(float("inf"))}, r"q\.alpha is no finite number"),
        (pair("q") | {"q.alpha": torch.ones(2)}, r"q\.alpha is no finite number"),
        ({"q.alpha": torch.tensor(1.0)}, "not both for q"),
        (pair("q") | pair("model.q"), "holds the LoRA of q twice"),
        (pair("q") | pair("q", "lora_A.b.weight", "lora_B.b.weight"), "holds the LoRA of q twice"),
        (pair("q") | {"q.lora_magnitude_vector.weight": torch.ones(6)}, "is of DoRA, which cannot be merged"),
        (pair("q") | {"q.dora_scale": torch.ones(6, 1)}, "is of DoRA, which cannot be merged"),
        ({"q.hada_w1_a": torch.ones(6, 1)}, "is of a LoHa, which cannot be merged"),
        ({"q.lokr_w1": torch.ones(6, 1)}, "is of a LoKr, which cannot be merged"),
        (pair("q") | {"q.lora_B.bias": torch.ones(6)}, "whole weights or biases, which cannot be merged"),
        (pair("q") | {"q.diff_b": torch.ones(6)}, "whole weights or biases, which cannot be merged"),
    ],
)
def test_an_adapter_that_does_not_fit_says_what_is_wrong(tensors, complaint):
    with pytest.raises(WorldError, match=complaint):
        Lora(tensors, PATH, {"q.weight": torch.zeros(6, 5)})


def test_an_update_that_overflows_is_named():
    large = {name: tensor * 1e9 for name, tensor in pair("q").items()}
    lora = Lora(large, PATH, WEIGHTS, LoraRules(alpha=9e29))
    with pytest.raises(WorldError, match=r"lora\.pt: the LoRA of q, scaled by 4\.5e\+29, is not finite"):
        update(lora)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"use_dora": True}, "DoRA cannot be merged here"),
        ({"peft_type": "LOHA"}, "peft_type LOHA cannot be merged here"),
        ({"init_lora_weights": "pissa_niter_4"}, "a start from pissa_niter_4 cannot be merged here"),
        ({"layer_replication": [[0, 2]]}, "replicated layers cannot be merged here"),
        ({"lora_alpha": None}, "lora_alpha is None, expected a finite number"),
        ({"lora_alpha": "16"}, "lora_alpha is '16', expected a finite number"),
        ({"lora_alpha": True}, "lora_alpha is True, expected a finite number"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, expected a finite number"),
        ({"lora_alpha": float("inf")}, "lora_alpha is inf, expected a finite number"),
        ({"alpha_pattern": {"q": float("-inf")}}, "alpha_pattern q is -inf, expected a finite number"),
        ({"alpha_pattern": {"(": 4}}, r"alpha_pattern has a key that is no pattern: \("),
        ({"alpha_pattern": {"(a+)+": 4}}, r"alpha_pattern has a key that is too complicated: \(a\+\)\+"),
        ({"rank_pattern": {".*.*.*.*q": 4}}, r"rank_pattern has a key that is too complicated"),
        ({"alpha_pattern": [4]}, "alpha_pattern is no object"),
        ({"rank_pattern": {"q": 0}}, "rank_pattern q is 0, expected a whole number above 0"),
        ({"r": 2.5}, "r is 2.5, expected a whole number above 0"),
        ({"use_rslora": "yes"}, "use_rslora is 'yes', expected true or false"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused_by_name(content, complaint, tmp_path):
    with pytest.raises(WorldError, match=rf"adapter_config\.json does not describe a plain LoRA: {complaint}"):
        described(tmp_path, **content)


def test_a_rank_that_is_not_that_of_the_tensors_is_refused(tmp_path):
    with pytest.raises(WorldError, match=r"the LoRA of q has rank 2, adapter_config\.json says 3"):
        Lora(pair("q"), PATH, WEIGHTS, described(tmp_path, r=3))
