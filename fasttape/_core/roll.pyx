"""Rolling: the repetitions of a scalar tape become array entries and loops on a new one.

What an iteration computes apart from the others becomes an entry of an array, one lane an iteration: the
same op, the same operands, as views of what they are in all iterations. What each iteration hands to the
next becomes a loop, whose body is run in order. Elements of an array that are added to become regions. Every
number is computed from the same numbers by the same op, and sums are added up in the same order, so the results
are those of the old tape, bit for bit.
"""
import numpy as np

from libc.stdlib cimport free
from libc.string cimport memset

cimport numpy as cnp

from fasttape._core.copies cimport copy_tables, emit_group, own_operands
from fasttape._core.loops cimport LoopMaker
from fasttape._core.needs cimport mark_needs
from fasttape._core.record cimport *
from fasttape._core.repeat cimport *

cnp.import_array()

cdef enum:                          # what becomes of a place of a body
    LANES                           # an array
    LATE_LANES                      # an array, after those
    IN_ORDER                        # in the loop
    LINK                            # an add_at

cdef enum:                          # how a place is used from outside its loop
    USED_LAST = 1, USED = 2


cdef class Roller:
    """The old tape, the new one, and what is known of the way between them."""
    cdef Tape old, new
    cdef Sequence s
    cdef dict taken                 # (array, place): the element as a number
    cdef int32_t *to                # old node -> new node
    cdef int32_t *repeat_of         # place in the sequence -> its repeat, or -1
    cdef uint8_t *fate              # by place of a body
    cdef uint8_t *used
    cdef int32_t *lanes             # the array of a place's values in all iterations, in their order
    cdef uint8_t *emitted           # by repeat: its lanes are there
    cdef uint8_t *turned            # by repeat: its arrays lie in memory from the last iteration to the first
    cdef int32_t *final             # its value in the last one

    cdef int32_t *by_node           # `to`, and the places of the sequence
    cdef int32_t *by_place          # `repeat_of`, and the sequence
    cdef int64_t cap_by_node, cap_by_place

    def __dealloc__(self):
        drop(<void **>&self.by_node, &self.cap_by_node, sizeof(int32_t))
        drop(<void **>&self.by_place, &self.cap_by_place, sizeof(int32_t))
        free(self.fate)
        free(self.used)
        free(self.lanes)
        free(self.turned)
        free(self.emitted)
        free(self.final)
        drop(<void **>&self.s.repeat, &self.s.cap_repeat, sizeof(Repeat))
        drop(<void **>&self.s.place, &self.s.cap_place, sizeof(Place))

    # ---- from old nodes to new ones

    cdef int32_t node(self, int32_t o) except -1:
        """The new node of an old one, outside of loops."""
        cdef ft_entry e
        cdef Repeat *r
        cdef int64_t q, t, p
        cdef int32_t y
        if self.to[o] >= 0:
            return self.to[o]
        e = self.old.t.entry[o]
        if e.op == OP_constant:
            y = constant(self.new, self.old.t.val[o].f, e.dtype)
        elif e.op == OP_get and self.s.at[o] < 0:
            y = self.take(self.node(e.a), e.aux)
        elif e.op == OP_view:
            y = emit(self.new, OP_view, e.dtype, e.flags & FT_ACTIVE, e.shape, self.node(e.a), 0, e.aux)
        else:                           # of a loop
            q = self.s.at[o]
            r = self.s.repeat + self.repeat_of[q]
            t = (q - r.start) // r.period
            p = r.place + within(r, q)
            if t == r.count - 1 and self.final[p] >= 0:
                y = self.final[p]
            elif shape_of(self.new, self.lanes[p]) == 0:
                y = self.lanes[p]
            else:
                y = self.take(root_of(self.new, self.lanes[p]), self.element(self.lanes[p], t))
        self.to[o] = y
        return y

    cdef int32_t take(self, int32_t root, int64_t place) except -1:
        """An element, which even of an input is not known yet."""
        return emit(self.new, OP_get, self.new.t.entry[root].dtype, 0, 0, root, 0, <int32_t>place)

    cdef int64_t element(self, int32_t node, int64_t t):
        """Where lane t lies in the root of an array of lanes."""
        cdef ft_view *w
        if self.new.t.entry[node].op != OP_view:
            return t
        w = self.new.t.view + self.new.t.entry[node].aux
        return w.offset + t * self.new.t.dims[w.at]

    cdef int32_t part_of(self, int32_t node, int64_t first, int64_t step, int64_t count) except -1:
        """Lanes first, first + step, ... of an array of lanes."""
        cdef int64_t strides[FT_MAX_DIMS]
        cdef int64_t offset, stride
        layout(self.new, node, strides, &offset)
        offset += first * strides[0]
        stride = step * strides[0]
        return region(self.new, node, 1, &count, &stride, offset)

    cdef int32_t turn(self, Repeat *r, int32_t node) except -1:
        """The lanes of an array from the last to the first, where the repeat wants them so."""
        if not self.turned[r - self.s.repeat] or shape_of(self.new, node) == 0:
            return node
        return self.part_of(node, r.count - 1, -1, r.count)

    cdef int32_t lanes_of(self, Repeat *r, Ref *a) except -1:
        """What an operand is in all iterations: an array of lanes, or a number."""
        cdef int64_t back, p, t
        cdef Repeat *other
        if a.kind == REF_NUMBER or a.kind == REF_NODE:
            return self.node(<int32_t>a.base)
        if a.kind == REF_NUMBERS:
            return -2                   # the caller knows which
        if a.kind == REF_ELEMENT:
            return self.elements(r, a)
        if a.stride == 0:
            return self.node(self.s.node[a.base])
        if own(r, a):
            p = within(r, a.base)
            back = (r.start + p - a.base) // r.period
            if back == 0:
                return self.lanes[r.place + p]
            return self.delayed(r, self.lanes[r.place + p], a.base, back)
        other = self.s.repeat + self.repeat_of[a.base]
        t = (a.base - other.start) // other.period
        p = within(other, a.base)
        if shape_of(self.new, self.lanes[other.place + p]) == 0:
            return self.lanes[other.place + p]
        return self.part_of(self.lanes[other.place + p], t, a.stride // other.period, r.count)

    cdef int32_t elements(self, Repeat *r, Ref *a) except -1:
        """Elements of an array: a view of it, or one of them."""
        cdef int32_t root = self.node(a.root)
        if a.stride == 0:
            if (root, a.base) not in self.taken:
                self.taken[root, a.base] = self.take(root, a.base)
            return self.taken[root, a.base]
        return region(self.new, root, 1, &r.count, &a.stride, a.base)

    cdef int32_t delayed(self, Repeat *r, int32_t node, int64_t base, int64_t back) except -1:
        """Lanes of what was computed `back` iterations before, the first of them before the loop."""
        cdef int64_t count = r.count, k, one = 1, rest = r.count - back
        cdef int64_t at = new_args(self.new, 1 + 2 * (back + 1))
        cdef int32_t shape = intern_shape(self.new, 1, &count), y, view
        self.new.t.args[at] = <int32_t>(back + 1)
        for k in range(back):
            y = self.node(self.s.node[base + k * r.period])
            view = intern_view(self.new, shape, 1, &one, &one, k)
            self.new.t.args[at + 1 + 2 * k] = y
            self.new.t.args[at + 2 + 2 * k] = view
        y = self.part_of(node, 0, 1, rest)
        view = intern_view(self.new, shape, 1, &rest, &one, back)
        self.new.t.args[at + 1 + 2 * back] = y
        self.new.t.args[at + 2 + 2 * back] = view
        return emit(self.new, OP_assemble, self.new.t.entry[node].dtype, 0, shape, 0, 0, <int32_t>at)

    cdef int32_t numbers(self, Repeat *r, int64_t p, int k) except -1:
        """An array of the constants that operand k of place p is."""
        cdef int64_t t, count = r.count
        cdef cnp.ndarray values = np.empty(count)
        cdef int32_t node = 0, y
        cdef int dtype = FT_F64
        for t in range(count):
            node = operand_of(self.old.t.entry + self.s.node[r.start + t * r.period + p], k)
            (<double *>cnp.PyArray_DATA(values))[t] = self.old.t.val[node].f
        dtype = self.old.t.entry[node].dtype
        if itemsize(dtype) == 4:
            values = values.astype(np.float32)
        y = emit(self.new, OP_input, dtype, FT_DONE, intern_shape(self.new, 1, &count), 0, 0, 0)
        self.new.t.val[y].p = cnp.PyArray_DATA(values)
        self.new.keep.append(values)
        self.new.t.entry[y].b = <int32_t>len(self.new.keep)
        return y

    cdef int32_t operand(self, Repeat *r, int64_t p, int k) except -1:
        cdef int32_t y = self.lanes_of(r, &self.s.place[r.place + p].a[k])
        return self.numbers(r, p, k) if y == -2 else y

    # ---- one repeat

    cdef int emit_lanes(self, Repeat *r, int64_t p) except -1:
        cdef ft_entry e = self.old.t.entry[self.s.node[r.start + p]]
        cdef int32_t nodes[3]
        cdef int k, arity = operands_of(self.old, self.s.node[r.start + p])
        cdef int32_t shape = 0
        nodes[0] = nodes[1] = nodes[2] = 0
        for k in range(arity):
            nodes[k] = self.turn(r, self.operand(r, p, k))
            if shape_of(self.new, nodes[k]):
                shape = shape_of(self.new, nodes[k])
        self.lanes[r.place + p] = self.turn(r, emit(self.new, e.op, e.dtype, e.flags & FT_ACTIVE, shape, nodes[0],
                                                    nodes[1], nodes[2]))
        return 0

    cdef int emit_loop(self, Repeat *r) except -1:
        """What is computed in order: one loop."""
        cdef LoopMaker m = LoopMaker(self.new, r.count)
        cdef int64_t p, back, q, j
        cdef int k, arity
        cdef int32_t node
        cdef Ref *a
        cdef dict value_at = {}, carries = {}
        cdef list operands, results = []
        cdef ft_entry e
        for p in range(r.period):
            if self.fate[r.place + p] != IN_ORDER:
                continue
            e = self.old.t.entry[self.s.node[r.start + p]]
            arity = operands_of(self.old, self.s.node[r.start + p])
            operands = []
            for k in range(arity):
                a = &self.s.place[r.place + p].a[k]
                if own(r, a):
                    q = within(r, a.base)
                    back = (r.start + q - a.base) // r.period
                    if self.fate[r.place + q] == IN_ORDER:
                        if back == 0:
                            operands.append(value_at[q])
                            continue
                        for j in range(1, back + 1):    # the value of j iterations before
                            if (q, j) not in carries:
                                carries[q, j] = m.carry(self.node(self.s.node[r.start + q - j * r.period]))
                        operands.append(carries[q, back])
                        continue
                node = self.operand(r, p, k)
                operands.append(m.constant(self.new.t.val[node].f) if self.new.t.entry[node].op == OP_constant
                                else m.load(node))
            value_at[p] = m.op(e.op, e.dtype & 1, operands)
            if self.used[r.place + p] & USED:
                results.append((p, True, m.store(value_at[p], e.dtype)))
        for q, j in carries:
            m.next(carries[q, j], value_at[q] if j == 1 else carries[q, j - 1])
        for p in value_at:
            if self.used[r.place + p] & USED_LAST:
                results.append((p, False, m.last(value_at[p], self.old.t.entry[self.s.node[r.start + p]].dtype)))
        nodes = m.finish()
        for p, whole, k in results:
            if whole:
                self.lanes[r.place + p] = nodes[k]
            else:
                self.final[r.place + p] = nodes[k]
        return 0

    cdef int emit_links(self, Repeat *r, list links) except -1:
        """Elements added to, or set: regions, in an order in which each element gets what it is given as before."""
        cdef Place *place
        cdef int64_t p, step, first
        cdef int32_t c, v, view, shape
        cdef bint sets = self.old.t.entry[self.s.node[r.start + <int64_t>links[0]]].op == OP_set_at
        place = self.s.place + r.place + <int64_t>links[0]
        c = self.node(self.s.node[place.a[0].base] if place.a[0].kind == REF_SEQ else <int32_t>place.a[0].base)
        shape = shape_of(self.new, c)
        for p in self.in_order(r, links):
            place = self.s.place + r.place + p
            v = spread(self.new, self.turn(r, self.operand(r, p, 1)), intern_shape(self.new, 1, &r.count))
            step = place.aux_stride
            first = place.aux
            if self.turned[r - self.s.repeat]:
                first += (r.count - 1) * step
                step = -step
            view = intern_view(self.new, shape, 1, &r.count, &step, first)
            if not sets and self.is_zeros(c):       # 0.0 + v, and zeros around it
                v = map2(self.new, OP_add, v, constant(self.new, 0.0, self.new.t.entry[c].dtype))
                c = emit(self.new, OP_pad, self.new.t.entry[c].dtype, 0, shape, v, 0, view)
                continue
            c = emit(self.new, OP_update if sets else OP_add_region, self.new.t.entry[c].dtype, 0, shape, c, v, view)
        p = links[len(links) - 1]
        self.final[r.place + p] = c
        return 0

    cdef bint is_zeros(self, int32_t node) noexcept:
        cdef ft_entry *e = self.new.t.entry + node
        return e.op == OP_positive and self.new.t.entry[e.a].op == OP_constant \
            and (<uint64_t *>&self.new.t.val[e.a].f)[0] == 0

    cdef list in_order(self, Repeat *r, list links):
        """The links, those that reach a common element first in an earlier iteration before the others."""
        cdef int64_t step = self.s.place[r.place + <int64_t>links[0]].aux_stride
        return sorted(links, key=lambda p: (-self.s.place[r.place + <int64_t>p].aux if step > 0 else
                                            self.s.place[r.place + <int64_t>p].aux, p))

    # ---- what becomes of each place

    cdef list judge(self, Repeat *r):
        """Decide the fate of each place; the links of the repeat, or None where it is left as it is."""
        cdef int64_t p, q, ordered = 0, plain = 0, back
        cdef bint tangled = False       # what depends on an earlier iteration is read in a later one
        cdef int k, op, arity
        cdef Ref *a
        cdef Place *place
        cdef list links = []
        cdef cnp.ndarray after = np.zeros(r.period, np.uint8), before = np.zeros(r.period, np.uint8)
        cdef uint8_t *late = <uint8_t *>cnp.PyArray_DATA(after)        # depends on an earlier iteration
        cdef uint8_t *handed = <uint8_t *>cnp.PyArray_DATA(before)     # a later iteration depends on it
        for p in range(r.period):
            place = self.s.place + r.place + p
            op = self.old.t.entry[self.s.node[r.start + p]].op
            if op == OP_get:
                return None
            self.fate[r.place + p] = LINK if op == OP_add_at or op == OP_set_at else LANES
            if op == OP_add_at or op == OP_set_at:
                links.append(p)
        if links and not self.linked(r, links):
            return None
        for p in range(r.period):
            if self.fate[r.place + p] == LINK:
                continue
            place = self.s.place + r.place + p
            arity = operands_of(self.old, self.s.node[r.start + p])
            for k in range(arity):
                a = &place.a[k]
                if own(r, a):
                    q = within(r, a.base)
                    back = (r.start + q - a.base) // r.period
                    if self.fate[r.place + q] == LINK:
                        return None
                    if back > 0:
                        late[p] = 1
                        handed[q] = 1
                    else:
                        late[p] |= late[q]
        for p in range(r.period - 1, -1, -1):
            if handed[p]:
                place = self.s.place + r.place + p
                arity = operands_of(self.old, self.s.node[r.start + p])
                for k in range(arity):
                    a = &place.a[k]
                    if own(r, a) and a.base >= r.start:
                        handed[a.base - r.start] = 1
        for p in range(r.period):
            if self.fate[r.place + p] == LANES:
                plain += 1
                ordered += late[p] & handed[p]
                tangled |= late[p] & handed[p]
        for p in range(r.period):
            if self.fate[r.place + p] == LANES and (3 * ordered > plain or (late[p] and tangled)):
                self.fate[r.place + p] = IN_ORDER
            elif self.fate[r.place + p] == LANES and late[p]:
                self.fate[r.place + p] = LATE_LANES
        return links

    cdef bint linked(self, Repeat *r, list links) except -1:
        """The links form one chain, which nothing else reads, and may be added region by region."""
        cdef Place *place
        cdef Place *first = self.s.place + r.place + <int64_t>links[0]
        cdef int64_t n = len(links), k, p, expected
        for k in range(n):
            p = links[k]
            place = self.s.place + r.place + p
            expected = r.start + <int64_t>links[(k + n - 1) % n] - (r.period if k == 0 else 0)
            if place.a[0].kind != REF_SEQ or place.a[0].stride != r.period or place.a[0].base != expected:
                return False
            if self.old.t.entry[self.s.node[r.start + p]].op != self.old.t.entry[self.s.node[r.start + <int64_t>links[0]]].op:
                return False
            if place.aux_stride == 0 or place.aux_stride != first.aux_stride:
                return False
            if self.used[r.place + p] & USED or (self.used[r.place + p] & USED_LAST and k < n - 1):
                return False
        return True

    cdef bint runs_down(self, Repeat *r) noexcept:
        """More of what the repeat reads and writes lies from high to low than the other way."""
        cdef int64_t p, up = 0, step
        cdef int k
        cdef Ref *a
        for p in range(r.period):
            step = self.s.place[r.place + p].aux_stride
            up += (step > 0) - (step < 0)
            for k in range(3):
                a = &self.s.place[r.place + p].a[k]
                if a.kind == REF_ELEMENT:
                    up += (a.stride > 0) - (a.stride < 0)
                elif a.kind == REF_SEQ and a.stride != 0 and not own(r, a):
                    step = -a.stride if self.turned[self.repeat_of[a.base]] else a.stride
                    up += (step > 0) - (step < 0)
        return up < 0

    cdef int emit_apart(self, Repeat *r) except -1:
        """What a repeat computes in lanes."""
        cdef int64_t p
        self.emitted[r - self.s.repeat] = True
        self.turned[r - self.s.repeat] = self.runs_down(r)
        for p in range(r.period):
            if self.fate[r.place + p] == LANES:
                self.emit_lanes(r, p)
        for p in range(r.period):
            if self.fate[r.place + p] == LATE_LANES:
                self.emit_lanes(r, p)
        return 0

    cdef bint is_there(self, int32_t o) noexcept:
        return self.to[o] >= 0 or self.old.t.entry[o].op == OP_constant

    cdef bint can_go_first(self, Repeat *r) noexcept:
        """All that the lanes of a repeat depend on is there already."""
        cdef int64_t p
        cdef int k
        cdef Ref *a
        for p in range(r.period):
            if self.fate[r.place + p] == LINK:
                continue
            if self.fate[r.place + p] == IN_ORDER or self.fate[r.place + p] == LATE_LANES:
                return False
            for k in range(operands_of(self.old, self.s.node[r.start + p])):
                a = &self.s.place[r.place + p].a[k]
                if a.kind == REF_NODE and not self.is_there(<int32_t>a.base):
                    return False
                if a.kind == REF_ELEMENT and not self.is_there(a.root):
                    return False
                if a.kind != REF_SEQ or own(r, a):
                    continue
                if self.repeat_of[a.base] < 0 or not self.emitted[self.repeat_of[a.base]]:
                    if a.stride != 0 or not self.is_there(self.s.node[a.base]):
                        return False
                elif self.lanes[self.s.repeat[self.repeat_of[a.base]].place
                                + within(self.s.repeat + self.repeat_of[a.base], a.base)] < 0:
                    return False
        return True

    cdef int emit_repeat(self, int64_t k, list links) except -1:
        """A repeat, its lanes first; before what is computed in order go the lanes of those after it that can, so
        that they are of one run."""
        cdef Repeat *r = self.s.repeat + k
        cdef int64_t p, j = k + 1
        if not self.emitted[k]:
            self.emit_apart(r)
        while j < self.s.n_repeat and self.s.repeat[j].count == r.count and not self.emitted[j] \
                and self.repeat_of[self.s.repeat[j].start] == j and self.can_go_first(self.s.repeat + j):
            self.emit_apart(self.s.repeat + j)
            j += 1
        for p in range(r.period):
            if self.fate[r.place + p] == IN_ORDER:
                self.emit_loop(r)
                break
        if links:
            self.emit_links(r, links)
        return 0

    # ---- the whole tape

    cdef int note_use(self, int32_t o) noexcept:
        """An entry outside of loops reads an old node."""
        cdef int64_t q = self.s.at[o]
        cdef Repeat *r
        if q >= 0 and self.repeat_of[q] >= 0:
            r = self.s.repeat + self.repeat_of[q]
            self.used[r.place + within(r, q)] |= \
                USED_LAST if (q - r.start) // r.period == r.count - 1 else USED
        return 0

    cdef int note_uses_by(self, Repeat *r) noexcept:
        """What a loop reads of others, and its additions of it."""
        cdef int64_t p, q, back
        cdef int k
        cdef Ref *a
        cdef Repeat *other
        for p in range(r.period):
            for k in range(operands_of(self.old, self.s.node[r.start + p])):
                a = &self.s.place[r.place + p].a[k]
                if a.kind != REF_SEQ:
                    continue
                if own(r, a):
                    q = within(r, a.base)
                    back = (r.start + q - a.base) // r.period
                    while back > 0:         # begins before the loop
                        self.note_use(self.s.node[r.start + q - back * r.period])
                        back -= 1
                    if self.old.t.entry[self.s.node[r.start + p]].op in (OP_add_at, OP_set_at) and k == 1:
                        self.used[r.place + q] |= USED
                elif a.stride == 0:
                    self.note_use(self.s.node[a.base])
                else:
                    other = self.s.repeat + self.repeat_of[a.base]
                    self.used[other.place + within(other, a.base)] |= USED
        return 0

    cdef int note_uses_at(self, int32_t i) noexcept:
        cdef Reads o = reads_of(self.old, self.old.t.entry + i)
        cdef int k
        for k in range(o.n):
            if o.at[k * o.step] >= 0:
                self.note_use(root_of(self.old, o.at[k * o.step]))
        return 0

    cdef int32_t move(self, int32_t i) except -1:
        """An entry outside of loops, on the new tape."""
        cdef ft_entry e = self.old.t.entry[i]
        cdef Reads o
        cdef int32_t y, k, n
        if group_of(self.old, i) != i:
            return self.to[group_of(self.old, i)] + e.a
        own_operands(self.old, self.new, &e)
        n = reads_of(self.new, &e).n
        for k in range(n):
            o = reads_of(self.new, &e)
            if o.at[k * o.step] >= 0:
                y = moved_store(self.old, self.to, o.at[k]) if is_store(self.old, o.at[k * o.step]) else self.node(o.at[k * o.step])
                o = reads_of(self.new, &e)
                o.at[k * o.step] = y
        return emit_group(self.old, self.new, i, &e)

    cdef bint reads_dropped(self, Repeat *r) noexcept:
        cdef int64_t p
        cdef int k
        cdef Ref *a
        for p in range(r.period):
            for k in range(3):
                a = &self.s.place[r.place + p].a[k]
                if a.kind == REF_SEQ and a.stride != 0 and not own(r, a) and self.repeat_of[a.base] < 0:
                    return True
        return False

    cdef int drop_repeat(self, int64_t k) noexcept:
        """Leave a repeat as it is."""
        cdef Repeat *r = self.s.repeat + k
        cdef int64_t q
        for q in range(r.start, r.start + r.period * r.count):
            self.repeat_of[q] = -1
        return 0

    cdef int find(self, int32_t first, int32_t top) except -1:
        """The sequence of the needed scalar entries, and its repeats."""
        cdef int32_t i, part = 0
        cdef ft_entry *e
        cdef int64_t k, q
        for i in range(first, top + 1):
            e = self.old.t.entry + i
            if not e.flags & FT_NEED:
                continue
            if e.op == OP_get and self.s.at[e.a] < 0:
                continue                # an operand, wherever it stands
            if (e.shape == 0 and (e.op < FT_N_MAP or e.op == OP_cast or e.op == OP_get)) or e.op == OP_add_at \
                    or e.op == OP_set_at:
                self.s.node[self.s.n] = i
                self.s.part[self.s.n] = part
                self.s.at[i] = <int32_t>self.s.n
                self.s.n += 1
            else:
                part += 1
        with nogil:
            find_repeats(self.old, &self.s)
        for k in range(self.s.n_repeat):
            for q in range(self.s.repeat[k].start, self.s.repeat[k].start + self.s.repeat[k].period * self.s.repeat[k].count):
                self.repeat_of[q] = <int32_t>k
        return 0

    cdef int run(self, int64_t n_input, int32_t *outputs, int64_t n) except -1:
        cdef int32_t i, top, first = mark_needs(self.old, outputs, n, &top)
        cdef int64_t k, q
        cdef ft_entry e
        cdef Repeat *r
        cdef list links = []
        k = self.old.t.n
        resize(<void **>&self.by_node, &self.cap_by_node, 2 * k, sizeof(int32_t))
        memset(self.by_node, 0xff, 2 * k * sizeof(int32_t))
        self.to = self.by_node
        self.s.at = self.by_node + k
        k = max(top - first + 1, 1)
        resize(<void **>&self.by_place, &self.cap_by_place, 3 * k, sizeof(int32_t))
        self.repeat_of = self.by_place
        memset(self.repeat_of, 0xff, k * sizeof(int32_t))
        self.s.node = self.by_place + k
        self.s.part = self.by_place + 2 * k
        self.find(first, top)
        k = max(self.s.n_place, 1)
        self.fate = <uint8_t *>allocate(k)
        self.used = <uint8_t *>allocate(k)
        self.lanes = <int32_t *>allocate(k * sizeof(int32_t))
        self.turned = <uint8_t *>allocate(self.s.n_repeat + 1)
        self.emitted = <uint8_t *>allocate(self.s.n_repeat + 1)
        self.final = <int32_t *>allocate(k * sizeof(int32_t))
        if self.fate == NULL or self.used == NULL or self.lanes == NULL or self.turned == NULL or self.emitted == NULL \
                or self.final == NULL:
            raise MemoryError
        memset(self.used, 0, k)
        memset(self.turned, 0, self.s.n_repeat + 1)
        memset(self.emitted, 0, self.s.n_repeat + 1)
        memset(self.lanes, 0xff, k * sizeof(int32_t))
        memset(self.final, 0xff, k * sizeof(int32_t))
        for i in range(first, top + 1):
            if self.old.t.entry[i].flags & FT_NEED and (self.s.at[i] < 0 or self.repeat_of[self.s.at[i]] < 0):
                self.note_uses_at(i)
        for k in range(n):
            self.note_use(root_of(self.old, outputs[k]))
        for k in range(self.s.n_repeat):
            self.note_uses_by(self.s.repeat + k)
        for k in range(self.s.n_repeat):
            links.append(self.judge(self.s.repeat + k))
        for k in range(self.s.n_repeat):    # in order: a repeat reads earlier ones
            if links[k] is None or self.reads_dropped(self.s.repeat + k):
                self.drop_repeat(k)
        for i in range(self.old.t.n):
            e = self.old.t.entry[i]
            if e.op == OP_input:
                self.to[i] = emit(self.new, OP_input, e.dtype, e.flags, e.shape, 0, e.b, 0)
                self.new.t.val[self.to[i]] = self.old.t.val[i]
        for i in range(first, top + 1):
            if not self.old.t.entry[i].flags & FT_NEED:
                continue
            self.old.t.entry[i].flags &= ~FT_NEED
            q = self.s.at[i]
            if q >= 0 and self.repeat_of[q] >= 0:
                r = self.s.repeat + self.repeat_of[q]
                if q == r.start:
                    self.emit_repeat(self.repeat_of[q], links[self.repeat_of[q]])
            elif self.old.t.entry[i].op != OP_get or q >= 0:
                self.to[i] = self.move(i)
        for k in range(n):
            outputs[k] = self.node(outputs[k])
        return 0


cdef Tape roll(Tape old, int64_t n_input, int32_t *outputs, int64_t n):
    """A new tape for an optimised one; its first nodes are the inputs. The outputs are replaced by their new nodes."""
    cdef Roller r = Roller.__new__(Roller)
    memset(&r.s, 0, sizeof(Sequence))
    r.taken = {}
    r.old = old
    r.new = Tape()
    copy_tables(old, r.new)
    r.new.programs = old.programs
    r.new.kept = True
    r.new.keep = old.keep
    r.run(n_input, outputs, n)
    return r.new
