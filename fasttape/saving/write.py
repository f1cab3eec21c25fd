"""Programs written: the header, and the sections of numbers that it speaks of."""
import base64
import json
import zlib

import numpy as np

from fasttape._core import saved as _saved
from fasttape._core.tracer import Look, Raised
from fasttape.saving.names import ALIGN, ARRAYS, DTYPES, LOOKS, LOOP_ARRAYS, MAGIC, SCHEDULES, TYPE_NAMES, VERSION


class Writer:
    """What goes into a file. `others` are objects that a pickle has beside it; where there is no pickle it is None."""

    def __init__(self, who, others=None):
        self.who, self.others = who, others
        self.sections, self.placed, self.parts, self.place_of, self.types = [], {}, [], {}, []
        self.kept = []                      # what `placed` knows by its id

    # sections

    def section(self, array):
        self.sections.append(np.ascontiguousarray(array))
        return len(self.sections) - 1

    def array(self, array):
        """An array that is known, once however many tapes know it. Its elements are 8 or 4 bytes, or it is raw."""
        if id(array) not in self.placed:
            self.kept.append(array)
            self.placed[id(array)] = self.section(array.reshape(-1).view(np.uint8))
        return self.placed[id(array)]

    # values

    def value(self, x):
        """A plain value as JSON has it."""
        if x is None or isinstance(x, (bool, str)) and type(x) in (bool, str):
            return x
        if type(x) is int:
            return x if abs(x) < 1 << 53 else {"int": str(x)}
        if type(x) is float:
            return {"float": x.hex()}
        if type(x) is complex:
            return {"complex": [x.real.hex(), x.imag.hex()]}
        if type(x) is bytes:
            return {"bytes": base64.b64encode(x).decode()}
        if type(x) is Raised:
            return {"raised": str(x)}
        if type(x) in (tuple, frozenset, list):
            parts = sorted(x, key=repr) if type(x) is frozenset else x
            return {type(x).__name__: [self.value(part) for part in parts]}
        if type(x) is slice:
            return {"slice": [self.value(part) for part in (x.start, x.stop, x.step)]}
        if x is Ellipsis:
            return {"ellipsis": 0}
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.name in DTYPES and type(x) in (np.ndarray, x.dtype.type):
            array = np.asarray(x)
            data = array.astype(array.dtype.newbyteorder("<")).tobytes()
            return {"array" if isinstance(x, np.ndarray) else "scalar": [array.dtype.name, list(array.shape),
                                                                        base64.b64encode(data).decode()]}
        if isinstance(x, np.dtype) and x.name in DTYPES:
            return {"dtype": x.name}
        if type(x) is type and x in TYPE_NAMES or isinstance(x, type) and x in TYPE_NAMES:
            return {"type": TYPE_NAMES[x]}
        return self.other(x)

    def other(self, x):
        """What is not written but named."""
        if isinstance(x, type):
            if x not in self.types:
                self.types.append(x)
            return {"class": self.types.index(x)}
        if self.others is None:
            raise TypeError(f"{self.who}: the program was traced with {x!r}, a {type(x).__name__}, as a fixed value, which a file "
                            f"cannot hold: it holds numbers, texts, truth values, arrays, and tuples of them. Close over it, or pickle "
                            f"the program")
        self.others.append(x)
        return {"other": len(self.others) - 1}

    def look(self, how):
        if isinstance(how, Look):
            return {"look": how.name, "args": [self.value(x) for x in how.args]}
        if how is None:
            return None
        for name, known in LOOKS.items():
            if how is known:
                return name
        raise TypeError(f"{self.who}: a guard looks at a value by {how!r}, which a file cannot hold")

    def form(self, tree):
        kind, dtype, shape, value, type_, names, parts = tree
        return [kind, dtype, None if shape is None else list(shape), self.value(value), self.value(type_),
                None if names is None else [self.value(name) for name in names],
                None if parts is None else [self.form(part) for part in parts]]

    def schedule(self, schedule):
        if schedule is None:
            return None
        name = type(schedule).__name__
        if SCHEDULES.get(name) is type(schedule):
            return {"name": name, "values": [self.value(getattr(schedule, key)) for key in schedule._parameters]}
        return self.other(schedule)

    # programs, loops, reversals

    def tape(self, parts):
        out = {"n": parts["n"], "arrays": [self.array(a) for a in parts["arrays"]], "callees": [self.part(x) for x in parts["callees"]],
               "marks": parts["marks"]}
        for name in ARRAYS:
            if name in parts:
                out[name] = self.section(parts[name])
        if parts.get("packed") is not None:
            out["packed"] = [self.section(part) for part in parts["packed"]]
        if parts.get("loops") is not None:
            out["loops"] = {name: self.section(parts["loops"][name]) for name in LOOP_ARRAYS}
        return out

    def part(self, callee):
        """The number of a program, a loop or a reversal, all that it calls before it."""
        if id(callee) in self.place_of:
            return self.place_of[id(callee)]
        kind = _saved.kind_of(callee)
        if kind == "program":
            parts = _saved.program_out(callee)
            out = {name: parts[name] for name in ("name", "n_input", "n_result", "recorded", "kept")}
            out["record"], out["run"] = self.tape(parts["record"]), self.tape(parts["run"])
            out["outputs"], out["record_outputs"] = self.section(parts["outputs"]), self.section(parts["record_outputs"])
        elif kind == "loop":
            out, body, schedule, folder = _saved.scan_out(callee)
            out["body"], out["schedule"] = self.part(body), self.schedule(schedule)
            out["folder"] = None if folder is None or self.others is None else self.other(folder)
        else:
            out, loop = _saved.reversal_out(callee)
            out["loop"] = self.part(loop)
        out["kind"] = kind
        self.kept.append(callee)
        self.parts.append(out)
        self.place_of[id(callee)] = len(self.parts) - 1
        return len(self.parts) - 1

    def program(self, program):
        arguments, result, static, guards = _saved.ends_out(program)
        main = self.part(program)
        header = {"ops": _saved.NAMES, "parts": self.parts, "main": main, "arguments": self.form(arguments), "result": self.form(result),
                  "static": None if static is None else self.value(static),
                  "guards": [[self.look(how), self.value(seen), [str(place[0]), int(place[1])]] for how, seen, place in guards],
                  "types": [{"module": x.__module__, "name": x.__qualname__} for x in self.types]}
        return self.file(header)

    def file(self, header):
        at, table = 0, []
        for array in self.sections:
            table.append([at, array.nbytes])
            at += -(-array.nbytes // ALIGN) * ALIGN
        header["sections"] = table
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-(24 + len(text)) % ALIGN)
        pieces = [len(text).to_bytes(8, "little"), text]
        for array in self.sections:
            pieces += [array.reshape(-1).view(np.uint8).data, bytes(-array.nbytes % ALIGN)]
        check = 0
        for piece in pieces:
            check = zlib.crc32(piece, check)
        return [MAGIC + VERSION.to_bytes(4, "little") + check.to_bytes(4, "little"), *pieces]
