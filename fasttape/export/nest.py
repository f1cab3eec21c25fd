"""Loops over arrays: as few as the layouts allow, axes that lie one in the other being one."""
from fasttape.export.tape import size_of
from fasttape.export.texts import place


def indented(lines):
    return ["    " + line if line and not line.startswith("#") else line for line in lines]


def collapsed(dims, layouts):
    """The same walk in fewer axes: extents, and each layout's (offset, strides)."""
    axes = [k for k, n in enumerate(dims) if n != 1]
    out, strides = [], [[] for _ in layouts]
    for k in axes:
        if out and all(s[-1] == dims[k] * layout[1][k] for s, layout in zip(strides, layouts, strict=True)):
            out[-1] *= dims[k]
            for s, layout in zip(strides, layouts, strict=True):
                s[-1] = layout[1][k]
            continue
        out.append(dims[k])
        for s, layout in zip(strides, layouts, strict=True):
            s.append(layout[1][k])
    return out, [(layout[0], s) for s, layout in zip(strides, layouts, strict=True)]


def variables(n):
    return [f"i{k}" for k in range(n)]


def walk(dims, layouts, body):
    """Lines that run `body`, a function of each layout's index, for all elements in C order."""
    if size_of(tuple(dims)) == 0:
        return []
    extents, laid = collapsed(dims, layouts)
    names = variables(len(extents))
    lines = body(*[place(offset, list(zip(strides, names, strict=True))) for offset, strides in laid])
    for n, name in zip(reversed(extents), reversed(names), strict=True):
        head = f"for (ptrdiff_t {name} = 0; {name} < {n}; {name}++)"
        lines = [head, *indented(lines)] if len(lines) == 1 else [f"{head} {{", *indented(lines), "}"]
    return lines


def spread(strides, own, full):
    """The strides with which an array of shape `own` is read as one of shape `full`."""
    return (0,) * (len(full) - len(own)) + tuple(0 if n == 1 else s for n, s in zip(own, strides, strict=True))
