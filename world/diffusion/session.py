"""A running stream of a diffusion world: events in, blocks out, one model pass at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from world.block import Block, Clean, Conditions, Denoised, Made, Pass, Recached, Remade, Snapshot
from world.boundary import Boundary
from world.cache_work import Recache, Remake, Work
from world.diffusion.encoded_prompts import EncodedPrompt, EncodedPrompts
from world.diffusion.memory import StreamMemory
from world.diffusion.model import DiffusionModel
from world.dit.cache import BankPair, CachedPass
from world.dit.denoise import Sampler, Samplers, normal, pressed_on
from world.dit.device import finish, upload
from world.dit.dit import TimeEmbeddings
from world.event import Dial, Event, Prompt, Recall, Scene, words_of
from world.fold import logged_line, passes_to_restore
from world.info import PRESS_DIAL, STEPS_DIAL, WorldError
from world.prompt_mix import Words
from world.switch_state import SPARE, SwitchState

Noise = Callable[[int, int, int, tuple[int, ...]], Tensor]  # seed, block, step, shape -> float32 on the CPU


class DiffusionSession:
    """Implements world.block.Session: does with real caches what a SwitchState asks for. Owns both.

    A block that is abandoned before it is made leaves its events in force, and the next `begin` makes the block of the
    same number. Abandoned later, its clean pass is made up for, or spared by a recache.
    """

    def __init__(
        self, model: DiffusionModel, seed: int, prompt: str, spare: int = SPARE, noise: Noise = normal
    ) -> None:
        self._model, self._config, self._noise = model, model.config, noise
        first = Conditions(self._whole(prompt), seed)
        self.state = SwitchState(model.config.cache.rules, model.info.dials, first, spare)
        self._prompts, self._samplers = EncodedPrompts(model), Samplers(model.config.sampler)
        self._times = TimeEmbeddings(model.dit)
        self._drawn: dict[tuple[int, int, int], Tensor] = {}  # noise by seed, block and step
        self._memory = StreamMemory(model, self._prompts, self._times)
        self._steps = (0, 0)  # of the block in flight: those that are done, and all
        self._stored_averages = model.stored_averages

    @property
    def index(self) -> int:
        """The number of the next block, or of the block in flight."""
        return self.state.index

    @property
    def banks(self) -> BankPair:
        """The caches."""
        return self._memory.banks

    @property
    def conditions(self) -> Conditions:
        """What the next block is made under; while one is in flight, the block after it."""
        return self.state.conditions

    @property
    def is_recaching(self) -> bool:
        """Whether the recache that `ahead` began is still under way on the device."""
        return self._memory.side.is_busy

    @property
    def takes_dials(self) -> bool:
        """Whether dials may enter the block in flight before its next denoising step, which must not be its last."""
        done, count = self._steps
        return self.state.can_turn and 0 < done <= self._model.info.late_steps and done < count - 1

    @property
    def slow_words(self) -> bool:
        """Whether blocks should go on while a prompt is encoded."""
        return self._model.slow_words

    def completed(self, event: Event, after: Words | None = None) -> Event:
        """`event` with words that say all that is to be seen, where the world adds what stays.

        after: the words that it follows, if not those in force.
        """
        if not isinstance(event, Prompt | Scene | Recall):
            return event
        whole = self._whole(event.text, self.conditions.words if after is None else after)
        return event if whole == event.text else replace(event, text=whole, said=event.said or event.text)

    def _whole(self, text: str, before: Words | None = None) -> str:
        return self._model.complete(text, before) if self._model.complete else text

    def _all_completed(self, events: Sequence[Event]) -> list[Event]:
        done, words = list[Event](), self.conditions.words
        for event in events:
            done.append(self.completed(event, words))
            words = words_of(done[-1]) or words
        return done

    def encode(self, event: Event) -> EncodedPrompt | None:
        """Encode the event's words for `prepare`. The session is not touched, so another thread may do this."""
        words = words_of(event)
        if words is None:
            return None
        with torch.inference_mode():
            prompt = self._prompts.encode(words)
        finish(self._model.device)  # the other thread works on a stream of its own
        return prompt

    def prepare(self, event: Event, encoded: EncodedPrompt | None = None) -> None:
        """Have the event's words encoded, so that the block boundary need not wait for it."""
        words = words_of(self.completed(event))
        if words is None:
            return
        if encoded is not None:
            self._prompts.keep(words, encoded)
        else:
            with torch.inference_mode():
                self._prompts[words]

    def step(self, events: Sequence[Event] = ()) -> Block:
        """Make the next block, clean pass included."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Generator[Pass, None, None]:
        """Make the next block under `events`, one model pass at a time.

        A block whose latents are not finite is made again, first from a cache that is made anew of older latents, then
        without its events. Raises WorldError if it still is not finite.
        """
        latents = yield from self._make(self.state.begin(self._all_completed(events)))
        for without_events in (False, True):
            if np.isfinite(latents).all():
                break
            self.state.distrust(without_events)
            yield Remade(self.index, without_events)
            latents = yield from self._make(self.state.begin(()))
        block = self._publish(latents)
        yield Made(block, self._memory.history.latents(block.index))
        self._do(self.state.after_block())
        self._draw_first_noise()
        finish(self._model.device)
        yield Clean()

    def turn(self, dials: Sequence[Dial]) -> Conditions:
        """Let `dials` enter the block in flight at its next denoising step; what the block is made under now."""
        self.state.turn(dials, self._steps[0])
        assert self.state.flight is not None
        return self.state.flight.conditions

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and recache beside the present words, which go on until it begins.

        Nothing of the block in flight is read. If it was made already, the recache takes the place of its clean pass.
        """
        self._do(self.state.ahead(self._all_completed(events)))

    def take_back(self, after: int, latents: int | None = None) -> None:
        """Forget the blocks newer than `after`, unseen; the next block continues `after` and carries their events.

        latents: of `after` itself only so many latent frames are kept. Raises ValueError where a recache could not
        follow: too many blocks later, before the last hard cut, or with a cut in a window that is not full. If the
        sink that `after` was made with was lost since, in a recache that is forgotten too, the next block carries a
        Rebuild, so that the log shows where the new sink comes from.
        """
        self.state.take_back(after, latents)
        self._forget()

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`: a cut here and a recache of its latents, sink included.

        The next block carries a Rebuild before its own events, so that the log shows the cut; it equals, bit for bit,
        that of a session that came this far and took Rebuild. A cache that averages what leaves its window goes on from
        the averages of the newest block, and the Rebuild says so; without them they begin anew. Raises ValueError when
        the snapshot holds too few latent frames.
        """
        if isinstance(snapshot.words, str):  # of a stream that begins anew, they are as somebody said them
            snapshot = replace(snapshot, words=self._whole(snapshot.words))
        snapshot = replace(snapshot, blocks=tuple(self._with_own_averages(block) for block in snapshot.blocks))
        self.state.resume(snapshot)
        for block, _ in snapshot.line():
            dials = block.dials or self.state.conditions.dials
            self._memory.history.add(replace(block, dials=dials))
        self._forget()

    def fold(self, blocks: Sequence[Block], words: Words | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`, bit for bit; for a new session of the same world, seed and prompt.

        blocks: one line without gaps, oldest first, back to the beginning, a hard cut, or to the window before a
            Rebuild. What was taken back is left out of it: each block continues the one before it.
        words, dials: what was in force before the first of them, if not what the session has now. Raises ValueError
        when blocks are missing.
        """
        if self._config.cache.published and self._config.cache.sink > self._config.cache.block:
            raise ValueError("a published cache keeps noisy keys in a sink above a block: its state is not in the log")
        now = self.state.conditions
        words = self._whole(words) if isinstance(words, str) else words
        before = Conditions(words or now.words, now.seed, dials or now.dials)
        blocks = [self._with_own_averages(block) for block in blocks]
        line = logged_line(blocks, before, self._model.info.dials)
        for logged, passes in zip(line, passes_to_restore(line, self._config.cache.rules), strict=True):
            work = self.state.restore(logged, passes)
            self._memory.history.add(logged.block)
            self._forget()
            self._do(work)
            if passes.words is not None and passes.is_made_here:
                self._keep_averages(logged.block.index)

    def skip_to(self, index: int) -> None:
        """Let the next block have the number `index`, and so its noise; those before it stay unused."""
        self.state.skip_to(index)

    def again(self, block: Block) -> Block:
        """Make a logged block anew, after its parent; only its number, start, events and cut are read."""
        self._do(self._get_ready_for(block))
        return self.step()

    def rehearse(self, block: Block) -> Block:
        """Make a logged block anew, as `again` does, and be where the session was before.

        It is made with the back bank, so that the front one stays as it is.
        """
        before, history, banks = self.state.copy(), self._memory.history.copy(), self.banks
        before.lose_back()
        self._memory.side.join()
        work = self._get_ready_for(block)
        if not any(isinstance(piece, Recache) for piece in work):
            banks.back.copy(banks.front)
            banks.swap()
        self._do(work)
        passes = self.begin()
        made = next(done.block for done in passes if isinstance(done, Made))
        passes.close()
        banks.swap()
        self.state, self._memory.history = before, history
        return made

    def follow(self, block: Block) -> None:
        """Take a logged block for the one after its parent: what `fold` does for one more."""
        self._do(self._get_ready_for(block))
        self._do(self.state.begin(()))
        flight = self.state.flight
        if flight and not self._config.cache.rules.clean_pass:  # the cache keeps what the last noisy pass wrote
            self._do([Remake(self.index, self.state.end, flight.conditions)])
        self._publish(block.latents)
        self._do(self.state.after_block())
        self._keep_averages(block.index)

    def _get_ready_for(self, block: Block) -> list[Work]:
        """What has to be done before a logged block is made anew; its parent is cut here where it was cut then."""
        work = self.state.again(block)
        self._forget()
        return work

    def _do(self, work: Iterable[Work]) -> None:
        for piece in work:
            if isinstance(piece, Remake):
                for _ in self._denoise(Boundary(piece.conditions).of_step, piece.start, piece.block):
                    finish(self._model.device)
            else:
                self._memory.do(piece)

    def _make(self, work: Sequence[Work]) -> Generator[Pass, None, np.ndarray]:
        """The passes up to the last denoising step; the latents as they are stored, rounded before anyone uses them."""
        begun, is_denoised, self._steps = self.state.begun, False, (0, 0)
        try:
            self._do(work)
            if any(isinstance(piece, Recache) for piece in work):
                finish(self._model.device)
                yield Recached()
            for step, made in enumerate(self._denoise(self._of_step, self.state.end, self.index)):
                x0 = made
                finish(self._model.device)
                yield Denoised(step)
            is_denoised = True
        finally:
            if not is_denoised and self.state.begun == begun:
                self.state.abandon()
        return x0.to(getattr(torch, self._config.latents.stored)).cpu().numpy()

    def _of_step(self, step: int) -> Conditions:
        """What a denoising step of the block in flight is made under."""
        assert self.state.flight is not None
        return self.state.flight.of_step(step)

    def _denoise(self, under: Callable[[int], Conditions], start: int, index: int) -> Iterator[Tensor]:
        """x0 of block number `index`, which begins at latent frame `start`, after each denoising step.

        under: what each step is made under, asked when it begins; only the dials may differ.
        """
        frames, now = self._config.cache.block, under(0)
        sampler = self._sampler(now, start)
        with torch.inference_mode():
            words = self._prompts[now.words].words
            condition = self._prompts.condition(now.words, [now.dials] * frames)

        def predict(x: Tensor, timestep: float) -> Tensor:
            attend, strength = self.banks.front.attend(start, frames), self._press(now)
            left = self._predict_left(now, x, timestep, attend) if strength else None
            made = self._model.dit.predict(x, self._times.modulation(timestep, condition), words, attend)
            return made if left is None else pressed_on(made, left, strength)

        def noise(step: int) -> Tensor:
            drawn = self._drawn.pop((now.seed, index, step), None)
            return self._draw(now.seed, index, step) if drawn is None else drawn

        steps = sampler.run(predict, noise)
        for step in range(len(sampler.timesteps)):
            with torch.inference_mode():  # which must not stay on while the caller has its turn
                if under(step).dials != now.dials:
                    now = under(step)
                    condition = self._prompts.condition(now.words, [now.dials] * frames)
                x0 = next(steps)
            self._steps = (step + 1, len(sampler.timesteps))
            yield x0

    def _press(self, conditions: Conditions) -> float:
        """How strongly the words are pressed on; 0 where they are not new any more."""
        if conditions.left is None:
            return 0.0
        return self._prompts.dial_values(conditions.dials).get(PRESS_DIAL, 0.0)

    def _predict_left(self, now: Conditions, x: Tensor, timestep: float, attend: CachedPass) -> Tensor:
        """What the words that were left would make of `x`, over the cache that was made under the new ones.

        What this writes to the cache is overwritten by the same step under the new words.
        """
        assert now.left is not None
        condition = self._prompts.condition(now.left, [now.dials] * self._config.cache.block)
        modulation = self._times.modulation(timestep, condition)
        made = self._model.dit.predict(x, modulation, self._prompts[now.left].words, attend)
        return made.clone()  # a captured pass writes its result to the same place again

    def _sampler(self, conditions: Conditions, start: int) -> Sampler:
        """The steps of a block that begins at latent frame `start`."""
        count = self._prompts.dial_values(conditions.dials).get(STEPS_DIAL, len(self._config.sampler.steps))
        return self._samplers.of_block(start == 0, round(count))

    def _draw(self, seed: int, index: int, step: int) -> Tensor:
        """The noise of a step, on the world's device."""
        shape = self._config.latents.shape(self._config.cache.block)
        return upload(self._noise(seed, index, step, shape), self._model.device)

    def _draw_first_noise(self) -> None:
        """Draw what the next block most likely begins with, while a GPU is busy with the clean pass."""
        seed, index = self.state.conditions.seed, self.index
        self._drawn = {(seed, index, 0): self._draw(seed, index, 0)}

    def _publish(self, latents: np.ndarray) -> Block:
        """The block in flight, which was made; from now on the next block can continue it."""
        if not np.isfinite(latents).all():
            index, words = self.index, str(self.state.flight and self.state.flight.conditions.words)
            self.state.abandon()
            told = f"block {index} under {words[:60]!r} comes out with numbers that are not finite"
            raise WorldError(f"{told}: the weights are damaged, or overflow the dtype that they are computed in")
        made = self.state.made(latents.shape[1])
        assert made.boundary is not None
        dials = self._prompts.dial_values(made.boundary.conditions.dials)
        tokens = self.banks.front.averages(made.end) if self._stored_averages else None
        averages = tokens.array() if tokens else None
        block = Block(made.index, made.parent, made.start, latents, made.events, made.cut, made.seen, dials, averages)
        self._memory.history.add(block)
        self._keep_averages(block.index)
        self._forget()
        return block

    def _keep_averages(self, index: int) -> None:
        """Remember the front bank's averages as those after block `index`, the newest that it has seen."""
        self._memory.history.keep_averages(index, self.banks.front.averages(self.state.end))

    def _with_own_averages(self, block: Block) -> Block:
        """The block without averages that a cache of other sizes, or one without any, has made."""
        is_own = block.averages is not None and block.averages.shape == self._stored_averages
        return block if is_own else replace(block, averages=None)

    def _forget(self) -> None:
        """Keep the latents of the switch state's line only."""
        self._memory.history.keep((block.index, block.end) for block in self.state.line)
