"""Generated images and their further draws: which belong to one model, and which models a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepimg.errors import did_you_mean
from hepimg.variants import without_seeds

MOST = 6
"""Models in one figure: as many as there are colours."""


@dataclass(frozen=True)
class Model:
    """What made one of the generated images.

    Args:
        name: how its numbers are called: the task, or the whole image where no task made it.
        image: the generated image.
        draws: further draws for the same jets.
    """

    name: str
    image: str
    draws: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The name without its seeds."""
        return without_seeds(self.name)


def models_of(generated: Sequence[str], draws: Sequence[str]) -> list[Model]:
    """The models behind the images; ``sharpen.draw2`` is a further draw of what made ``sharpen.image``.

    Raises:
        ValueError: a name stands twice, or a draw belongs to no generated image.
    """
    names = [*generated, *draws]
    if len(set(names)) < len(names):
        raise ValueError(f"an image is named twice: {names}")
    of_task: dict[str, list[str]] = {task_of(image): [] for image in generated}
    if len(of_task) < len(generated):
        raise ValueError(f"two generated images of one task: {list(generated)}; the others are draws")
    for draw in draws:
        if task_of(draw) not in of_task:
            raise ValueError(f"draws: no generated image is of {task_of(draw)!r}; {did_you_mean(draw, generated)}")
        of_task[task_of(draw)].append(draw)
    return [Model(task_of(image), image, tuple(of_task[task_of(image)])) for image in generated]


def task_of(prediction: str) -> str:
    """The task of ``sharpen.image``; what no task made stands for itself."""
    return prediction.rpartition(".")[0] or prediction


def drawn(models: Sequence[Model]) -> list[Model]:
    """The models that figures show: the first seed of each, and no more than there are colours."""
    first = {model.group: model for model in reversed(models)}
    return [model for model in models if first[model.group] is model][:MOST]
