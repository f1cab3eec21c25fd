"""Sweeps through reversals of loops, which are loops and reversals of loops (scan_sweeps.pyx)."""
from fasttape._core.pull cimport give
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.scan_sweeps cimport Pushed, lane_of, pull_loop, push_loop, stack, steps_first
from fasttape._core.sweep cimport Sweep, fit


cdef class Reversed:
    """A call of a reversal: what stands where among its arguments and results."""
    cdef Reversal r
    cdef Scan f
    cdef list nodes                 # its arguments
    cdef list values                # where a pull reads them
    cdef int32_t first              # its first result
    cdef int64_t carry, sums, ys    # the first of these among the arguments

    def __init__(self, Reversal r, Tape tape, int32_t i):
        cdef int64_t at = tape.t.entry[i].aux + 2, k
        self.r, self.f, self.first = r, r.loop, i
        self.nodes = [tape.t.args[at + k] for k in range(r.n_input)]
        self.values = [again(tape, k) if k >= 0 else k for k in self.nodes]
        self.carry = r.loop.n_input + 1
        self.sums = self.carry + len(r.carry)
        self.ys = self.sums + len(r.constants)

    cdef list seeds(self, Tape tape, int64_t lane):
        """Cotangents that it was given: of the carry and of stacked results; one of its lanes, if it has any."""
        cdef int32_t node
        carry = {j: self.lane(tape, self.values[self.carry + k], lane) for k, j in enumerate(self.r.carry)}
        ys = {}
        for k, j in enumerate(self.r.ys):
            node = self.values[self.ys + k]
            node = steps_first(tape, self.r.lanes, node)
            ys[j] = self.lane(tape, node, lane)
        return [carry, ys]

    cdef int32_t lane(self, Tape tape, int32_t node, int64_t lane) except -1:
        return lane_of(tape, node, lane) if self.r.lanes else node

    cdef dict results_by_argument(self):
        """Argument of the loop -> place of its cotangent among the results."""
        cdef dict out = {}
        cdef int64_t c = self.f.n_constant, k = 0
        for j in self.r.carry:
            out[c + j] = k
            k += 1
        for j in self.r.constants:
            out[j] = k
            k += 1
        for j in self.r.xs:
            out[c + self.f.n_carry + j] = k
            k += 1
        return out

    cdef tuple moving(self):
        cdef int64_t c = self.f.n_constant, x = c + self.f.n_carry
        return tuple(sorted([*self.r.constants, *[c + j for j in self.r.carry], *[x + j for j in self.r.xs]]))


cdef dict pull_pushed(Tape tape, Scan f, Pushed p, tuple moving, list values, list tangents, dict sums, int64_t lanes):
    """Of f's arguments `moving`, what the pull of the pushed loop gives: `values` and `tangents` are the cotangents
    (carry, ys) of what f returns and of its tangents."""
    cdef dict carry = dict(values[0]), ys = dict(values[1]), out
    for k, j in enumerate(p.carry):
        if j in tangents[0]:
            carry[f.n_carry + k] = tangents[0][j]
    for k, j in enumerate(p.ys):
        if j in tangents[1]:
            ys[f.n_y + k] = tangents[1][j]
    at = {k: p.place(f, k) for k in moving}
    out = pull_loop(tape, p.scan, p.nodes, p.first + <int32_t>p.scan.n_output - 1, tuple(sorted(at.values())), carry, ys,
                    {at[k]: v for k, v in sums.items()}, lanes)
    return {k: out[at[k]] for k in moving if at[k] in out}


cdef dict push_once(Tape tape, Reversed c, dict tangents):
    """Result of a reversal -> its tangent, from those of its arguments."""
    cdef Scan f = c.f
    cdef Pushed p
    cdef dict out, moved = {k: t for k, t in tangents.items() if k < f.n_input}, sums
    cdef list given, pushed
    cdef int64_t lanes = c.r.lanes
    cdef int32_t node
    given = [{j: c.nodes[c.carry + k] for k, j in enumerate(c.r.carry)}, {}]
    pushed = [{j: tangents[c.carry + k] for k, j in enumerate(c.r.carry) if c.carry + k in tangents}, {}]
    for k, j in enumerate(c.r.ys):
        node = c.nodes[c.ys + k]
        given[1][j] = steps_first(tape, lanes, node)
        if c.ys + k in tangents:
            node = tangents[c.ys + k]
            pushed[1][j] = steps_first(tape, lanes, node)
    sums = {j: tangents[c.sums + k] for k, j in enumerate(c.r.constants) if c.sums + k in tangents}
    if moved:
        p = push_loop(tape, f, c.nodes[:f.n_input], moved, 0)
        out = pull_pushed(tape, f, p, c.moving(), pushed, given, sums, lanes)
    else:
        node = c.nodes[f.n_input]
        out = pull_loop(tape, f, c.nodes[:f.n_input], node, c.moving(), pushed[0], pushed[1], sums, lanes)
    places = c.results_by_argument()
    made = {}
    for k, node in out.items():
        if k >= f.n_constant + f.n_carry:
            node = steps_first(tape, lanes, node)
        made[places[k]] = node
    return made


cdef int push_reversed(Reversal r, Tape tape, Sweep *s, int32_t i) except -1:
    cdef Reversed c = Reversed(r, tape, i)
    cdef int64_t k, lane
    cdef int32_t node
    cdef list made
    tangents = {}
    for k, node in enumerate(c.nodes):
        if k != c.f.n_input and node >= s.start and tape.tangent[node] >= 0:
            tangents[k] = fit(tape, s.lanes, tape.tangent[node], shape_of(tape, node))
    if not tangents:
        return 0
    if s.lanes == 0:
        for k, node in push_once(tape, c, tangents).items():
            tape.tangent[i + <int32_t>k] = node
        return 0
    made = [push_once(tape, c, {k: lane_of(tape, node, lane) for k, node in tangents.items()}) for lane in range(s.lanes)]
    for k in made[0]:
        tape.tangent[i + <int32_t>k] = stack(tape, [fit(tape, 0, one[k], shape_of(tape, i + <int32_t>k)) for one in made])
    return 0


cdef int add_to(Tape tape, dict out, k, int32_t node) except -1:
    out[k] = map2(tape, OP_add, out[k], node) if k in out else node
    return 0


cdef dict pull_once(Tape tape, Reversed c, dict given):
    """Argument of a reversal -> its cotangent, from those of its results."""
    cdef Scan f = c.f
    cdef Pushed p
    cdef dict out = {}, directions, places = c.results_by_argument(), made
    cdef int64_t lanes = c.r.lanes, lane, k, x = f.n_constant + f.n_carry
    cdef int32_t node
    cdef list parts = []
    for k, j in enumerate(c.r.constants):
        if places[j] in given:
            out[c.sums + k] = given[places[j]]
    for lane in range(max(lanes, 1)):
        directions = {}
        for k, place in places.items():
            if place not in given:
                continue
            node = given[place]
            if k >= x:
                node = steps_first(tape, lanes, node)
            directions[k] = c.lane(tape, node, lane)
        p = push_loop(tape, f, c.values[:f.n_input], directions, 0)
        parts.append(p)
        made = pull_pushed(tape, f, p, c.moving(), [{}, {}], c.seeds(tape, lane), {}, 0)
        for k, node in made.items():
            add_to(tape, out, k, node)
    for k, j in enumerate(c.r.carry):
        if j in (<Pushed>parts[0]).carry:
            made_nodes = [(<Pushed>p_).first + f.n_carry + (<Pushed>p_).carry.index(j) for p_ in parts]
            out[c.carry + k] = stack(tape, made_nodes) if lanes else made_nodes[0]
    for k, j in enumerate(c.r.ys):
        if j in (<Pushed>parts[0]).ys:
            made_nodes = [(<Pushed>p_).first + (<Pushed>p_).scan.n_carry + f.n_y + (<Pushed>p_).ys.index(j)
                          for p_ in parts]
            node = stack(tape, made_nodes) if lanes else made_nodes[0]
            out[c.ys + k] = steps_first(tape, lanes, node)
    return out


cdef int pull_reversed(Reversal r, Tape tape, Sweep *s, int32_t i) except -1:
    cdef Reversed c = Reversed(r, tape, i)
    cdef int64_t k, lane
    cdef int32_t node
    cdef list made
    given = {}
    for k in range(r.n_output):
        if tape.ct[i + k - s.start] >= 0:
            given[k] = fit(tape, s.lanes, tape.ct[i + k - s.start], shape_of(tape, i + <int32_t>k))
    if not given:
        return 0
    if s.lanes == 0:
        for k, node in pull_once(tape, c, given).items():
            give(tape, s, c.nodes[k], node)
        return 0
    made = [pull_once(tape, c, {k: lane_of(tape, node, lane) for k, node in given.items()}) for lane in range(s.lanes)]
    for k in made[0]:
        give(tape, s, c.nodes[k], stack(tape, [fit(tape, 0, one[k], shape_of(tape, c.nodes[k])) for one in made]))
    return 0


def install():
    """Let sweeps go through reversals."""
    global pull_reversal, push_reversal
    pull_reversal = pull_reversed
    push_reversal = push_reversed
