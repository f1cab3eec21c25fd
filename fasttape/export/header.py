"""The header: what each function takes and gives, and how much memory it works in."""
import inspect

import numpy as np

from fasttape._core import saved as _saved
from fasttape.export.guards import described
from fasttape.export.texts import comment, identifier, listed

NUMBER64, NUMBER32, PYTHON_FLOAT, ARRAY, FIXED_ARRAY, FIXED, TUPLE, LIST, DICT, RECORD = range(10)


def leaves(form, where, out, fixed):
    """Names of the numbers and arrays of a form, and what is fixed in it."""
    kind, _, _, value, type_, names, parts = form
    if kind <= ARRAY:
        out.append(where)
    elif kind in (FIXED, FIXED_ARRAY):
        shown = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
        fixed.append((where, shown if len(shown) < 60 else shown[:57] + "..."))
    elif parts is not None:
        names = names or getattr(type_, "_fields", None) or range(len(parts))
        for name, part in zip(names, parts, strict=True):
            leaves(part, f"{where}_{name}" if where else str(name), out, fixed)


def argument_names(program, n):
    """Names of the positional arguments: the function's own, where it has them."""
    try:
        parameters = list(inspect.signature(program.function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for k in range(n):
        parameter = parameters[min(k, len(parameters) - 1)] if parameters else None
        if parameter is None or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            names.append(f"argument{k}")
        elif parameter.kind is parameter.VAR_POSITIONAL:
            names.append(f"{parameter.name}{k - len(parameters) + 1}" if parameter.name != "args" else f"argument{k}")
        else:
            names.append(parameter.name)
    return names


class Signature:
    """One function of the header's. Its arguments are named after the program's."""

    def __init__(self, program, derived, name, kind, moving):
        self.kind, self.name, self.python = kind, f"{name}_{kind}" if kind else name, derived.__name__
        arguments, _, _, _ = _saved.ends_out(program)
        _, result, _, _ = _saved.ends_out(derived)
        positional, named = arguments[6]
        taken, self.fixed, found = {self.name, name}, [], []
        for where, form in zip(argument_names(program, len(positional[6])), positional[6], strict=True):
            leaves(form, where, found, self.fixed)
        for where, form in zip(named[5], named[6], strict=True):
            leaves(form, str(where), found, self.fixed)
        self.inputs = [identifier(where, taken) for where in found]
        paths = ["result"] if kind == "gradient" else []
        if kind:
            first = [sum(count_leaves(form) for form in positional[6][:k]) for k in range(len(positional[6]))]     # leaf of an argument
            paths += [f"d_{self.inputs[first[k]]}" for k in moving]
        else:
            leaves(result, "result", paths, self.fixed)
        self.results = [identifier(where, taken) for where in paths]


def count_leaves(form):
    out = []
    leaves(form, "", out, [])
    return len(out)


def shape_text(dims, narrow):
    kind = "float" if narrow else "double"
    return f"{kind}[{']['.join(map(str, dims))}], C order" if dims else kind


def prototype(signature):
    parameters = [text.replace("*restrict ", "*") for text in signature.function.parameters()[:-1]]
    return listed(f"int {signature.name}(", [*parameters, "double *workspace"], ");")


def documented(signature):
    f, t = signature.function, signature.function.t
    kinds = {"": "the value", "gradient": "the value and its gradient", "jacobian": "the Jacobian"}
    rows = [("in", name, shape_text(t.dims[k], t.narrow[k])) for k, name in enumerate(signature.inputs)]
    rows += [("out", name, shape_text(t.dims[i], t.narrow[i])) for i, name in zip(t.outputs, signature.results, strict=False)]
    size = signature.name.upper() + "_WORKSPACE"
    out = [f"/* {comment(signature.python)}: {kinds[signature.kind]}.", " *"]
    out += [f" *   {way:<4}{name:<12} {shape}" for way, name, shape in rows]
    out += [f" *   work workspace    double[{size}], of no value before or after"]
    out += [f" *   fixed when it was traced: {comment(name)} = {comment(shown)}" for name, shown in signature.fixed]
    unmet = ", or, where the function would have taken another path and results are of no meaning," if signature.guards else "."
    out += [" *", f" * Returns 0{unmet}"]
    out += [f" *   {line}" for line in described(signature.guards, f)]
    out += [" */", f"#define {size} {max(f.memory.words(), 1)}", prototype(signature)]
    return "\n".join(out) + "\n"


def header_text(name, signatures):
    guard = f"FASTTAPE_{name.upper()}_H"
    parts = [f"/* Written by fasttape: {name}.c is C11 that needs nothing but the C library (-lm).\n *\n"
             f" * Arrays lie in C order and must not overlap, except that what is only read may. Functions keep nothing between calls and\n"
             f" * allocate nothing: any number of threads may call them at once, each with a workspace of its own.\n */",
             f"#ifndef {guard}\n#define {guard}\n", '#ifdef __cplusplus\nextern "C" {\n#endif\n']
    parts += [documented(signature) for signature in signatures]
    return "\n".join([*parts, "#ifdef __cplusplus\n}\n#endif\n#endif\n"])
