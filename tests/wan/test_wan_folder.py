"""Folders of checkpoints: opened as published, and refused in one line when they are not what they should be."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.wan.wan_folder import LONGLIVE, WAN, Sizes, lora, transformer, write_folder
from world.block import Recached, Snapshot
from world.event import Prompt, Rebuild
from world.info import WorldError
from world.options import WorldOptions
from world.wan.files import read_prompts, read_sizes, read_transformer, survey
from world.wan.umt5 import UMT5, UMT5Config
from world.wan.weights import HostLinear
from world.zoo import open_in_own_process, open_world

CPU = torch.device("cpu")
BASE, LORA, CONFIG = LONGLIVE / "longlive_base.pt", LONGLIVE / "lora.pt", WAN / "config.json"
ENCODER, VAE = WAN / "models_t5_umt5-xxl-enc-bf16.pth", WAN / "Wan2.1_VAE.pth"
PREFIXES = ("", "model.", "model._fsdp_wrapped_module.", "module.", "_orig_mod.", "diffusion_model.")
PREFIXES += ("model.diffusion_model.", "module._orig_mod.model.", "_orig_mod.module.", "_checkpoint_wrapped_module.")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("wan") / "folder")


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    """A copy of the sound folder, to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "folder"))


def opened(folder: Path, **options):
    return open_in_own_process(WorldOptions(str(folder), device="cpu", picture=(32, 16), **options))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = survey(folder, "vae")
    return read_transformer(files, read_sizes(files.config), torch.float32, CPU).state_dict()


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)


def with_lora(base: dict[str, torch.Tensor], adapter: dict[str, torch.Tensor], scale: float = 1.0):
    def added(name: str) -> torch.Tensor | float:
        layer = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{layer}.lora_A.weight" not in adapter:
            return 0.0
        return scale * adapter[f"{layer}.lora_B.weight"] @ adapter[f"{layer}.lora_A.weight"]

    return {name: weight + added(name) for name, weight in base.items()}


def complaint(folder: Path, **options) -> str:
    with pytest.raises(WorldError) as caught:
        opened(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# what a sound folder gives


def test_a_folder_opens_and_makes_blocks_that_decode(sound):
    world = opened(sound)
    session = world.session(seed=1, prompt="a red fox")
    assert world.info.picture == (32, 16) and world.info.block_frames == 12 and world.info.fps == 16
    state, counts = world.decoder.start(), []
    for _ in range(2):
        frames, state = world.decoder.decode(state, session.step().latents)
        counts.append(frames.shape)
    assert counts == [(9, 16, 32, 3), (12, 16, 32, 3)]
    assert frames.dtype == np.uint8 and frames.std() > 1


def test_only_a_process_of_its_own_gives_an_open_folder_precedence(sound, monkeypatch):
    asked = []
    monkeypatch.setattr("world.dit.device.take_precedence", asked.append)
    open_world(str(sound), device="cpu", picture=(32, 16))
    assert asked == []
    opened(sound)
    assert asked == [CPU]


def test_the_stream_goes_on_past_its_window(sound):
    session = opened(sound).session(seed=1, prompt="a red fox")
    blocks = [session.step() for _ in range(6)]
    assert [block.start for block in blocks] == [0, 3, 6, 9, 12, 15]
    assert all(np.isfinite(block.latents).all() for block in blocks)


def test_the_same_seed_gives_the_same_blocks_and_another_does_not(sound):
    first, again, other = (opened(sound).session(seed, "a red fox").step().digest for seed in (1, 1, 2))
    assert first == again != other


def test_a_prompt_switch_recaches_and_changes_what_comes(sound):
    world = opened(sound)
    steered, straight = (world.session(1, "a red fox") for _ in range(2))
    steered.step()
    straight.step()
    passes = list(steered.begin([Prompt("rain falls on roofs")]))
    block = passes[-2].block
    assert isinstance(passes[0], Recached) and block.cut == block.seen == 1
    assert np.abs(block.latents.astype(float) - straight.step().latents).max() > 1e-2


def test_words_change_what_is_seen(sound):
    world = opened(sound)
    fox, rain = (world.session(1, text).step().latents.astype(float) for text in ("a red fox", "rain"))
    assert np.abs(fox - rain).max() > 1e-2


def test_prompts_are_encoded_alike_with_the_weights_left_in_host_memory(sound):
    files = survey(sound, "vae")
    sizes = read_sizes(files.config)
    there, here = (read_prompts(files, sizes, CPU, offload) for offload in (False, True))
    assert torch.equal(there("a red fox"), here("a red fox"))


def test_a_text_device_that_the_model_is_not_on_is_refused(sound):
    told = "text-device offload: the model runs on the CPU, and prompts are encoded there too"
    assert complaint(sound, text_device="offload") == told
    assert opened(sound, text_device="cpu").session(1, "a red fox").step().index == 0


def test_what_the_world_needs_of_a_gpu_is_told_before_it_is_loaded(sound, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("world.wan.world.free_gib", lambda device: 100.0)
    assert opened(sound).session(1, "a red fox").step().index == 0
    told = r"GPU memory: needs about [\d.]+ GiB \(.*\) of 100\.0 GiB free; text encoder: cuda"
    assert re.fullmatch(told, caplog.messages[0])
    assert opened(sound, text_device="offload").session(1, "a red fox").step().index == 0
    assert caplog.messages[1].endswith("text encoder: offload")


def test_a_world_that_does_not_fit_is_refused_before_a_weight_is_read(sound, monkeypatch):
    monkeypatch.setattr("world.wan.world.free_gib", lambda device: 0.3)
    monkeypatch.setattr("world.wan.files.read_checkpoint", lambda path: pytest.fail("a file was read"))
    told = r"this world needs [\d.]+ GiB of GPU memory, and 0\.3 GiB are free: no setting fits, use --device cpu"
    assert re.fullmatch(told, complaint(sound))


def test_weights_that_stay_in_host_memory_are_not_part_of_what_is_moved(sound):
    model = UMT5(UMT5Config(vocabulary=9, dim=8, attention_dim=8, ffn_dim=16, heads=2, layers=1))
    held = model.blocks[0].attn["q"].weight.data_ptr()
    model.offload(torch.device("meta"))
    linears = [part for part in model.modules() if isinstance(part, HostLinear)]
    assert len(linears) == 7 and all(part._weight.device == CPU for part in linears)
    assert model.blocks[0].attn["q"]._weight.data_ptr() == held, "and they are not copied"
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_the_fast_decoder_is_used_when_asked_for(sound):
    world = opened(sound, decoder="taehv")
    frames, _ = world.decoder.decode(world.decoder.start(), world.session(1, "a red fox").step().latents)
    assert frames.shape == (9, 16, 32, 3)
    # the window decides here, and with Wan's own decoder its longer memory does
    assert world.info.memory_blocks == 4 and opened(sound).info.memory_blocks == 10


def test_a_block_can_be_cut_where_the_decoder_has_a_small_state(sound):
    assert opened(sound, decoder="taehv").info.cut_from == 12, "once its window is full"
    assert opened(sound).info.cut_from is None


@pytest.mark.parametrize("left", [1, 2])
def test_a_block_that_is_cut_goes_on_as_if_no_more_of_it_had_been_made(sound, left):
    world = opened(sound, decoder="taehv")
    session, decoder, end = world.session(1, "a red fox"), world.decoder, 12 + left
    film = [session.step() for _ in range(5)]
    session.take_back(4, left)
    made = [session.step([Rebuild(), Prompt("a blue night")]), session.step()]

    other = world.session(1, "a red fox")
    other.resume(Snapshot(1, 5, end, "a red fox", {}, (*film[:4], film[4].until(end))))
    again = [other.step([Prompt("a blue night")]), other.step()]
    assert [block.digest for block in again] == [block.digest for block in made]
    assert (made[0].start, made[0].parent, made[0].cut, made[1].cut) == (end, 4, 5, None)

    latents = np.concatenate([*(block.latents for block in film), *(block.latents for block in made)], 1)
    whole, _ = decoder.decode(decoder.start(), np.delete(latents, range(end, 15), axis=1))
    states, pixels = [decoder.start()], []
    for frame in range(latents.shape[1]):
        before = states[end] if frame == 15 else states[-1]
        frames, state = decoder.decode(before, latents[:, frame : frame + 1])
        states.append(state)
        pixels += [frames] if not end <= frame < 15 else []
    assert np.array_equal(np.concatenate(pixels), whole), "the decoder goes on from the state after what is left"


def test_the_base_is_taken_with_its_lora_merged(sound):
    assert same(weights(sound), with_lora(transformer(Sizes()), lora(Sizes())))


def test_without_a_lora_the_base_is_taken_as_it_is_and_it_is_said(folder, caplog):
    (folder / LORA).unlink()
    assert same(weights(folder), transformer(Sizes()))
    assert caplog.messages == [f"{folder} has no lora.pt: plays the base without its LoRA"]


@pytest.mark.parametrize(
    "name", ["lora.safetensors", "lora.pth", "adapter_model.safetensors", "pytorch_lora_weights.safetensors"]
)
def test_a_lora_is_found_under_the_names_that_tools_give_it(folder, name, caplog):
    (folder / LORA).unlink()
    path = folder / LONGLIVE / name
    (save_file if path.suffix == ".safetensors" else torch.save)(lora(Sizes()), path)
    assert same(weights(folder), with_lora(transformer(Sizes()), lora(Sizes()))) and not caplog.messages


def test_a_file_is_read_as_what_it_is_whatever_its_suffix(folder):
    save_file(lora(Sizes()), folder / LORA)
    torch.save(transformer(Sizes()), folder / BASE, _use_new_zipfile_serialization=False)
    assert same(weights(folder), with_lora(transformer(Sizes()), lora(Sizes())))


def test_a_lora_of_rank_stabilised_training_is_scaled_so(folder):
    (folder / LONGLIVE / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 2, "use_rslora": True}))
    assert same(weights(folder), with_lora(transformer(Sizes()), lora(Sizes()), scale=2**0.5))


def kohya(adapter: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same LoRA under the names of kohya's scripts, and an alpha of 1 for each layer."""
    found = {}
    for name, tensor in adapter.items():
        layer, side = name.removeprefix("base_model.model.").removesuffix(".weight").rsplit(".lora_", 1)
        layer = f"lora_unet_{layer.replace('.', '_')}"
        found[f"{layer}.lora_{'down' if side == 'A' else 'up'}.weight"] = tensor
        found[f"{layer}.alpha"] = torch.tensor(1)
    return found


def test_a_lora_of_other_tools_is_merged_with_its_own_alphas(folder):
    torch.save({"state_dict": kohya(lora(Sizes()))}, folder / LORA)
    assert same(weights(folder), with_lora(transformer(Sizes()), lora(Sizes()), scale=0.5))


def test_a_bare_lora_is_read_and_scaled_as_its_description_says(folder):
    torch.save(lora(Sizes()), folder / LORA)
    (folder / LONGLIVE / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 1}))
    assert same(weights(folder), with_lora(transformer(Sizes()), lora(Sizes()), scale=0.5))


@pytest.mark.parametrize("entry", ["generator", "generator_ema", "model", None])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_base_is_found_under_every_published_name(folder, entry, prefix):
    tensors = {f"{prefix}{name}": t for name, t in transformer(Sizes(), seed=9).items()}
    torch.save({entry: tensors} if entry else tensors, folder / BASE)
    (folder / LORA).unlink()
    assert same(weights(folder), transformer(Sizes(), seed=9))


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "module"])
def test_wrappers_of_single_layers_are_taken_off(folder, wrapper):
    def wrapped(name: str) -> str:
        return re.sub(r"^(blocks\.\d+)\.(ffn\.)?", rf"\1.{wrapper}.\2{wrapper}.", name)

    torch.save({f"model.{wrapped(name)}": t for name, t in transformer(Sizes(), seed=9).items()}, folder / BASE)
    (folder / LORA).unlink()
    assert same(weights(folder), transformer(Sizes(), seed=9))


@pytest.mark.parametrize(
    "entries", [("state_dict",), ("model", "state_dict"), ("generator", "model"), ("state_dict", "generator_ema")]
)
def test_the_base_is_found_in_containers_within_each_other(folder, entries):
    content: dict = transformer(Sizes(), seed=9)
    for entry in reversed(entries):
        content = {"step": 3, entry: content}
    torch.save(content, folder / BASE)
    (folder / LORA).unlink()
    assert same(weights(folder), transformer(Sizes(), seed=9))


def test_a_decoder_and_a_text_encoder_are_unwrapped_too(sound, folder):
    for path, wrap in ((VAE, "module."), (ENCODER, "model._orig_mod.")):
        tensors = torch.load(folder / path, weights_only=True)
        torch.save({"state_dict": {f"{wrap}{name}": t for name, t in tensors.items()}}, folder / path)
    assert opened(folder).session(1, "a red fox").step().digest == opened(sound).session(1, "a red fox").step().digest


def rewritten(path: Path, change) -> None:
    torch.save(change(torch.load(path, weights_only=True)), path)


def embedding(folder: Path) -> torch.Tensor:
    files = survey(folder, "vae")
    return read_prompts(files, read_sizes(files.config), CPU)("a red fox")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.float32, torch.float64])
def test_a_text_encoder_of_any_dtype_is_converted_to_one_that_can_be_computed_with(folder, dtype):
    # numbers that each of the dtypes holds exactly, so that only the dtype differs
    rewritten(
        folder / ENCODER, lambda tensors: {n: (t.float() * 8).round().clamp(-8, 8) / 8 for n, t in tensors.items()}
    )
    plain = embedding(folder)
    rewritten(folder / ENCODER, lambda tensors: {n: t.to(dtype) for n, t in tensors.items()})
    found = embedding(folder)
    assert plain.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found.float(), plain, dim=-1)[0, :3].min() > 0.95
    assert found.dtype == (torch.float32 if dtype in (torch.float32, torch.float64) else torch.bfloat16)


def test_a_text_encoder_under_the_names_of_transformers_is_the_same(folder):
    plain = embedding(folder)
    theirs = {
        "token_embedding": "shared",
        "attn": "layer.0.SelfAttention",
        "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
        "norm1": "layer.0.layer_norm",
        "norm2": "layer.1.layer_norm",
        "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
        "ffn.fc1": "layer.1.DenseReluDense.wi_1",
        "ffn.fc2": "layer.1.DenseReluDense.wo",
    }

    def renamed(name: str) -> str:
        if name == "norm.weight":
            return "encoder.final_layer_norm.weight"
        for ours, other in theirs.items():
            name = re.sub(rf"(^|\.){re.escape(ours)}\.", rf"\g<1>{other}.", name)
        return name.replace("blocks.", "encoder.block.")

    tensors = torch.load(folder / ENCODER, weights_only=True)
    (folder / ENCODER).unlink()
    content = {renamed(name): t for name, t in tensors.items()} | {"spiece_model": torch.zeros(9, dtype=torch.uint8)}
    save_file(content, folder / WAN / "umt5_xxl_fp16.safetensors")
    assert torch.equal(embedding(folder), plain)


@pytest.mark.parametrize("suffix", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("per_row", [False, True])
def test_scales_of_float8_weights_are_multiplied_in(folder, suffix, per_row):
    tensors = torch.load(folder / ENCODER, weights_only=True)
    stored = {"scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} | tensors
    for name in [name for name, t in tensors.items() if t.ndim == 2 and "embedding" not in name]:
        scale = tensors[name].float().abs().amax(1, keepdim=True) / 448
        scale = scale if per_row else scale.max()
        stored[name] = (tensors[name].float() / scale).to(torch.float8_e4m3fn)
        stored[name.removesuffix("weight") + suffix] = scale
        tensors[name] = (stored[name].float() * scale).bfloat16()
    torch.save(tensors, folder / ENCODER)
    plain = embedding(folder)
    torch.save(stored, folder / ENCODER)
    # most weights are float8 here, and all of them become bfloat16
    assert torch.equal(embedding(folder), plain)


def test_a_transformer_of_float8_is_converted(folder):
    (folder / LORA).unlink()
    torch.save({name: t.to(torch.float8_e4m3fn) for name, t in transformer(Sizes()).items()}, folder / BASE)
    found, plain = weights(folder), transformer(Sizes())
    assert all(t.dtype == torch.float32 for t in found.values())
    assert all(torch.allclose(found[name], plain[name], atol=0.2) for name in plain)


def test_files_may_lie_flat_in_the_folder(sound, tmp_path):
    flat = tmp_path / "flat"
    shutil.copytree(sound / WAN, flat)
    shutil.copytree(sound / LONGLIVE, flat, dirs_exist_ok=True)
    assert opened(flat).session(1, "a red fox").step().digest == opened(sound).session(1, "a red fox").step().digest


def test_wan_alone_is_played_only_where_the_folder_asks_for_it(folder):
    (folder / BASE).unlink()
    assert "holds Wan's own weights only, which were made for many more steps" in complaint(folder)
    (folder / "world.toml").write_text("family = 'wan'")
    assert same(weights(folder), transformer(Sizes(), seed=1))


# what is refused


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path):
    said = complaint(tmp_path)
    assert said.endswith(
        "is not a folder of Wan checkpoints: looked for wan_models/Wan2.1-T2V-1.3B/config.json, config.json"
    )


@pytest.mark.parametrize("name", [VAE, ENCODER, WAN / "google/umt5-xxl", BASE], ids=lambda path: path.name)
def test_a_missing_part_is_named_with_the_places_that_were_looked_at(folder, name):
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / WAN / "diffusion_pytorch_model.safetensors").unlink()
    said = complaint(folder)
    assert f"has no {'google/umt5-xxl' if name.name == 'umt5-xxl' else name.name}: looked for {name}, " in said


@pytest.mark.parametrize("name", [BASE, LORA, VAE, ENCODER], ids=lambda path: path.name)
def test_a_part_that_is_cut_short_is_named(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert f"{name} cannot be read" in complaint(folder)


def test_code_in_a_part_is_not_run(folder):
    torch.save({"generator": Path}, folder / BASE)
    assert "holds Python code" in complaint(folder)


@pytest.mark.parametrize(
    ("name", "prefix", "gone", "bent"),
    [
        (BASE, "model.", "blocks.1.ffn.2.bias", "head.modulation"),
        (VAE, "", "decoder.head.0.gamma", "conv2.weight"),
        (ENCODER, "", "norm.weight", "blocks.1.norm2.weight"),
    ],
)
def test_missing_extra_and_misshapen_tensors_are_listed_with_their_file(folder, name, prefix, gone, bent):
    content = torch.load(folder / name, weights_only=True)
    tensors = content.get("generator", content)
    tensors["stranger"] = tensors.pop(prefix + gone)
    tensors[prefix + bent] = torch.zeros(7, 7)
    torch.save(content, folder / name)
    said = complaint(folder)
    assert f"{name} does not fit the model: 1 missing: {gone}; 1 not expected: stranger; 1 of another shape" in said
    assert f"{bent} is 7x7, expected " in said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("name", "tensor"), [(BASE, "model.head.head.bias"), (VAE, "conv2.bias"), (ENCODER, "norm.weight")]
)
def test_a_number_that_is_not_finite_is_refused_with_its_file_and_tensor(folder, name, tensor, value):
    def spoilt(content):
        content.get("generator", content)[tensor][-1] = value
        return content

    rewritten(folder / name, spoilt)
    assert complaint(folder).endswith(f"{name}: {tensor.removeprefix('model.')} has numbers that are not finite")


def test_a_number_in_a_lora_that_is_not_finite_is_refused_with_its_file_and_layer(folder):
    layer = "base_model.model.blocks.1.ffn.2.lora_B.weight"
    torch.save(lora(Sizes()) | {layer: torch.full((24, 2), float("nan"))}, folder / LORA)
    assert complaint(folder).endswith(f"{LORA}: the LoRA of blocks.1.ffn.2 has numbers that are not finite")


def test_weights_that_are_too_large_for_a_picture_are_refused(folder):
    rewritten(folder / BASE, lambda c: {"generator": {name: t * 1e12 for name, t in c["generator"].items()}})
    assert complaint(folder).endswith(
        "longlive_base.pt with lora.pt cannot be used: what is computed with these weights overflows"
    )


def test_whole_numbers_in_place_of_weights_are_refused(folder):
    rewritten(folder / ENCODER, lambda tensors: {**tensors, "norm.weight": torch.ones(8, dtype=torch.int8)})
    assert "1 of no floating-point numbers: norm.weight is int8" in complaint(folder)


def test_a_scale_of_another_form_is_refused_by_name(folder):
    scale = {"blocks.0.attn.q.scale_weight": torch.ones(2, 2)}
    rewritten(folder / ENCODER, lambda tensors: tensors | scale)
    said = complaint(folder)
    assert "blocks.0.attn.q.scale_weight is 2x2 for a weight of 8x8: expected one number, or one for each row" in said
    rewritten(folder / ENCODER, lambda tensors: {n: t for n, t in tensors.items() if n not in scale})
    rewritten(folder / ENCODER, lambda tensors: tensors | {"blocks.0.attn.q.weight_scale_inv": torch.ones(1)})
    assert "1 not expected: blocks.0.attn.q.weight_scale_inv" in complaint(folder)


def test_a_base_that_does_not_fit_is_accused_before_its_lora(folder):
    torch.save({f"stranger.{name}": t for name, t in transformer(Sizes()).items()}, folder / BASE)
    assert "longlive_base.pt does not fit the model" in complaint(folder)


def test_a_tensor_that_is_there_twice_under_two_wrappers_is_refused(folder):
    rewritten(folder / BASE, lambda c: {"generator": c["generator"] | {"module.head.modulation": torch.ones(1, 2, 24)}})
    said = complaint(folder)
    assert "holds head.modulation twice, as model.head.modulation and as module.head.modulation: keep one" in said


def test_a_dora_is_refused_by_name(folder):
    magnitude = {"base_model.model.blocks.0.ffn.0.lora_magnitude_vector.weight": torch.ones(32)}
    torch.save({"generator_lora": lora(Sizes()) | magnitude}, folder / LORA)
    assert "lora_magnitude_vector.weight is of DoRA, which cannot be merged here" in complaint(folder)


def test_a_lora_for_another_model_is_refused(folder):
    torch.save(lora(Sizes(layers=3)), folder / LORA)
    assert "lora.pt adapts layers the model has not (10): blocks.2.self_attn.q" in complaint(folder)


def test_a_config_that_is_no_config_is_refused(folder):
    (folder / CONFIG).write_text("{")
    assert "config.json does not describe a Wan text-to-video model" in complaint(folder)
    (folder / CONFIG).write_text(json.dumps({**Sizes().config(), "model_type": "i2v"}))
    assert "expected model_type t2v" in complaint(folder)
    (folder / CONFIG).write_text(json.dumps({**Sizes().config(), "num_heads": 5}))
    assert "width 24 in 5 heads" in complaint(folder)


def test_a_config_for_other_weights_is_refused(folder):
    (folder / CONFIG).write_text(json.dumps({**Sizes().config(), "num_layers": 3}))
    assert "27 missing: blocks.2.modulation" in complaint(folder)


def test_a_text_encoder_of_another_width_is_refused(folder):
    (folder / CONFIG).write_text(json.dumps({**Sizes().config(), "text_dim": 16}))
    assert "is 8 wide, " in complaint(folder) and "expects text_dim 16" in complaint(folder)


def test_an_unknown_decoder_or_picture_is_refused(folder):
    assert complaint(folder, decoder="best") == "decoder 'best': expected one of vae, taehv"
    with pytest.raises(WorldError, match=r"picture 30x16: this world needs multiples of 16"):
        open_world(str(folder), device="cpu", picture=(30, 16))


def test_a_safetensors_file_of_wan_that_is_cut_short_is_named(folder):
    (folder / BASE).unlink()
    (folder / "world.toml").write_text("family = 'wan'")
    path = folder / WAN / "diffusion_pytorch_model.safetensors"
    save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-10])
    assert "diffusion_pytorch_model.safetensors cannot be read" in complaint(folder)
