"""What :class:`hepimg_pileup.task.LossOptions` means."""

from __future__ import annotations

from torch import Tensor

from hepimg_pileup.task import LossOptions


def cell_losses(options: LossOptions, predicted: Tensor, true: Tensor, measured: Tensor) -> Tensor:
    """The loss of each cell; all arguments and the result have one shape, GeV.

    Cells in which all three are zero cost nothing.
    """
    if options.cells == "log":
        ratio = (predicted + options.offset) / (true + options.offset)
        return ratio.log().square()
    difference = (predicted - true) / (measured + options.offset)
    return difference.abs() if options.cells == "absolute" else difference.square()


def jet_losses(options: LossOptions, of_cells: Tensor, totals: tuple[Tensor, Tensor, Tensor], n_cells: int) -> Tensor:
    """(n_jets,) the loss of each jet.

    Args:
        options: how.
        of_cells: (n_jets,) sum of the losses of its cells.
        totals: (n_jets,) each: predicted, true and measured neutral pT of the jet, GeV.
        n_cells: of the neutral grid.
    """
    losses = of_cells / n_cells
    if not options.total:
        return losses
    predicted, true, measured = totals
    return losses + options.total * ((predicted - true) / (measured + options.offset)).square()
