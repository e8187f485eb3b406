"""The command line: ``hepimg run`` and what belongs to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from hepimg.bench.commands import bench_app
from hepimg.errors import HepimgError, PluginError

app = typer.Typer(
    name="hepimg",
    help="Jet and calorimeter images with a sparse core.\n\nStart with: hepimg run analyses/qcd_vs_top.yaml --quick",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(help="List or clean what earlier runs left in the cache (HEPIMG_CACHE).", no_args_is_help=True)
app.add_typer(cache_app, name="cache")
app.add_typer(bench_app, name="bench")

File = Annotated[Path, typer.Argument(help="An analysis file (YAML).", show_default=False)]
Quick = Annotated[bool, typer.Option("--quick", help="Apply the file's quick: settings; a first look in minutes.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a value, such as data.rows=1000. Repeatable."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes for data; never changes a result.")
]
Format = Literal["parquet", "hdf5", "root"]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask scheduler whose workers make the data.")
]


@app.command()
def run(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the results; by default results/NAME, from NAME.yaml."),
    ] = None,
    quick: Quick = False,
    assignments: Set = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Run an analysis: make its data, train, predict, evaluate, and write a report.

    What is finished is kept: after an interrupt, the same command goes on where it stopped.
    """
    from hepimg.pipeline import run as run_analysis

    with _resumable():
        results = run_analysis(
            file, out=out, quick=quick, assignments=assignments or (), jobs=jobs, scheduler=scheduler
        )
    typer.echo(repr(results))


@app.command()
def check(file: File, quick: Quick = False, assignments: Set = None) -> None:
    """Check an analysis file: every key, name, option and input, without running anything."""
    from hepimg.config import load_analysis
    from hepimg.flow import in_order

    analysis = load_analysis(file, quick=quick, assignments=assignments or ())
    if analysis.options.quick:
        load_analysis(file, quick=True, assignments=assignments or ())
    samples = ", ".join(f"{entry.name} ({entry.rows or 'all'} rows)" for entry in analysis.samples.values())
    typer.echo(f"{file}: in order\n  samples: {samples}")
    typer.echo(f"  tasks:   {', '.join(entry.name for entry in in_order(analysis)) or 'none'}")
    typer.echo(f"  metrics: {', '.join(entry.metric.name for entry in analysis.evaluate) or 'none'}")


@app.command()
def plugins() -> None:
    """List the installed plugins, what they offer, and what is wrong with them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hepimg.registry import load_registry

    registry = load_registry()
    table = Table("plugin", "from", "offers")
    for plugin in registry.plugins:
        offers = ", ".join(f"{kind} {name}" for kind, name in plugin.components)
        table.add_row(
            plugin.name,
            f"{plugin.distribution} {plugin.version}",
            Text(f"failed: {plugin.failure}" if plugin.failure else offers),
        )
    console = Console()
    console.print(table)
    for line in registry.collisions():
        console.print(f"collision: {line}", style="bold red", highlight=False, markup=False)


@app.command()
def schema(
    kind: Annotated[str | None, typer.Argument(help="source, step, task or metric; none: the analysis file.")] = None,
    name: Annotated[str | None, typer.Argument(help="A component's name.")] = None,
) -> None:
    """Print the JSON schema of analysis files, or the options of one component."""
    from hepimg.schema import analysis_schema, component_schema

    typer.echo(json.dumps(component_schema(kind, name) if kind else analysis_schema(), indent=2))


@app.command()
def data(
    file: File,
    quick: Quick = False,
    assignments: Set = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every shard again and compare its checksum.")] = False,
    export: Annotated[
        Format | None, typer.Option("--export", help="Write each sample to one file for other tools.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for the exported files; by default data/NAME, from NAME.yaml.")
    ] = None,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Export the rows as tasks see them, after the steps of preprocess.")
    ] = False,
) -> None:
    """Make the samples of an analysis and nothing else; print where they are and their checksums."""
    from hepimg.config import load_analysis
    from hepimg.export import export_samples
    from hepimg.generate import make_data, verify_data
    from hepimg.progress import Bars
    from hepimg.provenance import describe_sample
    from hepimg.store import Cache
    from hepimg.workers import usable_cores

    analysis = load_analysis(file, quick=quick, assignments=assignments or ())
    cache = Cache()
    if (to or preprocess) and not export:
        raise typer.BadParameter("--to and --preprocess need --export")
    with _resumable(), Bars() as bars:
        try:
            stored = make_data(analysis, cache, bars, jobs or usable_cores(), scheduler)
        except PluginError as error:
            typer.echo(error.trace, err=True)
            raise
        if verify:
            verify_data(stored, bars)
        folder = to or Path("data") / analysis.name
        steps = analysis.preprocess if preprocess else ()
        files = export_samples(stored, export, folder, bars, steps) if export else []
    for name, sample in stored.items():
        described = describe_sample(sample)
        asked = analysis.samples[name].rows or sample.rows
        fewer = f" ({asked} were asked for: there are no more)" if sample.rows < asked else ""
        typer.echo(f"{name}: {sample.rows} rows{fewer}, {len(sample.shards)} shards in {sample.shards[0][0].parent}")
        typer.echo(f"  checksum {described['checksum']}")
        for fact, value in described["facts"].items():
            typer.echo(f"  {fact}: {value:g}" if isinstance(value, float) else f"  {fact}: {value}")
    for path in files:
        typer.echo(f"exported {path} ({path.stat().st_size / 1e6:.1f} MB)")


@cache_app.command("list")
def cache_list() -> None:
    """List units of work: data, fits, predictions."""
    from hepimg.store import Cache, size_of

    cache = Cache()
    typer.echo(f"cache: {cache.folder}")
    for kind, unit in cache.units():
        label = (
            unit.manifest.get("task") or unit.manifest.get("source", {}).get("name", "")
            if unit.is_finished
            else "unfinished"
        )
        typer.echo(f"  {kind:8} {unit.folder.name}  {size_of(unit.folder) / 1e6:9.1f} MB  {label}")


@cache_app.command("clean")
def cache_clean(
    older_than: Annotated[float, typer.Option("--older-than", help="Only units unused for this many days.")] = 0.0,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only units that an interrupt left unfinished.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove units of work; those that are being made at this moment stay.  Everything can be made again."""
    from hepimg.store import Cache

    cache = Cache()
    if not yes:
        typer.confirm(f"Remove units from {cache.folder}?", abort=True)
    typer.echo(f"freed {cache.clean(older_than, unfinished) / 1e6:.1f} MB")


@app.command()
def show(
    path: Annotated[
        Path,
        typer.Argument(help="A shard, a folder of shards, a results folder, or a data file.", show_default=False),
    ],
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, help="Print this many rows.")] = 3,
) -> None:
    """Show what a shard, a results folder or a data file (ROOT, HDF5, Parquet, HepMC) holds, and how to read it."""
    from hepimg.show import describe_path

    typer.echo(describe_path(path, rows))


@app.command()
def observables(
    file: Annotated[Path, typer.Argument(help="A shard of jets, or a folder of shards.", show_default=False)],
    names: Annotated[
        str, typer.Option("--names", help="Comma-separated, such as mass,tau1,tau21,c2,d2.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write (Parquet).", show_default=False)],
    of: Annotated[str, typer.Option("--of", help="Collection or image to compute them from.")] = "constituents",
) -> None:
    """Compute named observables of every jet in a file, as a Parquet table with units."""
    from hepimg.show import observables_table

    typer.echo(observables_table(file, names, out, of))


def _add_plugin_commands() -> None:
    """Commands of plugins; one that fails is reported and left out."""
    from hepimg.registry import load_registry

    taken = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands} | {
        "bench",
        "cache",
    }
    for implementation in load_registry().hook.hepimg_commands.get_hookimpls():
        try:
            offers = cast("Iterable[tuple[str, typer.Typer]]", implementation.function())
            for name, command in offers:
                if name in taken:
                    raise ValueError(f"there is a command {name!r} already")
                app.add_typer(command, name=name)
                taken.add(name)
        except Exception as error:  # a plugin must never take the command line down
            typer.echo(f"hepimg: commands of plugin {implementation.plugin_name} failed: {error}", err=True)


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C says how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("hepimg: interrupted; the same command goes on where it stopped", err=True)
        raise typer.Exit(130) from None


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    _add_plugin_commands()
    try:
        app()
    except HepimgError as error:
        typer.echo(f"hepimg: {error}", err=True)
        sys.exit(error.exit_code)
