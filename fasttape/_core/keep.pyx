"""From a trace to a program: recorded, frozen for later sweeps, optimised, rolled, planned."""
import numpy as np

from libc.stdint cimport int8_t

cimport numpy as cnp

from fasttape._core.frozen cimport freeze
from fasttape._core.interleave cimport interleave
from fasttape._core.loops cimport make_code
from fasttape._core.optimise cimport optimise
from fasttape._core.packed cimport keep_record
from fasttape._core.program cimport Program, mark_after, name_of
from fasttape._core.record cimport *
from fasttape._core.roll cimport roll
from fasttape._core.signature cimport *
from fasttape._core.state cimport State
from fasttape._core.trace cimport current, enter_own, leave, output_node
from fasttape._core.tracer cimport wrap

from fasttape._core import vm
from fasttape._core.fuse import new_codes

cnp.import_array()


# ---- inputs

cdef int32_t number_input(Tape tape, int dtype, int flags, double value) except -1:
    cdef int32_t node = emit(tape, OP_input, dtype, FT_DONE | flags, 0, 0, 0, 0)
    tape.t.val[node].f = value
    return node


cdef int32_t array_input(Tape tape, object array) except -1:
    """A node for a contiguous array, which is not copied."""
    cdef cnp.ndarray a = array
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    cdef int32_t node
    for k in range(cnp.PyArray_NDIM(a)):
        dims[k] = cnp.PyArray_DIM(a, k)
    tape.keep.append(a)
    node = emit(tape, OP_input, FT_F32 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else FT_F64, FT_DONE,
                intern_shape(tape, cnp.PyArray_NDIM(a), dims), 0, <int32_t>len(tape.keep), 0)
    tape.t.val[node].p = cnp.PyArray_DATA(a)
    return node


cdef int32_t input_of(Tape tape, Form form, object x) except -1:
    if form.kind == ARRAY:
        return array_input(tape, np.array(x, order="C", copy=None, dtype=np.float32 if form.dtype else np.float64))
    return number_input(tape, FT_F32 if form.kind == NUMBER32 else FT_F64,
                        FT_WEAK if form.kind == PYTHON_FLOAT else 0, x)


# ---- guards

cdef bint is_known(Tape tape, int64_t n_input, int32_t node) noexcept:
    """The node is the same in every run."""
    cdef ft_entry *e = tape.t.entry + node
    if e.op == OP_view or e.op == OP_positive:
        return is_known(tape, n_input, e.a)
    return e.op == OP_constant or (e.op == OP_input and node >= n_input)


cdef int keep_guards(Program p, Tape frozen, list guards, int32_t *nodes) except -1:
    """Note what the guards must see. What is the same in every run, or is guarded already, needs none. `nodes`
    are the outputs on the recorded tape; what is no guard any more leaves them and the record's."""
    cdef int64_t k, n = 0, path = 0
    cdef int32_t node
    cdef set met = set()
    p.truth = <int8_t *>allocate(len(guards) + 8)
    if p.truth == NULL:
        raise MemoryError
    p.guards = []
    p.marks = [0]
    for k in range(<int64_t>len(guards)):
        node = p.record_outputs[p.n_result + k]
        _, how, seen, place = guards[k]
        if (node, how) in met or is_known(frozen, p.n_input, node):
            continue
        met.add((node, how))
        p.record_outputs[p.n_result + n] = node
        nodes[p.n_result + n] = nodes[p.n_result + k]
        p.truth[n] = seen if how is bool and frozen.t.entry[node].shape == 0 else -1
        p.guards.append((how, seen, place))
        path = mark_after(path, seen)
        p.marks.append(path)
        n += 1
    p.n_output = p.n_result + n
    return 0


# ---- all of it

cdef bint has_float32(Tape tape) noexcept nogil:
    cdef int64_t i
    for i in range(tape.t.n):
        if tape.t.entry[i].dtype == FT_F32 or tape.t.entry[i].dtype == FT_B32:
            return True
    return False


cdef int keep(Program p, Tape tape, int64_t n_input, list nodes, list guards) except -1:
    """Make the program of a recorded tape, whose first nodes are the inputs, and of its outputs: the results, then
    what the guards look at. The tape is of no use afterwards."""
    cdef Tape frozen
    cdef int64_t k, n = len(nodes)
    p.n_input = n_input
    p.n_output = n
    p.n_result = n - len(guards)
    p.states = []
    p.reusable = True
    p.derived = {}
    p.outputs = <int32_t *>allocate(n * sizeof(int32_t) + 8)
    p.record_outputs = <int32_t *>allocate(n * sizeof(int32_t) + 8)
    if p.outputs == NULL or p.record_outputs == NULL:
        raise MemoryError
    for k in range(n):
        p.outputs[k] = p.record_outputs[k] = nodes[k]
    frozen = freeze(tape, NULL, n_input, p.record_outputs, n)
    p.any_float = not has_float32(frozen)
    keep_guards(p, frozen, guards, p.outputs)
    p.record = keep_record(frozen)
    p.recorded = tape.t.n
    interleave(tape, n_input, p.outputs, p.n_output)
    p.tape = optimise(tape, n_input, p.outputs, p.n_output)
    p.kept = p.tape.t.n
    p.tape = roll(p.tape, n_input, p.outputs, p.n_output)
    make_code(p.tape.loops)
    p.tape.codes = new_codes()
    p.states.append(p.plan())
    return 0


cdef int refuse_beyond(Program p, int64_t budget) except -1:
    """A program must not take more memory than it has been given."""
    cdef Tape tape = (<State>p.states[0]).tape
    cdef int64_t took = tape.bytes_out + tape.bytes_pooled + tape.cap_scratch
    if took > budget:
        raise ValueError(f"compile: {p.name} takes {took / 1e6:.2f} MB, of {budget / 1e6:.2f} MB that it may take; grad, "
                         f"value_and_grad and loops make do with less where they can, other transforms do not")
    return 0


cdef Program record(type kind, object f, Form arguments, list leaves, object static, str name, int64_t budget=0):
    """The Program, of class `kind`, of f as it runs with arguments of this form, whose floats are `leaves`; within a
    budget of bytes, if it is not 0."""
    cdef Tape outer = current(), tape
    cdef Program p = kind.__new__(kind)
    cdef list forms = [], traced = [], results = []
    p.function = f
    p.name = name
    p.static = static
    p.arguments = arguments
    leaf_forms(arguments, forms)
    if not (<Form>arguments.parts[1]).parts and all([(<Form>part).kind <= ARRAY for part in (<Form>arguments.parts[0]).parts]):
        p.flat = (<Form>arguments.parts[0]).parts
    tape = enter_own()
    tape.guards = []
    tape.budget = budget
    try:
        for form, x in zip(forms, leaves):
            traced.append(wrap(tape, input_of(tape, form, x)))
        args, kwargs = rebuilt(arguments, traced)
        result = f(*args, **kwargs)
        p.result = form_of_result(result, name)
        gather(p.result, result, results)
        nodes = [output_node(tape, y, name) for y in results] + [node for node, _, _, _ in tape.guards]
        keep(p, tape, len(leaves), nodes, tape.guards)
        if budget:
            refuse_beyond(p, budget)
    finally:
        tape.guards = None
        leave(tape, outer)
    return p


cdef list examples_of(Form form):
    """Numbers and arrays for a trace that looks at none of them."""
    cdef list forms = [], out = []
    cdef Form part
    leaf_forms(form, forms)
    for part in forms:
        if part.kind == ARRAY:
            out.append(np.zeros(part.shape, np.float32 if part.dtype else np.float64))
        else:
            out.append(np.float32(0.5) if part.kind == NUMBER32 else np.float64(0.5) if part.kind == NUMBER64 else 0.5)
    return out


def trace(kind, f, tuple args, dict kwargs, name=None):
    """The Program of f as it runs with these arguments."""
    cdef list leaves = []
    cdef Form form
    name = name or name_of(f)
    form = form_of_call(args, kwargs, f"trace({name})", None)
    if has_traced((args, kwargs)):
        raise TypeError(f"trace({name}): an example argument is a traced value; give a plain one of its shape")
    gather(form, (args, kwargs), leaves)
    return record(kind, f, form, leaves, None, name)


def example_of(Program p):
    """Arguments (args, kwargs) like those of the program, of no particular values."""
    return rebuilt(p.arguments, examples_of(p.arguments))


def example_result(Program p):
    """The like of its result."""
    cdef list out = []
    cdef ft_entry *e
    cdef int64_t k
    for k in range(p.n_result):
        e = p.tape.t.entry + p.outputs[k]
        dtype = np.float32 if e.dtype & 1 else np.float64
        out.append(np.zeros(shape_tuple(p.tape, e.shape), dtype) if e.shape else dtype(0.5))
    return rebuilt(p.result, out)


# ---- for tests

def kept(Program p):
    """What a program keeps: the names of its tape's entries, and the bytes of its tapes, plans and arrays."""
    cdef Tape tape
    cdef State s
    cdef int64_t total = p.record.bytes
    held = {id(x): x.nbytes for x in p.tape.keep if isinstance(x, np.ndarray)}
    for s in p.states:
        held.update({id(x): x.nbytes for x in s.homes if x is not None})
    for tape in [p.tape] + [s.tape for s in p.states]:
        total += tape.cap_entry * sizeof(ft_entry) + tape.cap_val * sizeof(ft_value) + tape.cap_last * sizeof(int32_t) \
            + tape.t.cap_args * sizeof(int32_t) + tape.cap_instr * sizeof(ft_instr) + tape.cap_step * sizeof(ft_step) \
            + tape.bytes_out + tape.bytes_pooled + tape.cap_scratch
    names = vm.names()
    return [names[p.tape.t.entry[k].op] for k in range(p.tape.t.n)], total + sum(held.values())


def record_bytes(Program p):
    """The memory of what was recorded, kept for sweeps."""
    return p.record.bytes
