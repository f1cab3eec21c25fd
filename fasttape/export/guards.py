"""What the traced function saw of the values, as conditions in C: what it must see again."""
import numpy as np

from fasttape._core.tracer import Look

from .tape import contiguous, size_of
from .texts import comment, number, operand

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
            return [], whole(text, np.asarray(seen), None, how, place)
        refuse(how, place)
    array, offset, strides = f.lies_at(i)
    if how is bool and size_of(t.dims[i]) == 1:
        return [], f"({array}[{offset}] != 0) != {int(seen)}"
    if how is not None and not (isinstance(how, Look) and how.name in ("index", "astype")) or not isinstance(seen, np.ndarray) \
            or seen.shape != t.dims[i]:
        refuse(how, place)
    if not t.is_contiguous(i):
        refuse(how, place)
    n = seen.size
    if n == 0:
        return [], "0"
    wanted = np.ascontiguousarray(seen)
    if wanted.dtype.kind not in "bif" or (wanted.dtype.kind == "i" and np.abs(wanted).max() > 2**53):
        refuse(how, place)
    numbers = f.module.known(wanted.astype(np.float64), t.dims[i], 0)
    name, at = f.new_name("failed"), f"{array}[{offset} + i0]" if offset else f"{array}[i0]"
    test = f"({at} != 0) != ({numbers}[i0] != 0)" if wanted.dtype.kind == "b" else f"trunc({at}) != {numbers}[i0]" if wanted.dtype.kind == "i" \
        else f"ft_bits({at}) != ft_bits({numbers}[i0])"
    return [f"int {name} = 0;", f"for (ptrdiff_t i0 = 0; i0 < {n}; i0++) {name} |= {test};"], name


def whole(text, seen, _, how, place):
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


__all__ = ["contiguous", "described", "lines"]
