"""Finding repetitions: a Python loop over scalars leaves a tape of many like pieces.

The scalar entries of a tape are read as a sequence. Where it repeats with some period, op for op, and
each operand moves by a constant step from one repetition to the next, the piece is the body of a loop. Operands
are then known for all iterations by two numbers each. One pass, linear in the length of the tape.
"""
from libc.stdlib cimport free
from libc.string cimport memset

from fasttape._core.record cimport *

cdef enum:
    GRAM = 12                       # so many entries alike suggest a repetition
    FEWEST = 8                      # repetitions that are worth a loop
    LONGEST = 1 << 20               # entries of a body
    REMEMBERED = 16                 # periods
    MULTIPLES = 4                   # of a period that are tried


cdef int operands_of(Tape tape, int32_t i) noexcept nogil:
    """How many of a scalar entry's a, b, aux are nodes."""
    cdef int op = tape.t.entry[i].op
    if op < FT_N_MAP:
        return rows[op].arity
    return 2 if op == OP_add_at or op == OP_set_at else 1       # cast, get


cdef inline uint32_t kind_of(Tape tape, int32_t i) noexcept nogil:
    """What two entries must have in common to be alike."""
    return tape.t.entry[i].op | <uint32_t>tape.t.entry[i].dtype << 8


cdef inline bint alike(Tape tape, Sequence *s, int64_t q, int64_t p) noexcept nogil:
    return kind_of(tape, s.node[q]) == kind_of(tape, s.node[p]) and s.part[q] == s.part[p]


cdef int refer(Tape tape, Sequence *s, int32_t node, Ref *r) noexcept nogil:
    r.stride = 0
    r.root = -1
    if tape.t.entry[node].op == OP_constant:
        r.kind = REF_NUMBER
        r.base = node
    elif s.at[node] >= 0:
        r.kind = REF_SEQ
        r.base = s.at[node]
    elif tape.t.entry[node].op == OP_get:
        r.kind = REF_ELEMENT
        r.root = tape.t.entry[node].a
        r.base = tape.t.entry[node].aux
    else:
        r.kind = REF_NODE
        r.base = node
    return 0


cdef bint follows(Tape tape, Ref *r, Ref *now, int64_t t) noexcept nogil:
    """Whether operand `now` of iteration t is what `r` says, or r can be made to say it."""
    if now.kind == REF_NUMBER and (r.kind == REF_NUMBER or r.kind == REF_NUMBERS):
        if now.base != r.base:
            r.kind = REF_NUMBERS
        return True
    if now.kind != r.kind or now.root != r.root:
        return False
    if t == 1:
        r.stride = now.base - r.base
        return r.stride == 0 or r.kind != REF_NODE
    return now.base == r.base + t * r.stride


cdef int64_t iterations(Tape tape, Sequence *s, int64_t start, int64_t period, int64_t most, Place *body) noexcept nogil:
    """In how many iterations, at most `most`, all operands go on as they began; fills in the body."""
    cdef int64_t p, t
    cdef int k
    cdef Ref now
    cdef ft_entry *e
    for p in range(period):
        e = tape.t.entry + s.node[start + p]
        memset(body + p, 0, sizeof(Place))
        body[p].aux = e.aux
        body[p].a[0].kind = body[p].a[1].kind = body[p].a[2].kind = REF_NODE
        for k in range(operands_of(tape, s.node[start + p])):
            refer(tape, s, operand_of(e, k), &body[p].a[k])
    for t in range(1, most):
        for p in range(period):
            e = tape.t.entry + s.node[start + t * period + p]
            for k in range(operands_of(tape, s.node[start + p])):
                refer(tape, s, operand_of(e, k), &now)
                if not follows(tape, &body[p].a[k], &now, t):
                    return t
            if e.op >= FT_N_MAP and e.op != OP_cast:
                if t == 1:
                    body[p].aux_stride = e.aux - body[p].aux
                elif e.aux != body[p].aux + t * body[p].aux_stride:
                    return t
    return most


cdef Repeat *repeat_at(Sequence *s, int64_t q) noexcept nogil:
    """The repeat that place q of the sequence belongs to, or NULL."""
    cdef int64_t lo = 0, hi = s.n_repeat, k
    while lo < hi:
        k = (lo + hi) // 2
        if s.repeat[k].start <= q:
            lo = k + 1
        else:
            hi = k
    if lo == 0 or q >= s.repeat[lo - 1].start + s.repeat[lo - 1].period * s.repeat[lo - 1].count:
        return NULL
    return s.repeat + lo - 1


cdef void bound(Ref *a, int64_t first, int64_t end, int64_t *lo, int64_t *hi) noexcept nogil:
    """Narrow [lo, hi) to the iterations in which the operand lies in [first, end)."""
    if a.stride > 0:
        lo[0] = max(lo[0], (first - a.base + a.stride - 1) // a.stride)
        hi[0] = min(hi[0], (end - 1 - a.base) // a.stride + 1)
    else:
        lo[0] = max(lo[0], (a.base - end + 1 - a.stride - 1) // -a.stride)
        hi[0] = min(hi[0], (a.base - first) // -a.stride + 1)


cdef void shorten(Sequence *s, Repeat *r, int64_t lo, int64_t hi) noexcept nogil:
    """Keep the iterations [lo, hi) of a loop."""
    cdef int64_t p
    cdef int k
    r.start += lo * r.period
    r.count = hi - lo
    for p in range(r.period):
        s.place[r.place + p].aux += lo * s.place[r.place + p].aux_stride
        for k in range(3):
            s.place[r.place + p].a[k].base += lo * s.place[r.place + p].a[k].stride


cdef int align(Sequence *s) except -1 nogil:
    """Shorten each loop to the iterations that later loops read, where they read all but a few: lanes of one are
    then lanes of the other."""
    cdef int64_t *lo = <int64_t *>allocate((s.n_repeat + 1) * 16)
    cdef int64_t *hi = lo + s.n_repeat
    cdef int64_t j, p, first, last
    cdef int k
    cdef Ref *a
    cdef Repeat *r
    cdef Repeat *other
    if lo == NULL:
        with gil:
            raise MemoryError
    for j in range(s.n_repeat):
        lo[j] = s.repeat[j].count
        hi[j] = 0
    for j in range(s.n_repeat - 1, -1, -1):
        r = s.repeat + j
        if hi[j] - lo[j] >= FEWEST and lo[j] <= MOST_DELAYED and r.count - hi[j] <= MOST_DELAYED:
            shorten(s, r, lo[j], hi[j])
        for p in range(r.period):
            for k in range(3):
                a = &s.place[r.place + p].a[k]
                if a.kind == REF_SEQ and a.stride != 0 and not own(r, a):
                    other = repeat_at(s, a.base)
                    first = (a.base - other.start) // other.period
                    last = (a.base + (r.count - 1) * a.stride - other.start) // other.period
                    lo[other - s.repeat] = min(lo[other - s.repeat], first, last)
                    hi[other - s.repeat] = max(hi[other - s.repeat], first + 1, last + 1)
    free(lo)
    return 0


cdef bint trim(Sequence *s, Repeat *r) noexcept nogil:
    """Shorten the loop until what it reads of other loops lies within one each. False where no loop is left."""
    cdef int64_t p, q, lo = 0, hi = r.count, end = r.start + r.period * r.count
    cdef int k
    cdef Ref *a
    cdef Repeat *other
    for p in range(r.period):
        for k in range(3):
            a = &s.place[r.place + p].a[k]
            if a.kind != REF_SEQ or own(r, a):
                continue
            if a.stride == 0:
                if r.start <= a.base < end:
                    return False
                continue
            q = a.base + (r.count // 2) * a.stride
            other = repeat_at(s, q)
            if other == NULL or a.stride % other.period != 0:
                return False
            bound(a, other.start, other.start + other.period * other.count, &lo, &hi)
    if hi - lo < FEWEST:
        return False
    shorten(s, r, lo, hi)
    return True


cdef bint turn_at(Sequence *s, Place *place, int64_t period, Repeat **other, int64_t *iteration) noexcept nogil:
    """Whether this entry of a body reads another iteration of another loop than those before it."""
    cdef int k
    cdef int64_t t
    cdef bint turned = False
    cdef Ref *a
    cdef Repeat *r
    for k in range(3):
        a = &place.a[k]
        if a.kind == REF_SEQ and a.stride != 0 and a.stride != period:
            r = repeat_at(s, a.base + FEWEST // 2 * a.stride)
            if r != NULL and (other[0] == NULL or r == other[0]):
                t = (a.base + FEWEST * r.period - r.start) // r.period
                turned |= other[0] != NULL and t != iteration[0]
                other[0] = r
                iteration[0] = t
    return turned


cdef int64_t best_start(Sequence *s, Place *body, int64_t start, int64_t period) except -1 nogil:
    """Where in the body an iteration had best begin, so that few values pass from one to the next, and so that what
    it reads of another loop is of one iteration: the Python loop's own beginning, mostly."""
    cdef int32_t *crossing = <int32_t *>allocate((period + 1) * sizeof(int32_t))
    cdef int64_t p, from_, best = 0, now = 0, least, iteration = 0
    cdef int k
    cdef bint step
    cdef Repeat *other = NULL
    cdef Ref *a
    if crossing == NULL:
        with gil:
            raise MemoryError
    memset(crossing, 0, (period + 1) * sizeof(int32_t))
    for p in range(period):
        for k in range(3):
            a = &body[p].a[k]
            if a.kind == REF_SEQ and a.stride == period and start + p - period < a.base < start + p:
                from_ = a.base - start          # a boundary at from_ + 1 ... p lies between
                if from_ >= 0:
                    crossing[from_ + 1] += 1
                    crossing[p + 1] -= 1
                else:
                    crossing[0] += 1
                    crossing[p + 1] -= 1
                    crossing[from_ + period + 1] += 1
                    crossing[period] -= 1
    least = period * 4
    for p in range(period):
        now += crossing[p]
        step = turn_at(s, body + p, period, &other, &iteration)
        if now < least or (now == least and step):
            least = now
            best = p
    free(crossing)
    return best


cdef int64_t accept(Tape tape, Sequence *s, int64_t start, int64_t period, int64_t count, int64_t *until) except -1 nogil:
    """Enter the loop whose first of `count` iterations begins at `start`, as far as it is one. Returns its end, or
    `start` where it is none; then there is none that begins before `until` either."""
    cdef Repeat *r
    cdef int64_t begin = start, shift, most
    resize(<void **>&s.place, &s.cap_place, s.n_place + period, sizeof(Place))
    most = count
    until[0] = start + most * period
    count = iterations(tape, s, start, period, most, s.place + s.n_place)
    if count < FEWEST:
        until[0] = start + count * period
        return start
    shift = best_start(s, s.place + s.n_place, start, period)
    if shift:
        begin += shift
        count = iterations(tape, s, begin, period, most - 1, s.place + s.n_place)
        if count < FEWEST:
            return start
    resize(<void **>&s.repeat, &s.cap_repeat, s.n_repeat + 1, sizeof(Repeat))
    r = s.repeat + s.n_repeat
    r.start = begin
    r.period = period
    r.count = count
    r.place = s.n_place
    if not trim(s, r):
        return start
    s.n_repeat += 1
    s.n_place += period
    until[0] = r.start + r.period * r.count
    return until[0]


cdef int64_t accept_multiple(Tape tape, Sequence *s, int64_t start, int64_t period, int64_t run, int64_t *until) except -1 nogil:
    """`accept` for this period or a small multiple of it: of a body whose ops are all the same, the ops alone tell
    only a part. The sequence is alike for `run` entries."""
    cdef int64_t end, k, m, ignored, reached = s.n
    for k in range(1, MULTIPLES + 1):
        m = k * period
        if run < (FEWEST + 1) * m:      # the first repetition is often not quite like the others
            break
        end = accept(tape, s, start, m, run // m, &ignored)
        if end > start:
            until[0] = end
            return end
        end = accept(tape, s, start + m, m, run // m - 1, until)
        if end > start + m:
            return end
        reached = min(reached, until[0])
    until[0] = reached
    return start


cdef int find_repeats(Tape tape, Sequence *s) except -1 nogil:
    """Fill in the repeats of a sequence, in order, none overlapping another."""
    cdef int64_t size = 64, q = 0, done = 0, period, run, end, k, f
    cdef uint64_t h
    cdef int32_t *slot
    cdef int64_t met[REMEMBERED]        # a period that was met,
    cdef int64_t last[REMEMBERED]       # how far the sequence is alike with it, and
    cdef int64_t vain[REMEMBERED]       # how far it is known to lead nowhere
    cdef int64_t misses[REMEMBERED]     # times that it has led nowhere, one after the other
    cdef int next_met = 0
    while size < s.n:
        size *= 2
    slot = <int32_t *>allocate(size * sizeof(int32_t))
    if slot == NULL:
        with gil:
            raise MemoryError
    memset(slot, 0xff, size * sizeof(int32_t))
    memset(met, 0, sizeof(met))
    try:
        while q + GRAM <= s.n:
            h = 0
            for k in range(GRAM):
                h = (h ^ kind_of(tape, s.node[q + k])) * <uint64_t>0x9E3779B97F4A7C15
                h ^= h >> 32
            f = slot[h & <uint64_t>(size - 1)]
            slot[h & <uint64_t>(size - 1)] = <int32_t>q
            period = q - f
            if f < done or period > LONGEST:
                q += 1
                continue
            for k in range(REMEMBERED):
                if met[k] == period and q < last[k]:
                    break
            else:
                k = next_met
                next_met = (next_met + 1) % REMEMBERED
                met[k] = period
                last[k] = vain[k] = q
                misses[k] = 0
                while last[k] < s.n and alike(tape, s, last[k], last[k] - period):
                    last[k] += 1
            run = last[k] - q
            if q < vain[k] or run < (FEWEST + 1) * period:
                q += 1
                continue
            end = accept_multiple(tape, s, q, period, run, vain + k)
            if end > q:
                q = done = end
                misses[k] = 0
            else:                       # look less often for what is not found
                vain[k] = max(vain[k], q + misses[k] * period)
                misses[k] = min(misses[k] + 1, FEWEST)
                q += 1
    finally:
        free(slot)
    return align(s)
