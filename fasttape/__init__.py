"""Exact derivatives of ordinary NumPy and scalar Python code, on the CPU, at the speed of C."""
from fasttape import numpy, schedules, special
from fasttape._core.array import Array, Scalar
from fasttape._core.program import GuardError
from fasttape._core.tracer import TraceError, value
from fasttape.batches import gather, vmap
from fasttape.graph import Graph
from fasttape.inspect import MemoryProfile, Stats, peak_memory, table
from fasttape.loops import fori_loop, scan, while_loop
from fasttape.plots import plot_memory
from fasttape.program import Program, compile, load, trace
from fasttape.special import stop_gradient
from fasttape.tradeoff import tradeoff
from fasttape.transforms import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"
__all__ = ["Array", "Graph", "GuardError", "MemoryProfile", "Program", "Scalar", "Stats", "TraceError", "checkpoint", "compile",
           "fori_loop", "gather", "grad", "hessian", "hvp", "jacobian", "jvp", "load", "numpy", "peak_memory", "plot_memory", "scan",
           "schedules", "special", "stop_gradient", "table", "trace", "tradeoff", "value", "value_and_grad", "vjp", "vmap",
           "while_loop"]
