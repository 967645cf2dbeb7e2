"""The transformer: released names and sizes, and what each frame may depend on."""

import re

import pytest
import torch

from world.dit import attend
from world.dit.attend import Dense, block_causal, teacher_forcing
from world.dit.cache import CacheBank
from world.dit.config import CacheConfig, DiTConfig
from world.dit.dit import CausalDiT
from world.dit.rope import angles, rotate, rotate_pairs, rotation, split_pairs

TINY = DiTConfig(
    dim=32, ffn_dim=48, freq_dim=16, text_dim=12, text_len=6, in_dim=4, out_dim=4, num_heads=2, num_layers=2
)
GRID = (2, 3)


def tiny() -> CausalDiT:
    torch.manual_seed(0)
    return CausalDiT(TINY).eval()


def inputs(frames: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    latents = torch.randn(batch, frames, 4, 4, 6, generator=torch.Generator().manual_seed(1))
    return latents, torch.linspace(900, 100, frames).expand(batch, -1)


def predict(dit: CausalDiT, latents: torch.Tensor, mask: torch.Tensor | None = None, first: int = 0) -> torch.Tensor:
    frames = latents.shape[1]
    words = dit.words(torch.ones(1, 6, 12))
    dense = Dense(GRID, range(first, first + frames), TINY.head_dim, mask)
    with torch.no_grad():
        return dit(latents, torch.full(latents.shape[:2], 500.0), words, dense)


def test_the_default_size_has_the_released_tensors():
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in CausalDiT(DiTConfig()).state_dict().items()}
    assert len(shapes) == 825
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 1_418_996_800
    assert shapes["patch_embedding.weight"] == (1536, 16, 1, 2, 2)
    assert shapes["time_projection.1.weight"] == (9216, 1536)
    assert shapes["head.head.weight"] == (64, 1536) and shapes["head.modulation"] == (1, 2, 1536)
    assert shapes["blocks.29.modulation"] == (1, 6, 1536)
    assert shapes["blocks.29.ffn.0.weight"] == (8960, 1536)


def test_the_names_of_the_default_size_are_the_released_ones():
    with torch.device("meta"):
        names = set(CausalDiT(DiTConfig()).state_dict())
    linears = [f"{a}_attn.{p}" for a in ("self", "cross") for p in "qkvo"] + ["ffn.0", "ffn.2", "norm3"]
    block = {f"{name}.{end}" for name in linears for end in ("weight", "bias")}
    block |= {f"{a}_attn.norm_{p}.weight" for a in ("self", "cross") for p in "qk"} | {"modulation"}
    pairs = ["patch_embedding", "text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2"]
    pairs += ["time_projection.1", "head.head"]
    top = {f"{name}.{end}" for name in pairs for end in ("weight", "bias")} | {"head.modulation"}
    assert names == top | {f"blocks.{i}.{name}" for i in range(30) for name in block}


def test_padding_of_the_prompt_takes_part():
    dit = tiny()
    short = torch.randn(1, 2, 12)
    padded = torch.cat([short, torch.zeros(1, 4, 12)], 1)
    for (k, v), (padded_k, padded_v) in zip(dit.words(short), dit.words(padded), strict=True):
        assert k.shape[1] == 6 and torch.equal(k, padded_k) and torch.equal(v, padded_v)


def test_too_much_text_is_refused():
    with pytest.raises(ValueError, match="7 rows of text: this world reads 6"):
        tiny().words(torch.zeros(1, 7, 12))


def test_a_block_does_not_see_the_next_one():
    dit, (latents, _) = tiny(), inputs(6)
    changed = torch.cat([latents[:, :3], -latents[:, 3:]], 1)
    mask = block_causal(6, 3)
    before, after = predict(dit, latents, mask), predict(dit, changed, mask)
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.allclose(before[:, 3:], after[:, 3:])


def test_the_local_window_counts_back_from_the_end_of_the_block():
    assert block_causal(6, 2, window=3).int().tolist()[5] == [0, 0, 0, 1, 1, 1]
    assert block_causal(6, 2, window=3).int().tolist()[2] == [0, 1, 1, 1, 0, 0]


def test_noisy_frames_see_clean_ones_before_their_block_and_their_own_block():
    rows = teacher_forcing(4, 2).int().tolist()
    assert rows[4] == [0, 0, 0, 0, 1, 1, 0, 0]
    assert rows[7] == [1, 1, 0, 0, 0, 0, 1, 1]
    assert rows[3] == [1, 1, 1, 1, 0, 0, 0, 0]


def test_every_frame_has_its_own_timestep():
    dit, (latents, timesteps) = tiny(), inputs(3)
    words, dense = dit.words(torch.ones(1, 6, 12)), Dense(GRID, range(3), TINY.head_dim, torch.eye(3).bool())
    other = timesteps.clone()
    other[:, 2] = 0
    a, b = dit(latents, timesteps, words, dense), dit(latents, other, words, dense)
    assert torch.equal(a[:, :2], b[:, :2]) and not torch.allclose(a[:, 2], b[:, 2])


def test_a_condition_reaches_only_its_frame_when_frames_do_not_see_each_other():
    dit, (latents, timesteps) = tiny(), inputs(3)
    words, dense = dit.words(torch.ones(1, 6, 12)), Dense(GRID, range(3), TINY.head_dim, torch.eye(3).bool())
    condition = torch.zeros(1, 3, 32)
    plain = dit(latents, timesteps, words, dense, condition)
    condition[:, 1] = 1
    turned = dit(latents, timesteps, words, dense, condition)
    changed = [not torch.allclose(plain[:, f], turned[:, f]) for f in range(3)]
    assert changed == [False, True, False]


def test_only_differences_of_positions_matter():
    dit, (latents, _) = tiny(), inputs(3)
    assert (predict(dit, latents) - predict(dit, latents, first=5000)).abs().max() < 1e-5


def test_rotary_pairs_split_as_in_the_released_model():
    assert split_pairs(128) == (22, 21, 21)
    assert split_pairs(18) == (3, 3, 3) and split_pairs(22) == (5, 3, 3)


def test_rotation_is_multiplication_by_a_complex_number():
    x = torch.randn(1, 12, 2, 16)
    turn = torch.polar(torch.ones(12, 8, dtype=torch.float64), angles(torch.tensor([7, 2000]), GRID, 16))[:, None]
    expected = torch.view_as_real(torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * turn).flatten(-2)
    assert torch.allclose(rotate(x, rotation(torch.tensor([7, 2000]), GRID, 16)), expected.float(), atol=1e-6)


def test_a_rotation_by_pairs_is_the_same_rotation():
    x, by = torch.randn(1, 12, 2, 16), rotation(torch.tensor([7, 2000]), GRID, 16)
    assert torch.allclose(rotate_pairs(x, torch.view_as_real(by)), rotate(x, by), atol=1e-6)


def test_an_own_embedding_and_head_take_the_place_of_wans():
    class Embed(torch.nn.Linear):
        def forward(self, latents):
            return super().forward(latents.flatten(2))

    class Head(torch.nn.Linear):
        def forward(self, tokens, e, latents):
            return latents + super().forward(tokens + e).view_as(latents)

    dit = CausalDiT(TINY, Embed(96, 32), Head(32, 96))
    latents, timesteps = inputs(3)
    made = dit(latents, timesteps, dit.words(torch.ones(1, 6, 12)), Dense((1, 1), range(3), TINY.head_dim))
    assert made.shape == latents.shape
    assert {name for name in dit.state_dict() if re.match("patch|head", name)} == {
        "patch_embedding.weight", "patch_embedding.bias", "head.weight", "head.bias",
    }  # fmt: skip


def test_remembering_writes_what_predicting_writes():
    dit, (latents, timesteps) = tiny(), inputs(3)
    words, banks = dit.words(torch.ones(1, 6, 12)), [CacheBank(CacheConfig(6, 2, 3), TINY, GRID) for _ in range(2)]
    with torch.no_grad():
        dit(latents, timesteps, words, banks[0].attend(0, 3))
        dit.remember(latents, dit.modulation(dit.time(timesteps)), words, banks[1].attend(0, 3))
    for ours, theirs in zip(banks[0].keys + banks[0].values, banks[1].keys + banks[1].values, strict=True):
        assert torch.equal(ours, theirs) and ours.any()


@pytest.mark.parametrize("dtype, limit", [(torch.float32, 1e-6), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("most_scores", [attend.MOST_SCORES, 7 * 40])
@torch.inference_mode()
def test_a_large_attention_on_a_cpu_is_the_same_attention(dtype, limit, most_scores, monkeypatch):
    generator = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(2, rows, 3, 8, generator=generator).to(dtype) for rows in (30, 40, 40))
    monkeypatch.setattr(attend, "MANY", 30 * 40)
    monkeypatch.setattr(attend, "MOST_SCORES", most_scores)
    scores = torch.einsum("bqhd,bkhd->bhqk", q.double(), k.double()) / 8**0.5
    expected = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v.double())
    assert (attend.attention(q, k, v).double() - expected).abs().max() < limit


def test_a_large_attention_can_be_learnt_through(monkeypatch):
    monkeypatch.setattr(attend, "MANY", 1)
    q = torch.randn(1, 5, 2, 8, requires_grad=True)
    attend.attention(q, q, q).sum().backward()
    assert q.grad is not None and q.grad.isfinite().all()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width 32 in 5 heads"):
        DiTConfig(dim=32, num_heads=5)
