"""What exported C needs of csrc: its files cut into pieces (functions, macros, enums), of which the wanted ones and all that
they use are written out, word for word. Names that do not begin with ft are given that beginning, to be no one else's."""
import functools
import re
from typing import NamedTuple

from fasttape._core import sources as _sources

WORD = re.compile(r"[A-Za-z_]\w*")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# By hand below: what asks for the compiler or the processor. OP_ are the reductions, FT_LOOP is not for this.
OURS = {"FT_INLINE", "FT_HAS_FMA", "FT_FMA", "FT_LOOP", "FT_NOINLINE"}
REDUCTIONS = "enum { OP_sum, OP_max, OP_min };\n"

PREAMBLE = """\
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 2
#error "doubles must be computed as doubles; on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

/* No a * b + c may become one rounding but where it is written as fma. gcc with -std=c11 keeps to that by itself. */
#if defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off)
#elif defined(__clang__) || !defined(__GNUC__)
#pragma STDC FP_CONTRACT OFF
#elif !defined(__STRICT_ANSI__)
#pragma GCC optimize("fp-contract=off")
#endif

#if defined(__GNUC__)
#define FT_INLINE static inline __attribute__((always_inline, unused))
#define FT_LOCAL static inline __attribute__((unused))
#elif defined(_MSC_VER)
#define FT_INLINE static __forceinline
#define FT_LOCAL static inline
#else
#define FT_INLINE static inline
#define FT_LOCAL static inline
#endif

/* One rounding, as on the processors that have it; compile with -mfma or -march=native for speed. With FASTTAPE_NO_FMA
 * two roundings: fast on any processor, other last places. */
#if defined(FASTTAPE_NO_FMA)
#define FT_HAS_FMA 0
#define FT_FMA(a, b, c) ((a) * (b) + (c))
#else
#define FT_HAS_FMA 1
#define FT_FMA(a, b, c) fma(a, b, c)
#endif

/* gcc 12.2 makes wrong code for AVX-512: of nested loops over four elements in vectors of 64 bytes, and where it copies from
 * what it knows to be constant (memcpy of 19 doubles, nine of them 1.0). It gets neither. Known arrays are never written. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12
#if defined(__AVX512F__)
#pragma GCC target("prefer-vector-width=256")
#endif
#define FT_KNOWN static
#else
#define FT_KNOWN static const
#endif
"""


class Piece(NamedTuple):
    text: str
    defines: frozenset
    uses: frozenset


# ---- cutting a file into pieces

def _lines(text):
    """Its lines, continued ones joined, comments that span lines too."""
    out, open_ = [], ""
    for line in text.split("\n"):
        open_ += line
        if line.endswith("\\") or open_.count("/*") > open_.count("*/"):
            open_ += "\n"
            continue
        out.append(open_)
        open_ = ""
    return out


def _without_conditions(lines):
    """The lines outside of functions, of a conditional the part for compilers and processors that nothing is known of."""
    out, keep, depth = [], [], 0
    for line in lines:
        bare = COMMENT.sub("", line)
        if depth == 0 and re.match(r"#\s*if", bare):
            keep.append(bool(re.match(r"#\s*ifndef\s+FT_\w+_H", bare)))
        elif depth == 0 and re.match(r"#\s*el", bare):
            keep[-1] = bare.startswith("#else")
        elif depth == 0 and re.match(r"#\s*endif", bare):
            keep.pop()
        elif all(keep):
            out.append(line)
            if not bare.startswith("#"):
                depth += bare.count("{") - bare.count("}")
    return out


def _chunks(text):
    """The pieces of a file as texts, each with the comment before it."""
    piece, depth = [], 0
    for line in _without_conditions(_lines(text)):
        bare = COMMENT.sub("", line).strip()
        if depth == 0 and not bare:
            piece = [line] if "/*" in line else []
            continue
        if depth == 0 and re.match(r"#\s*(include|undef|pragma)|#\s*define\s+FT_\w+_H\b", bare):
            piece = []
            continue
        piece.append(line)
        if not bare.startswith("#"):
            depth += bare.count("{") - bare.count("}")
        if depth == 0 and (bare.startswith("#define") or bare.endswith((";", "}")) or re.fullmatch(r"[A-Z]\w*\(.*\)", bare)):
            yield "\n".join(piece) + "\n"
            piece = []


def _expanded(text, macros):
    """An invocation of a function-like macro, expanded: to see what it defines and uses."""
    name, args = re.match(r"\s*(\w+)\((.*)\)\s*$", text.strip(), re.S).groups()
    if name not in macros:
        return text
    parameters, body = macros[name]
    for parameter, arg in zip(parameters, args.split(","), strict=False):
        body = re.sub(rf"\b{parameter}\b", arg.strip(), body)
    return re.sub(r"\s*##\s*", "", body)


def _defined(code):
    names = set(re.findall(r"^[^\n{;=]*?\b(\w+)\(", code, re.M)[:1]) if not code.startswith("#") else set()
    names |= set(re.findall(r"(?:static|FT_INLINE)[\w\s*]*?\b(\w+)\s*\(", code))
    names |= set(re.findall(r"}\s*(\w+)\s*;", code)) if "typedef" in code else set()
    if code.startswith("enum"):
        names |= set(re.findall(r"\b([A-Z]\w*)\b\s*[=,}]", code))
    return names


@functools.cache
def pieces():
    """By each name, the piece that defines it."""
    texts, macros, out = _sources.texts(), {}, {}
    chunks = [chunk for text in texts.values() for chunk in _chunks(text)]
    for chunk in chunks:
        found = re.search(r"^#define\s+(\w+)\(([^)]*)\)((?:.|\n)*)$", chunk, re.M)
        if found:
            macros[found[1]] = ([name.strip() for name in found[2].split(",")], found[3].replace("\\\n", "\n"))
    made = []
    for chunk in chunks:
        code = COMMENT.sub("", chunk).strip()
        if code.startswith("#define"):
            names = {re.match(r"#define\s+(\w+)", code)[1]}
            uses = set(WORD.findall(code))
        else:
            body = _expanded(code, macros) if re.fullmatch(r"[A-Z]\w*\(.*\)", code) else code
            names, uses = _defined(body), set(WORD.findall(body)) | set(WORD.findall(code))
        if names and not names & OURS:
            made.append((chunk, names, uses - names))
    strange = {name for _, names, _ in made for name in names if name[0].islower() and not name.startswith("ft_") and "(" not in name}
    strange = {name for name in strange if name != "enum"}

    def renamed(name):
        return f"ft_{name}" if name in strange else name

    for chunk, names, uses in made:
        text = WORD.sub(lambda found: renamed(found[0]), chunk).replace("static inline ", "FT_LOCAL ")
        piece = Piece(text, frozenset(map(renamed, names)), frozenset(map(renamed, uses)))
        for name in piece.defines:
            out.setdefault(name, piece)
    return out


def is_total(name):
    """Whether ``ft_NAME_core``, which vectorises, is right for every argument."""
    return bool(re.search(rf"^FT_TOTAL[12]\({name}\)", pieces()[f"ft_{name}"].text, re.M))


def needed(code):
    """The text of all pieces that this code uses, those that others use first."""
    found, out, seen = pieces(), [], set()

    def visit(name):
        piece = found.get(name)
        if piece is None or piece in seen:
            return
        seen.add(piece)
        for other in sorted(piece.uses):
            visit(other)
        out.append(piece)

    for name in sorted(set(WORD.findall(COMMENT.sub("", code)))):
        visit(name)
    text = "\n".join(piece.text for piece in out)
    if re.search(r"\bOP_(sum|max|min)\b", text + code):
        text = REDUCTIONS + "\n" + text
    return text


@functools.cache
def words():
    """Names that exported C may have: arguments must have others."""
    return set(pieces()) | set(re.findall(r"#define (\w+)", PREAMBLE))
