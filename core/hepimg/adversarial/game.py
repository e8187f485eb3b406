"""play: the training loop of a generator against its discriminators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any, Protocol

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn

from hepimg.adversarial.options import GameOptions
from hepimg.components import Run
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.training.checkpoint import FIX, SafeCheckpoints
from hepimg.training.loop import NO_ROWS, Prepare
from hepimg.training.resumable import CHECKPOINT, remove_strays, seed_from, write_log

DIVERGED = "Lower fit.learning_rate, raise the gradient penalty, and look for extreme values in what is read."

Terms = Mapping[str, Tensor]
"""Named, weighted terms of a loss, which is their sum."""


class Game(Protocol):
    """Two sides and what they want.  ``batch`` is what :data:`~hepimg.training.loop.Prepare` made."""

    generator: nn.Module
    discriminators: nn.Module

    def generate(self, batch: Any) -> Tensor:
        """What the generator makes of a batch, with its graph."""

    def discriminator_terms(self, batch: Any, generated: Tensor) -> Terms:
        """What the discriminators minimise; ``generated`` is a constant."""

    def generator_terms(self, batch: Any, generated: Tensor) -> Terms:
        """What the generator minimises; the discriminators are constants."""

    def renew(self, step: int) -> Iterable[nn.Parameter]:
        """Draw some discriminators' weights anew, if it is time, and say which these were; called before each step."""

    def merits(self, valid: Sample) -> Mapping[str, float]:
        """Figures of merit on validation rows, the smaller the better; their mean decides."""


Build = Callable[[], Game]
"""Makes the networks, their weights drawn from torch's global generator."""


def play(build: Build, train: Dataset, valid: Dataset, options: GameOptions, run: Run, prepare: Prepare) -> nn.Module:
    """Train a generator against discriminators.

    On the CPU of one machine the same arguments give the same bytes, with the same versions and number of threads:
    initial weights, order and noise derive from ``run.seed`` and the number of the step.  Called again after an
    interrupt at any time, it goes on from the last evaluation that ``run.folder`` holds, and ends as if nothing had
    happened.

    Args:
        build: makes the networks; torch's global generator is seeded for it.
        train: rows to learn from, in shuffled batches, with random steps.
        valid: rows for the figures of merit.
        options: how.
        run: seed, device, folder of the checkpoint and of ``log.csv``, log and progress.
        prepare: what the game needs of a batch.

    Returns:
        The generator of the evaluation with the smallest mean of merits, on the CPU, in evaluation mode.

    Raises:
        DataError: there are no rows, a loss is not finite, or the checkpoint is damaged or of other options.
    """
    if not len(train) or not len(valid):
        raise DataError(f"no rows to {'stop early by' if len(train) else 'train on'}", fix=NO_ROWS)
    devices = [torch.cuda.current_device()] if run.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # the caller's generators stay as they are
        match = _Match(build, train, valid, options, run, prepare)
        match.resume()
        match.play()
        return match.result()


class _Match:
    """A game at some evaluation."""

    def __init__(
        self, build: Build, train: Dataset, valid: Dataset, options: GameOptions, run: Run, prepare: Prepare
    ) -> None:
        self.train, self.options, self.run, self.prepare = train, options, run, prepare
        seed_from(self.run, "weights")
        self.game = build()
        self.sides = {"generator": self.game.generator, "discriminators": self.game.discriminators}
        for module in self.sides.values():
            module.to(run.device)
        # Not fused: on the CPU that mixes up elements where a checkpoint's layout in memory is not the weights' own.
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), options.learning_rate, options.betas, foreach=True)
            for name, module in self.sides.items()
        }
        # Shuffled, so that all samples are among them.
        self.valid = next(valid.batches(options.evaluate_rows, run.seed, 0))
        self.best: dict[str, Tensor] = {}
        self.log: list[dict[str, float]] = []

    @property
    def steps_done(self) -> int:
        """Steps up to the last evaluation."""
        return int(self.log[-1]["step"]) if self.log else 0

    def play(self) -> None:
        """All steps that are left, with an evaluation and a checkpoint after each so many."""
        steps, every = self.options.steps, self.options.evaluate_every
        sizes = [sum(weight.numel() for weight in module.parameters()) for module in self.sides.values()]
        self.run.logger.info("parameters: generator %d, discriminators %d", *sizes)
        self.run.progress.start("training", steps, "steps")
        self.run.progress.advance(self.steps_done)
        batches = self._batches(self.steps_done)
        try:
            while (first := self.steps_done) < steps:
                last = min(steps, first + every)
                sums: dict[str, float] = {}
                for step in range(first, last):
                    for name, value in self.step(step, next(batches)).items():
                        sums[name] = sums.get(name, 0.0) + value
                self._evaluate(last, {name: total / (last - first) for name, total in sums.items()})
        finally:
            self.run.progress.stop()

    def step(self, number: int, sample: Sample) -> dict[str, float]:
        """One step of both sides: the terms of their losses."""
        seed_from(self.run, "step", number)
        for weight in self.game.renew(number):
            self.optimizers["discriminators"].state.pop(weight, None)
        batch = move_data_to_device(self.prepare(sample), torch.device(self.run.device))
        generated = self.game.generate(batch)
        losses = self._minimise("discriminators", self.game.discriminator_terms(batch, generated.detach()), number)
        self.game.discriminators.requires_grad_(False)
        losses |= self._minimise("generator", self.game.generator_terms(batch, generated), number)
        self.game.discriminators.requires_grad_(True)
        self.run.progress.advance(
            1, " ".join(f"{name} {value:.3g}" for name, value in losses.items() if "." not in name)
        )
        return losses

    def _minimise(self, side: str, terms: Terms, number: int) -> dict[str, float]:
        if not terms:
            return {}
        loss = torch.stack([*terms.values()]).sum()
        if not math.isfinite(value := loss.item()):
            raise DataError(f"the loss of the {side} is {value} at step {number}", fix=DIVERGED)
        self.optimizers[side].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[side].step()
        return {side: value} | {f"{side}.{name}": term.item() for name, term in terms.items()}

    @torch.no_grad()
    def _evaluate(self, step: int, losses: Mapping[str, float]) -> None:
        seed_from(self.run, "valid")
        self.game.generator.eval()
        merits = self.game.merits(self.valid)
        self.game.generator.train()
        score = math.fsum(merits.values()) / len(merits)
        if not math.isfinite(score):
            raise DataError(f"a figure of merit is not finite after step {step}: {dict(merits)}", fix=DIVERGED)
        if all(score < row["score"] for row in self.log):
            self.best = {name: tensor.clone() for name, tensor in self.game.generator.state_dict().items()}
        self.log.append({"step": step, "score": score, **merits, **losses})
        self.save()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in merits.items())
        self.run.logger.info("step %d of %d: %s", step, self.options.steps, shown)

    def _batches(self, first: int) -> Iterator[Sample]:
        """Batches from the step ``first`` on, epoch after epoch."""
        epoch, skipped = divmod(first, self.train.n_batches(self.options.batch_size))
        for number in count(epoch):
            yield from islice(self.train.batches(self.options.batch_size, self.run.seed, number), skipped, None)
            skipped = 0

    def save(self) -> None:
        """Write the checkpoint, then the log, which is a copy of what the checkpoint knows."""
        content = {
            "asked": self._asked(),
            "log": self.log,
            "best": self.best,
            "modules": {name: module.state_dict() for name, module in self.sides.items()},
            "optimizers": {name: _in_order(optimizer.state_dict()) for name, optimizer in self.optimizers.items()},
        }
        SafeCheckpoints().save_checkpoint(content, self.run.folder / CHECKPOINT)
        write_log(self.run, self.log)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        remove_strays(self.run)
        path = self.run.folder / CHECKPOINT
        if not path.exists():
            return
        content = SafeCheckpoints().load_checkpoint(path)
        if content.get("asked") != self._asked():
            found = f"a checkpoint of other options: {content.get('asked')}"
            raise DataError(found, where=str(path), needed=str(self._asked()), fix=FIX)
        try:
            for name, module in self.sides.items():
                module.load_state_dict(content["modules"][name])
                self.optimizers[name].load_state_dict(content["optimizers"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise DataError(f"a checkpoint of another network ({error})", where=str(path), fix=FIX) from error
        self.best, self.log = content["best"], content["log"]
        write_log(self.run, self.log)
        self.run.logger.info("going on after step %d", self.steps_done)

    def result(self) -> nn.Module:
        """The best generator."""
        self.game.generator.load_state_dict(self.best)
        return self.game.generator.cpu().eval()

    def _asked(self) -> dict[str, Any]:
        return {**self.options.model_dump(), "seed": self.run.seed, "rows": len(self.train)}


def _in_order(state: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's state by the numbers of the weights, wherever those drawn anew have come to stand."""
    return {**state, "state": dict(sorted(state["state"].items()))}
