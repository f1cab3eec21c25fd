"""Programs as C: what `Program.to_c` writes. Each room knows those before it:

texts, library, tape -> nest, memory -> runs, structural, calls, parts -> function -> guards -> module -> header, example

Of the package it knows what a program saves (_core/saved), what its entries are called (_core/listing) and the C that was put
into _core/sources; of ops it has no list of its own but how those that are not elementwise are written.
"""
import os
from typing import NamedTuple

from fasttape._core import saved as _saved
from fasttape.export.example import example_text
from fasttape.export.header import ARRAY, Signature, header_text
from fasttape.export.module import Module
from fasttape.export.texts import is_free, is_identifier


class Export(NamedTuple):
    """Texts of C: the functions, their header, and a program that calls them."""
    source: str
    header: str
    example: str


def differentiable(program):
    """Positions of the arguments that are one number or array, and which derivatives the result has."""
    arguments, result, _, _ = _saved.ends_out(program)
    kinds = [form[0] for form in arguments[6][0][6]]
    moving = tuple(k for k, kind in enumerate(kinds) if kind <= ARRAY)
    if result[0] > ARRAY:
        return moving, ()
    return moving, ("jacobian",) if result[0] == ARRAY else ("gradient",)


def check_name(name, who):
    if not is_identifier(name) or not is_free(name):
        raise ValueError(f"{who}: the name of the C functions must be an identifier that is neither a word of C or C++ nor a name of its "
                         f"library, and does not begin with _ or ft_, got {name!r}")


def to_c(program, name, folder, derivatives, argnum):
    """See Program.to_c."""
    who = f"{program.__name__}.to_c"
    check_name(name, who)
    moving, kinds = differentiable(program)
    if argnum is not None:
        moving = argnum if isinstance(argnum, tuple) else (argnum,)
    if derivatives is not None:
        kinds = (derivatives,) if isinstance(derivatives, str) else tuple(derivatives)
    elif not moving:
        kinds = ()
    if any(kind not in ("gradient", "jacobian") for kind in kinds):
        raise ValueError(f"{who}: derivatives must be 'gradient' and 'jacobian', or one of them, got {derivatives!r}")
    made = [(kind, moving, program.value_and_grad(moving) if kind == "gradient" else program.jacobian(moving)) for kind in kinds]
    return exported(program, name, folder, made)


def exported(program, name, folder, derivatives):
    """`derivatives`: of each its kind, the positions of the arguments, and its program, whose arguments are the program's."""
    module, signatures = Module(name), []
    for kind, moving, derived in [("", (), program), *derivatives]:
        signature = Signature(program, derived, name, kind, moving)
        signature.guards = _saved.ends_out(derived)[3]
        signature.function = module.public(derived, signature.name, signature.inputs, signature.results, signature.guards)
        signatures.append(signature)
    out = Export(module.source(f"{name}.h"), header_text(name, signatures), example_text(name, signatures))
    if folder is not None:
        for text, file in zip(out, (f"{name}.c", f"{name}.h", f"{name}_example.c"), strict=True):
            with open(os.path.join(folder, file), "w", encoding="utf-8") as opened:
                opened.write(text)
    return out
