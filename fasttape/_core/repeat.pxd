# Repetitions in the scalar part of a tape.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.tape cimport *

cdef enum:
    REF_NODE                        # `base` is a node: the same in every iteration
    REF_SEQ                         # a scalar, by its place in the sequence
    REF_NUMBER                      # a constant; `base` is the first one's node
    REF_NUMBERS                     # a constant of another value in each iteration
    REF_ELEMENT                     # an element of the array `root`, by its place there

cdef struct Ref:                    # what operand k of an entry of the body is, in iteration t: base + t * stride
    int64_t base, stride
    int32_t kind, root

cdef struct Place:                  # one entry of the body
    Ref a[3]
    int64_t aux, aux_stride         # of an add_at: which element

cdef struct Repeat:                 # `count` times `period` entries of the sequence, from `start` on
    int64_t start, period, count
    int64_t place                   # where its body begins in `places`

cdef struct Sequence:               # the scalar entries that are needed, in order
    int32_t *node
    int32_t *at                     # node -> place in the sequence, or -1
    int32_t *part                   # entries of different parts have array ops between them
    int64_t n
    Repeat *repeat
    int64_t n_repeat, cap_repeat
    Place *place
    int64_t n_place, cap_place

cdef enum:
    MOST_DELAYED = 4                # iterations that a value may be read after its own

cdef inline bint own(Repeat *r, Ref *a) noexcept nogil:
    """The operand is computed by the loop itself, in this iteration or one shortly before."""
    return a.kind == REF_SEQ and a.stride == r.period and a.base >= r.start - MOST_DELAYED * r.period \
        and a.base < r.start + r.period

cdef inline int64_t within(Repeat *r, int64_t q) noexcept nogil:
    """Which entry of the body place q of the sequence is, also where it lies before the loop."""
    cdef int64_t p = (q - r.start) % r.period
    return p + r.period if p < 0 else p

cdef int operands_of(Tape tape, int32_t i) noexcept nogil
cdef inline int32_t operand_of(ft_entry *e, int k) noexcept nogil:
    return e.a if k == 0 else e.b if k == 1 else e.aux
cdef int find_repeats(Tape tape, Sequence *s) except -1 nogil
