"""HepMC3 ASCII as a stream of text: decompressed, counted, and cut into events, in bounded memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from hepimg.errors import DataError

BLOCK = 1 << 20
"""Bytes that are decompressed at a time."""

MAX_LINE = 1 << 20
"""Bytes of the longest line: the names of thousands of weights; a longer one is a damaged file or a bomb."""

MAX_EVENT = 1 << 28
"""Bytes between two events: a hundred thousand particles take 20 MB."""

GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""How a compressed file begins; its name does not matter."""

FIRST_LINE, START, END = b"HepMC::Version", b"HepMC::Asciiv3-START_EVENT_LISTING", b"HepMC::Asciiv3-END_EVENT_LISTING"
HEPMC2 = b"HepMC::IO_GenEvent"

_EVENT = re.compile(rb"(?m)^(?=E )")


def looks_like_hepmc(path: Path) -> bool:
    """Whether a file is HepMC ASCII, of whichever version."""
    return _beginning(path).startswith(FIRST_LINE)


def count_events(path: Path) -> int:
    """The events of a whole file, without parsing any.

    A file without HepMC3's last line is taken where its last event is whole: many converters do not write that line.

    Raises:
        DataError: it is no HepMC3 ASCII, or it was cut.
    """
    events, ends, pieces = 0, 0, [b""]  # the pieces of the last event
    _check_header(_beginning(path))
    for lines in _lines(path):
        if begun := _events_in(lines):
            pieces = [lines[lines.rfind(b"\nE ") + 1 :]]
        else:
            pieces.append(lines)
        events, ends = events + begun, ends + lines.count(END)
    last, _, beyond = b"".join(pieces).partition(END)
    if ends > 1 or beyond.strip():
        raise DataError("text after HepMC3's last line", needed="one HepMC3 file", fix="Take the files apart.")
    if not ends and not _is_whole(last):
        place = f"in event {events - 1}" if events else "before the first event"
        raise DataError(f"cut {place}", needed="a complete file", fix="Copy it anew.")
    return events


def event_texts(path: Path, first: int, last: int) -> Iterator[bytes]:
    """The lines of the events ``first:last``, one event after another; those before are passed over unparsed."""
    number, pieces = -1, [b""]  # of the event that is being put together; the header is number -1
    for lines in _lines(path):
        begun = _events_in(lines)
        if number + begun < first:
            number += begun
            continue
        rest, *texts = _EVENT.split(lines)
        pieces.append(rest)
        for text in texts:
            if number >= first:
                yield b"".join(pieces)
            number, pieces = number + 1, [text]
            if number == last:
                return
    if number >= first:
        yield b"".join(pieces).partition(END)[0]


def _events_in(lines: bytes) -> int:
    """How many events begin in whole lines."""
    return lines.count(b"\nE ") + lines.startswith(b"E ")


def _is_whole(text: bytes) -> bool:
    """Whether an event has as many particles as its first line announces."""
    announced = re.match(rb"E \S+ \S+ (\d+)\s", text)
    return announced is not None and int(announced[1]) == text.count(b"\nP ") and text.endswith(b"\n")


def _lines(path: Path) -> Iterator[bytes]:
    """Decompressed blocks of whole lines; the last line may lack its end.

    Raises:
        DataError: a line or an event has no end.
    """
    rest, since = b"", 0
    with _opened(path) as file:
        while block := file.read(BLOCK):
            block = rest + block
            end = block.rfind(b"\n") + 1
            lines, rest = block[:end], block[end:]
            since = len(lines) - lines.rfind(b"\nE ") if _events_in(lines) else since + len(lines)
            if len(rest) > MAX_LINE or since > MAX_EVENT:
                what, most = ("a line", MAX_LINE) if len(rest) > MAX_LINE else ("an event", MAX_EVENT)
                raise DataError(f"{what} of more than {most >> 20} MiB", needed="HepMC3 ASCII, not damaged")
            if lines:
                yield lines
    if rest:
        yield rest


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        begin = file.read(4)
    if begin.startswith(GZIP):
        opener: Any = import_module("gzip")
    elif begin == ZSTANDARD:
        opener = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    else:
        return path.open("rb")
    opened: IO[bytes] = opener.open(path, "rb")
    return opened


def _beginning(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read(1000).lstrip()


def _check_header(begin: bytes) -> None:
    """The first lines are those of HepMC3 ASCII.

    Raises:
        DataError: they are of another format.
    """
    if not begin:
        raise DataError("an empty file", needed="HepMC3 ASCII")
    if HEPMC2 in begin:
        raise DataError(
            "a file of HepMC 2 (IO_GenEvent)",
            needed="HepMC3 ASCII",
            fix="Convert it: with pyhepmc.open(OLD) as old, pyhepmc.open(NEW, 'w') as new: [new.write(e) for e in old]",
        )
    if not (begin.startswith(FIRST_LINE) and START in begin):
        raise DataError(f"it begins with {begin[:40]!r}", needed=f"HepMC3 ASCII, which begins with {FIRST_LINE!r}")
