"""The op table as test cases: what each row is in NumPy, where to try it, how to check a derivative.

NumPy, the standard library and differences of their values are the reference; nothing here asks the
library what the right answer is. A row that this file cannot sample fails tests/test_ops.py.
"""
import math
from typing import NamedTuple

import mpmath as mp
import numpy as np

import fasttape as ft
from fasttape._core import vm
from fasttape._core.build import apply
from fasttape._core.tracer import is_traced


class Row(NamedTuple):
    """What vm.table() says of an op."""
    name: str
    arity: int
    domains: tuple
    truth: bool
    active: tuple
    doc: str


ROWS = {row[0]: Row(*row) for row in vm.table()}
OPERANDS = [(name, k) for name, row in ROWS.items() for k in range(row.arity)]
ACTIVE = [(name, k) for name, k in OPERANDS if ROWS[name].active[k]]
PAIRS = [(name, k, m) for name, k in ACTIVE for m in range(ROWS[name].arity) if ROWS[name].active[m]]


# ---- where to try an op

def between(low, high):
    return lambda rng, shape: rng.uniform(low, high, shape)


def away_from_zero(rng, shape):
    return rng.uniform(0.3, 3, shape) * rng.choice([-1.0, 1.0], shape)


DOMAINS = {
    "REAL": between(-3, 3), "POSITIVE": between(0.2, 3), "NONZERO": away_from_zero, "UNIT": between(-0.9, 0.85),
    "ABOVE1": between(1.2, 4), "SHIFTED": between(-0.8, 3), "OFF": between(-4, 4), "LOW": between(-1.5, -0.3),
    "HIGH": between(0.3, 1.5),
    "WHOLE": lambda rng, shape: rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], shape),
    "ORDER": lambda rng, shape: rng.choice([0.0, 1.0, 2.0, 3.0], shape),
    "MASK": lambda rng, shape: rng.choice([0.0, 1.0], shape),
}
HELD = {"WHOLE", "ORDER", "MASK"}            # domains of separate points: nothing is moved within them


def sample(name, shapes, dtype=np.float64, seed=0):
    """Operands for op `name`, of the given shapes. Operand k lies on its own grid of spacing 1/16, so
    that no two are nearer than 0.01 and none is nearer to a multiple of 1/2 than 0.005: differences
    may be taken with steps that stay below that."""
    rng = np.random.default_rng([seed, *name.encode()])
    if not isinstance(shapes, list):
        shapes = [shapes] * ROWS[name].arity
    drawn = []
    for k, (domain, shape) in enumerate(zip(ROWS[name].domains, shapes, strict=True)):
        x = DOMAINS[domain](rng, shape)
        if domain not in HELD:
            x = np.round(x * 16) / 16 + 0.005 + 0.01 * k
        drawn.append(np.asarray(x, dtype)[()])
    return drawn


# ---- what an op is

def ldexp(a, b):
    """NumPy's ldexp takes whole numbers of an integer type only."""
    return np.ldexp(a, b if is_traced(b) else np.asarray(b).astype(np.int32))


@np.vectorize(otypes=[float])
def sinc_slope(a, n):
    """With z = pi a and j = sin(z)/z: j^(k) = (sin(z + k pi/2) - k j^(k-1))/z, in 60 digits."""
    with mp.workdps(60):
        z = mp.pi * mp.mpf(float(a))
        y = mp.sin(z) / z
        for k in range(1, int(n) + 1):
            y = (mp.sin(z + k * mp.pi / 2) - k * y) / z
        return y * mp.pi ** int(n)


WITHOUT_NUMPY = {                   # rows that NumPy has no function for: their definitions
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "ndtr": np.vectorize(lambda a: math.erfc(-a / math.sqrt(2)) / 2, otypes=[float]),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "stop_gradient": lambda a: a + 0.0,
    "scale": lambda a, b: np.where(a == 0, 0, a * b),
    "scale_both": lambda a, b: np.where((a == 0) | (b == 0), 0, a * b),
    "ratio": lambda a, b: np.where(a == 0, 0, a / b),
    "add_scaled": lambda a, b, c: c + np.where(a == 0, 0, a * b),
    "share": lambda a, b: np.where(np.isnan(a + b), a + b, np.heaviside(a - b, 0.5)),
    "fshare": lambda a, b: np.where(np.isnan(b), 1, np.where(np.isnan(a), 0, np.heaviside(a - b, 0.5))),
    "sinc_slope": sinc_slope,
    "sqrt0": lambda a: np.sqrt(a),
    "within": lambda a, b, c: np.where((b <= a) & (a <= c), 1.0, 0.0),
}


def in_numpy(name):
    return callable(getattr(np, name, None))


def reference(name):
    """The op on plain arrays, by other means than the library's."""
    if name == "ldexp":
        return ldexp
    return getattr(np, name) if in_numpy(name) else WITHOUT_NUMPY[name]


def function(name):
    """The op as a user calls it on traced values; the words of the partials, which are not for users, by name."""
    if name == "ldexp":
        return ldexp
    if in_numpy(name):
        return getattr(np, name)
    return getattr(ft.special, name, None) or (lambda *operands: apply(name, *operands))


def of_operand(f, operands, k):
    """f as a function of its k-th operand alone."""
    return lambda x: f(*operands[:k], x, *operands[k + 1:])


# ---- inputs of every kind

def layouts(x):
    """The elements of the (4, 6) array x in ways that are not C-contiguous."""
    wide = np.zeros((8, 18))
    wide[::2, 1::3] = x
    locked = x.copy()
    locked.flags.writeable = False
    odd = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
    odd[...] = x
    return {"strided": wide[::2, 1::3], "reversed": x[::-1, ::-1].copy()[::-1, ::-1], "transposed": x.T.copy().T,
            "Fortran": np.asfortranarray(x), "read-only": locked, "unaligned": odd, "big-endian": x.astype(">f8"),
            "one row repeated": np.broadcast_to(x[0], x.shape)}


# ---- checking derivatives

STEP = 1e-3


def slope(f, x, v, h=STEP):
    """The derivative of f at x along v by central differences of fourth order."""
    near, far = f(x + h * v) - f(x - h * v), f(x + 2 * h * v) - f(x - 2 * h * v)
    return (8 * near - far) / (12 * h)


def direction(x, seed=0):
    """A direction at x with no component near 0, or above 1."""
    rng = np.random.default_rng([seed, 17])
    return (rng.uniform(0.4, 1, np.shape(x)) * rng.choice([-1.0, 1.0], np.shape(x)))[()]


def close(found, wanted, rtol=1e-7, atol=None, what=""):
    """Equal shapes, and values within rtol of the largest wanted one."""
    wanted = np.asarray(wanted)
    assert np.shape(found) == wanted.shape, f"{what}: shape {np.shape(found)}, wanted {wanted.shape}"
    size = np.abs(wanted).max() if wanted.size else 0.0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * max(size, 1e-3) if atol is None else atol,
                               err_msg=what)


def traced(f, *x):
    """What f makes of traced x where it is called, truth values and whole numbers too, as a plain value."""
    made = []

    def g(*x):
        y = f(*x)
        made.append(ft.value(y) if is_traced(y) else y)
        return 0.0

    ft.vjp(g, *x)
    return made[0]


def numerical_jacobian(f, x):
    """The Jacobian of f at x, of shape f(x).shape + x.shape, by differences along each element."""
    x = np.array(x, float)
    columns = []
    for k in range(x.size):
        v = np.zeros(x.size)
        v[k] = 1.0
        columns.append(slope(f, x, v.reshape(x.shape)))
    out = np.shape(f(x))
    return np.stack(columns, -1).reshape(out + x.shape) if columns else np.zeros(out + x.shape)


def check(f, *x, rtol=1e-7, second=True, atol=None):
    """All that must hold of f, written in NumPy, at the arrays x: its value traced is its value plain;
    its Jacobian by columns, by rows and by one pullback is that of differences; its second derivatives
    along a direction are the differences of the first."""
    wanted = np.asarray(f(*x))
    argnum = tuple(range(len(x)))
    v = tuple(direction(a, 3 + k) for k, a in enumerate(x))
    value, tangent = ft.jvp(f, x, v)
    close(value, wanted, 1e-13, what="value, forward")
    value, pull = ft.vjp(f, *x)
    close(value, wanted, 1e-13, what="value, reverse")
    assert value.dtype == wanted.dtype
    forward, rows = (ft.jacobian(f, argnum, mode=mode)(*x) for mode in ("forward", "reverse"))
    w = direction(wanted, 5)
    along = np.zeros(wanted.shape)
    for k, cotangent in enumerate(pull(w)):
        exact = numerical_jacobian(of_operand(f, x, k), x[k])
        close(forward[k], exact, rtol, atol, what=f"jacobian of operand {k}, forward")
        close(rows[k], exact, rtol, atol, what=f"jacobian of operand {k}, reverse")
        close(cotangent, np.tensordot(w, rows[k], np.ndim(w)), 1e-12, what=f"pullback to operand {k}")
        along = along + np.tensordot(forward[k], v[k], np.ndim(v[k]))
    close(tangent, along, 1e-12, what="pushforward")
    if second:
        check_second(f, *x)


def check_second(f, *x, rtol=1e-6):
    """Second derivatives of f in non-linear company, forward over reverse and reverse over reverse."""
    def bend(x):
        return [np.sin(a) + 0.5 * a for a in x]

    w = direction(f(*bend(x)), 7)

    def energy(*x):
        y = f(*bend(x))
        return np.sum(w * (y + 0.3 * np.square(y)))

    gradient = ft.grad(energy, tuple(range(len(x))))
    for k in range(len(x)):
        for m in range(len(x)):
            part = of_operand(lambda *x: gradient(*x)[k], x, m)
            exact = numerical_jacobian(part, x[m])
            for mode in ("forward", "reverse"):
                close(ft.jacobian(part, mode=mode)(x[m]), exact, rtol,
                      what=f"second derivative in {k}, {m}, {mode} over reverse")
