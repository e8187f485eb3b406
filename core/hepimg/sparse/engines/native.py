"""The default engine: right with any number of threads, with exact derivatives of every order.

A convolution is bilinear in features x and kernel w, with y = conv(x, w).  For an incoming gradient g, its gradients
are ``convT(g, w)`` (the swapped rules) for x and ``outer(x, g)`` for w.  Both are bilinear in the same three arguments,
and the derivatives of the pair are again made of ``conv``, ``convT`` and ``outer``: two autograd functions close the
circle.

Two modules do the arithmetic, chosen by device and dtype: ``compiled_products`` (float32 on the CPU) and
``torch_products`` (everything else).  In both, the result does not depend on the number of threads.
"""

from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.autograd import Function

from hepimg.sparse.engines import compiled_products, torch_products
from hepimg.sparse.rules import Rules


class Products(Protocol):
    """What the two modules offer."""

    def convolve(self, x: Tensor, w: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
        """``conv(x, w) + onto``: x (n_inputs, C), w (taps, C, D), onto and the result (n_outputs, D)."""

    def gradients(
        self, x: Tensor, w: Tensor, g: Tensor, rules: Rules, needs_x: bool, needs_w: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """``convT(g, w)`` if ``needs_x``, ``outer(x, g)`` if ``needs_w``; g (n_outputs, D)."""


def convolve(features: Tensor, kernel: Tensor, rules: Rules, onto: Tensor | None = None) -> Tensor:
    """See :class:`hepimg.sparse.engines.Engine`."""
    if kernel.dtype != features.dtype:
        raise TypeError(f"features are {features.dtype}, but the weights of the layer are {kernel.dtype}")
    if features.dtype in (torch.bfloat16, torch.float16) and features.device.type == "cpu":
        # Summed in float32 and rounded once, as in torch's dense convolution.
        onto = None if onto is None else onto.float()
        return convolve(features.float(), kernel.float(), rules, onto).to(features.dtype)
    result: Tensor = _Convolution.apply(features, kernel, rules, onto)  # type: ignore[no-untyped-call]
    return result


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, rules: Rules, onto: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.rules = rules
        return _products(x).convolve(x.contiguous(), w, rules, onto)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        needs_x, needs_w, _, needs_onto = ctx.needs_input_grad
        arguments = x, w, g, ctx.rules, needs_x, needs_w
        # Differentiable only if someone will ask for the gradient's gradient: each such function takes its time.
        gradients = _Gradients.apply if torch.is_grad_enabled() else _gradients
        grad_x, grad_w = gradients(*arguments)
        return grad_x, grad_w, None, g if needs_onto else None


class _Gradients(Function):
    """(x, w, g) -> (convT(g, w), outer(x, g)); either is None if it is not needed."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, g: Tensor, rules: Rules, needs_x: bool, needs_w: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.save_for_backward(x, w, g)
        ctx.rules = rules
        ctx.set_materialize_grads(False)
        return _gradients(x, w, g, rules, needs_x, needs_w)

    @staticmethod
    def backward(ctx: Any, h: Tensor | None, k: Tensor | None) -> tuple[Tensor | None, ...]:
        x, w, g = ctx.saved_tensors
        grad_g = None
        if ctx.needs_input_grad[2]:
            parts = [convolve(a, b, ctx.rules) for a, b in ((h, w), (x, k)) if a is not None and b is not None]
            grad_g = sum(parts[1:], parts[0]) if parts else None
        # outer(h, g) is the gradient of w, convT(g, k) that of x: the same function at (h, k, g).
        needs_x = k is not None and ctx.needs_input_grad[0]
        needs_w = h is not None and ctx.needs_input_grad[1]
        if not (needs_x or needs_w):
            return None, None, grad_g, None, None, None
        grad_x, grad_w = _Gradients.apply(  # type: ignore[no-untyped-call]
            x if h is None else h, w if k is None else k, g, ctx.rules, needs_x, needs_w
        )
        return grad_x, grad_w, grad_g, None, None, None


def _gradients(
    x: Tensor, w: Tensor, g: Tensor, rules: Rules, needs_x: bool, needs_w: bool
) -> tuple[Tensor | None, Tensor | None]:
    return _products(x).gradients(x.contiguous(), w, g.contiguous(), rules, needs_x, needs_w)


def _products(x: Tensor) -> Products:
    is_compiled = x.dtype == torch.float32 and x.device.type == "cpu"
    return cast(Products, compiled_products if is_compiled else torch_products)
