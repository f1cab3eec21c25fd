"""A long program as several functions: what one of them computes and another reads goes through the workspace."""
from fasttape.export.nest import indented

PART = 600                          # lines of a function, beyond which it is cut: compilers take more than linear time


def in_parts(f, head, tail):
    parts, lines = [[]], 0
    for s in f.statements:
        if lines > PART:
            parts.append([])
            lines = 0
        parts[-1].append(s)
        lines += len(s.lines)
    home, last = {}, {}
    for k, part in enumerate(parts):
        for s in part:
            for i in s.defines:
                home[i] = k
            for i in s.reads:
                last[i] = k
    last |= {i: len(parts) for i in f.tail_reads}
    slot, free, top = {}, [], 0
    for k, part in enumerate(parts):
        for s in part:
            for i in s.defines:
                if last.get(i, k) > k:
                    if not free:
                        free.append(top)
                        top += 1
                    slot[i] = free.pop()
        free += [slot[i] for i in slot if last[i] == k]
    f.memory.slots = top
    frame = f"{f.name}_frame"
    names = [*f.inputs, *f.results, "work"]
    members = [p.replace("*restrict ", "*") for p in f.parameters()]
    text = "\n".join([f"typedef struct {{       /* the arguments of {f.name}, for its parts */",
                      *(f"    {member};" for member in members), f"}} {frame};", "", ""])
    for k, part in enumerate(parts):
        reads = {i for s in part for i in s.reads}
        own = {i for s in part for i in s.defines}
        arrays = {a for s in part for a in s.arrays}
        body = [line for s in part for line in s.lines]
        words = f.module.words(body)
        lines = f.declarations(arrays, True, words)
        for i in sorted(reads - own):
            if f.t.op[i] == "input" and i not in home:
                lines.append(f"const double {f.inputs[i]} = frame->{f.inputs[i]};")
            else:
                lines.append(f"const double {f.label(i)} = work[{f.memory.slot_at(slot[i])}];")
        for name, i in zip(f.results, f.t.outputs, strict=False):
            if not f.t.dims[i] and name in words:
                lines.append(f"{f.kinds[name]} *const {name} = frame->{name};")
        if f.public:
            lines += [f"const float {f.inputs[i]} = frame->{f.inputs[i]};" for i in range(f.t.n_input)
                      if f.t.narrow[i] and not f.t.dims[i] and i in own]
        ends = [f"work[{f.memory.slot_at(slot[i])}] = {f.label(i)};" for i in sorted(own) if i in slot]
        if "work" in f.module.words(lines + body + ends):
            lines.insert(0, "double *const work = frame->work;")
        lines += body + ends
        if not lines or "frame" not in f.module.words(lines):
            lines.insert(0, "(void)frame;")
        text += "\n".join([f"static void {f.name}_part{k}(const {frame} *frame) {{", *indented(lines), "}", "", ""])
    lines = [f"const {frame} frame = {{{', '.join(names)}}};", *(f"{f.name}_part{k}(&frame);" for k in range(len(parts)))]
    lines += f.declarations(f.tail_arrays, False, f.module.words(tail))
    lines += [f"const double {f.label(i)} = work[{f.memory.slot_at(slot[i])}];" for i in sorted(f.tail_reads) if i in slot]
    return text + "\n".join([f"{head} {{", *indented(lines + tail), "}"]) + "\n"
