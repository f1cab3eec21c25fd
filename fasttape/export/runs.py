"""Neighbouring elementwise entries of one shape as one loop. What only the loop reads is a local of it; a sum of all elements
that ends it is added up block by block, in the library's order (csrc/kernels/reduce.h)."""
from fasttape.export.nest import collapsed, indented, spread, variables
from fasttape.export.tape import ARITY, contiguous, size_of
from fasttape.export.texts import comment, place

BLOCK = 256                         # FT_BLOCK of csrc/vm.h
MANY = 16                           # elements for which a loop is worth being made a vector loop
NOTES = 6                           # entries of a loop that its comment names


class Run:
    def __init__(self, function, dims):
        self.f, self.dims, self.members, self.inside = function, dims, [], set()

    def takes(self, i):
        """Whether an elementwise entry may go into the loop: it reads of it only what its own element needs."""
        t = self.f.t
        return t.dims[i] == self.dims and all(
            t.root(k) not in self.inside or (t.op[k] != "view" and t.dims[k] == self.dims) for k in t.operands(i))

    def ends_in(self, i):
        """Whether a sum is over all elements of what the loop computes."""
        t = self.f.t
        return t.a[i] in self.inside and t.op[t.a[i]] != "sum" and t.dims[t.a[i]] == self.dims and size_of(self.dims) > 0

    def write(self, end):
        f, t = self.f, self.f.t
        sums = [m for m in self.members if t.op[m] == "sum"]
        layouts, order = [(0, contiguous(self.dims))], {}
        for m in self.members:
            for k in t.operands(m):
                if k not in self.inside and t.dims[k] and k not in order:
                    order[k] = len(layouts)
                    offset, strides = t.layout(k)
                    layouts.append((offset, spread(strides, t.dims[k], self.dims)))
        extents, laid = collapsed(self.dims, layouts)
        summed = {t.a[m] for m in sums} if len(extents) > 1 else set()
        outside = [m for m in self.members if t.op[m] != "sum" and (t.last[m] >= end or m in summed)]
        for m in outside:
            f.memory.place(m)
        notes = [f.note(m) for m in self.members if t.op[m] != "sum"]
        notes = notes[:NOTES] + ([f"/* ... and {len(notes) - NOTES} more */"] if len(notes) > NOTES else [])
        if size_of(self.dims):
            self.loop(extents, laid, order, outside, [] if summed else sums, notes)
        for m in sums if summed else []:
            text = f"ft_sum_span((const char *){f.array(t.a[m])}, {t.narrow[m]}, {size_of(self.dims)})"
            f.define(m, text)

    def loop(self, extents, laid, order, outside, sums, notes):
        f, t = self.f, self.f.t
        names = variables(len(extents))
        index = [place(offset, list(zip(strides, names, strict=True))) for offset, strides in laid]
        n, stored = size_of(self.dims), {}
        hard = f.new_name("hard") if n >= MANY and any(f.module.is_partly(t.op[m]) for m in self.members) else None
        bodies = [self.body(index, order, outside, hard)] + ([self.body(index, order, outside, None)] if hard else [])
        for m in sums:
            if t.a[m] not in stored:
                stored[t.a[m]] = f.new_name("block")
                line = f"{stored[t.a[m]]}[{names[0] + ' - from' * (n > BLOCK) if names else 0}] = {self.value_name(t.a[m])};"
                bodies = [[*body, line] for body in bodies]

        def looped(bounds):
            """The loop; with functions that are not for every number, again, if need be."""
            whole = []
            for body in bodies:
                for (begin, end), name in zip(reversed(bounds), reversed(names), strict=True):
                    body = [f"for (ptrdiff_t {name} = {begin}; {name} < {end}; {name}++) {{", *indented(body), "}"]
                whole.append(body)
            if not hard:
                return whole[0] if bounds else ["{", *indented(whole[0]), "}"]
            return [f"int {hard} = 0;", *whole[0], f"if ({hard}) {{", *indented(whole[1]), "}"]

        if not sums:
            f.add([*notes, *looped([(0, extent) for extent in extents])])
            return
        ends, before = [], [f"double {f.label(m)};" for m in sums]
        arrays = [f"double {name}[{min(n, BLOCK)}];" for name in stored.values()]

        def rounded(m, text):
            return f"{f.label(m)} = {f'(float)({text})' if t.narrow[m] else text};"

        if n <= BLOCK:
            lines = looped([(0, n)]) if names else bodies[0]
            ends = [rounded(m, f"ft_sum_block_d({stored[t.a[m]]}, {n})") for m in sums]
            lines = [*before, "{", *indented([*arrays, *lines, *ends]), "}"]
        else:
            cascade = {m: f.new_name("total") for m in sums}
            ends = [f"ft_cascade_add(&{cascade[m]}, ft_sum_block_d({stored[t.a[m]]}, to - from));" for m in sums]
            lines = [*arrays, f"const ptrdiff_t to = from + FT_BLOCK < {n} ? from + FT_BLOCK : {n};",
                     *looped([("from", "to")]), *ends]
            lines = [f"for (ptrdiff_t from = 0; from < {n}; from += FT_BLOCK) {{", *indented(lines), "}"]
            lines = [*[f"ft_cascade {name} = {{.blocks = 0}};" for name in cascade.values()], *lines,
                     *[rounded(m, f"ft_cascade_total(&{cascade[m]})") for m in sums]]
            lines = [*before, "{", *indented(lines), "}"]
        f.add([*notes, *[f"/* {comment(f'{f.label(m)} = sum({f.label(t.a[m])})')} */" for m in sums], *lines], sums)

    def value_name(self, m):
        return f"v{self.f.label(m)[1:]}"

    def body(self, index, order, outside, hard):
        """The lines for one element. With `hard` they are free of branches, and that is set where they do not do."""
        f, t = self.f, self.f.t
        lines, kept = [], set(outside)
        readers, local = {}, {}
        for m in self.members:
            for k in t.operands(m):
                readers[k] = readers.get(k, 0) + 1

        def text(k):
            if k in self.inside:
                return self.value_name(k)
            if not t.dims[k]:
                return f.scalar(k)
            if k in local:
                return local[k]
            read = f"{f.array(t.root(k))}[{index[order[k]]}]"
            if readers[k] == 1:
                return f"(double){read}" if t.narrow[k] else read
            local[k] = f"v{f.label(k)[1:]}" if f.label(k) else f.new_name("u")
            lines.append(f"const double {local[k]} = {read};")
            return local[k]

        for m in self.members:
            if t.op[m] == "sum":
                continue
            op, texts = t.op[m], [text(k) for k in t.operands(m)][:ARITY.get(t.op[m], 1)]
            partly = f.module.is_partly(op)
            if partly and hard:
                lines.append(f"{hard} |= !ft_{op}_easy({', '.join(texts)});")
            value = f.module.value(op, texts, not partly or hard is not None)
            value = f"(float)({value})" if t.narrow[m] else value
            if m in kept and m not in readers:
                lines.append(f"{f.array(m)}[{index[0]}] = {value};")
                continue
            lines.append(f"const double {self.value_name(m)} = {value};")
            if m in kept:
                lines.append(f"{f.array(m)}[{index[0]}] = {'(float)' * t.narrow[m]}{self.value_name(m)};")
        return lines
