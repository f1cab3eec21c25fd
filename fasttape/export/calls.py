"""Calls of programs, loops (`scan`, `fori_loop`, `while_loop`) and their reversals. A body is a function of its own; what it hands
on from step to step is written where it will be read.

A loop that is to be reversed stores, of each step, what its reversal reads: the state before it, or values of the step. That is
what the schedule StoreAll does; others have the same results, to the bit, and are exported as it.
"""
from fasttape._core import saved as _saved
from fasttape.export.nest import indented
from fasttape.export.tape import size_of

CALLS = "WORK_OF_CALLS"             # where the workspace of calls begins, which shows at the end


def call(f, i):
    if f.t.a[i]:
        return
    callee = f.t.callees[f.t.args[f.t.aux[i]]]
    {"program": program, "loop": scan, "reversal": reversal}[_saved.kind_of(callee)](f, i, callee)


class Arguments:
    """Of a call: each argument's text, numbers and pointers to contiguous arrays, with what must be copied before it."""

    def __init__(self, f, nodes):
        self.lines, self.given, self.texts = [], [], []
        for node in nodes:
            if node < 0 or f.t.is_store(f.t.root(node)):
                self.texts.append(None)
            elif f.t.dims[node]:
                lines, text, given = f.flat(node)
                self.lines += lines
                self.given += given
                self.texts.append(text)
            else:
                self.texts.append(f.scalar(node))


class Results:
    """Of a call: each result's text, a pointer to an array or a number's address. Those that nobody reads lie somewhere, but for the
    first `handed`, which are copied there at the end: they are None."""

    def __init__(self, f, nodes, handed=0):
        t = f.t
        self.f, self.nodes, self.before, self.defines, self.texts = f, nodes, [], [], []
        for at, k in enumerate(nodes):
            if t.is_store(k) or (at < handed and t.last[k] < 0):
                self.texts.append(None)
            elif t.dims[k]:
                f.memory.place(k)
                self.texts.append(f.array(k))
            else:
                self.texts.append(f"&{f.label(k)}")
                self.before.append(f"double {f.label(k)};")
                self.defines.append(k)

    def release(self):
        for k in self.nodes:
            if self.f.t.dims[k] and self.f.t.last[k] < 0 and k in self.f.memory.at:
                self.f.memory.release(k)


def call_text(f, function, inputs, results):
    f.memory.calls = max(f.memory.calls, function.memory.words())
    place = CALLS if function.memory.words() else "NULL"
    return f"{function.name}({', '.join([*inputs, *results, place])});"


def nodes_of(f, i):
    return f.t.operands(i), list(range(i, i + f.t.b[i]))


def finish(f, i, arguments, results, note, lines):
    f.give_back(arguments.given)
    f.add([f"/* {note} */", *results.before, "{", *indented(arguments.lines + lines), "}"], results.defines)
    results.release()


def program(f, i, callee):
    operands, nodes = nodes_of(f, i)
    function = f.module.function(callee)
    arguments, results = Arguments(f, operands), Results(f, nodes)
    finish(f, i, arguments, results, f.module.said(f, i, callee), [call_text(f, function, arguments.texts, results.texts)])


class Part:
    """What is handed on from step to step, or kept of each: a number or an array."""

    def __init__(self, f, dims, narrow):
        self.dims, self.size, self.narrow = dims, max(size_of(dims), 1), narrow and bool(dims)
        self.kind = "float" if self.narrow else "double"
        self.f = f

    def memory(self, text, n):
        """Room for n of them: its name, and what to give back."""
        pool, name = self.f.memory.pool(self.narrow), self.f.new_name(text)
        at = pool.take(n * self.size)
        self.f.arrays.add(("copy", (name, at, self.narrow)))
        return name, (pool, at, n * self.size)

    def at(self, name, step):
        step = step if self.size == 1 else f"{self.size} * {step}" if step.isidentifier() else f"{self.size} * ({step})"
        return f"{name} + {step}"

    def load(self, name, text):
        """Lines that put an argument of the call into memory."""
        return [f"{name}[0] = {text};"] if not self.dims else \
            [f"memcpy({name}, {text}, {size_of(self.dims)} * sizeof *{name});"] * (size_of(self.dims) > 0)

    def save(self, result, source):
        """Lines that hand a result over."""
        if not self.dims:
            return [f"*{result} = {source};" if result[0] != "&" else f"{result[1:]} = {source};"]
        return [f"memcpy({result}, {source}, {size_of(self.dims)} * sizeof *{result});"] * (size_of(self.dims) > 0)


def slice_of(name, t, k, step, address):
    """One step's slice of a stacked array, by the body's argument or result k."""
    size = size_of(t.dims[k])
    if t.dims[k]:
        return f"{name} + {size} * {step}" if size else name
    name = f"({name})" if " " in name else name
    return f"&{name}[{step}]" if address else f"{name}[{step}]"


class Carried:
    """What is handed on: numbers in variables, arrays in memory that takes turns. `t` is the body's tape."""

    def __init__(self, f, t, inputs, starts):
        self.f, self.parts, self.given = f, [Part(f, t.dims[k], t.narrow[k]) for k in inputs], []
        self.now, self.into, self.before, self.setup, self.after = [], [], [], [], []
        for part, start in zip(self.parts, starts, strict=True):
            name, new = f.new_name("now"), f.new_name("next")
            self.now.append(name)
            if not part.dims:
                self.before.append(f"double {name} = {start};")
                self.setup.append(f"double {new};")
                self.into.append(f"&{new}")
                self.after.append(f"{name} = {new};")
                continue
            turns = [part.memory("turn", 1) for _ in range(2)]
            self.given += [given for _, given in turns]
            self.before.append(f"const {part.kind} *{name} = {start};")
            self.setup.append(f"{part.kind} *const {new} = {name} == {turns[0][0]} ? {turns[1][0]} : {turns[0][0]};")
            self.into.append(new)
            self.after.append(f"{name} = {new};")


class Stored:
    """What is handed on, each step's state being kept: those of all steps, one after the other."""

    def __init__(self, f, t, inputs, starts, stores):
        self.parts = [Part(f, t.dims[k], t.narrow[k]) for k in inputs]
        self.given, self.setup, self.after = [], [], []
        self.before = [line for part, name, start in zip(self.parts, stores, starts, strict=True) for line in part.load(name, start)]
        self.now = [part.at(name, "t0") if part.dims else f"{name}[t0]" for part, name in zip(self.parts, stores, strict=True)]
        self.into = [part.at(name, "t0 + 1") for part, name in zip(self.parts, stores, strict=True)]

    def ends(self, stores, n):
        return [part.at(name, str(n)) if part.dims else f"{name}[{n}]" for part, name in zip(self.parts, stores, strict=True)]


class Store:
    """What a loop leaves to its reversal: arrays of all steps, and how they are given back."""

    def __init__(self, f, tag, made, reader):
        self.tag, self.names, self.given, self.reader = tag, [name for name, _ in made], [given for _, given in made], reader
        self.arrays = {("copy", (name, at, pool is f.memory.floats)) for name, (pool, at, _) in made}


def loop_parts(callee):
    parts, body, _, _ = _saved.scan_out(callee)
    return parts["n_constant"], parts["n_carry"], parts["n_x"], parts["length"], parts["go"], body


def forward(f, callee, texts, results, keeper, tag, reader):
    """Lines of a loop over its arguments `texts`. `results`: of its carry, then the stacked ones, or None. Where there is a tag,
    what its reversal reads is kept: the data that `keeper` leaves, or the states. Returns lines, the store, memory to give back."""
    n_constant, n_carry, _, length, go, body = loop_parts(callee)
    function = f.module.function(keeper or body)
    t = function.t
    constants, starts, xs = texts[:n_constant], texts[n_constant:n_constant + n_carry], texts[n_constant + n_carry:]
    ys = range(n_carry, f.module.n_results(body))
    carries = range(n_constant, n_constant + n_carry)
    store, kept = None, []
    if tag is not None and keeper is None:
        made = [Part(f, t.dims[k], t.narrow[k]).memory("store", length + 1) for k in carries]
        store = Store(f, tag, made, reader)
        carried = Stored(f, t, carries, starts, store.names)
        ends = carried.ends(store.names, length)
    else:
        carried = Carried(f, t, carries, starts)
        ends = carried.now
        if keeper is not None:
            nodes = t.outputs[n_carry + len(ys):]
            parts = [Part(f, t.dims[k], t.narrow[k]) for k in nodes]
            made = [part.memory("store", length) for part in parts]
            store = Store(f, tag, made, reader)
            kept = [part.at(name, "t0") for part, name in zip(parts, store.names, strict=True)]
    slices = [slice_of(x, t, n_constant + n_carry + k, "t0", False) for k, x in enumerate(xs)]
    stacked, dead = [], []
    for k in ys:
        node = t.outputs[k]
        if results is not None:
            stacked.append(slice_of(results[k], t, node, "t0", True))
            continue
        name, given = Part(f, t.dims[node], t.narrow[node]).memory("turn", 1)
        dead.append(given)
        stacked.append(name)
    # a float's slice holds floats, numbers of a body are doubles
    narrow = [(k, f.new_name("number")) for k in ys if not t.dims[t.outputs[k]] and t.narrow[t.outputs[k]] and results is not None]
    after = [f"*({stacked[k - n_carry]}) = (float){name};" for k, name in narrow]
    setup = [f"double {name};" for _, name in narrow]
    for k, name in narrow:
        stacked[k - n_carry] = f"&{name}"
    inside = [*setup, *carried.setup, call_text(f, function, [*constants, *carried.now, *slices], [*carried.into, *stacked, *kept]),
              *after, *carried.after]
    head = f"while ({carried.now[go]} != 0) {{" if go >= 0 else f"for (ptrdiff_t t0 = 0; t0 < {length}; t0++) {{"
    lines = [*carried.before, head, *indented(inside), "}"]
    if results is not None:
        for part, result, end in zip(carried.parts, results, ends, strict=False):
            lines += part.save(result, end) if result else []
    return lines, store, carried.given + dead


def scan(f, i, callee):
    operands, nodes = nodes_of(f, i)
    readers = [reader for root, reader in sorted(f.t.kept) if root == nodes[-1]]
    keeper, tag, last = None, None, None
    _, n_carry, _, _, go, _ = loop_parts(callee)
    if readers:
        if go >= 0:
            refuse(callee)
        bodies = [_saved.reversal_bodies(f.t.callees[f.t.args[f.t.aux[reader]]]) for reader in readers]
        _, _, keeper, tag = bodies[0]
        last = max(reader for reader, body in zip(readers, bodies, strict=True) if body[3] == tag)
    arguments, results = Arguments(f, operands), Results(f, nodes, n_carry)
    lines, store, given = forward(f, callee, arguments.texts, results.texts, keeper, tag, last)
    if store is not None:
        f.stores[nodes[-1]] = store
    f.give_back(given)
    finish(f, i, arguments, results, f.module.said(f, i, callee), lines)


def refuse(callee):
    raise NotImplementedError(f"to_c: {callee.__name__} runs for a number of steps that shows only when it runs, and its reversal needs "
                              f"memory for all of them, which a workspace of fixed size has not. Use fori_loop or scan with a bound on "
                              f"the steps, np.where keeping what is done, or export forward derivatives (program.jvp().to_c)")


def reversal(f, i, callee):
    operands, nodes = nodes_of(f, i)
    loop, back, keeper, tag = _saved.reversal_bodies(callee)
    n_constant, n_carry, n_x, length, go, _ = loop_parts(loop)
    if go >= 0:
        refuse(loop)
    n_input = n_constant + n_carry + n_x
    function = f.module.function(back)
    t = function.t
    n_sweep = len(operands) - n_input - 1 - stacked_seeds(callee)
    arguments, results = Arguments(f, operands), Results(f, nodes, n_sweep)
    store = f.stores.get(f.t.root(operands[n_input])) if operands[n_input] >= 0 else None
    lines, given = [], []
    if store is None or store.tag != tag:           # nothing was left: it runs the loop by itself
        first, store, given = forward(f, loop, arguments.texts[:n_input], None, keeper, tag, i)
        lines += ["{", *indented(first), "}"]
    f.arrays |= store.arrays
    data = list(range(n_constant, t.n_input))[:n_carry if keeper is None else len(store.names)]
    parts = [Part(f, t.dims[k], t.narrow[k]) for k in data]
    read = [part.at(name, "t0") if part.dims else f"{name}[t0]" for part, name in zip(parts, store.names, strict=True)]
    at = n_constant + len(data) + n_x
    seeds = arguments.texts[n_input + 1:]
    carried = Carried(f, t, range(at, at + n_sweep), seeds[:n_sweep])
    xs = [slice_of(x, t, n_constant + len(data) + k, "t0", False) for k, x in enumerate(arguments.texts[n_constant + n_carry:n_input])]
    ys = [slice_of(y, t, at + n_sweep + k, "t0", False) for k, y in enumerate(seeds[n_sweep:])]
    outs, setup, after = [], [], []
    for k, result in enumerate(results.texts[n_sweep:]):
        node = t.outputs[n_sweep + k]
        text = slice_of(result, t, node, "t0", True)
        if not t.dims[node] and t.narrow[node]:
            name = f.new_name("number")
            setup.append(f"double {name};")
            after.append(f"*({text}) = (float){name};")
            text = f"&{name}"
        outs.append(text)
    inside = [*setup, *carried.setup, call_text(f, function, [*arguments.texts[:n_constant], *read, *xs, *carried.now, *ys],
                                                [*carried.into, *outs]), *after, *carried.after]
    lines += [*carried.before, f"for (ptrdiff_t t0 = {length - 1}; t0 >= 0; t0--) {{", *indented(inside), "}"]
    for part, result, end in zip(carried.parts, results.texts, carried.now, strict=False):
        lines += part.save(result, end) if result else []
    f.give_back(given + carried.given)
    if store.reader == i:
        f.give_back(store.given)
    finish(f, i, arguments, results, f.module.said(f, i, callee), lines)


def stacked_seeds(callee):
    """How many of a reversal's arguments are cotangents of stacked results."""
    parts, _ = _saved.reversal_out(callee)
    return len(parts["ys"])
