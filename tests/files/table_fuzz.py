"""Read randomly damaged ROOT or Parquet files: ``python table_fuzz.py FILE KIND CASES``; only a DataError is allowed.

The whole file is read first, and some damage must go unnoticed: a reader that refuses every file would find no fault.

It runs in a process of its own, since what it looks for takes the interpreter down, or never ends.
"""

from __future__ import annotations

import faulthandler
import random
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg_files.tables.delphes import DelphesJets
from hepimg_files.tables.jetclass import JetClass
from hepimg_files.tables.nanoaod import NanoAODJets
from hepimg_files.tables.plain_parquet import Parquet
from hepimg_files.tables.plain_root import Root
from hepimg_files.tables.source import TableSource

SECONDS, BYTES = 60, 4 << 30

FLOOR = 30
"""Of so many cases, the rows of one whole file at least are read."""

FIELDS = {"pt": "part_pt", "eta": "part_eta", "phi": "part_phi", "mass": "part_mass"}

SOURCES: dict[str, Callable[[str], TableSource]] = {
    "jetclass": lambda files: JetClass(files=files, chunk=3),
    "nanoaod_jets": lambda files: NanoAODJets(files=files, chunk=3),
    "delphes_jets": lambda files: DelphesJets(files=files, drop_invalid=True, chunk=15),
    "root": lambda files: Root(files=files, chunk=3),
    "parquet": lambda files: Parquet(files=files, chunk=3),
    "plain_parquet": lambda files: Parquet(files=files, fields=FIELDS, chunk=3),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with one to three faults; half of them near its ends, where headers and footers are."""
    for _ in range(rng.randint(1, 3)):
        size = len(content)
        near_an_end = min(size - 1, rng.randrange(2000))
        place = rng.choice([rng.randrange(size), rng.randrange(size), near_an_end, size - 1 - near_an_end])
        fault = rng.randrange(6)
        if fault <= 1:
            content = content[:place] + rng.randbytes(1) + content[place + 1 :]
        elif fault == 2:
            content = content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
        elif fault == 3:
            number = rng.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\xff\xff\xff\x7f", rng.randbytes(8)])
            content = content[:place] + number + content[place + len(number) :]
        elif fault == 4:
            content = content[:place] + content[place + rng.randint(1, 64) :]
        else:
            content = content[: max(place, 1)]
        content = content or b"\0"
    return content


def rows_of(source: TableSource) -> int:
    """How many rows are read of the first chunks."""
    source.writes()
    shards = [Shard(index, None, 1, part) for index, part in enumerate(source.parts()[:5])]
    return sum(len(batch) for shard in shards for batch in source.batches(shard))


def main(file: Path, kind: str, cases: int) -> None:
    """Read all cases; one line at the end."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    warnings.simplefilter("ignore")  # NumPy's at numbers that are then refused
    content, refused, read = file.read_bytes(), 0, 0
    whole = rows_of(SOURCES[kind](str(file)))
    with tempfile.TemporaryDirectory() as folder:
        for case in range(cases):
            path = Path(folder) / f"case{case}{file.suffix}"
            path.write_bytes(damaged(content, random.Random(case)))
            signal.alarm(SECONDS)
            source = SOURCES[kind](str(path))
            try:
                read += rows_of(source)
            except DataError as error:
                if str(path) not in str(error):
                    raise AssertionError(f"case {case}: an error that does not name the file") from error
                refused += 1
            except BaseException:
                sys.stderr.write(f"case {case}\n")
                raise
            path.unlink()
    if not whole or (cases >= FLOOR and read < whole):
        raise AssertionError(f"{whole} rows of the whole file, {read} of {cases} damaged ones")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{cases} cases, {refused} refused, {read} rows read, {whole} of the whole, at most {peak} MiB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
