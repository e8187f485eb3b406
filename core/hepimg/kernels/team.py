"""Share the rows of a kernel among the threads that torch already keeps awake.

torch's operators run on a team of OpenMP threads, which wait for the next operator by spinning.  A thread pool of our
own would fight with them for the cores, and waking a sleeping thread costs as much as a small kernel.  So kernels that
run between torch's operators join that team, by the same entry that compilers call for ``#pragma omp parallel``
(``GOMP_parallel``, of GNU's OpenMP, which LLVM's and Intel's offer as well on Linux).  Where it is not found, as on
Windows, kernels run on one thread.
"""

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

BYTE_POINTER = ir.IntType(8).as_pointer()
LONG = ir.IntType(64)
INT = ir.IntType(32)


def _entries() -> tuple[int, ...]:
    """Addresses of OpenMP's functions in this process; none where there is no OpenMP, or not yet (before torch)."""
    try:
        process = ctypes.CDLL(None)
        functions = process.GOMP_parallel, process.omp_get_thread_num, process.omp_get_num_threads
    except (AttributeError, OSError, TypeError):  # no such symbols; no process handle (Windows)
        return ()
    return tuple(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions)


def team_of(threads: int) -> NDArray[np.int64]:
    """What :func:`share` needs to know, (4,): the number of threads, 1 where there is no OpenMP, and its entries."""
    entries = _entries()
    return np.array([threads, *entries] if entries else [1, 0, 0, 0])


@intrinsic
def share(typing: Any, team: Any, kernel: Any, n_rows: Any, arguments: Any) -> Any:
    """Call ``kernel(first, last, *arguments)`` on each thread of the team, for ranges that cover ``0:n_rows`` once.

    For compiled code.  ``kernel`` must be a compiled function that returns nothing; what it raises is lost.
    """
    inner = kernel.get_call_type(typing, (types.int64, types.int64, *arguments.types), {})

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        compiled = kernel.dispatcher.get_compile_result(inner)
        context.active_code_library.add_linking_library(compiled.library)
        team_array = context.make_array(signature.args[0])(context, builder, values[0])
        threads, parallel, *asks = (builder.load(builder.gep(team_array.data, [LONG(place)])) for place in range(4))
        rows = context.cast(builder, values[2], signature.args[2], types.int64)
        job = cgutils.pack_struct(builder, [rows, *asks, values[3]])
        place = cgutils.alloca_once_value(builder, job)
        entry = _entry_function(context, builder, job.type, compiled.fndesc, inner)
        alone = builder.icmp_signed("<=", threads, LONG(1))
        with builder.if_else(alone) as (without, within):
            with without:
                context.call_internal_no_propagate(
                    builder, compiled.fndesc, inner, [LONG(0), rows, *cgutils.unpack_tuple(builder, values[3])]
                )
            with within:
                call_type = ir.FunctionType(ir.VoidType(), [entry.type, BYTE_POINTER, INT, INT])
                start = builder.inttoptr(parallel, call_type.as_pointer())
                size = builder.trunc(threads, INT)
                builder.call(start, [entry, builder.bitcast(place, BYTE_POINTER), size, INT(0)])
        return context.get_dummy_value()

    return types.void(team, kernel, n_rows, arguments), generate


def _entry_function(context: Any, builder: Any, job_type: Any, descriptor: Any, signature: Any) -> Any:
    """``void entry(void *job)``: what each thread of the team runs."""
    name = f"{descriptor.llvm_func_name}.share"
    function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [BYTE_POINTER]), name)
    function.linkage = "internal"
    inside = ir.IRBuilder(function.append_basic_block())
    job = inside.load(inside.bitcast(function.args[0], job_type.as_pointer()))
    rows, *asks, arguments = cgutils.unpack_tuple(inside, job)
    asked = (inside.inttoptr(ask, ir.FunctionType(INT, []).as_pointer()) for ask in asks)
    # The team may be smaller than was asked for.
    thread, threads = (inside.sext(inside.call(function, []), LONG) for function in asked)
    first = inside.sdiv(inside.mul(rows, thread), threads)
    last = inside.sdiv(inside.mul(rows, inside.add(thread, LONG(1))), threads)
    context.call_internal_no_propagate(
        inside, descriptor, signature, [first, last, *cgutils.unpack_tuple(inside, arguments)]
    )
    inside.ret_void()
    return function
