"""The virtual machine as Python sees it: which copy runs, the op table, one kernel at a time."""
import numpy as np

cimport numpy as cnp

cnp.import_array()

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        int nargs, ntypes
        ft_gufunc_loop *functions
        void **data
        char *types

cdef extern from "vm.h" nogil:
    const ft_row ft_rows[]
    const double ft_constants[]
    const char *ft_op_names[]
    const ft_vm *ft_vm_named(const char *)
    const ft_vm *ft_choose_vm()

rows = ft_rows
constants = ft_constants
machine = ft_choose_vm()


cdef int find_library() except -1:
    """NumPy's matrix product for float64 and float32, called without Python."""
    cnp.import_umath()
    cdef PyUFuncObject *u = <PyUFuncObject *><void *>np.matmul
    cdef int i, k
    for i in range(u.ntypes):
        for k, code in enumerate((cnp.NPY_DOUBLE, cnp.NPY_FLOAT)):
            if all([u.types[i * u.nargs + j] == code for j in range(3)]):
                library.matmul[k] = u.functions[i]
                library.matmul_data[k] = u.data[i]
    if library.matmul[0] == NULL or library.matmul[1] == NULL:
        raise ImportError("fasttape: this NumPy's matmul has no float64 and float32 loops")
    return 0


find_library()


def isa():
    """The instruction set that the kernels in use were compiled for."""
    return machine.name.decode()


def available():
    """The instruction sets of this build that this processor can run, best first."""
    return [name for name in ("avx512", "avx2", "baseline") if ft_vm_named(name.encode()) != NULL]


def use(name):
    """Run the kernels compiled for the instruction set `name` (for tests; not while a trace is open)."""
    global machine
    cdef const ft_vm *found = ft_vm_named(name.encode())
    if found == NULL:
        raise ValueError(f"use: no {name!r} kernels here; available: {', '.join(available())}")
    machine = found


def table():
    """The op table: a list of (name, arity, domains, truth, active operands, doc)."""
    return [(rows[i].name.decode(), rows[i].arity,
             tuple([rows[i].domain[k].decode() for k in range(rows[i].arity)]), bool(rows[i].truth),
             tuple([rows[i].partial[0 if rows[i].truth else k][0] != FT_W_END for k in range(rows[i].arity)]),
             rows[i].doc.decode()) for i in range(FT_N_MAP)]


def names():
    """Every op's name, elementwise and structural, by opcode."""
    return [ft_op_names[i].decode() for i in range(FT_N_OPS)]


def evaluate(name, *arrays):
    """Run the block kernel of op `name` over float64 (or float32) arrays of one shape.

    >>> evaluate("add", np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    array([4., 7.])
    """
    cdef int op, i, f32
    cdef ssize_t n, start, size
    cdef cnp.ndarray y, a
    cdef char *at[4]
    cdef ft_kernel kernel
    for op in range(FT_N_MAP):
        if rows[op].name == name.encode():
            break
    else:
        raise ValueError(f"evaluate: no op named {name!r}")
    dtype = np.result_type(*arrays)
    if len(arrays) != rows[op].arity or dtype not in (np.float64, np.float32):
        raise TypeError(f"evaluate: {name} takes {rows[op].arity} float arrays, got {len(arrays)} of {dtype}")
    arrays = [np.ascontiguousarray(x, dtype) for x in np.broadcast_arrays(*arrays)]
    y = np.empty_like(arrays[0])
    f32 = dtype == np.float32
    n, size = y.size, y.itemsize
    kernel = machine.kernel(op, f32, 0)
    at[0] = <char *>cnp.PyArray_DATA(y)
    for i in range(3):
        a = arrays[min(i, len(arrays) - 1)]
        at[i + 1] = <char *>cnp.PyArray_DATA(a)
    with nogil:
        start = 0
        while start < n:
            kernel(min(<ssize_t>FT_BLOCK, n - start), at[0] + start * size, at[1] + start * size,
                   at[2] + start * size, at[3] + start * size)
            start += FT_BLOCK
    return y
