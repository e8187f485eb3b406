"""Sparse 3x3 convolution against dense convolution, spconv and the plain matrix product, on the CPU.

    python benchmarks/sparse_conv.py [--threads 1 2] [--channels 32 64] [--repeats 5]

Columns, medians in milliseconds for 128 images: rules; forward with rules; forward and backward with rules; the three
matrix products of that step alone, one product of the same number of rows each, and the share of their rate that is
reached; spconv's forward with rules (one thread only: with more it is wrong, and it has no backward on the CPU); dense
forward and backward, the better of NCHW and channels-last, on fewer images and scaled, and its ratio to sparse.

Then the time per jet of a training step (forward, backward, AdamW) of the tagger's network.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hepimg.sparse import SparseClassifier, SparseResNet, SparseTensor, SubmanifoldConv2d
from hepimg.sparse.rules import RuleCache, match_sites

BATCH = 128
OCCUPANCY = {20: 0.10, 40: 0.03, 80: 0.01, 160: 0.003}
DENSE_IMAGES = {20: 128, 40: 64, 80: 16, 160: 4}
"""A dense convolution takes time proportional to the number of images, and gigabytes at 128 of 160x160."""


def jet_like(batch: int, size: int, active: float, channels: int, seed: int = 0) -> SparseTensor:
    """Images with about ``active`` cells each, in three clusters around the centre, as prongs of a jet have them."""
    random = np.random.default_rng(seed)
    images = []
    for image in range(batch):
        number = max(1, random.poisson(active))
        prongs = size * (0.5 + random.normal(0, 0.12, (3, 2)))
        spread = 0.02 * size * np.exp(random.normal(0, 1.0, (4 * number, 1)))
        cells = prongs[random.integers(0, 3, 4 * number)] + random.normal(0, 1, (4 * number, 2)) * spread
        cells = np.unique(cells[((cells >= 0) & (cells < size)).all(1)].astype(np.int64), axis=0)
        cells = cells[np.sort(random.permutation(len(cells))[:number])]
        images.append(np.insert(cells, 0, image, axis=1))
    sites = torch.from_numpy(np.concatenate(images))
    return SparseTensor(torch.randn(len(sites), channels), sites, (size, size), batch)


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[2:])


def sparse_times(tensor: SparseTensor, layer: SubmanifoldConv2d, repeats: int) -> tuple[float, float, float, float]:
    """Rules, forward, forward + backward, and the matrix products of that step alone."""
    features = tensor.features.requires_grad_()
    support, channels = tensor.support, tensor.channels
    gradient = torch.randn(len(tensor), channels)
    inputs = (features, layer.weight)

    def forward() -> torch.Tensor:
        return layer(SparseTensor.on(RuleCache(support), features)).features

    rows = torch.randn(match_sites(support, support, layer.geometry).starts[-1], channels)
    weight = torch.randn(channels, channels)

    def products() -> None:
        torch.mm(rows, weight)
        torch.mm(rows, weight.t())
        torch.mm(rows.t(), rows)

    return (
        milliseconds(lambda: match_sites(support, support, layer.geometry), repeats),
        milliseconds(forward, repeats),
        milliseconds(lambda: torch.autograd.grad(forward(), inputs, gradient), repeats),
        milliseconds(products, repeats),
    )


def dense_time(size: int, channels: int, repeats: int) -> float:
    """Forward + backward of the dense convolution, the better of two memory formats, for BATCH images."""
    times = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(DENSE_IMAGES[size], channels, size, size).to(memory_format=memory_format).requires_grad_()
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(memory_format=memory_format)
        gradient = torch.randn_like(x)

        def step(x: torch.Tensor = x, layer: nn.Conv2d = layer, gradient: torch.Tensor = gradient) -> None:
            torch.autograd.grad(layer(x), (x, layer.weight), gradient)

        times.append(milliseconds(step, repeats))
    return min(times) * BATCH / DENSE_IMAGES[size]


def spconv_time(tensor: SparseTensor, repeats: int) -> float:
    """Forward of spconv's submanifold convolution, rules included."""
    import spconv.pytorch as spconv

    layer = spconv.SubMConv2d(tensor.channels, tensor.channels, 3, bias=False, algo=spconv.ConvAlgo.Native)
    features, sites = tensor.features.detach(), tensor.sites.int()

    @torch.no_grad()
    def forward() -> None:
        layer(spconv.SparseConvTensor(features, sites, list(tensor.shape), tensor.batch_size))

    return milliseconds(forward, repeats)


def training_time(repeats: int) -> float:
    """Microseconds per jet of a training step of the tagger's network: 256 jets, 40x40, 50 cells, 9 features."""
    tensor = jet_like(256, 40, 50, 9)
    labels = torch.randint(0, 2, (256, 1)).float()
    network = SparseClassifier(SparseResNet(9))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step() -> None:
        logits = network(SparseTensor.on(RuleCache(tensor.support), tensor.features))
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return 1e3 * milliseconds(step, repeats) / 256


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("threads   C  grid  sites  rules    fwd  fwd+bwd  products  rate  spconv fwd     dense  dense/sparse")
    for threads in options.threads:
        torch.set_num_threads(threads)
        for channels in options.channels:
            layer = SubmanifoldConv2d(channels, channels, bias=False)
            for size, occupancy in OCCUPANCY.items():
                tensor = jet_like(BATCH, size, occupancy * size**2, channels)
                rules, forward, both, products = sparse_times(tensor, layer, 3 * options.repeats)
                spconv = f"{spconv_time(tensor, options.repeats):10.2f}" if threads == 1 else "         -"
                dense = dense_time(size, channels, options.repeats)
                print(
                    f"{threads:7d} {channels:3d} {size:5d} {len(tensor):6d} {rules:6.2f} {forward:6.2f} {both:8.2f} "
                    f"{products:9.2f} {products / both:5.0%}  {spconv} {dense:9.1f} {dense / both:13.1f}",
                    flush=True,
                )
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"training step, {threads} thread(s): {training_time(3 * options.repeats):.0f} microseconds per jet")


if __name__ == "__main__":
    main()
