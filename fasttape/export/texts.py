"""Numbers, arrays, names and indices as C writes them."""
import re

import numpy as np

from fasttape.export.library import words

LINE = 120
# words of C and C++, and of their libraries
C_WORDS = set("""
alignas alignof auto bool break case char const constexpr continue default do double else enum extern false float for
goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct switch
thread_local true typedef typeof typeof_unqual union unsigned void volatile while asm fortran main NULL EOF I complex
imaginary errno stdin stdout stderr printf malloc free ptrdiff_t size_t int64_t uint64_t int32_t INFINITY NAN and and_eq
bitand bitor catch class compl concept const_cast delete dynamic_cast explicit export friend mutable namespace new
noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires static_cast template this throw
try typeid typename using virtual wchar_t xor xor_eq abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh erf
erfc exp exp2 expm1 fabs fdim fma fmax fmin fmod frexp hypot ilogb j0 j1 jn ldexp lgamma log log10 log1p log2 logb lrint
lround modf nan nearbyint pow remainder rint round signbit sin sinh sqrt tan tanh tgamma trunc y0 y1 yn gamma signgam
calloc realloc exit abort rand qsort system time clock remove rename puts gets getchar putchar memcpy memset memmove
strlen isnan isinf isfinite index work frame unix linux
""".split())
OURS = re.compile(r"[cilnstuv]\d+|(?:known|store|copy|total|block|hard|part|next|now|back|number)\d*|from|to|sum|frame|work|failed")


def is_identifier(name):
    return isinstance(name, str) and name.isascii() and name.isidentifier()


def is_free(name):
    """Whether a function may have this name: no keyword of C or C++, nothing of its library's, nothing of ours."""
    return name not in C_WORDS and name not in words() and not re.fullmatch(r"ft_\w*|FT_\w*|FASTTAPE\w*|OP_\w*|_\w*", name)


def identifier(text, taken):
    """A name for an argument or result, like the text, that C does not know and nobody has."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "argument"
    if name[0].isdigit():
        name = "argument" + name
    while name in taken or name in C_WORDS or name in words() or OURS.fullmatch(name):
        name += "_"
    taken.add(name)
    return name


def number(x):
    """A double, to the last bit; of a nan the sign."""
    if x != x:
        return "-(double)NAN" if np.signbit(x) else "(double)NAN"
    if x in (np.inf, -np.inf):
        return "(double)INFINITY" if x > 0 else "-(double)INFINITY"
    return repr(float(x))


def operand(x):
    text = number(x)
    return f"({text})" if text[0] == "-" else text


def _element(x, narrow):
    text = number(x)
    return text.replace("(double)", "") if narrow and not np.isfinite(x) else text + "f" * narrow


def initialiser(array):
    """The elements of an array, in lines."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind == "i":
        texts = [str(x) for x in flat.tolist()]
    elif flat.dtype == np.float32:
        texts = [_element(x, 1) if not np.isfinite(x) else f"{np.format_float_scientific(x, unique=True, trim='0')}f" for x in flat]
    else:
        texts = [number(x) for x in flat.tolist()]
    return wrapped(texts or ["0"])


def wrapped(texts, indent="    ", end=","):
    """Texts with commas between them, in lines of limited width."""
    lines, line = [], indent
    for k, text in enumerate(texts):
        text += end if k < len(texts) - 1 else ""
        if len(line) + len(text) + 1 > LINE and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += text + " "
    return "\n".join([*lines, line.rstrip()])


def listed(before, items, after):
    """A list between brackets, in as many lines as it takes."""
    text = before + ", ".join(items) + after
    return text if len(text) <= LINE else before + wrapped(items, indent=" " * 8).lstrip() + after


def comment(text):
    """A text for a comment, which it cannot end or begin."""
    text = text.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")
    return "".join(c if c.isprintable() else " " for c in text)


def place(offset, steps):
    """The index offset + step * variable + ..., of pairs (step, variable)."""
    out = ""
    for step, variable in steps:
        if step == 0:
            continue
        term = variable if abs(step) == 1 else f"{abs(step)} * {variable}"
        out += (" - " if step < 0 else " + ") + term if out or step < 0 else term
    if not out:
        return str(offset)
    if out.startswith(" - "):
        return f"{offset}{out}"
    return out if offset == 0 else f"{offset} + {out}"
