"""Read randomly damaged HDF5 files: ``python hdf5_fuzz.py FOLDER LAYOUT FIRST LAST``.

It runs in a process of its own, since what it looks for takes the interpreter down, or never ends.  Before each case it
prints its number; anything but a DataError is printed too.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import traceback
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


def main(folder: Path, layout: str, first: int, last: int) -> None:
    """Read the cases ``first:last``."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    source = made(layout, folder, 20)
    path = folder / f"{layout}.h5"
    content = path.read_bytes()
    for case in range(first, last):
        print(case, flush=True)  # noqa: T201
        path.write_bytes(damaged(content, random.Random(f"{layout} {case}")))
        signal.alarm(SECONDS)
        try:
            load(type(source).model_validate(source.model_dump()))
        except DataError as error:
            if str(folder) not in error.where:
                print(f"FAULT {case}: it names no file: {error}", flush=True)  # noqa: T201
        except Exception:
            print(f"FAULT {case}: {traceback.format_exc()}", flush=True)  # noqa: T201
        signal.alarm(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
