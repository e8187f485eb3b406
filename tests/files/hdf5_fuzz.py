"""Read randomly damaged HDF5 files: ``python hdf5_fuzz.py LAYOUT CASES``; anything but a DataError ends it.

It runs in a process of its own, since what it looks for takes the interpreter down, or never ends.
"""

from __future__ import annotations

import faulthandler
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

from test_hdf5_bad import load
from test_hdf5_layouts import made

from hepimg.errors import DataError

SECONDS, BYTES = 20, 6 << 30


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with one to three faults, half of them in its first kilobytes, where the structure is."""
    whole = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(min(len(whole), 4096) if rng.random() < 0.5 else len(whole))
        fault, length = rng.randrange(6), rng.choice((1, 2, 4, 8, 64))
        if fault < 2:
            whole[place] ^= 1 << rng.randrange(8)
        elif fault == 2:
            whole[place : place + length] = rng.randbytes(min(length, len(whole) - place))
        elif fault == 3:
            whole[place : place + length] = rng.choice((b"\0", b"\xff", b"\x7f")) * min(length, len(whole) - place)
        elif fault == 4:
            other = rng.randrange(len(whole))
            whole[place : place + length] = whole[other : other + length]
        else:
            del whole[max(place, 1) :]
    return bytes(whole)


def main(layout: str, cases: int) -> None:
    """Read all cases; one line at the end."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        source = made(layout, Path(folder), 20)
        path = Path(folder) / f"{layout}.h5"
        content = path.read_bytes()
        for case in range(cases):
            path.write_bytes(damaged(content, random.Random(f"{layout} {case}")))
            signal.alarm(SECONDS)
            try:
                load(type(source).model_validate(source.model_dump()))
            except DataError as error:
                if folder not in error.where:
                    raise AssertionError(f"case {case}: an error that does not name the file") from error
                refused += 1
            except BaseException:
                sys.stderr.write(f"case {case}\n")
                raise
            signal.alarm(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{cases} cases, {refused} refused, at most {peak} MiB\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
