"""Normalisation of each channel over the sites of a batch, or of each site over its channels; with ReLU and dropout."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from hepimg.kernels import norm
from hepimg.sparse.compiled import as_array, current_team
from hepimg.sparse.tensor import SparseTensor

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and variance, (channels,) each."""


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all sites of a batch; then, if asked for, ReLU and dropout.

    Equals ``torch.nn.BatchNorm1d``, ``ReLU`` and ``Dropout`` one after the other, up to rounding and to which numbers
    dropout takes, in fewer sweeps over memory.  (For float32 on the CPU; elsewhere, and for dropout without ReLU, it is
    just these three.)

    A batch with fewer than two sites has no variance: it is normalised with the running statistics, and leaves them
    (with mean 0 and variance 1 where no statistics are kept).

    Args:
        channels: features per site.
        relu: whether negative results become zero.
        dropout: probability with which a number becomes zero in training; what is left is divided by 1 - dropout.
        options: ``eps``, ``momentum``, ``affine``, ``track_running_stats``, as in torch.
    """

    def __init__(self, channels: int, *, relu: bool = False, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(channels, **options)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {dropout}")
        self.relu, self.dropout = relu, dropout

    def forward(self, tensor: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same sites with normalised features."""
        return self.beside(tensor)[0]

    def beside(self, tensor: SparseTensor) -> tuple[SparseTensor, SparseTensor]:
        """The normalised tensor, and the given one for a residual connection.

        The gradients of both are added in the sweep of the norm's own gradient.
        """
        x = tensor.features.contiguous()
        if x.shape[1] != self.num_features:
            raise ValueError(f"the norm is of {self.num_features} channels, the tensor has {x.shape[1]}")
        drop = self.dropout if self.training else 0.0
        of_batch = len(tensor) > 1 and (self.training or self.running_mean is None)
        is_compiled = (
            x.dtype == torch.float32 and x.device.type == "cpu" and self.weight is not None and len(tensor) > 0
        )
        # The compiled gradient takes a zero for closed, which is right after ReLU only.
        if not is_compiled or (drop and not self.relu):
            return tensor.replace(self._by_torch(x, of_batch, drop)), tensor
        moments = self._moments(as_array(x), of_batch)
        y, same = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, moments, self.eps, of_batch, self.relu, drop
        )
        return tensor.replace(y), tensor.replace(same)

    def _by_torch(self, x: Tensor, of_batch: bool, drop: float) -> Tensor:
        if of_batch and self.training:
            self._count_batch()
        running = (self.running_mean, self.running_var) if of_batch else self._running()
        y = functional.batch_norm(x, *running, self.weight, self.bias, of_batch, self._momentum(), self.eps)
        return functional.dropout(functional.relu(y) if self.relu else y, drop)

    def _moments(self, x: NDArray[np.float32], of_batch: bool) -> Moments:
        """Mean and variance to normalise with; those of the batch change the running ones."""
        if not of_batch:
            running_mean, running_var = self._running()
            return as_array(running_mean.double()), as_array(running_var.double())
        mean, squares = norm.column_moments(current_team(), x)
        if self.training and self.running_mean is not None and self.running_var is not None:
            self._count_batch()
            momentum = self._momentum()
            for running, new in ((self.running_mean, mean), (self.running_var, squares / (len(x) - 1))):
                average = as_array(
                    running
                )  # the same memory: torch's operators would take longer than these few numbers
                average += momentum * (new - average)
        return mean, squares / len(x)

    def _running(self) -> tuple[Tensor, Tensor]:
        if self.running_mean is None or self.running_var is None:
            like = self.weight if self.weight is not None else torch.empty(0)
            return like.new_zeros(self.num_features), like.new_ones(self.num_features)
        return self.running_mean, self.running_var

    def _count_batch(self) -> None:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)

    def _momentum(self) -> float:
        """The weight of this batch; without ``momentum`` all batches weigh the same."""
        if self.momentum is not None:
            return self.momentum
        return 0.0 if self.num_batches_tracked is None else 1.0 / max(1.0, float(self.num_batches_tracked))

    def extra_repr(self) -> str:  # noqa: D102
        return f"{self.num_features}, eps={self.eps}, relu={self.relu}, dropout={self.dropout}"


class LayerNorm(nn.LayerNorm):
    """Normalisation of each site over its channels (Ba et al., arXiv:1607.06450); then, if asked for, ReLU and dropout.

    No site knows of another one, in training as in use: for networks whose sites are decided one after the other.

    Args:
        channels: features per site.
        relu, dropout: as for :class:`BatchNorm`.
        options: ``eps``, ``elementwise_affine``, ``bias``, as in torch.
    """

    def __init__(self, channels: int, *, relu: bool = False, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(channels, **options)
        self.relu, self.dropout = relu, dropout

    def forward(self, tensor: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same sites with normalised features."""
        y = super().forward(tensor.features)
        y = y.relu_() if self.relu else y
        return tensor.replace(functional.dropout(y, self.dropout, self.training))

    def beside(self, tensor: SparseTensor) -> tuple[SparseTensor, SparseTensor]:
        """The normalised tensor, and the given one for a residual connection."""
        return self(tensor), tensor


class _Normalise(Function):
    """drop(relu((x - mean) / sqrt(variance + eps) * weight + bias)), and x itself.

    The moments are functions of x if ``of_batch``, constants otherwise.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, moments: Moments, eps: float, of_batch: bool, relu: bool,
        drop: float,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        y = torch.empty_like(x)
        seed = int(torch.randint(2**62, ())) if drop else 0
        norm.normalise(
            current_team(), as_array(x), as_array(weight), as_array(bias), moments, eps, relu, drop, seed, as_array(y)
        )
        ctx.save_for_backward(x, weight, y)
        ctx.moments, ctx.eps, ctx.of_batch, ctx.gated, ctx.drop = moments, eps, of_batch, relu or drop > 0, drop
        ctx.set_materialize_grads(False)
        return y, x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, onto: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        if g is None:
            return onto, *[None] * 7
        if torch.is_grad_enabled():  # someone wants to differentiate the gradient
            h = g * (y != 0) / (1 - ctx.drop) if ctx.gated else g
            grads = _plain_gradient(h, x, weight, None if ctx.of_batch else ctx.moments, ctx.eps)
            grad_x = grads[0] if onto is None else grads[0] + onto
            return grad_x, *grads[1:], *[None] * 5
        g, grad_x, grad_affine = g.contiguous(), torch.empty_like(x), x.new_empty(2, x.shape[1])
        beside = x[:0] if onto is None else onto.contiguous()
        norm.normalise_gradient(
            current_team(), as_array(g), as_array(x), as_array(y), as_array(weight), ctx.moments, ctx.eps, ctx.of_batch,
            ctx.gated, ctx.drop, as_array(beside), as_array(grad_x), as_array(grad_affine),
        )  # fmt: skip
        return grad_x, *grad_affine, *[None] * 5


def _plain_gradient(
    h: Tensor, x: Tensor, weight: Tensor, moments: Moments | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias by operators that torch can differentiate again.

    ``moments`` is None where they are functions of x.
    """
    if moments is not None:
        mean, variance = (torch.from_numpy(moment).float() for moment in moments)
        inverse = torch.rsqrt(variance + eps)
        return weight * inverse * h, (h * (x - mean) * inverse).sum(0), h.sum(0)
    centred = x - x.mean(0)
    inverse = torch.rsqrt((centred * centred).mean(0) + eps)
    normalised = centred * inverse
    grad_x = weight * inverse * (h - h.mean(0) - normalised * (h * normalised).mean(0))
    return grad_x, (h * normalised).sum(0), h.sum(0)
