"""Mutated files of programs: each loads to a program that works, or raises ValueError.

    python tests/fuzz.py --count 1000000 --seed 7

Files are taken apart (header, sections), something in them is changed, they are put together with the right checksum. What
loads is run, differentiated, written out, saved again. Memory is bounded by the system, time by an alarm; a crash is
the death of this process, whose last words then are near the number of the file: `--only N` makes that one alone.

With the sanitizers of gcc, in a copy of the tree:

    CFLAGS="-fsanitize=address,undefined -fno-sanitize=alignment -fno-omit-frame-pointer -g -O1" \\
        LDFLAGS="-fsanitize=address,undefined" python setup.py build_ext --inplace
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \\
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 python tests/fuzz.py --count 1000000 --memory 0
"""
import argparse
import json
import math
import random
import resource
import signal
import struct
import sys
import zlib

import numpy as np

import fasttape as ft
from fasttape import saving
from fasttape._core import saved
from fasttape.saving.read import Reader

ALIGN = 64
NUMBERS = [0, 1, -1, 2, 3, 7, 31, 32, 33, 64, 255, 256, 65535, 65536, 2**31 - 1, -2**31, 2**31, 2**32, 2**48, 2**53, 2**62, 2**63 - 1, -2**63,
           2**64, 10**30]
JUNK = [*NUMBERS, None, True, False, "", "x", "sin", "program", "loop", "reversal", 1.5, -0.0, [], [0], [[]], {}, {"x": 1}, {"int": "7"},
        {"int": "x"}, {"float": "nan"}, {"float": 3}, {"other": 0}, {"class": 0}, {"class": -1}, {"type": "dict"}, {"type": "os"},
        {"tuple": [1, 2]}, {"array": ["float64", [2], "AAAA"]}, {"array": ["float64", [2**40, 2**40], ""]}, {"frozenset": [{"list": []}]},
        {"look": "reduce", "args": ["__class__", None, True]}, {"look": "tofile", "args": []}, {"name": "Revolve", "values": [-1]},
        {"name": "Revolve", "values": [10**15]}, {"name": "StoreAll", "values": []}, {"name": "Online", "values": [2, 3, 4]}]
BYTES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 127, 128, 252, 253, 254, 255]
FORMATS = [("b", 1), ("<h", 2), ("<i", 4), ("<q", 8)]


def newton(x):
    return ft.while_loop(lambda y: abs(y * y - x) > 1e-9, lambda y: 0.5 * (y + x / y), x)


def absolute(x):
    return x if x > 0 else -x


def regions(x, k):
    y = x.copy()
    y[1:, ::2] = 3.0 * y[:-1, 1::2]
    y[0] += x[:, 0].sum()
    return np.concatenate([y[k].ravel(), y.T[0]])[1:].reshape(2, -1), {"m": y.max(axis=1), "n": (x[2, 1], y[0, 0])}


def rolled(a, x):
    for k in range(300):
        x, a = x + 0.01 * np.sin(a), a - 0.01 * x * (k % 3)
    return x * a


def recurrence(a, x):
    """Rows of one array each from the last: a loop with streams."""
    y = 0.0 * a * x
    y[0] = a
    for k in range(1, 200):
        y[k] = 0.5 * y[k - 1] * x[k] + x[k - 1]
    return y.sum()


def scanned(a, xs):
    return ft.scan(lambda c, x: (np.tanh(c * a + x), (c * 2.0, x)), a * 1.0, xs)


def irregular(x, y):
    rng = np.random.default_rng(0)
    values = [x, y]
    for kind, back in zip(rng.integers(0, 3, 20000), rng.integers(1, 9, 20000)):
        a, b = values[-1], values[-min(int(back), len(values))]
        values.append(a * 0.5 + b if kind == 0 else np.sin(a) - b if kind == 1 else a * b + 0.25)
    return values[-1]


def corpus():
    """Small programs that have all that a file may have in it."""
    m, v = np.arange(12.0).reshape(4, 3) / 7, np.linspace(0.1, 0.9, 5)
    made = [
        (lambda x: x + x**2, (3.0,)),
        (lambda x: (np.sin(x) * x).sum() + x.min(), (v,)),
        (lambda x, y: x @ y + np.float32(2.0), (m, m.T.copy())),
        (lambda x: np.where(x > 0.5, x.astype(np.float32), np.float32(1)).sum(), (v,)),
        (regions, (m, np.array([2, 0, 1]))),
        (absolute, (1.0,)),
        (lambda x: x[int(x[0] * 4)] * (2 if x.argmax() else 3) if (x > 0).all() else x[0], (v,)),
        (newton, (2.0,)),
        (rolled, (0.3, 0.2)),
        (recurrence, (0.3, np.linspace(0, 1, 200))),
        (scanned, (0.3, v)),
        (lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), None), a * 1.0, xs, schedule=ft.schedules.Revolve(2))[0], (0.3, v)),
        (lambda x: ft.fori_loop(0, 5, lambda i, c: c * x + np.ones(3), x * np.ones(3)).sum(), (0.7,)),
        (irregular, (0.3, 0.7)),
    ]
    programs = [ft.trace(f, *example) for f, example in made]
    programs += [programs[k].grad(0) for k in (1, 5, 7, 8, 9, 11, 12)]
    programs += [programs[13].vjp(), programs[2].jacobian(0), programs[11].hessian(0), programs[12].jvp()]
    return [b"".join(bytes(piece) for piece in saving.dumped(program)[0]) for program in programs]


# ---- taking apart, changing, putting together

def apart(file):
    size = int.from_bytes(file[16:24], "little")
    header = json.loads(file[24:24 + size])
    body = file[24 + size:]
    return header, [bytearray(body[begin:begin + n]) for begin, n in header["sections"]]


def together(header, sections, table=True):
    at, places, body = 0, [], bytearray()
    for section in sections:
        places.append([at, len(section)])
        body += section + bytes(-len(section) % ALIGN)
        at = len(body)
    if table:
        header = {**header, "sections": places}
    text = json.dumps(header).encode()
    text += b" " * (-(24 + len(text)) % ALIGN)
    rest = len(text).to_bytes(8, "little") + text + body
    return b"fasttape" + (1).to_bytes(4, "little") + zlib.crc32(rest).to_bytes(4, "little") + rest


def spots(tree):
    """Every place in a tree: (container, key)."""
    todo, out = [tree], []
    while todo:
        node = todo.pop()
        for key in node if isinstance(node, dict) else range(len(node)):
            out.append((node, key))
            if isinstance(node[key], (dict, list)):
                todo.append(node[key])
    return out


def change_header(header, rng):
    container, key = rng.choice(spots(header))
    old, how = container[key], rng.randrange(6)
    if how == 0 and type(old) is int:
        container[key] = old + rng.choice([-1, 1, 2, 8, 64])
    elif how == 1 and isinstance(container, dict):
        del container[key]
    elif how == 2 and isinstance(container, list):
        container.insert(key, json.loads(json.dumps(old)))
    elif how == 3 and isinstance(old, list) and old:
        del old[rng.randrange(len(old))]
    elif how == 4:
        container[key] = json.loads(json.dumps(rng.choice([c[k] for c, k in spots(header)])))
    else:
        container[key] = rng.choice(JUNK)


def change_section(sections, rng):
    section = rng.choice([s for s in sections if s] or [bytearray(8)])
    how = rng.randrange(8)
    if how == 0:                                                    # a bit
        section[rng.randrange(len(section))] ^= 1 << rng.randrange(8)
    elif how == 1:
        section[rng.randrange(len(section))] = rng.choice(BYTES)
    elif how in (2, 3, 4):                                          # a number, where one may be
        form, size = FORMATS[rng.randrange(4)]
        if len(section) >= size:
            at = rng.randrange(len(section) // size) * size
            old, = struct.unpack_from(form, section, at)
            bits = 8 * size
            new = rng.choice(NUMBERS) if how == 2 else old + rng.choice([-2, -1, 1, 2, 5, 16]) if how == 3 else \
                struct.unpack_from(form, section, rng.randrange(len(section) // size) * size)[0]
            new = (new + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
            struct.pack_into(form, section, at, new)
    elif how == 5:
        del section[rng.randrange(len(section)):]
    elif how == 6:                                                  # a piece, elsewhere
        a, b, n = rng.randrange(len(section)), rng.randrange(len(section)), rng.choice([1, 4, 8, 20, 64])
        piece = section[a:a + n]
        section[b:b + len(piece)] = piece
    else:
        a, n = rng.randrange(len(section)), rng.choice([1, 4, 8, 20, 40])
        if rng.random() < 0.5:
            del section[a:a + n]
        else:
            section[a:a] = section[a:a + n]


def change_packed(header, sections, rng):
    """What is deflated is changed before that."""
    packed = [part["record"]["packed"] for part in header["parts"] if isinstance(part, dict) and "packed" in part.get("record", {})]
    if not packed:
        return change_section(sections, rng)
    k = rng.choice(rng.choice(packed))
    inside = [bytearray(zlib.decompress(bytes(sections[k]), -15))]
    for _ in range(rng.choice([1, 1, 2, 5])):
        change_section(inside, rng)
    stream = zlib.compressobj(1, zlib.DEFLATED, -15)
    sections[k] = bytearray(stream.compress(bytes(inside[0])) + stream.flush())


def mutant(files, rng):
    file, = rng.choices(files, [1 / (10_000 + len(file)) for file in files])
    how = rng.random()
    if how < 0.03:                                                  # bytes of the file as it is
        raw = bytearray(file)
        for _ in range(rng.choice([1, 2, 8])):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw if rng.random() < 0.5 else raw[:rng.randrange(len(raw))])
    header, sections = apart(file)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kind = rng.random()
        if kind < 0.35:
            change_header(header, rng)
        elif kind < 0.93:
            change_section(sections, rng)
        else:
            try:
                change_packed(header, sections, rng)
            except (AttributeError, IndexError, KeyError, TypeError, zlib.error):
                change_header(header, rng)
    try:
        return together(header, sections, rng.random() < 0.9)
    except (ValueError, TypeError):                                 # what was changed cannot be written
        return file[:rng.randrange(len(file))]


# ---- trying

class Long(Exception):
    """It takes longer than we wait."""


def wait(*_):
    raise Long


def arguments(form, rng):
    kind, _, shape, value, kinds, names, parts = form
    if kind == 3:
        return rng.uniform(0.1, 0.9, shape)
    if kind < 3:
        return 0.4
    if kind in (4, 5):
        return value
    parts = [arguments(part, rng) for part in parts]
    return dict(zip(names, parts)) if names is not None else kinds(*parts) if hasattr(kinds, "_fields") else kinds(parts)


def small(program):
    """It computes neither large arrays nor long loops of the optimiser's, which are not interrupted; other loops are."""
    data = saving.as_bytes(b"".join(bytes(piece) for piece in saving.dumped(program)[0]))
    reader = Reader(data, (), ())
    steps = elements = 0
    for part in reader.header["parts"]:
        if part["kind"] == "program":
            run = reader.tape({**part["run"], "callees": []})
            numbers, sizes = run["shapes"].tolist(), []
            while numbers:
                sizes.append(math.prod(numbers[1:1 + numbers[0]]))
                del numbers[:1 + numbers[0]]
            elements += sum(sizes[shape] for shape in run["entries"].view("<i4")[1::5])
            steps += sum(count * (ops + 1) for count, _, _, ops, _ in run["loops"]["head"].tolist()) if run["loops"] else 0
    return elements < 1 << 22 and steps < 1 << 22


def draw(program):
    """Whatever was loaded can be drawn."""
    try:
        program.graph()
        program.graph(fold=False)
    except (MemoryError, Long):
        raise
    except Exception as error:
        raise AssertionError("it has no graph") from error


def use(program):
    """Everything that is done with programs. Errors of Python's are right, whatever they say: what was changed may well have
    no derivative, no memory, no end. Crashes are not."""
    try:
        if not small(program):
            return
    except TypeError:                                               # a value that a file cannot hold
        return
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        args = arguments(saved.ends_out(program)[0], np.random.default_rng(0))
        str(program)
        draw(program)
        program(*args[0], **args[1])
        saving.loaded(saving.as_bytes(b"".join(bytes(piece) for piece in saving.dumped(program)[0])), ft.Program)
        program.jvp()
        slope = program.vjp()
        if small(slope):
            str(slope)
            draw(slope)
        program.grad()(*args[0], **args[1])
    except (ArithmeticError, AttributeError, IndexError, KeyError, MemoryError, NotImplementedError, TypeError, ValueError, RuntimeError, Long):
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--memory", type=int, default=2048, help="MB beyond what is used at first; 0 for no bound (as under ASan)")
    given = parser.parse_args()
    files = corpus()
    signal.signal(signal.SIGALRM, wait)
    if given.memory:
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (given.memory << 20),) * 2)
    loaded = 0
    for k in range(given.count) if given.only is None else [given.only]:
        rng = random.Random(f"{given.seed} {k}")
        file = mutant(files, rng)
        if k % 16 == 0 or given.only is not None:
            print(k, end=" ", flush=True, file=sys.stderr)
        try:
            program = saving.loaded(saving.as_bytes(file), ft.Program)
        except ValueError:
            continue
        except BaseException:
            print(f"\nfile {k} of seed {given.seed}", flush=True)
            raise
        loaded += 1
        with np.errstate(all="ignore"):
            use(program)
    print(f"{given.count} files, {loaded} of them programs, seed {given.seed}")


if __name__ == "__main__":
    main()
