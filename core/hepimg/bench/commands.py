"""The commands of ``hepimg bench``; what they measure is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hepimg.bench.options import (
    Figure,
    Jets,
    Json,
    Quick,
    Rounds,
    Synthetic,
    Threads,
    read_fractions,
    read_jets,
    read_names,
    read_sizes,
    read_threads,
)

bench_app = typer.Typer(
    help="Measure hepimg against its peers on this machine: warm-up left out, works in turn (A B A B), medians.",
    no_args_is_help=True,
)


@bench_app.command()
def conv(
    json: Json = None,
    figure: Figure = None,
    grids: Annotated[str, typer.Option("--grids", help="Cells on each side of the images.", metavar="LIST")] = "",
    channels: Annotated[str, typer.Option("--channels", help="Features per site.", metavar="LIST")] = "",
    batch: Annotated[str, typer.Option("--batch", help="Images in a batch.", metavar="LIST")] = "128",
    threads: Threads = None,
    occupancies: Annotated[
        str,
        typer.Option("--occupancies", help="Fractions of active cells: made-up images, not jets.", metavar="LIST"),
    ] = "",
    clustered: Annotated[
        bool, typer.Option("--clustered", help="Made-up cells lie around three prongs, not anywhere.")
    ] = False,
    crossover: Annotated[
        bool, typer.Option("--crossover", help="Occupancies from 0.1 % to 100 %, and where dense becomes faster.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Peak memory of a step, too: some seconds for each row.")
    ] = False,
    peers: Annotated[str, typer.Option("--peers", help="Peers to measure.", metavar="LIST")] = "dense,spconv,gemm",
    rounds: Rounds = 15,
    quick: Quick = False,
    jets: Jets = None,
    synthetic: Synthetic = False,
) -> None:
    """A 3x3 sparse layer, forward and backward, against dense convolution, spconv and plain matrix products.

    Rules are made anew in every step. Sites are those of 128 top jets of
    Pythia (made once, in some seconds) as images of 20, 40, 80 and 160 cells
    on a side, with 32 and 64 channels, on one thread and on two: about three
    minutes on two cores. Sweeps: any of the lists, such as --channels
    16,32,64,128 or --batch 32,128,512.

    The peers: torch.nn.Conv2d on full images, in the better of two memory
    layouts; spconv on the CPU (right on one thread only; its error is
    measured too); the matrix products of the step alone, as one plain GEMM
    each: the limit.

    hepimg bench conv --json conv.json --figure conv.png

    hepimg bench conv --crossover --json crossover.json --figure crossover.png
    """
    from hepimg.bench import conv as layer
    from hepimg.bench.crossover import describe_crossovers
    from hepimg.bench.figures import check_format, draw_conv
    from hepimg.bench.machine import describe_machine
    from hepimg.bench.report import check_writable, print_table, write_rows
    from hepimg.progress import Bars

    numbers, fractions, batches = read_threads(threads), read_fractions(occupancies), read_sizes(batch)
    asked = read_names(peers, layer.PEERS, "--peers")
    check_format(figure)
    check_writable(json, figure)
    sizes = read_sizes(grids or ("40" if crossover else "20,40" if quick else "20,40,80,160"))
    widths = read_sizes(channels or ("32" if quick else "64" if crossover else "32,64"))
    with Bars() as bars:
        if crossover:
            places = [*layer.crossover_sites(sizes, batches, clustered=clustered)]
        elif fractions:
            places = [*layer.synthetic_sites(sizes, fractions, batches, clustered=clustered)]
        else:
            places = [*layer.jet_sites(*read_jets(jets, synthetic, ["top"], max(batches), bars), sizes, batches)]
        bars.start("bench conv", len(places) * len(widths) * len(numbers))
        rows = layer.measure(
            places, widths, numbers, min(rounds, 3) if quick else rounds,
            peers=asked, memory=memory, done=lambda row: bars.advance(),
        )  # fmt: skip
        bars.stop()
    write_rows(json, rows, describe_machine("torch", "numba", "spconv"))
    print_table("3x3 sparse layer", layer.COLUMNS, rows, layer.CAPTION)
    for line in describe_crossovers(rows):
        typer.echo(line)
    if figure:
        draw_conv(rows, figure)


@bench_app.command()
def kernels(
    json: Json = None,
    figure: Figure = None,
    number: Annotated[int, typer.Option("--number", min=2, help="Jets.")] = 2000,
    threads: Threads = None,
    energyflow_python: Annotated[
        Path | None,
        typer.Option("--energyflow-python", help="A Python that has benchmarks/energyflow/requirements.txt."),
    ] = None,
    rounds: Rounds = 7,
    quick: Quick = False,
    jets: Jets = None,
    synthetic: Synthetic = False,
) -> None:
    """Pixelation, pooling, N-subjettiness, correlators and rules against the tools that physicists use.

    Jets per second of 1000 top and 1000 quark and gluon jets of Pythia, on
    one thread and on two, and how much the second thread helps beside what it
    does for a plain matrix product: about two minutes on two cores.

    The peers: numpy.histogram2d; FastJet's njettiness, whose values are
    compared too; torch's dense pooling; spconv's rules; EnergyFlow 1.4.0,
    which needs an environment of its own, because it needs NumPy 1:

    python -m venv ef && ef/bin/pip install -r
    benchmarks/energyflow/requirements.txt

    hepimg bench kernels --json kernels.json --figure kernels.png
    --energyflow-python ef/bin/python
    """
    from contextlib import nullcontext

    from hepimg.bench import kernels as measured
    from hepimg.bench.energyflow import start_energyflow
    from hepimg.bench.figures import check_format, draw_ratios
    from hepimg.bench.machine import describe_machine
    from hepimg.bench.report import check_writable, print_table, write_rows
    from hepimg.progress import Bars

    used = read_threads(threads)
    check_format(figure)
    check_writable(json, figure)
    rows = []
    with Bars() as bars:
        _, particles = read_jets(jets, synthetic, ["top", "qcd"], min(number, 200) if quick else number, bars)
        with start_energyflow(energyflow_python, particles) if energyflow_python else nullcontext() as energyflow:
            works = [*measured.kernels(particles, energyflow)]
            bars.start("bench kernels", len(works))
            for work in works:
                rows += measured.measure(work, used, min(rounds, 2) if quick else rounds)
                bars.advance(note=work.name)
            bars.stop()
    write_rows(json, rows, describe_machine("numpy", "numba", "torch", "fastjet", "spconv"))
    print_table("Kernels", measured.COLUMNS, rows, measured.CAPTION)
    if figure:
        draw_ratios(measured.ratios(rows), figure)


@bench_app.command()
def train(
    json: Json = None,
    figure: Figure = None,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Jets in a step.")] = 256,
    threads: Threads = None,
    rounds: Rounds = 15,
    quick: Quick = False,
    jets: Jets = None,
    synthetic: Synthetic = False,
) -> None:
    """A training step of the tagger's network: its limit, and where the rest of the time goes.

    256 top, quark and gluon jets of 40x40 cells with 9 features; rules,
    forward, backward and AdamW, on one thread and on two: about a minute.
    The limit are the matrix products of all its layers, with as many rows as
    they have. The peer is the same network of dense, masked layers on full
    images.

    hepimg bench train --json train.json --figure train.png
    """
    from hepimg.bench import train as measured
    from hepimg.bench.figures import check_format, draw_parts
    from hepimg.bench.jets import images_of
    from hepimg.bench.machine import describe_machine
    from hepimg.bench.report import check_writable, print_table, write_rows
    from hepimg.progress import Bars

    used = read_threads(threads)
    check_format(figure)
    check_writable(json, figure)
    with Bars() as bars:
        _, particles = read_jets(jets, synthetic, ["top", "qcd"], batch, bars)
        bars.start("bench train", None)
        rows = measured.measure(images_of(particles, 40), used, min(rounds, 2) if quick else rounds)
        bars.stop()
    write_rows(json, rows, describe_machine("torch", "numba"))
    print_table("Training step of the tagger's network", measured.COLUMNS, rows, measured.CAPTION)
    if figure:
        draw_parts(measured.parts(rows), "ms per step", figure)


@bench_app.command()
def data(
    json: Json = None,
    figure: Figure = None,
    events: Annotated[int, typer.Option("--events", min=1, help="Events to generate of each process.")] = 1000,
    threads: Threads = None,
    rounds: Rounds = 9,
    quick: Quick = False,
) -> None:
    """Generation, and the way of stored jets into a batch of sparse tensors.

    Events and jets per second of one process that generates top, quark and
    gluon jets, and how much of its time Pythia itself takes; then jets per
    second of reading, of each step of the tagger's preprocessing, and of
    collating batches of 256 jets: about half a minute.

    hepimg bench data --json data.json --figure data.png
    """
    from hepimg.bench import data as measured
    from hepimg.bench.figures import check_format, draw_parts
    from hepimg.bench.jets import stored_jets
    from hepimg.bench.machine import describe_machine
    from hepimg.bench.report import check_writable, print_table, write_rows
    from hepimg.progress import Bars

    used = read_threads(threads)
    check_format(figure)
    check_writable(json, figure)
    with Bars() as bars:
        analysis, stored = stored_jets(bars)
        bars.start("bench data", len(stored) + 1)
        rows = []
        for entry in analysis.samples.values():
            rows.append(measured.generation(entry, min(events, 100) if quick else events))
            bars.advance(note=entry.name)
        rows += measured.pipeline(analysis, stored, used, min(rounds, 2) if quick else rounds)
        bars.advance()
        bars.stop()
    write_rows(json, rows, describe_machine("pythia8mc", "fastjet", "numba", "pyarrow", "torch"))
    print_table("Data", measured.COLUMNS, rows, measured.CAPTION)
    if figure:
        draw_parts(measured.rates(rows), "microseconds per jet", figure)
