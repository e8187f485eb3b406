"""The innermost step of a matrix product, in vector registers.

A product of matrices is made of tiles: a few rows by a few vectors of columns, summed over all terms before anything
is written.  Compilers do not find this form by themselves, so it is spelt out in LLVM's vector instructions.  A tile
takes its rows from wherever they are: that is what a sparse convolution needs, and what a BLAS does not offer without
a copy of the rows before the product and another one after it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_wide = bool(binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if _wide else 8
"""Numbers (float32) of a vector."""
ROWS = 8 if _wide else 4
"""Rows of a tile: with three vectors of columns, the most, its sums fill three quarters of the vector registers."""

LONG, INT, BYTE_POINTER = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
VECTOR = ir.VectorType(ir.FloatType(), LANES)


def rows_tile(vectors: int) -> Callable[..., None]:
    """A function ``tile(a, b, column, sums, sources, targets, at, following)`` for compiled code.

    For r in 0:ROWS and the ``vectors`` * LANES columns from ``column`` on::

        sums[targets[at + r], columns] += a[sources[at + r], :] @ b[:, columns]

    All matrices float32, C-contiguous; sources and targets int32.  The rows are added in order, so a target may repeat.
    Meanwhile the rows of ``sums`` and those of the tile at ``following`` are fetched into the nearest cache.
    """

    @intrinsic
    def tile(
        typing: Any, a: Any, b: Any, column: Any, sums: Any, sources: Any, targets: Any, at: Any, following: Any
    ) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            a, b, sums, sources, targets = _arrays(context, builder, signature, values, (0, 1, 3, 4, 5))
            column, at, following = _longs(context, builder, signature, values, (2, 6, 7))
            rows = [_row(builder, a, _entry(builder, sources, at, r)) for r in range(ROWS)]
            # Three vectors leave no registers for the addresses.
            ahead = [_row(builder, a, _entry(builder, sources, following, r)) for r in range(ROWS) if vectors < 3]
            written = [builder.gep(_row(builder, sums, _entry(builder, targets, at, r)), [column]) for r in range(ROWS)]
            for row in written:
                for place in range(vectors):
                    _fetch(builder, builder.gep(row, [LONG(place * LANES)]))
            first = builder.gep(b.data, [column])

            def term(number: Any) -> tuple[list[Any], Any]:
                return [builder.gep(row, [number]) for row in rows], builder.gep(
                    first, [builder.mul(number, _width(builder, b))]
                )

            total = _sum_terms(builder, vectors, _width(builder, a), term, ahead)
            for row, sum_of_row in zip(written, total, strict=True):
                _add_row(builder, row, sum_of_row)
            return context.get_dummy_value()

        return types.void(a, b, column, sums, sources, targets, at, following), generate

    return tile  # type: ignore[no-any-return]


def outer_tile(vectors: int) -> Callable[..., None]:
    """A function ``tile(a, row, b, column, sums, left, right, first, last)`` for compiled code.

    For r in 0:ROWS and the ``vectors`` * LANES columns from ``column`` on::

        sums[row + r, columns] += sum of a[left[p], row + r] * b[right[p], columns] over p in first:last

    All matrices float32, C-contiguous; left and right int32.
    """

    @intrinsic
    def tile(
        typing: Any, a: Any, row: Any, b: Any, column: Any, sums: Any, left: Any, right: Any, first: Any, last: Any
    ) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            a, b, sums, left, right = _arrays(context, builder, signature, values, (0, 2, 4, 5, 6))
            row, column, first, last = _longs(context, builder, signature, values, (1, 3, 7, 8))
            a_data, b_data = builder.gep(a.data, [row]), builder.gep(b.data, [column])

            def term(number: Any) -> tuple[list[Any], Any]:
                pair = builder.add(first, number)
                source = builder.mul(_entry(builder, left, pair, 0), _width(builder, a))
                other = builder.mul(_entry(builder, right, pair, 0), _width(builder, b))
                return [builder.gep(a_data, [builder.add(source, LONG(r))]) for r in range(ROWS)], builder.gep(
                    b_data, [other]
                )

            total = _sum_terms(builder, vectors, builder.sub(last, first), term)
            for r in range(ROWS):
                target = _row(builder, sums, builder.add(row, LONG(r)))
                _add_row(builder, builder.gep(target, [column]), total[r])
            return context.get_dummy_value()

        return types.void(a, row, b, column, sums, left, right, first, last), generate

    return tile  # type: ignore[no-any-return]


def _sum_terms(
    builder: Any, vectors: int, terms: Any, term: Callable[[Any], tuple[list[Any], Any]], ahead: Sequence[Any] = ()
) -> list[list[Any]]:
    """The sums over all terms of (a number for each row) times (the vectors of a row), kept in registers.

    Meanwhile the rows ``ahead`` are fetched into the nearest cache.
    """
    multiply_add = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    zero, nothing = ir.Constant(VECTOR, None), ir.Constant(VECTOR, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(INT, LANES), None)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(ROWS)]

    def add_term(index: Any) -> None:
        numbers, columns = term(index)
        right = [builder.load(_vector(builder, columns, place), align=4) for place in range(vectors)]
        for number, row in zip(numbers, sums, strict=True):
            left = builder.insert_element(nothing, builder.load(number), INT(0))
            left = builder.shuffle_vector(left, nothing, everywhere)
            for place in range(vectors):
                builder.store(builder.call(multiply_add, [left, right[place], builder.load(row[place])]), row[place])

    if not ahead:
        with cgutils.for_range(builder, terms, intp=LONG) as loop:
            add_term(loop.index)
    else:
        with cgutils.for_range(builder, builder.udiv(terms, LONG(ROWS)), intp=LONG) as loop:
            for step, row in enumerate(ahead):
                index = builder.add(builder.mul(loop.index, LONG(ROWS)), LONG(step))
                _fetch(builder, builder.gep(row, [index]))
                add_term(index)
    return [[builder.load(place) for place in row] for row in sums]


def _fetch(builder: Any, address: Any) -> None:
    """Ask for a line of memory without waiting for it."""
    ask = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [BYTE_POINTER, INT, INT, INT]), "llvm.prefetch.p0"
    )
    builder.call(ask, [builder.bitcast(address, BYTE_POINTER), INT(0), INT(3), INT(1)])


def _add_row(builder: Any, target: Any, row: list[Any]) -> None:
    for place, value in enumerate(row):
        address = _vector(builder, target, place)
        builder.store(builder.fadd(builder.load(address, align=4), value), address, align=4)


def _vector(builder: Any, start: Any, place: int) -> Any:
    return builder.bitcast(builder.gep(start, [LONG(place * LANES)]), VECTOR.as_pointer())


def _row(builder: Any, matrix: Any, number: Any) -> Any:
    return builder.gep(matrix.data, [builder.mul(number, _width(builder, matrix))])


def _width(builder: Any, matrix: Any) -> Any:
    return cgutils.unpack_tuple(builder, matrix.shape, 2)[1]


def _entry(builder: Any, array: Any, at: Any, plus: int) -> Any:
    """An int32 entry, as int64."""
    return builder.sext(builder.load(builder.gep(array.data, [builder.add(at, LONG(plus))])), LONG)


def _arrays(context: Any, builder: Any, signature: Any, values: Any, places: tuple[int, ...]) -> list[Any]:
    return [context.make_array(signature.args[place])(context, builder, values[place]) for place in places]


def _longs(context: Any, builder: Any, signature: Any, values: Any, places: tuple[int, ...]) -> list[Any]:
    return [context.cast(builder, values[place], signature.args[place], types.int64) for place in places]
