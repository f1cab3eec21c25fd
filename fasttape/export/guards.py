"""What the traced function saw of the values, as conditions in C: what it must see again."""
import functools

import numpy as np

from fasttape._core.tracer import Look
from fasttape.export.nest import walk
from fasttape.export.tape import contiguous, size_of
from fasttape.export.texts import comment, number, operand

WHOLE = {"round": "rint", "floor": "floor", "ceil": "ceil", "trunc": "trunc"}       # Python rounds halves to even, as rint does


def refuse(how, place):
    file, line = place
    what = "an array" if how is None else getattr(how, "__name__", "a look at a value")
    raise NotImplementedError(f"to_c: the function looks at a value at {file}:{line} in a way that has no C here ({what}). "
                              f"Compute with the value instead (np.where), or pass what it looks at as a fixed argument")


def condition(f, i, how, seen, place):
    """Lines of C and the condition that holds where a guard is unmet."""
    t = f.t
    if not t.dims[i]:
        text = f.scalar(i)
        if how is bool:
            return [], f"({text} != 0) != {int(seen)}"
        if how is int or (isinstance(how, Look) and how.name in WHOLE):
            if type(seen) is not int or float(seen) != seen or abs(seen) > 2**53:
                refuse(how, place)
            return [], f"{WHOLE['trunc' if how is int else how.name]}({text}) != {operand(seen)}"
        if how is float or how is None:
            return [], differs(text, float(seen))
        if isinstance(how, Look) and how.name in ("index", "astype"):
            return [], whole(text, np.asarray(seen), how, place)
        refuse(how, place)
    array, offset, strides = f.lies_at(i)
    here, name = (offset, strides), f.new_name("failed")
    if how is bool and size_of(t.dims[i]) == 1:
        return [], f"({array}[{offset}] != 0) != {int(seen)}"
    if isinstance(how, Look) and how.name == "reduce" and how.args[1:] == (None, False) and how.args[0] in REDUCED and np.shape(seen) == ():
        return REDUCED[how.args[0]](t, i, name, array, here, int(seen), lambda: refuse(how, place))
    if how is not None and not (isinstance(how, Look) and how.name in ("index", "astype")) or not isinstance(seen, np.ndarray) \
            or seen.shape != t.dims[i] or seen.dtype.kind not in "bif" or (seen.dtype.kind == "i" and seen.size
                                                                           and np.abs(seen).max() > 2**53):
        refuse(how, place)
    numbers = f.module.known(np.ascontiguousarray(seen, np.float64), t.dims[i], 0)

    def differ(y, a):
        left, right = f"{array}[{a}]", f"{numbers}[{y}]"
        return [f"{name} |= " + {"b": f"({left} != 0) != ({right} != 0);", "i": f"trunc({left}) != {right};"}.get(
            seen.dtype.kind, f"ft_bits({left}) != ft_bits({right});")]

    return [f"int {name} = 0;", *walk(t.dims[i], [(0, contiguous(t.dims[i])), here], differ)], name


def all_of(t, i, name, array, here, seen, refuse, any_of=0):
    step = (lambda a: [f"{name} |= {array}[{a}] != 0;"]) if any_of else (lambda a: [f"{name} &= {array}[{a}] != 0;"])
    return [f"int {name} = {1 - any_of};", *walk(t.dims[i], [here], step)], f"{name} != {seen}"


def place_of(t, i, name, array, here, seen, refuse, order=">="):
    """The first largest, or the first nan, as NumPy has it."""
    if not t.is_contiguous(i) or size_of(t.dims[i]) == 0:
        refuse()
    best, other = f"{array}[{here[0]} + {name}]", f"{array}[{here[0]} + i0]"
    return [f"ptrdiff_t {name} = 0;", f"for (ptrdiff_t i0 = 1; i0 < {size_of(t.dims[i])}; i0++)",
            f"    if (!({best} {order} {other}) && {best} == {best}) {name} = i0;"], f"{name} != {seen}"


REDUCED = {"all": all_of, "any": functools.partial(all_of, any_of=1), "argmax": place_of, "argmin": functools.partial(place_of, order="<=")}


def whole(text, seen, how, place):
    if seen.shape != () or seen.dtype.kind not in "bif":
        refuse(how, place)
    if seen.dtype.kind == "b":
        return f"({text} != 0) != {int(seen)}"
    return f"trunc({text}) != {operand(float(seen))}" if seen.dtype.kind == "i" else differs(text, float(seen))


def differs(text, seen):
    if seen != seen:
        return f"{text} == {text}"
    return f"ft_bits({text}) != ft_bits({number(seen)})" if seen == 0 else f"!({text} == {operand(seen)})"


def described(guards, f):
    """For the header: which value is returned where a guard is unmet."""
    out = []
    for k, (how, seen, (file, line)) in enumerate(guards):
        what = "a value" if how is None else f"{getattr(how, '__name__', 'a look')}(value)"
        shown = np.array2string(seen, threshold=6) if isinstance(seen, np.ndarray) else repr(seen)
        out.append(comment(f"{k + 1}: {what} is not {' '.join(shown.split())}, {file}:{line}"))
    return out


def lines(f, guards):
    """The end of a public function."""
    out = []
    for k, (how, seen, place) in enumerate(guards):
        before, unmet = condition(f, f.t.outputs[f.t.n_result + k], how, seen, place)
        out += [*before, f"if ({unmet}) return {k + 1};{comment_of(place)}"]
    return [*out, "return 0;"]


def comment_of(place):
    return f"    /* {comment(f'{place[0]}:{place[1]}')} */"

