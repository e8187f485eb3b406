"""Read randomly damaged HepMC3 files: ``python hepmc_fuzz.py CASES``; anything but a DataError ends it.

It runs in a process of its own, since what it looks for takes the interpreter down, or never ends.
"""

from __future__ import annotations

import faulthandler
import random
import re
import resource
import signal
import sys
import tempfile
from pathlib import Path

from hepmc_layouts import hepmc_text, write_hepmc

from hepimg.components import Shard
from hepimg.errors import DataError
from hepimg_files.hepmc.source import HepMC

NUMBERS = [*b"-1 0 1 3 7 999999999 -999999999 99999999999999999999 nan inf 1e999".split(), b""]
SECONDS, BYTES = 20, 3 << 30


def damaged(text: bytes, rng: random.Random) -> bytes:
    """The text with one to three faults."""
    for _ in range(rng.randint(1, 3)):
        lines = text.split(b"\n")
        k = rng.randrange(len(lines))
        place, fault = rng.randrange(len(text)), rng.randrange(8)
        if fault == 0:
            text = text[:place] + rng.randbytes(1) + text[place + 1 :]
        elif fault == 1:
            text = text[:place] + text[place + rng.randint(1, 200) :]
        elif fault == 2:
            text = text[:place]
        elif fault == 3:
            text = b"\n".join(lines[:k] + lines[k + 1 :])
        elif fault == 4:
            text = b"\n".join([*lines[:k], rng.choice(lines), *lines[k:]])
        else:  # another number in a line
            words = re.split(rb"([ ,\[\]])", lines[k])
            words[rng.randrange(len(words))] = rng.choice(NUMBERS)
            text = b"\n".join([*lines[:k], b"".join(words), *lines[k + 1 :]])
        text = text or b"\n"
    return text


def main(cases: int) -> None:
    """Read all cases; one line at the end."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    text, refused, read = hepmc_text(4).encode(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in range(cases):
            rng = random.Random(case)
            path = Path(folder) / f"case{case}.hepmc{rng.choice(['', '', '', '.gz', '.zst'])}"
            if path.suffix == ".hepmc" or rng.random() < 0.3:
                write_hepmc(path, damaged(text, rng))
            else:
                path.write_bytes(damaged(write_hepmc(path, text).read_bytes(), rng))
            signal.alarm(SECONDS)
            source = HepMC(files=str(path), chunk=3)
            try:
                for index, part in enumerate(source.parts()):
                    read += sum(len(sample) for sample in source.batches(Shard(index, None, 1, part)))
            except DataError as error:
                if str(path) not in str(error):
                    raise AssertionError(f"case {case}: an error that does not name the file") from error
                refused += 1
            except BaseException:
                sys.stderr.write(f"case {case}\n")
                raise
            path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"{cases} cases, {refused} refused, {read} events read, at most {peak} MiB\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
