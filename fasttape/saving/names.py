"""What a file names: classes, dtypes, schedules, ways to look at a value; and what its sections hold."""
from collections import OrderedDict

import numpy as np

from fasttape import schedules as _schedules

MAGIC = b"fasttape"
VERSION = 1
ALIGN = 64

DTYPES = {name: np.dtype(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128")}
TYPES = {"tuple": tuple, "list": list, "dict": dict, "OrderedDict": OrderedDict, "bool": bool, "int": int, "float": float,
          "str": str, "bytes": bytes, "complex": complex, "NoneType": type(None),
          **{f"numpy.{name}": dtype.type for name, dtype in DTYPES.items()}}
TYPE_NAMES = {kind: name for name, kind in TYPES.items()}
LOOKS = {"bool": bool, "int": int, "float": float}
SCHEDULES = {name: getattr(_schedules, name) for name in (
    "Budget", "Mixed", "Multistage", "Online", "Periodic", "Recompute", "Revolve", "StoreAll")}
ARRAYS = ("shapes", "views", "args", "entries", "constants")
LOOP_ARRAYS = ("head", "constants", "next", "ops", "strides", "narrow", "streams", "first", "last")
SECTION_DTYPES = {"shapes": "<i8", "views": "<i8", "args": "<i4", "entries": "u1", "constants": "<f8", "head": "<i8", "next": "<i4",
                   "ops": "u1", "strides": "<i8", "narrow": "u1", "streams": "<i4", "first": "<i4", "last": "<i4", "packed": "u1",
                   "outputs": "<i4", "record_outputs": "<i4"}
