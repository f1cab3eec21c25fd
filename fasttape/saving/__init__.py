"""Programs in files and messages, without pickle inside. The format is described in csrc/FORMAT.md.

A file is a header in JSON, which says what there is, and sections of numbers.
"""
import os

import numpy as np

from fasttape.saving.names import ALIGN
from fasttape.saving.read import Reader
from fasttape.saving.write import Writer


def dumped(program, others=None):
    """The pieces of a file, and the classes that it names."""
    writer = Writer(f"{program.__name__}.save", others)
    return writer.program(program), tuple(writer.types)


def loaded(data, kind, types=(), others=(), who="load"):
    """The program in an aligned array of bytes."""
    try:
        return Reader(data, types, others).program(kind)
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError, NotImplementedError, AssertionError, RuntimeError) as error:
        raise ValueError(f"{who}: the file is damaged: {error}") from error


def _room(size):
    """An aligned array of bytes."""
    raw = np.empty(size + ALIGN, np.uint8)
    at = -raw.ctypes.data % ALIGN
    return raw[at:at + size]


def as_bytes(data):
    """Bytes in an aligned array."""
    out = _room(len(data))
    out[:] = np.frombuffer(data, np.uint8)
    return out


def read(file):
    """All of a file."""
    out = _room(os.fstat(file.fileno()).st_size)
    return out[:file.readinto(out.data)]
