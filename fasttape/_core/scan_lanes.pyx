"""Loops over lanes: the loop whose body is that of the loop over lanes, and its reversal.

What is handed on has a lane for each. Of the constants and slices only those do that are batched, or whose cotangents a
reversal gives: each lane has its own of these. Within a loop the lanes are first, after the steps of what is stacked.
"""
from fasttape._core.body cimport program_of
from fasttape._core.calls cimport emit_call, input_like
from fasttape._core.keep cimport number_input
from fasttape._core.lanes cimport batched_program, over_lanes
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.scan_sweeps cimport reversal_of
from fasttape._core.trace cimport current, enter_own, leave

from fasttape._core import lanes as over


cdef int32_t moved_axis(Tape tape, int32_t node, int source, int target) except -1:
    """An array with one of its axes elsewhere, in memory too."""
    cdef int axes[FT_MAX_DIMS]
    cdef int ndim = ndim_of(tape, node), k
    order = [k for k in range(ndim) if k != source]
    order.insert(target, source)
    for k in range(ndim):
        axes[k] = order[k]
    return owner(tape, permute(tape, node, axes))


cdef int32_t in_each_lane(Tape tape, int32_t node, bint batched, int64_t lanes) except -1:
    """A value with its lanes first, all the same if it has none."""
    if batched:
        return node
    return spread(tape, node, shape_from(tape, (lanes, *shape_tuple(tape, shape_of(tape, node)))))


cdef set given_back(Scan f, list programs):
    """The constants and slices of a loop whose cotangents its reversals in this record give."""
    cdef set out = set()
    cdef Reversal r
    for r in [callee for callee in programs if isinstance(callee, Reversal)]:
        if r.loop is f:
            out.update(r.constants)
            out.update([f.n_constant + f.n_carry + k for k in r.xs])
    return out


cdef Program body_while_any(Scan f, tuple batched, int64_t lanes):
    """The body of an open loop over lanes. A lane that has ended keeps its carry; a last number says whether any has not."""
    cdef Tape old = f.body.record.tape(), outer = current(), tape = enter_own()
    cdef int64_t c = f.n_constant, k
    cdef int32_t going, mask
    cdef list inputs, out
    try:
        inputs = [input_like(tape, old, k, lanes if batched[k] else 0) for k in range(f.n_input)]
        number_input(tape, 0, 0, 1.0)
        out = over_lanes(old, tape, inputs, list(batched), f.body.record_outputs, f.n_carry, lanes)
        going = inputs[c + f.go]
        going = map2(tape, OP_not_equal, going, constant(tape, 0.0, tape.t.entry[going].dtype))
        for k in range(f.n_carry):
            dims = (lanes,) + (1,) * (ndim_of(tape, out[k]) - 1)
            mask = reshape(tape, going, shape_from(tape, dims))
            out[k] = map3(tape, OP_where, mask, out[k], inputs[c + k])
        out.append(reduce(tape, OP_max, out[f.go], 1))
        return program_of(tape, f.body.name, f.n_input + 1, out)
    finally:
        leave(tape, outer)


cdef Scan loop_of(Scan f, Tape tape, list nodes, list batched, int64_t lanes, list programs):
    """The loop over lanes. The nodes of its arguments replace those in the list."""
    cdef int64_t k, c = f.n_constant, x = f.n_constant + f.n_carry
    cdef set own = given_back(f, programs)
    cdef Scan g
    for k in range(f.n_input):
        if c <= k < x or k in own:
            nodes[k] = in_each_lane(tape, nodes[k], batched[k], lanes)
            batched[k] = True
        if k >= x and batched[k]:
            nodes[k] = moved_axis(tape, nodes[k], 0, 1)
    key = "lanes", tuple(batched[:f.n_input]), lanes
    if f.go >= 0:                       # goes on while any lane does
        nodes.insert(f.n_input, reduce(tape, OP_max, nodes[c + f.go], 1))
    if key in f.derived:
        return f.derived[key]
    if f.go >= 0:
        g = new_scan(body_while_any(f, key[1], lanes), c, f.n_carry + 1, 0, f.length, f.n_carry, f.name, f.schedule, f.folder)
    else:
        g = new_scan(batched_program(f.body, key[1], lanes), c, f.n_carry, f.n_x, f.length, -1, f.name, f.schedule, f.folder)
    g.shares = f.shares
    f.derived[key] = g
    return g


cdef list results_of_loop(Scan f, Tape tape, list nodes, list batched, int64_t lanes, list programs):
    cdef Scan g = loop_of(f, tape, nodes, batched, lanes, programs)
    cdef int32_t y = emit_call(tape, g, nodes)
    cdef int64_t k
    return [moved_axis(tape, <int32_t>(y + k), 1, 0) if f.n_carry <= k else y + k for k in range(f.n_output - 1)] + [y + g.n_output - 1]


cdef list results_of_reversal(Reversal r, Tape tape, list nodes, list batched, int64_t lanes, list programs):
    """Stacked seeds come before the lanes."""
    cdef Scan f = r.loop, g
    cdef Reversal q
    cdef int64_t k, n, n_sweep = len(r.carry) + len(r.constants), x = f.n_constant + f.n_carry
    cdef int32_t y
    cdef int place, seeds = 1 if r.lanes else 0
    cdef list moving = sorted([*r.constants, *[f.n_constant + k for k in r.carry], *[x + k for k in r.xs]]), out = []
    g = loop_of(f, tape, nodes, batched, lanes, programs)
    q = reversal_of(g, tuple(moving), r.ys, r.lanes)
    if q.constants != r.constants or q.carry != r.carry or q.xs != r.xs:
        raise AssertionError("a reversal over lanes hands on something else")
    n = g.n_input + 1
    for k in range(n, q.n_input):
        place = seeds + (1 if k >= n + n_sweep else 0)
        nodes[k] = in_each_lane(tape, nodes[k], batched[k - n + f.n_input + 1], lanes)
        if place:
            nodes[k] = moved_axis(tape, nodes[k], 0, place)
    y = emit_call(tape, q, nodes)
    for k in range(r.n_output):
        place = seeds + (1 if k >= n_sweep else 0)
        out.append(moved_axis(tape, <int32_t>(y + k), place, 0) if place else y + k)
    return out


def loop_over_lanes(callee, Tape tape, list nodes, tuple batched, int64_t lanes, list programs):
    """The nodes of the results of a loop or a reversal, their lanes first. A node of -1 is an argument left out."""
    if isinstance(callee, Scan):
        return results_of_loop(callee, tape, nodes, list(batched), lanes, programs)
    return results_of_reversal(callee, tape, nodes, list(batched), lanes, programs)


def install():
    """Let lanes go through loops."""
    over.loop_over_lanes = loop_over_lanes
