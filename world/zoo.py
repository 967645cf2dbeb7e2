"""Opening a world: `open_world` for everybody, `open_options` and `open_in_own_process` for the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from world.block import World
from world.compact.files import BUNDLED, file_of, form_of
from world.dit.config import CacheConfig
from world.info import WordGroups, WorldError, grip_dial
from world.options import DEFAULT_WORLD, ProbeOptions, SinkAverages, WorldOptions
from world.wan.family.facts import Fact, facts
from world.wan.family.picture import checked_picture
from world.wan.family.recognise import recognise
from world.wan.fit import Setting, smaller_options, what_fits

if TYPE_CHECKING:
    import torch.distributed as dist

    from world.diffusion.world import DiffusionWorld
    from world.dit.parallel import Ranks

NAMES = {
    "tale": "a storybook: places, weather and travellers from a sentence, real time on two CPU cores (the default)",
    "small": "patterns and colours from a sentence, real time on one CPU core; the measurements use it",
    "probe": "a test card without a network: frame number, prompt count and a colour from the words",
}
RANDOM = ("random-wan", "random-wan-tiny")  # random weights, for measurements only: nobody is told of them


def open_world(
    name: str = DEFAULT_WORLD,
    *,
    device: str = "auto",
    picture: tuple[int, int] | None = None,
    positions: str | None = None,
    decoder: str = "vae",
    dtype: str | None = None,
    speed: str | None = None,
    text_device: str = "auto",
    sink: int | None = None,
    steps: str | None = None,
    carry: int | None = None,
    press: float | None = None,
    sink_ema: SinkAverages = None,
    memory_slots: int | None = None,
    probe: ProbeOptions | None = None,
) -> World:
    """Open a world by name, ready to make video. Four verbs are all there is to it:

        world = open_world("tale")                                     # load the weights
        session = world.session(seed=7, prompt="a red boat at sunset") # begin a stream
        block = session.step([Prompt("night falls")])                  # make its next block, under new words if any
        frames, state = world.decoder.decode(state, block.latents)     # draw it: frames uint8 [n, Y, X, 3], RGB

    `state` is `world.decoder.start()` before the first block. The events that `step` takes are in `world.event`;
    `world.info` says how many frames a second are meant, which dials there are and which words mean something.

    name: `tale` or `small` (bundled), `probe` (a test card), a .safetensors file written by `neverblink train package`,
        or a folder of Wan2.1 and LongLive checkpoints.
    device: `cpu`, `cuda`, or `auto` for a GPU where there is one.
    picture: width and height in pixels, for the worlds that have a choice.
    positions, decoder, dtype, text_device: only for a folder. `relative` positions, which are usual, never end;
        `absolute` ones are as published. The decoder is Wan's own `vae` or the fast `taehv`; dtype is `float32`,
        `bfloat16`, or what suits the device. Prompts are encoded on the GPU, with the encoder's weights there (`cuda`)
        or copied there each time (`offload`), or on the `cpu`; `auto` takes the first of them that fits.
    speed: `exact`; `fast`, which compiles the model for this machine; `fp8` or `int8`, fast and in eight bits. None is
        `fast` on a GPU and `exact` on a CPU.
    sink: latent frames that stay in the window for good, and that a Recall fills; None for the world's own number.
    steps: in how many denoising steps a block is made, like `2`; like `first:4,then:2` with others for the first block
        of a scene. None is as many as the model was made for. The dial `steps` changes it in a running stream.
    carry: latent frames of the window that survive new words, encoded under them, the sink made anew of them; None for
        the whole window and a sink that stays. The dial `grip` says it in parts of the window in a running stream.
    press: how strongly new words are pressed on for four blocks, 0 to 4, at twice the passes; None is the world's own,
        0 for all bundled ones. The dial `press` changes it in a running stream.
    sink_ema: each frame that leaves the window changes the sink to sink_ema * sink + (1 - sink_ema) * frame; 0 leaves
        it as it is, None is the world's own rule. Two numbers, like (0.99, 0.9): the mean token of what leaves goes
        into a long and a short running average instead, which stand between the sink and the rest.
    memory_slots: how many blocks of the past fill the sink at most, where any come back; None is as many as it holds.
    probe: the test card's geometry and made-up costs.

    Nothing outside the world is changed: how many CPU threads torch uses, for one, is left to the caller.
    Raises WorldError, one line for the user, when there is no such world or it cannot be opened like this.
    """
    options = WorldOptions(
        name=name,
        device=device,
        picture=picture,
        positions=positions,
        decoder=decoder,
        dtype=dtype,
        speed=speed,
        text_device=text_device,
        sink=sink,
        steps=steps,
        carry=carry,
        press=press,
        sink_ema=sink_ema,
        memory_slots=memory_slots,
        probe=probe or ProbeOptions(),
    )
    return open_options(options)


def no_cost(seconds: float) -> None:
    """The default for `spend`: made-up work takes no time."""


def open_options(options: WorldOptions, spend: Callable[[float], None] = no_cost) -> World:
    """`open_world` with all its options in one value. `options.threads` is not applied here.

    spend: called by the test card with the seconds of its made-up costs, since a world has no clock of its own.
    """
    check_options(options)
    if options.ranks > 1:
        raise WorldError(f"{options.ranks} ranks make a stream for `neverblink play` only: leave --ranks out")
    if is_folder(options.name):
        from world.wan.world import open_wan

        return open_wan(Path(options.name), options)
    if options.name in RANDOM:
        from world.wan.random import open_random

        return open_random(options)
    if options.name == "probe":
        from world.probe import ProbeWorld

        return ProbeWorld(options.probe, options.picture, spend)
    from world.compact.world import open_compact

    return open_compact(options)


def unheard(told: str) -> None:
    """The default for `tell`: nobody is told how far it is."""


def open_in_own_process(
    options: WorldOptions, spend: Callable[[float], None] = no_cost, tell: Callable[[str], None] = unheard
) -> World:
    """`open_options`, for a process whose only task is to run this world: it also sets what is global there.

    torch uses `options.threads` CPU threads from now on. On a CPU, memory that is freed stays with the process; for a
    Wan world on a GPU, the calling thread's work goes on a stream of high priority. The test card does none of this,
    and imports no torch.
    tell: called with how far it is, where that takes long.
    """
    if options.name == "probe":
        return open_options(options, spend)
    from world.dit.device import keep_freed_memory, resolve, take_precedence, use_threads

    use_threads(options.threads)
    with memory_told(options):
        world = open_options(options, spend)
        if is_wan(options.name):
            take_precedence(resolve(options.device))
        if hasattr(world, "prepare"):
            world.prepare(tell)
    if resolve(options.device).type == "cpu":
        keep_freed_memory()
    return world


def lead_world(options: WorldOptions, start: Callable[[int], None]) -> World:
    """Open a Wan world that `options.ranks` processes share, in the one that leads them, which is rank 0.

    As `open_in_own_process`. start: called with a port of this machine, starts the others, which `follow_world` there.
    """
    from world.diffusion.lockstep import lead
    from world.dit.parallel import new_meeting

    meeting = new_meeting(options.ranks)
    start(meeting.port)
    return lead(*_join(options, 0, meeting))


def follow_world(options: WorldOptions, rank: int, port: int) -> NoReturn:
    """Open the same world as rank `rank`, and do what rank 0 does, which holds the meeting at `port`."""
    from world.diffusion.lockstep import follow
    from world.dit.parallel import meeting_at

    follow(*_join(options, rank, meeting_at(port, options.ranks)))


def _join(options: WorldOptions, rank: int, meeting: dist.Store) -> tuple[DiffusionWorld, Ranks]:
    """The world, open in this process, and the processes that share it."""
    from world.dit.device import resolve, take_precedence, use_gpu, use_threads
    from world.dit.parallel import Ranks
    from world.wan.random import open_random
    from world.wan.world import open_wan

    check_options(options)
    options, device = replace(options, speed="exact"), resolve(options.device)
    if device.type == "cuda":
        use_gpu(rank, options.ranks)
    use_threads(max(1, options.threads // options.ranks))
    is_random = options.name in RANDOM
    with memory_told(options):
        world = open_random(options) if is_random else open_wan(Path(options.name), options, has_text=rank == 0)
        take_precedence(device)
    return world, Ranks(meeting, rank, options.ranks, device)


def has_room_for_another(world: World) -> bool:
    """Whether the memory of the world's GPU would hold another such world; True for a world that is on none."""
    device = getattr(world, "device", None)
    if device is None or device.type != "cuda":
        return True
    from world.dit.device import leaves_half

    return leaves_half(device)


def checkpoints_fit(free_gib: float) -> str:
    """With which options the published checkpoints fit a GPU with so much free memory, and what they need."""
    return what_fits(Setting(text="cuda", speed="fast"), free_gib)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the host's or the device's memory did not suffice; torch and CUDA's libraries each say it their way."""
    told = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "alloc_failed")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(sign in told for sign in signs))


@contextmanager
def memory_told(options: WorldOptions) -> Iterator[None]:
    """Where memory runs out in this context, WorldError says so in one line, with what to change."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise WorldError(f"out of memory: {memory_advice(options)}") from None


def memory_advice(options: WorldOptions) -> str:
    """What to change where the memory of the device is too small for the world, for the user."""
    if not is_wan(options.name):
        return "use --device cpu"
    text = "cuda" if options.text_device == "auto" else options.text_device
    speed = options.speed or "fast"
    smaller = smaller_options(Setting(checked_picture(options.picture), options.decoder, text=text, speed=speed))
    return f"try {', '.join(smaller)}" if smaller else "no setting is smaller, use --device cpu"


def check_name(name: str) -> None:
    """Raise WorldError, with the nearest name if one is close, for a name that no world has. Opens nothing."""
    if name in NAMES or is_wan(name) or is_compact_file(name):
        return
    nearest = get_close_matches(name.lower(), NAMES, n=1)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    known = f"one of {', '.join(NAMES)}, a .safetensors file of your own training, or a folder of checkpoints"
    raise WorldError(f"unknown world {name!r}{hint}: expected {known}")


def check_options(options: WorldOptions) -> None:
    """Raise WorldError for options that the world cannot be opened with, as far as one can tell without opening it.

    It is quick and imports no torch, so that a mistake is told before a window opens.
    """
    check_name(options.name)
    if is_wan(options.name):
        checked_picture(options.picture)
        cache = recognise(Path(options.name)).cache if is_folder(options.name) else CacheConfig()
        _check_cache(cache, options)
        if options.ranks > 1 and options.speed not in (None, "exact"):
            raise WorldError(f"speed {options.speed}: {options.ranks} ranks make their blocks at --speed exact only")
        return
    _refuse_folder_options(options)
    if options.name == "probe" and options.steps:
        raise WorldError("steps are those of a model: the test card has none")
    if options.name == "probe" and options.carry is not None:
        raise WorldError("carry is for worlds with a model: the test card has no window")
    if options.name == "probe" and options.press is not None:
        raise WorldError("press is for worlds with a model: the test card has none")
    if options.name != "probe":
        form_of(options.name).check_picture(options.picture)
        form = form_of(options.name).with_sink(options.sink)
        _check_cache(CacheConfig(form.window, form.sink, 1), options)
    elif any(option is not None for option in (options.sink, options.sink_ema, options.memory_slots)):
        raise WorldError("sink, sink-ema and memory-slots are for worlds with a model: the test card has none")


def listed_words(name: str) -> tuple[WordGroups, tuple[str, ...]]:
    """The words that a world knows, under headings, and prompts as examples; both empty where any word may be used.

    Raises WorldError for a name that no world has, and for a file that cannot be read. Loads no weights.
    """
    check_name(name)
    if name == "probe" or is_wan(name):
        return (), ()
    language = form_of(name).language
    return language.groups, language.examples


def folder_facts(name: str) -> list[Fact]:
    """What a folder of checkpoints is recognised as, how it is played, and why, for people to read.

    The names and shapes of its weights are compared with what the transformer has; no number of them is read. Raises
    WorldError, one line, for what is no such folder, or an ambiguous one.
    """
    folder = Path(name)
    if not is_folder(name):
        raise WorldError(
            f"{name} is no folder: `neverblink worlds` alone lists the worlds, with a folder it explains it"
        )
    plan = recognise(folder)
    from world.wan.files import check_weights

    return [*facts(folder, plan), Fact("tensors", f"{check_weights(plan)}, and all of them fit the sizes")]


def licence_of(name: str) -> str | None:
    """What is stated about the licence of a folder's weights; None for a world of another kind."""
    return recognise(Path(name)).licence if is_folder(name) else None


def weight_files(name: str) -> list[Path]:
    """The files that this world's weights lie in; none for a world without weights in files."""
    if is_folder(name):
        return [
            path for path in Path(name).rglob("*") if path.suffix in (".safetensors", ".pt", ".pth", ".bin", ".toml")
        ]
    return [file_of(name)] if name in BUNDLED or is_compact_file(name) else []


def is_folder(name: str) -> bool:
    """Whether this names a folder, of checkpoints it is hoped, and not a world of ours."""
    return name not in NAMES and Path(name).is_dir()


def is_wan(name: str) -> bool:
    """Whether this names a world of Wan's sizes: a folder of checkpoints, or random weights in their place."""
    return name in RANDOM or is_folder(name)


def is_compact_file(name: str) -> bool:
    """Whether this is a file like those of the bundled worlds, as `neverblink train package` writes them."""
    return Path(name).suffix == ".safetensors" and Path(name).is_file()


def _check_cache(cache: CacheConfig, options: WorldOptions) -> None:
    """Raise WorldError for a sink, averages or recalled blocks that a cache has no room for, or too long a carry."""
    try:
        changed = cache.with_sink(options.sink, options.sink_ema)
    except ValueError as error:
        raise WorldError(str(error)) from None
    grip_dial(options.carry, changed.window)
    held, slots = -(-changed.sink // changed.block), options.memory_slots
    if slots is not None and not 1 <= slots <= held:
        told = f"a sink of {changed.sink} holds {held} blocks of {changed.block}"
        raise WorldError(f"memory-slots {slots}: {told} latent frames, and --sink N makes it larger")


def _refuse_folder_options(options: WorldOptions) -> None:
    defaults = WorldOptions()
    for option in ("positions", "decoder", "dtype", "text_device", "ranks"):
        if getattr(options, option) != getattr(defaults, option):
            raise WorldError(
                f"{option.replace('_', '-')} is for a folder of checkpoints: the world {options.name!r} has its own"
            )
