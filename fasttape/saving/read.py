"""Programs read. Nothing that a file says is believed: what does not fit raises ValueError, or one of the errors that a
value of another kind raises, before anything is made of it."""
import base64
import json
import math
import zlib

import numpy as np

from fasttape._core import program as _program
from fasttape._core import saved as _saved
from fasttape._core.tracer import Look, Raised
from fasttape.saving.names import ALIGN, ARRAYS, DTYPES, LOOKS, LOOP_ARRAYS, MAGIC, SCHEDULES, SECTION_DTYPES, TYPES, VERSION


def opened(data):
    """The header and what comes after it."""
    if bytes(data[:8]) != MAGIC:
        raise ValueError("this is no program: it does not begin with what a saved program begins with")
    if len(data) < 24:
        raise ValueError("the file is cut off")
    version, check, size = (int.from_bytes(bytes(data[a:b]), "little") for a, b in ((8, 12), (12, 16), (16, 24)))
    if version != VERSION:
        raise ValueError(f"the file is of version {version}; this fasttape reads version {VERSION}. Load it with the fasttape that saved "
                         f"it, or a newer one")
    if zlib.crc32(data[16:]) != check or size > len(data) - 24:
        raise ValueError("the file is damaged or cut off: its checksum is another")
    return json.loads(bytes(data[24:24 + size])), data[24 + size:]


class Reader:
    def __init__(self, data, types, others):
        self.types, self.others = types, others
        self.header, self.body = opened(data)
        self.table = self.header["sections"]
        self.codes = _saved.codes_of([str(name) for name in self.header["ops"]])
        self.arrays, self.made = {}, []

    # sections

    def section(self, k, name):
        begin, size = self.table[_index(k, self.table)]
        dtype = np.dtype(SECTION_DTYPES[name])
        if type(begin) is not int or type(size) is not int or begin < 0 or size < 0 or begin % ALIGN or begin + size > len(self.body) \
                or size % dtype.itemsize:
            raise ValueError("a section that is not in the file")
        return self.body[begin:begin + size].view(dtype)

    def array(self, k):
        if k not in self.arrays:
            self.arrays[k] = np.array(self.section(k, "entries"))
        return self.arrays[k]

    # values

    def value(self, x):
        if x is None or isinstance(x, (bool, str)):
            return x
        if isinstance(x, int):
            return x
        (kind, content), = x.items()
        return getattr(self, "_" + kind)(content) if kind in _VALUES else _none()

    def _int(self, x): return int(x) if len(x) < 4000 else _none()
    def _float(self, x): return float.fromhex(x)
    def _complex(self, x): return complex(float.fromhex(x[0]), float.fromhex(x[1]))
    def _bytes(self, x): return base64.b64decode(x, validate=True)
    def _raised(self, x): return Raised(x)
    def _tuple(self, x): return tuple(self.value(part) for part in x)
    def _list(self, x): return [self.value(part) for part in x]
    def _frozenset(self, x): return frozenset(self.value(part) for part in x)
    def _slice(self, x): return slice(*[self.value(part) for part in x])
    def _ellipsis(self, x): return Ellipsis
    def _dtype(self, x): return DTYPES[x]
    def _type(self, x): return TYPES[x]

    def _array(self, x):
        name, shape, data = x
        dtype = DTYPES[name].newbyteorder("<")
        data = base64.b64decode(data, validate=True)
        shape = [extent if type(extent) is int and extent >= 0 else _none() for extent in shape]
        if math.prod(shape) * dtype.itemsize != len(data) or len(shape) > 32:
            raise ValueError("an array that is not of its size")
        return np.frombuffer(data, dtype).reshape(shape).astype(DTYPES[name])

    def _scalar(self, x):
        return self._array(x)[()]

    def _other(self, k):
        return self.others[_index(k, self.others)]

    def _class(self, k):
        names = self.header["types"]
        module, name = (str(names[_index(k, names)][key]) for key in ("module", "name"))
        for known in self.types:
            if known.__qualname__ == name and known.__module__ == module:
                return known
        for known in self.types:
            if known.__qualname__ == name:
                return known
        raise ValueError(f"the program takes or returns {module}.{name}; hand that class to load, as types=({name.rpartition('.')[2]},)")

    def look(self, how):
        if how is None or isinstance(how, str):
            return None if how is None else LOOKS[how]
        return _look(how["look"], [self.value(x) for x in how["args"]])

    def form(self, tree):
        kind, dtype, shape, value, type_, names, parts = tree
        if type(kind) is not int or dtype not in (0, 1) or (shape is not None and not all(type(n) is int and n >= 0 for n in shape)):
            raise ValueError("an argument or result of no form")
        return (kind, dtype, None if shape is None else tuple(shape), self.value(value), self.value(type_),
                None if names is None else [self.value(name) for name in names],
                None if parts is None else [self.form(part) for part in parts])

    def schedule(self, schedule):
        if schedule is None:
            return None
        if "name" in schedule:
            return SCHEDULES[schedule["name"]](*[self.value(x) for x in schedule["values"]])
        return self.value(schedule)

    # programs, loops, reversals

    def callee(self, k):
        return self.made[_index(k, self.made)]

    def tape(self, parts):
        out = {"n": _count(parts["n"]), "arrays": [self.array(_index(k, self.table)) for k in parts["arrays"]],
               "callees": [self.callee(k) for k in parts["callees"]], "marks": [(_count(a), _count(b), c) for a, b, c in parts["marks"]],
               "loops": None, "packed": None}
        packed = "packed" in parts
        for name in ARRAYS[:3] if packed else ARRAYS:
            out[name] = self.section(parts[name], name)
        if packed:
            out["packed"] = [self.section(k, "packed") for k in parts["packed"]]
            if len(out["packed"]) != 3:
                raise ValueError("a packed record of other parts")
        elif "loops" in parts:
            out["loops"] = {name: self.section(parts["loops"][name], name) for name in LOOP_ARRAYS}
            if out["loops"]["head"].size % 5:
                raise ValueError("loops that are cut off")
            out["loops"]["head"] = out["loops"]["head"].reshape(-1, 5)
        return out

    def part(self, parts, kind):
        if parts["kind"] == "program":
            made = {"name": str(parts["name"]), "record": self.tape(parts["record"]), "run": self.tape(parts["run"])}
            if made["run"]["packed"] is not None:
                raise ValueError("what is run is packed")
            made.update({name: _count(parts[name]) for name in ("n_input", "n_result", "recorded", "kept")})
            made.update({name: self.section(parts[name], name) for name in ("outputs", "record_outputs")})
            return _saved.program_in(kind, made, self.codes)
        if parts["kind"] == "loop":
            made = {name: _whole(parts[name]) for name in ("n_constant", "n_carry", "n_x", "length", "go", "shares")}
            made["name"] = str(parts["name"])
            return _saved.scan_in(made, self.callee(parts["body"]), self.schedule(parts["schedule"]), self.value(parts["folder"]))
        if parts["kind"] == "reversal":
            made = {"moving": [_count(k) for k in parts["moving"]], "ys": [_count(k) for k in parts["ys"]], "lanes": _count(parts["lanes"])}
            return _saved.reversal_in(made, self.callee(parts["loop"]))
        raise ValueError("a part of no kind")

    def program(self, kind):
        parts, main = self.header["parts"], self.header["main"]
        _index(main, parts)
        for k in range(main + 1):
            self.made.append(self.part(parts[k], kind if k == main else _program.Program))
        program = self.made[main]
        if _saved.kind_of(program) != "program":
            raise ValueError("what is to be called is no program")
        guards = [(self.look(how), self.value(seen), (str(file), _count(line))) for how, seen, (file, line) in self.header["guards"]]
        static = self.value(self.header["static"])
        if static is not None and type(static) is not frozenset:
            raise ValueError("fixed arguments of no form")
        _saved.set_ends(program, self.form(self.header["arguments"]), self.form(self.header["result"]), static, guards)
        return program


_VALUES = {"int", "float", "complex", "bytes", "raised", "tuple", "list", "frozenset", "slice", "ellipsis", "dtype", "type", "array",
           "scalar", "other", "class"}


def _none():
    raise ValueError("a value of no kind")


def _index(k, things):
    if type(k) is not int or not 0 <= k < len(things):
        raise ValueError("a number that names nothing")
    return k


def _whole(n):
    if type(n) not in (int, bool) or not -(1 << 62) < n < 1 << 62:
        raise ValueError("no whole number where one belongs")
    return n


def _count(n):
    return n if type(n) is int and 0 <= n < 1 << 62 else _none()


def _look(name, args):
    """A look as it is recorded: no other attribute of a value can be asked for."""
    if name == "reduce":
        method, axis, keepdims = args
        if method not in ("argmax", "argmin", "all", "any") or type(keepdims) is not bool \
                or not all(type(k) is int for k in (axis if type(axis) is tuple else () if axis is None else (axis,))):
            _none()
    elif name == "astype":
        if len(args) != 1 or not isinstance(args[0], np.dtype):
            _none()
    elif name not in Look.ways or args:
        _none()
    return Look(name, *args)
