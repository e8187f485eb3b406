"""The source ``digits``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hepimg.components import Column, Field, Image, Port, RowKind, Shard, Source
from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.sample import Sample

SIZE = 8


class Digits(Source):
    """The 1797 handwritten digits that come with scikit-learn: 8 x 8 pixels of 0 to 16.

    They are the test set of E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """

    name: ClassVar[str] = "digits"
    rows_out: ClassVar[RowKind] = "jet"
    names_events: ClassVar[bool] = True

    into: str = Field("hr", description="name of the image")

    def writes(self) -> Sequence[Port]:
        """The image and which digit it shows."""
        from hepimg_files.pictures.picture import BRIGHTNESS, picture_grid

        return Column("label"), Image(self.into, picture_grid(SIZE, SIZE), (BRIGHTNESS,))

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """All in one."""
        return [{}]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """One batch.

        Raises:
            DataError: scikit-learn is not installed.
        """
        from hepimg_files.pictures.picture import picture_sample

        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise DataError(
                "needs scikit-learn, which is not installed", where="source digits", fix="pip install scikit-learn"
            ) from error
        digits = load_digits()
        number = len(digits.images)
        columns = {
            "event": np.arange(number),
            "weight": np.ones(number, np.float32),
            "label": digits.target.astype(np.int16),
        }
        yield picture_sample(self.into, digits.images, columns)
