"""Signal against background: what every tagger checks before it learns."""

from __future__ import annotations

from hepimg.dataset import Dataset
from hepimg.errors import DataError, did_you_mean


def check_two_classes(train: Dataset, signal: str) -> None:
    """Refuse a training set that cannot teach the difference.

    Raises:
        DataError: there is no sample of the signal's name, no row at all, or only one of signal and background.
    """
    if signal not in train.classes:
        raise DataError(f"no sample {signal!r} for the option signal; {did_you_mean(signal, train.classes)}")
    if not len(train):
        raise DataError("no rows to train on", fix="Make more rows, or give training a larger part (data.split).")
    present = {train.classes[part.sample] for part in train.parts if len(part.rows)}
    if signal not in present or len(present) == 1:
        raise DataError(
            f"all training rows are from {', '.join(sorted(present))}",
            needed=f"rows of the signal {signal!r} and of at least one other sample",
            fix="Look at the task's train option, and at the number of rows of each sample.",
        )
