"""GameOptions: how a generator and its discriminators are trained; the field ``fit`` of adversarial tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hepimg.options import Options

Memory = Annotated[float, Field(ge=0, lt=1)]


class GameOptions(Options):
    """Alternating steps of Adam (arXiv:1412.6980); the generator with the best figures of merit is kept.

    The defaults are those of the jet super-resolution thesis (Keilbach, chapter 5 and table 7.1), but that it evaluates
    50,000 rows.
    """

    steps: int = Field(
        100_000, ge=1, description="batches: with each, one step of the discriminators, then one of the generator"
    )
    batch_size: int = Field(15, ge=1, description="rows of a batch")
    learning_rate: float = Field(1e-4, gt=0, description="of Adam")
    betas: tuple[Memory, Memory] = Field((0.5, 0.9), description="memories of Adam: of the gradient and of its square")
    evaluate_every: int = Field(1000, ge=1, description="batches between two evaluations, each with a checkpoint")
    evaluate_rows: int = Field(1000, ge=1, description="validation rows of an evaluation")
