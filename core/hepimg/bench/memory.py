"""Memory: bytes of a stored jet, and the peak of a forward and backward step in a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hepimg.bench.peers import Layer, dense_images, dense_works
from hepimg.bench.timing import Work
from hepimg.sparse import SparseTensor

if TYPE_CHECKING:
    from hepimg.images import SparseImages

Row = dict[str, Any]

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def stored_bytes(images: SparseImages) -> Row:
    """Bytes of an image with one channel: an offset, cell and value of each active cell; or all cells as float32."""
    sparse = images.offsets[1:].nbytes + images.cells.nbytes + images.values[:, :1].nbytes
    return {"bytes_per_jet": sparse / max(len(images), 1), "dense_bytes_per_jet": 4 * images.grid.size}


def step_memory(images: SparseImages, channels: int) -> Row:
    """Peak of resident memory above that of the libraries, in MB: our step, and the dense one scaled to the batch.

    None where the system does not tell (only Linux does).
    """
    n, size = len(images), images.grid.shape[0]
    some = dense_images(n, size)
    ours = _in_own_process("native", images, channels)
    dense = _in_own_process("dense", images[:some], channels)
    return {
        "native_mb": ours,
        "dense_mb": None if dense is None else dense * n / some,
        "dense_mb_images": some,
    }


def _in_own_process(kind: str, images: SparseImages, channels: int) -> float | None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(peak_of_step, kind, images, channels, torch.get_num_threads()).result()


def peak_of_step(kind: str, images: SparseImages, channels: int, threads: int) -> float | None:
    """Peak of resident memory of two steps (``native`` or ``dense``), inputs included, in MB; for a fresh process."""
    torch.set_num_threads(threads)
    _steps(kind, images[:1], 1)  # libraries and compiled kernels are loaded
    if not RESET.exists():
        return None
    RESET.write_text("5")
    before = _resident("VmRSS")
    _steps(kind, images, channels)
    return (_resident("VmHWM") - before) / 1e3


def _steps(kind: str, images: SparseImages, channels: int) -> None:
    step: Work = Layer.on(SparseTensor.from_images(images), channels).step
    if kind == "dense":
        step = dense_works(channels, images.grid.shape[0], len(images))["dense channels_last"]
    step()
    step()


def _resident(name: str) -> float:
    """A line of the process's status, in kB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return float(line.split()[1])
