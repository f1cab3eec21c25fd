"""Entries that are not elementwise, each as a statement: elements, regions, reductions, products, rows, loops of the optimiser."""
from fasttape.export.calls import call
from fasttape.export.nest import indented, spread, walk
from fasttape.export.tape import CAST, LOAD, NAMES, STORE, contiguous, size_of
from fasttape.export.texts import operand, place, wrapped


def kind(t, i):
    return "float" if t.narrow[i] else "double"


def get(f, i):
    f.define(i, f"{f.array(f.t.a[i])}[{f.t.aux[i]}]")


def changed(f, i):
    """Lines that copy what entry i changes, where somebody still reads it; the name of what it becomes."""
    t = f.t
    f.memory.place(i)
    if f.memory.in_place(i):
        return [], f.array(i)
    name, offset, strides = f.lies_at(t.a[i])
    return copied(f.array(i), t.dims[i], (0, contiguous(t.dims[i])), name, (offset, strides)), f.array(i)


def copied(to, dims, there, source, here):
    """Lines that copy an array from one layout to another; at once where both are without gaps."""
    n = size_of(dims)
    if n == 0:
        return []
    flat = contiguous(dims)
    if n > 1 and all(m == 1 or a == b == c for m, a, b, c in zip(dims, there[1], here[1], flat, strict=True)):
        return [f"memcpy({plus(to, there[0])}, {plus(source, here[0])}, {n} * sizeof *{to});"]
    return walk(dims, [there, here], lambda y, a: [f"{to}[{y}] = {source}[{a}];"])


def plus(name, offset):
    return f"{name} + {offset}" if offset else name


def put(f, i, name, piece, view, add=False):
    """Lines that write a piece, or a number, into a region."""
    t = f.t
    there, sign = (view.offset, view.strides), "+=" if add else "="
    if size_of(view.dims) == 0:
        return []
    if not t.dims[piece]:
        number = "(float)" * t.narrow[i] + f.scalar(piece)
        return walk(view.dims, [there], lambda y: [f"{name}[{y}] {sign} {number};"])
    source, offset, strides = f.lies_at(piece)
    if source == name:                          # of an array with itself: NumPy's order is that of a copy
        lines, source, given, _ = f.copied(piece)
        f.give_back([given])
        return lines + put_from(name, source, view, (0, contiguous(view.dims)), sign)
    return put_from(name, source, view, (offset, strides), sign)


def put_from(name, source, view, here, sign):
    there = (view.offset, view.strides)
    if sign == "=":
        return copied(name, view.dims, there, source, here)
    return walk(view.dims, [there, here], lambda y, a: [f"{name}[{y}] += {source}[{a}];"])


def region(f, i):
    """update and add_region."""
    t = f.t
    lines, name = changed(f, i)
    lines += put(f, i, name, t.b[i], t.views[t.aux[i]], t.op[i] == "add_region")
    f.add([f.note(i), *lines])


def element(f, i):
    """set_at and add_at."""
    t = f.t
    lines, name = changed(f, i)
    lines.append(f"{name}[{t.aux[i]}] {'=' if t.op[i] == 'set_at' else '+='} {'(float)' * t.narrow[i]}{f.scalar(t.b[i])};")
    f.add([*([] if f.memory.in_place(i) else [f.note(i)]), *lines])


def zeros(f, i):
    n = size_of(f.t.dims[i])
    return [f"memset({f.array(i)}, 0, {n} * sizeof *{f.array(i)});"] if n else []


def pad(f, i):
    f.memory.place(i)
    f.add([f.note(i), *zeros(f, i), *put(f, i, f.array(i), f.t.a[i], f.t.views[f.t.aux[i]])])


def assemble(f, i):
    t = f.t
    f.memory.place(i)
    pieces = t.pieces(i)
    lines = zeros(f, i) if any(node < 0 for node, _ in pieces) else []
    for node, view in pieces:
        if node >= 0:
            lines += put(f, i, f.array(i), node, t.views[view])
    f.add([f.note(i), *lines])


def pack(f, i):
    t = f.t
    f.memory.place(i)
    name = f.array(i)
    f.add([f.note(i), *[f"{name}[{k}] = {'(float)' * t.narrow[i]}{f.scalar(node)};" for k, node in enumerate(t.operands(i))]])


def reduction(f, i):
    """Sums, maxima, minima: the library's own function, whose order follows from the shape."""
    t, a = f.t, f.t.a[i]
    op, dims, mask = t.op[i], t.dims[a], t.aux[i]
    name, offset, strides = f.lies_at(a)
    source = f"(const char *){'(' + plus(name, offset) + ')' if offset else name}"
    whole = mask == (1 << len(dims)) - 1
    if whole and t.is_contiguous(a) and size_of(dims):
        text = f"ft_sum_span({source}, {t.narrow[a]}, {size_of(dims)})" if op == "sum" else \
            f"ft_reduce_line(OP_{op}, {source}, {t.narrow[a]}, sizeof *{name}, {size_of(dims)})"
        if not t.dims[i]:
            f.define(i, text)
            return
    rest = f"{source}, {t.narrow[a]}, {len(dims)}, {f.module.table(dims)}, {f.module.table(strides)}, {mask});"
    if t.dims[i]:
        f.memory.place(i)
        f.add([f.note(i), f"ft_reduce(OP_{op}, (char *){f.array(i)}, {rest}"])
        return
    label = f.label(i)
    if t.narrow[i]:
        narrow = f.new_name("total")
        f.add([f"float {narrow};", f"ft_reduce(OP_{op}, (char *)&{narrow}, {rest}", f"const double {label} = {narrow};"], [i])
    else:
        f.add([f"double {label};", f"ft_reduce(OP_{op}, (char *)&{label}, {rest}"], [i])


def matmul(f, i):
    """A matrix and a vector as csrc/kernels/linalg.h has it, to the bit; matrices by the definition."""
    t, a, b = f.t, f.t.a[i], f.t.b[i]
    f.memory.place(i)
    y, dims = f.array(i), t.dims[i]
    pa, oa, sa = f.lies_at(a)
    pb, ob, sb = f.lies_at(b)
    lead, n_sum = dims[:-2], t.dims[a][-1]
    m, n = dims[-2:]
    (s0, s1), (u0, u1) = sa[-2:], sb[-2:]
    plan = None
    if not lead and not t.narrow[i]:
        if n == 1 and (u0 == 1 or n_sum == 1) and (s1 == 1 or n_sum == 1 or s0 == 1):
            dot = s1 == 1 or n_sum == 1
            plan = (dot, plus(pa, oa), plus(pb, ob), m if dot else n_sum, n_sum if dot else m, s0 if dot else s1)
        elif not (n == 1 and (u0 == 1 or n_sum == 1)) and m == 1 and (s1 == 1 or n_sum == 1) and (u0 == 1 or u1 == 1):
            dot = u0 == 1
            plan = (dot, plus(pb, ob), plus(pa, oa), n if dot else n_sum, n_sum if dot else n, u1 if dot else u0)
    if plan and size_of(dims):
        dot, matrix, vector, rows, columns, step = plan
        call = f"({y}, {matrix}, {step}, {vector}, {rows}, {columns});"
        f.add([f.note(i), f"ft_rows_times_vector{call}"] if dot else
              [f.note(i), f"memset({y}, 0, {columns} * sizeof *{y});", f"ft_vector_times_rows{call}"])
        return
    la, lb = (spread(s[:-2], t.dims[k][:-2], lead) for s, k in ((sa, a), (sb, b)))

    def product(at, at_a, at_b):
        out = f"{y}[{place_in(at, [(n, 'i0'), (1, 'i1')])}]"
        left = f"{pa}[{place_in(at_a, [(s0, 'i0'), (s1, 'i2')])}]"
        right = f"{pb}[{place_in(at_b, [(u0, 'i2'), (u1, 'i1')])}]"
        return [f"for (ptrdiff_t i0 = 0; i0 < {m}; i0++)", f"    for (ptrdiff_t i1 = 0; i1 < {n}; i1++) {{", "        double sum = 0;",
                f"        for (ptrdiff_t i2 = 0; i2 < {n_sum}; i2++) sum += {'(double)' * t.narrow[a]}{left} * {right};",
                f"        {out} = {'(float)' * t.narrow[i]}sum;", "    }"]

    lines = []
    if size_of(dims):
        lines = walk_lead(lead, [(0, contiguous(dims)[:-2]), (oa, la), (ob, lb)], product)
    f.add([f.note(i), *lines])


def walk_lead(lead, layouts, body):
    """As `walk`, with other variables."""
    lines = body(*[place(offset, [(s, f"l{k}") for k, s in enumerate(strides)]) for offset, strides in layouts])
    for k in reversed(range(len(lead))):
        lines = [f"for (ptrdiff_t l{k} = 0; l{k} < {lead[k]}; l{k}++) {{", *indented(lines), "}"]
    return lines


def place_in(at, steps):
    rest = place(0, steps)
    return rest if at == "0" else at if rest == "0" else f"{at} + {rest}"


def rows(f, i):
    """take and put_add, in each lane."""
    t, row = f.t, f.t.aux[i]
    places = size_of(t.dims[t.b[i]])
    put_add = t.op[i] == "put_add"
    f.memory.place(i)
    lines, source, given = f.flat(t.a[i])
    y, index = f.array(i), f.array(t.b[i])
    lines += zeros(f, i) if put_add else []
    f.give_back(given)
    small = places * row
    some, whole = (t.a[i], i) if put_add else (i, t.a[i])
    lanes = size_of(t.dims[some]) // small if small else 0
    if lanes:
        large = size_of(t.dims[whole]) // lanes
        there = place(0, [(small * (lanes > 1), "l0"), (row, "i0"), (row > 1, "i1")])
        here = place(0, [(large * (lanes > 1), "l0")])
        at = (f"{here} + " if here != "0" else "") + (f"{row} * {index}[i0] + i1" if row > 1 else f"{index}[i0]")
        source = f"({source})" if " " in source else source
        line = f"{y}[{at}] += {source}[{there}];" if put_add else f"{y}[{there}] = {source}[{at}];"
        lines += [f"for (ptrdiff_t l0 = 0; l0 < {lanes}; l0++)"] * (lanes > 1) + [f"for (ptrdiff_t i0 = 0; i0 < {places}; i0++)"] \
            + [f"for (ptrdiff_t i1 = 0; i1 < {row}; i1++)"] * (row > 1) + ["    " + line]
    f.add([f.note(i), *lines])


def loop(f, i):
    """A loop of the optimiser: what is carried from one iteration to the next are variables, and streams go through arrays."""
    if f.t.a[i]:
        return
    t, made = f.t, f.t.loops[f.t.args[f.t.aux[i]]]
    results = range(i, i + t.b[i])
    for k in results:
        if t.dims[k]:
            f.memory.place(k)
    first = len(made.constants)
    begin = first + len(made.next)

    def value(v):
        return operand(made.constants[v]) if v < first else f"c{v - first}" if v < begin else f"v{v - begin}"

    def stream(k):
        node = made.streams[k]
        if node < 0:
            return f"{f.array(i + ~node)}[{place(0, [(made.strides[k], 'i0')])}]"
        if not t.dims[node]:
            return f.scalar(node)
        name, offset, _ = f.lies_at(node)
        return f"{name}[{place(offset, [(made.strides[k], 'i0')])}]"

    body = []
    for k, (op, narrow, operands) in enumerate(made.ops):
        if op == STORE:
            small = "(float)" * made.narrow[operands[0]]
            body.append(f"{stream(operands[0])} = {small}{value(operands[1])};")
            continue
        text = stream(operands[0]) if op == LOAD else value(operands[0]) if op == CAST else \
            f.module.value(NAMES[op], [value(v) for v in operands[:f.module.arity(NAMES[op])]])
        body.append(f"const double v{k} = {f'(float)({text})' if narrow and op != LOAD else text};")
    moving = {j: v for j, v in enumerate(made.next) if v != first + j}
    early = {j for j, v in moving.items() if first <= v < begin and v - first in moving}
    body += [f"const double n{j} = c{moving[j] - first};" for j in sorted(early)]
    body += [f"c{j} = {f'n{j}' if j in early else value(v)};" for j, v in sorted(moving.items())]
    lines = [f"double c{j} = {f.scalar(node)};" for j, node in enumerate(made.first)]
    lines += [f"for (ptrdiff_t i0 = 0; i0 < {made.count}; i0++) {{", *indented(body), "}"]
    ends = {j: i + k for j, k in enumerate(made.last) if k >= 0 and t.last[i + k] >= 0}
    lines += [f"{f.label(k)} = c{j};" for j, k in ends.items()]
    lines += [f"(void)c{j};" for j in range(len(made.first)) if j not in ends and not any(f"c{j}" in line for line in body)]
    numbers = [k for k in results if not t.dims[k] and t.last[k] >= 0]
    named = ", ".join(f.label(k) for k in results)
    note = wrapped_note(f"{named}: a loop of {made.count} steps")
    f.add([*note, *[f"double {f.label(k)};" for k in numbers], "{", *indented(lines), "}"], numbers)
    unread(f, results)


def unread(f, results):
    """Results that nobody reads lie somewhere all the same."""
    for k in results:
        if f.t.dims[k] and f.t.last[k] < 0:
            f.memory.release(k)


def wrapped_note(text):
    return [f"/* {wrapped(text.split(' '), indent='', end='')} */"] if len(text) > 100 else [f"/* {text} */"]


EMIT = {"get": get, "update": region, "add_region": region, "set_at": element, "add_at": element, "pad": pad, "assemble": assemble,
        "pack": pack, "sum": reduction, "max": reduction, "min": reduction, "matmul": matmul, "take": rows, "put_add": rows,
        "loop": loop, "program": call}


def emit(f, i):
    EMIT[f.t.op[i]](f, i)
