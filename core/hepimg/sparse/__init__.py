"""Sparse networks: convolutions that compute on active cells only, and equal dense ones read there."""

from hepimg.sparse.backbones import ResidualBlock, SparseClassifier, SparseResNet
from hepimg.sparse.conv import Expand2d, InverseConv2d, SparseConv2d, SubmanifoldConv2d
from hepimg.sparse.engines import use_engine
from hepimg.sparse.join import join
from hepimg.sparse.layers import GlobalPool, PerSite, Pool2d, Prune
from hepimg.sparse.norm import BatchNorm, LayerNorm
from hepimg.sparse.tensor import SparseTensor
from hepimg.sparse.unet import SparseUNet

__all__ = [
    "BatchNorm",
    "Expand2d",
    "GlobalPool",
    "InverseConv2d",
    "LayerNorm",
    "PerSite",
    "Pool2d",
    "Prune",
    "ResidualBlock",
    "SparseClassifier",
    "SparseConv2d",
    "SparseResNet",
    "SparseTensor",
    "SparseUNet",
    "SubmanifoldConv2d",
    "join",
    "use_engine",
]
