"""fit: the training loop, on Lightning Fabric."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn

from hepimg.components import Run
from hepimg.dataset import Dataset
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg.training.checkpoint import FIX, SafeCheckpoints
from hepimg.training.optimizer import MovingAverage, adamw
from hepimg.training.options import FitOptions
from hepimg.training.resumable import CHECKPOINT, remove_strays, seed_from, write_log

NO_ROWS = "Make more rows, or a larger part of them for training (data.split)."
DIVERGED = "Lower fit.learning_rate or fit.clip, and look for extreme values in what is read."

# Tips on precision and devices are not for the users of hepimg.
logging.getLogger("lightning.fabric").setLevel(logging.WARNING)

Build = Callable[[], nn.Module]
"""Makes the module, its weights drawn from torch's global generator."""

Prepare = Callable[[Sample], Any]
"""Rows to what the loss takes: tensors, or tuples of what can be moved with ``to(device)``."""

Loss = Callable[[nn.Module, Any], Tensor]
"""The module and what :data:`Prepare` made to the mean loss of these rows."""


def fit(
    build: Build,
    loss: Loss,
    train: Dataset,
    valid: Dataset,
    options: FitOptions,
    run: Run,
    prepare: Prepare,
) -> nn.Module:
    """Train a network.

    On the CPU of one machine the same arguments give the same bytes, with the same versions and number of threads:
    initial weights, order and noise derive from ``run.seed`` and the number of the step.  Called again after an
    interrupt at any time, it goes on from the last whole epoch that ``run.folder`` holds, and ends as if nothing had
    happened.

    Args:
        build: makes the module; torch's global generator is seeded for it.
        loss: the mean loss of a batch.
        train: rows to learn from, in shuffled batches, with random steps.
        valid: rows for the validation loss; random steps rest.
        options: how.
        run: seed, device, folder of the checkpoint and of ``log.csv``, log and progress.
        prepare: what the loss needs of a batch; like the loss, it may draw from torch's global generator.

    Returns:
        The module with averaged weights, on the CPU, in evaluation mode; with patience, those of the best epoch.

    Raises:
        DataError: there are no rows, the loss is not finite, or the checkpoint is damaged or of other options.
    """
    if not len(train):
        raise DataError("no rows to train on", fix=NO_ROWS)
    if options.patience is not None and not len(valid):
        raise DataError("patience needs validation rows", fix="Set data.split, or fit.patience to null.")
    with _own_random_numbers(run.device):
        training = _Training(build, loss, train, options, run, prepare)
        training.resume()
        if not training.is_finished:
            training.learn(_validation(valid, options.batch_size, prepare))
        return training.result()


class _Training:
    """A training at the end of some epoch."""

    def __init__(
        self, build: Build, loss: Loss, train: Dataset, options: FitOptions, run: Run, prepare: Prepare
    ) -> None:
        self.loss, self.train, self.options, self.run, self.prepare = loss, train, options, run, prepare
        # One process of its own, even inside a SLURM job, which Fabric would otherwise want to spread over.
        self.fabric = Fabric(accelerator=run.device, devices=1, plugins=[SafeCheckpoints(), LightningEnvironment()])
        seed_from(self.run, "weights")
        module = build().to(self.fabric.device)
        self.average = MovingAverage(module)
        self.module, self.optimizer = self.fabric.setup(module, adamw(module, options))
        self.best: dict[str, Tensor] = {}
        self.log: list[dict[str, float]] = []
        self.steps_per_epoch = train.n_batches(options.batch_size)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        if len(self.log) >= self.options.epochs:
            return True
        return self.options.patience is not None and len(self.log) - self.best_epoch >= self.options.patience

    @property
    def best_epoch(self) -> int:
        """The first epoch, counted from 1, with the lowest validation loss; 1 before there is any."""
        losses = [row["valid_loss"] for row in self.log]
        return losses.index(min(losses)) + 1 if losses else 1

    def learn(self, valid: list[tuple[int, Any]]) -> None:
        """All epochs that are left, with a checkpoint after each."""
        options, log = self.options, self.run.logger
        parameters = sum(parameter.numel() for parameter in self.module.parameters())
        log.info("%d parameters, %d steps in an epoch", parameters, self.steps_per_epoch)
        self.run.progress.start("training", options.epochs * self.steps_per_epoch, "steps")
        self.run.progress.advance(len(self.log) * self.steps_per_epoch)
        try:
            while not self.is_finished:
                row = self.epoch(len(self.log), valid)
                self.log.append(row)
                if options.patience is not None and self.best_epoch == len(self.log):
                    self.best = {name: tensor.clone() for name, tensor in self.average.module.state_dict().items()}
                self.save()
                losses = row["train_loss"], row["valid_loss"]
                log.info("epoch %d of %d: loss %.4f, validation %.4f", len(self.log), options.epochs, *losses)
        finally:
            self.run.progress.stop()
        if len(self.log) < options.epochs:
            log.info("stopped: no better validation loss since epoch %d", self.best_epoch)

    def epoch(self, number: int, valid: list[tuple[int, Any]]) -> dict[str, float]:
        """One pass over the training rows, and the validation loss: a row of the log."""
        total, rate, step = 0.0, 0.0, number * self.steps_per_epoch
        self.module.train()
        for sample in self.train.batches(self.options.batch_size, self.run.seed, number):
            loss, rate = self.step(step, sample)
            total, step = total + loss, step + 1
            self.run.progress.advance(1, f"loss {loss:.4f}")
        return {
            "epoch": number + 1,
            "step": step,
            "train_loss": total / self.steps_per_epoch,
            "valid_loss": self.validate(valid),
            "learning_rate": rate,
        }

    def step(self, number: int, sample: Sample) -> tuple[float, float]:
        """One step of the optimizer: its loss and learning rate."""
        seed_from(self.run, "step", number)
        rate, momentum = self.options.cycle(number, self.options.epochs * self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (momentum, group["betas"][1])
        loss = self.loss(self.module, self.fabric.to_device(self.prepare(sample)))
        if not math.isfinite(value := loss.item()):
            raise DataError(f"the loss is {value} at step {number}", fix=DIVERGED)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if (clip := self.options.clip) is not None:
            # A gradient that is not finite shows in the next loss.
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=clip, error_if_nonfinite=False)
        self.optimizer.step()
        self.average.update(self.options.memory(number + 1))
        return value, rate

    @torch.no_grad()
    def validate(self, valid: list[tuple[int, Any]]) -> float:
        """Mean loss of the averaged weights over the validation rows; nan where there are none."""
        seed_from(self.run, "valid")
        self.average.module.eval()
        losses = [self.loss(self.average.module, self.fabric.to_device(inputs)).item() * rows for rows, inputs in valid]
        if not all(map(math.isfinite, losses)):
            raise DataError("the validation loss is not finite", fix=DIVERGED)
        return math.fsum(losses) / sum(rows for rows, _ in valid) if valid else math.nan

    def save(self) -> None:
        """Write the checkpoint, then the log, which is a copy of what the checkpoint knows."""
        self.fabric.save(self.run.folder / CHECKPOINT, self._content())
        write_log(self.run, self.log)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        remove_strays(self.run)
        path = self.run.folder / CHECKPOINT
        if not path.exists():
            return
        content = self._content()
        asked = content["asked"]
        try:
            self.fabric.load(path, content)
        except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(f"a checkpoint of another network ({error})", where=str(path), fix=FIX) from error
        if content["asked"] != asked:
            found = f"a checkpoint of other options: {content['asked']}"
            raise DataError(found, where=str(path), needed=str(asked), fix=FIX)
        self.best, self.log = content["best"], content["log"]
        write_log(self.run, self.log)
        self.run.logger.info("going on after epoch %d", len(self.log))

    def result(self) -> nn.Module:
        """The averaged weights, of the best epoch where there is patience."""
        if self.best:
            self.average.module.load_state_dict(self.best)
        return self.average.module.requires_grad_(True).cpu().eval()

    def _content(self) -> dict[str, Any]:
        asked = {**self.options.model_dump(), "seed": self.run.seed, "rows": len(self.train)}
        parts = {"module": self.module, "average": self.average.module, "optimizer": self.optimizer}
        return {"asked": asked, "log": self.log, "best": self.best, **parts}


def _validation(valid: Dataset, size: int, prepare: Prepare) -> list[tuple[int, Any]]:
    """Batches of the validation rows, prepared once: number of rows, and what the loss takes."""
    return [
        (len(rows), prepare(rows))
        for _, sample in valid.samples()
        for first in range(0, len(sample), size)
        for rows in [sample[first : first + size]]
    ]


@contextmanager
def _own_random_numbers(device: str) -> Iterator[None]:
    """Leave the caller's generators of random numbers as they are."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
