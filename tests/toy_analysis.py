"""A whole analysis on toy jets: seconds, and every part of the main job."""

from __future__ import annotations

from pathlib import Path

TOY = """\
title: toys
seed: 3
threads: 2
data: {source: {source: toy_jets, pause: PAUSE}, rows: 600, shard: 250, split: [0.6, 0.2, 0.2]}
samples:
  one: {prongs: 1}
  two: {prongs: 2}
preprocess:
  - center
  - {step: rotate, angle: random}
  - step: pixelate
    grid: {eta: [-0.8, 0.8], phi: [-0.8, 0.8], shape: [16, 16]}
    channels: [pt, count, y, phi]
    into: image
tasks:
  tag:
    task: tagging
    signal: two
    test_draws: 2
    network: {widths: [8, 12], blocks: [1, 1]}
    fit: {epochs: 4, batch_size: 64}
  trees: {task: trees, signal: two, observables: [mass, pt, tau1, tau2, n_active]}
  stack: {task: fisher, signal: two, observables: [mass], columns: [tag.score, trees.score]}
evaluate:
  - {metric: roc, scores: [tag.score, trees.score, stack.score], signal: two}
  - {metric: images, image: image}
"""


def write_toy_analysis(folder: Path, pause: float = 0.0) -> Path:
    """Write the analysis file; ``pause`` seconds before each batch of 250 jets."""
    path = folder / "toys.yaml"
    path.write_text(TOY.replace("PAUSE", str(pause)))
    return path
