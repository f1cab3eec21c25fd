"""One program as a C function, or, where it is long, as several that hand values on in the workspace.

Entries are taken in order. Each becomes a statement that says which numbers and arrays it reads and defines; where functions
begin and end, what is declared and what is handed on follows from that.
"""
from fasttape.export.calls import CALLS
from fasttape.export.memory import Memory
from fasttape.export.nest import indented, walk
from fasttape.export.parts import PART, in_parts
from fasttape.export.runs import Run
from fasttape.export.structural import emit
from fasttape.export.tape import ARITY, Tape, contiguous, size_of
from fasttape.export.texts import comment, listed, number, operand


class Statement:
    """`pure`: it does nothing but define a number."""
    __slots__ = ("arrays", "defines", "lines", "pure", "reads")

    def __init__(self, lines, reads, defines, arrays, pure):
        self.lines, self.reads, self.defines, self.arrays, self.pure = lines, reads, defines, arrays, pure


def without_unread(statements, read, label):
    """Without numbers that only pieces of size 0 would read; `read` are those that are read at the end."""
    out, read = [], set(read)
    for s in reversed(statements):
        unread = [i for i in s.defines if i not in read]
        if s.pure and unread:
            continue
        s.lines += [f"(void){label(i)};" for i in unread]
        read |= s.reads
        out.append(s)
    return out[::-1]


class Function:
    """`inputs` and `results` are the names of the parameters; those of a public function have the program's dtypes and
    are checked against its guards, others take and give all numbers as doubles."""

    def __init__(self, module, program, name, inputs, results, public):
        self.module, self.name, self.public = module, name, public
        self.t, self.texts = Tape(program), module.texts_of(program)
        self.inputs, self.results = inputs, results
        self.memory = Memory(self.t, results)
        self.statements, self.dying = [], []
        self.reads, self.arrays = set(), set()
        self.tail_reads, self.tail_arrays = set(), set()      # of what stands at its end, beside the statements
        self.stores = {}
        self.counter = 0
        self.run = None
        self.translate()

    # what entries are called

    def label(self, i):
        return self.texts[i][0]

    def scalar(self, i):
        """A number where it is read."""
        if self.t.op[i] == "constant":
            return operand(self.t.constant[i])
        self.reads.add(i)
        return self.scalar_name(i)

    def scalar_name(self, i):
        return self.label(i) if self.t.op[i] != "input" or (self.public and self.t.narrow[i]) else self.inputs[i]

    def array(self, i):
        """The pointer to an array, which is no view."""
        if self.t.op[i] == "input":
            if i < self.t.n_input:
                self.arrays.add(("input", i))
                return self.inputs[i]
            return self.module.known(self.t.arrays[self.t.b[i] - 1], self.t.dims[i], self.t.dtype[i])
        first = self.memory.of(i)
        if first in self.memory.result:
            self.arrays.add(("result", self.memory.result[first]))
            return self.memory.result[first]
        self.arrays.add(("work", first))
        return self.label(first)

    def lies_at(self, i):
        """Pointer, offset and strides of an array."""
        offset, strides = self.t.layout(i)
        return self.array(self.t.root(i)), offset, strides

    def begin_of(self, i):
        """The pointer to a contiguous array's first element."""
        name, offset, _ = self.lies_at(i)
        return f"{name} + {offset}" if offset else name

    def new_name(self, text):
        self.counter += 1
        return f"{text}{self.counter}"

    # statements

    def add(self, lines, defines=(), pure=False):
        """The reads and arrays since the statement before."""
        self.statements.append(Statement(lines, self.reads, tuple(defines), self.arrays, pure))
        self.reads, self.arrays = set(), set()

    def note(self, i):
        """A comment that says what an entry computes."""
        label, text = self.texts[i]
        return f"/* {comment(f'{label} = {text}')} */"

    def define(self, i, text):
        """A number."""
        self.add([f"const double {self.label(i)} = {f'(float)({text})' if self.t.narrow[i] else text};"], [i], True)

    def copied(self, i):
        """Lines that copy an array into memory of its own; and its name. For those who read no strides."""
        name, offset, strides = self.lies_at(i)
        n, kind = size_of(self.t.dims[i]), "float" if self.t.narrow[i] else "double"
        pool, copy = self.memory.pool(self.t.narrow[i]), self.new_name("copy")
        at = pool.take(n)
        self.arrays.add(("copy", (copy, at, self.t.narrow[i])))
        lines = walk(self.t.dims[i], [(offset, strides), (0, contiguous(self.t.dims[i]))],
                     lambda a, y: [f"{copy}[{y}] = {name}[{a}];"])
        return lines, copy, (pool, at, n), kind

    def flat(self, i):
        """A contiguous array's pointer, after copying where it is none: lines, pointer, what to give back."""
        if self.t.is_contiguous(i):
            return [], self.begin_of(i), []
        lines, copy, given, _ = self.copied(i)
        return lines, copy, [given]

    def give_back(self, given):
        for pool, at, n in given:
            pool.give(at, n)

    # entries

    def translate(self):
        t, dies = self.t, {}
        for i, reader in enumerate(t.last):
            if t.needed[t.head(i)] and 0 <= reader < t.n and t.dims[i] and t.op[i] not in ("input", "view"):
                dies.setdefault(reader, []).append(i)
        if self.public:
            for i in range(t.n_input):
                if t.narrow[i] and not t.dims[i] and t.last[i] >= 0:
                    self.add([f"const double {self.label(i)} = {self.inputs[i]};"], [i], True)
        for i in range(t.n_input, t.n):
            if t.needed[i]:
                self.entry(i)
            for k in dies.get(i, ()):
                self.let_go(k, i)
        self.close(t.n)
        self.outcome()

    def let_go(self, k, reader):
        if self.memory.of(reader) == self.memory.of(k) and self.memory.in_place(reader):
            return                              # it goes on as another
        if self.run is not None:
            self.dying.append(k)
        else:
            self.memory.release(k)

    def entry(self, i):
        t = self.t
        op, simple = t.op[i], t.op[i] in ARITY or t.op[i] == "cast"
        if op in ("input", "constant", "view"):
            return
        if simple and t.dims[i]:
            if self.run is None or not self.run.takes(i):
                self.close(i)
                self.run = Run(self, t.dims[i])
            self.run.members.append(i)
            self.run.inside.add(i)
            return
        if op == "sum" and self.run is not None and not t.dims[i] and self.run.ends_in(i):
            self.run.members.append(i)
            self.run.inside.add(i)
            return
        if self.run is not None and (not (simple or op == "get") or any(t.root(k) in self.run.inside for k in t.operands(i))):
            self.close(i)
        if simple:
            self.define(i, self.module.value(op, [self.scalar(k) for k in t.operands(i)]))
        else:
            emit(self, i)

    def close(self, end):
        """Write the open run; entries from `end` on are its outside."""
        if self.run is not None:
            run, self.run = self.run, None
            run.write(end)
            for k in self.dying:
                self.memory.release(k)
            self.dying = []

    def outcome(self):
        """Numbers and arrays that are not computed where they are returned."""
        t, lines = self.t, []
        for k, (i, name) in enumerate(zip(t.outputs, self.results, strict=False)):
            if k >= t.n_result and self.public:
                break
            if not t.dims[i]:
                narrow = "(float)" * (t.narrow[i] and self.public)
                text = number(t.constant[i]) if t.op[i] == "constant" and not narrow else self.scalar(i)
                lines.append(f"*{name} = {narrow}{text};")
            elif t.op[i] in ("view", "input") or self.memory.result[self.memory.of(i)] != name:
                self.arrays.add(("result", name))
                source, offset, strides = self.lies_at(i)
                if t.is_contiguous(i):
                    if size_of(t.dims[i]):
                        lines.append(f"memcpy({name}, {self.begin_of(i)}, {size_of(t.dims[i])} * sizeof *{name});")
                else:
                    lines += walk(t.dims[i], [(offset, strides), (0, contiguous(t.dims[i]))],
                                  lambda a, y, name=name, source=source: [f"{name}[{y}] = {source}[{a}];"])
            if len(lines) >= PART:
                self.add(lines)
                lines = []
        if lines:
            self.add(lines)

    # the C of it

    def parameters(self):
        t, out = self.t, []
        for i in range(t.n_input):
            kind = "float" if t.narrow[i] else "double"
            out.append(f"const {kind} *restrict {self.inputs[i]}" if t.dims[i] else
                       f"{kind if self.public else 'double'} {self.inputs[i]}")
        return [*out, *[f"{kind} *restrict {name}" for name, kind in self.kinds.items()], "double *restrict work"]

    def declarations(self, arrays, framed, words):
        """Pointers to arrays whose names are among the words; those of parameters where there is a frame to take them from."""
        lines = []
        for kind, what in sorted(arrays, key=str):
            if kind == "work":
                lines += [self.memory.declaration(what, self.label(what))] * (self.label(what) in words)
            elif kind == "copy":
                name, at, narrow = what
                lines += [self.memory.pointer(name, at, narrow)] * (name in words)
            elif framed and kind == "input" and self.inputs[what] in words:
                lines.append(f"const {'float' if self.t.narrow[what] else 'double'} *const {self.inputs[what]} = "
                             f"frame->{self.inputs[what]};")
            elif framed and kind == "result" and what in words:
                lines.append(f"{self.kinds[what]} *const {what} = frame->{what};")
        return lines

    @property
    def kinds(self):
        """Of each result, the type; numbers of functions that are not public are doubles."""
        return {name: "float" if self.t.narrow[i] and (self.t.dims[i] or self.public) else "double"
                for i, name in zip(self.t.outputs, self.results, strict=False)}

    def text(self, head, tail=()):
        """The whole function: its first line, what stands at its end."""
        self.statements = without_unread(self.statements, self.tail_reads, self.label)
        head = listed(f"{head}(", self.parameters(), ")")
        text = self.whole(head, list(tail)) if sum(len(s.lines) for s in self.statements) <= PART else in_parts(self, head, list(tail))
        return text.replace(CALLS, self.memory.call_place())

    def whole(self, head, tail):
        arrays, lines = set(self.tail_arrays), []
        for s in self.statements:
            arrays |= s.arrays
            lines += s.lines
        words = self.module.words([*lines, *tail])
        declared = self.declarations(arrays, False, words)
        words |= {"work"} if declared or CALLS in words else set()
        lines = declared + lines + tail
        unread = [f"(void){name};" for name in [*self.inputs, *self.results, "work"] if name not in words]
        return "\n".join([f"{head} {{", *indented(unread + lines), "}"]) + "\n"
