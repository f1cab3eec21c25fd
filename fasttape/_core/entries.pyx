"""Entries written out, for people: ``s1 * s2``, ``s0[1:]``, ``sum(s3)``. Which of them are shown, and what they are
called, is for others to say."""
from fasttape._core.record cimport *

from fasttape._core import vm

cdef list NAMES = vm.names()
cdef dict INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<",
                   "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
cdef enum:
    SHOWN = 6                       # operands of an entry that has any number of them


cdef list operands_of(Tape tape, int32_t i):
    """The nodes that an entry reads; of a loop or a program, those that all of it reads."""
    cdef ft_entry e = tape.t.entry[group_of(tape, i)]
    cdef Reads o = reads_of(tape, &e)
    cdef int k
    return [o.at[k * o.step] for k in range(o.n) if o.at[k * o.step] >= 0]


cdef str type_text(Tape tape, int32_t node):
    cdef ft_entry *e = tape.t.entry + node
    name = ("float64", "float32", "bool", "bool", "int64")[e.dtype]
    return name if e.shape == 0 else f"{name}{list(shape_tuple(tape, e.shape))}"


# ---- regions

cdef list steps_of(tuple dims):
    """The strides, in elements, of a contiguous array."""
    cdef list out = []
    step = 1
    for n in reversed(dims):
        out.append(step)
        step *= n
    return out[::-1]


cdef str place_text(tuple dims, int64_t place):
    """The index of one element."""
    out = []
    for step in steps_of(dims):
        out.append(str(place // step))
        place = place % step
    return f"[{', '.join(out)}]"


cdef str slice_text(int64_t start, int64_t step, int64_t n, int64_t whole):
    stop = start + step * (n - 1) + (1 if step > 0 else -1)
    begins = start == (0 if step > 0 else whole - 1)
    ends = stop >= whole if step > 0 else stop < 0
    return f"{'' if begins else start}:{'' if ends else stop}{'' if step == 1 else f':{step}'}"


cdef str region_text(Tape tape, int32_t view):
    """A region as an index, where slices and whole numbers make it; else what it is made of."""
    cdef ft_view *w = tape.t.view + view
    cdef int k, n
    base, dims = shape_tuple(tape, w.base), shape_tuple(tape, w.shape)
    strides = [tape.t.dims[w.at + k] for k in range(len(dims))]
    steps = steps_of(base)
    if w.contiguous and w.offset == 0 and tape.t.shape[w.shape].size == tape.t.shape[w.base].size:
        return f".reshape({', '.join([str(n) for n in dims])})"
    if dims == base[::-1] and strides == steps[::-1]:
        return ".T"
    out, k, place = [], 0, w.offset
    for n, (whole, step) in enumerate(zip(base, steps)):
        start = place // step if step else 0
        place -= start * step
        if k < len(dims) and dims[k] == 1 and len(base) - n == len(dims) - k:   # whatever its stride
            out.append(slice_text(start, 1, 1, whole))
            k += 1
        elif k < len(dims) and step and strides[k] % step == 0 and strides[k] != 0 \
                and 0 <= start + strides[k] // step * (dims[k] - 1) < whole:
            out.append(slice_text(start, strides[k] // step, dims[k], whole))
            k += 1
        else:
            out.append(str(start))
    if k == len(dims) and place == 0:
        while len(out) > 1 and out[len(out) - 1] == ":":
            out.pop()
        return f"[{', '.join(out)}]"
    return f".region(shape={dims}, strides={tuple(strides)}, offset={w.offset})"


# ---- entries

cdef str operand_text(Tape tape, int32_t node, dict label):
    cdef ft_entry *e
    if node < 0:
        return "nothing"
    if node in label:
        return label[node]
    e = tape.t.entry + node
    if e.op == OP_constant:
        return f"{tape.t.val[node].f:g}"
    if e.op == OP_view:
        return label.get(e.a, "?") + region_text(tape, e.aux)
    return "?"


cdef str axes_text(Tape tape, ft_entry *e):
    cdef int ndim = ndim_of(tape, e.a), k
    axes = tuple([k for k in range(ndim) if e.aux >> (ndim - 1 - k) & 1])
    return "" if len(axes) == ndim else f", axis={axes[0] if len(axes) == 1 else axes}"


cdef str several(list texts, int64_t n):
    return ", ".join(texts) + (f", ... {n - len(texts)} more" if n > len(texts) else "")


cdef str applied_text(int op, list texts):
    """An elementwise op with its operands."""
    name = NAMES[op]
    return f"{texts[0]} {INFIX[name]} {texts[1]}" if name in INFIX else f"{name}({', '.join(texts)})"


cdef str called_text(Tape tape, int32_t i, dict label):
    """The loop or the call of which entry i is a result."""
    cdef int32_t *args = tape.t.args + tape.t.entry[i].aux
    cdef int32_t k
    if tape.t.entry[i].op == OP_loop:
        return f"loop {args[0]}"
    texts = [operand_text(tape, args[2 + k], label) for k in range(min(args[1], SHOWN))]
    return f"{(<object>tape.programs[args[0]]).__name__}({several(texts, args[1])})"


cdef str entry_text(Tape tape, int32_t i, dict label):
    """What entry i computes, its operands by their labels."""
    cdef ft_entry e = tape.t.entry[i]
    cdef int32_t *args = NULL
    cdef int32_t k
    name = NAMES[e.op]
    if e.op == OP_input:
        return "x"
    if e.op == OP_constant or e.op == OP_view:
        return operand_text(tape, i, {k: v for k, v in label.items() if k != i} if i in label else label)
    if e.op == OP_assemble or e.op == OP_pack:
        args = tape.t.args + e.aux
    if e.op == OP_assemble:
        pieces = [f"{region_text(tape, args[2 + 2 * k])} = "
                  f"{operand_text(tape, args[1 + 2 * k], label) if args[1 + 2 * k] >= 0 else '0'}"
                  for k in range(min(args[0], SHOWN))]
        return f"assemble({several(pieces, args[0])})"
    if e.op == OP_pack:
        return f"pack({several([operand_text(tape, args[1 + k], label) for k in range(min(args[0], SHOWN))], args[0])})"
    if e.op == OP_loop or e.op == OP_program:
        return f"result {e.a} of {called_text(tape, i, label)}"
    texts = [operand_text(tape, node, label) for node in operands_of(tape, i)]
    a, b = texts[0], texts[1] if len(texts) > 1 else ""
    if e.op < FT_N_MAP:
        return f"spread({a})" if e.op == OP_positive and e.shape != shape_of(tape, e.a) else applied_text(e.op, texts)
    if e.op == OP_cast:
        return f"{type_text(tape, i).partition('[')[0]}({a})"
    if e.op == OP_get:
        return a + place_text(shape_tuple(tape, shape_of(tape, e.a)), e.aux)
    if e.op == OP_pad:
        return f"zeros, {region_text(tape, e.aux)} = {a}"
    if e.op == OP_add_region or e.op == OP_update:
        return f"{a}, {region_text(tape, e.aux)} {'=' if e.op == OP_update else '+='} {b}"
    if e.op == OP_add_at or e.op == OP_set_at:
        return f"{a}, {place_text(shape_tuple(tape, e.shape), e.aux)} {'=' if e.op == OP_set_at else '+='} {b}"
    if e.op == OP_sum or e.op == OP_max or e.op == OP_min:
        return f"{name}({a}{axes_text(tape, &e)})"
    return f"{a} @ {b}" if e.op == OP_matmul else f"{name}({', '.join(texts)})"
