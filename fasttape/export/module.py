"""One C file: its functions, those that they call before them, known arrays, and what of csrc they use."""
import re

import numpy as np

from fasttape._core import listing as _listing
from fasttape._core import saved as _saved
from fasttape._core import sources as _sources
from fasttape.export.function import Function
from fasttape.export.library import COMMENT, PREAMBLE, WORD, is_total, needed
from fasttape.export.tape import ARITY, Tape, size_of
from fasttape.export.texts import comment, initialiser

from . import guards as _guards

PLACES = 4                          # dtype of an array of whole numbers
KINDS = {0: ("double", np.float64), 1: ("float", np.float32), PLACES: ("int64_t", np.int64)}
ABC = re.compile(r"\b[abc]\b")


class Module:
    @staticmethod
    def words(lines):
        """The names in some lines, without comments."""
        return set(WORD.findall(COMMENT.sub("", "\n".join(lines))))

    def __init__(self, name):
        self.name, self.functions, self.order, self.arrays, self.known_texts = name, {}, [], {}, []
        self.values = _sources.values()
        self.count, self.kept = 0, []                          # what ids are of

    def arity(self, op):
        return ARITY[op]

    def is_partly(self, op):
        """Whether the branch-free part of an op is not for every number, and ``ft_NAME_easy`` says for which."""
        return op in self.values and self.values[op] is None and not is_total(op)

    def value(self, op, operands, core=False):
        """An elementwise op, as the table has it; if `core`, its branch-free part."""
        if op == "cast":
            return operands[0]
        value = self.values[op]
        if value is None:
            return f"ft_{op}{'_core' * core}({', '.join(bare(x) for x in operands)})"
        return ABC.sub(lambda found: operands[ord(found[0]) - ord("a")], value)

    def table(self, numbers):
        """The name of an array of extents or strides."""
        key = tuple(numbers)
        if key not in self.arrays:
            self.arrays[key] = f"known{len(self.arrays)}"
            elements = ", ".join(map(str, key or (0,)))
            self.known_texts.append(f"static const int64_t {self.arrays[key]}[{max(len(key), 1)}] = {{{elements}}};\n")
        return self.arrays[key]

    def n_results(self, program):
        return len(_saved.program_out(program)["outputs"])

    def texts_of(self, program):
        return _listing.entry_texts(program)

    def known(self, array, dims, dtype):
        """The name of an array that the program has from its trace."""
        kind, of = KINDS[PLACES if dtype == PLACES else dtype & 1]
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)[:size_of(dims) * np.dtype(of).itemsize].view(of)
        key = kind, flat.tobytes()              # sweeps copy what a trace knows
        if key not in self.arrays:
            name = self.arrays[key] = f"known{len(self.arrays)}"
            self.known_texts.append(f"FT_KNOWN {kind} {name}[{max(flat.size, 1)}] = {{\n{initialiser(flat)}\n}};\n")
        return self.arrays[key]

    def said(self, f, i, callee):
        labels = ", ".join(f.label(k) for k in range(i, i + f.t.b[i])[:8] if not f.t.is_store(k))
        return comment(f"{labels} = {callee.__name__}")

    def function(self, program):
        """The function of a program that is called; made once."""
        if id(program) not in self.functions:
            self.kept.append(program)
            name = re.sub(r"\W+", "_", program.__name__, flags=re.ASCII).strip("_")[:40]
            self.count += 1
            name = f"{self.name}_{name}_{self.count}"
            tape = Tape(program)
            f = Function(self, program, name, [f"x{k}_in" for k in range(tape.n_input)], [f"y{k}_out" for k in range(len(tape.outputs))],
                         False)
            self.functions[id(program)] = f
            self.order.append(f.text(f"static void {name}"))
        return self.functions[id(program)]

    def public(self, program, name, inputs, results, guards):
        """A function of the header's; returns it. Its text goes into the file."""
        tape = Tape(program)
        f = Function(self, program, name, inputs, results[:tape.n_result], True)
        f.reads, f.arrays = set(), set()
        tail = _guards.lines(f, guards)
        f.tail_reads, f.tail_arrays = f.reads, f.arrays
        self.order.append(f.text(f"int {name}", tail))
        return f

    def source(self, header):
        words = self.words(self.order)
        known = [text for name, text in zip(self.arrays.values(), self.known_texts, strict=True) if name in words]
        code = "\n".join([*known, *self.order])
        library = needed(code)
        parts = [f"/* Written by fasttape: {self.name}. What it computes is said in {header}. */\n", f'#include "{header}"\n', PREAMBLE]
        if library:
            parts.append("/* ---- functions of fasttape */\n")
            parts.append(library)
        parts.append(f"/* ---- {self.name} */\n")
        return "\n".join(parts) + "\n" + code


def bare(text):
    """Without brackets that a list of arguments does not need."""
    return text[1:-1] if text.startswith("(-") and text.endswith(")") and text.count("(") == 1 else text
