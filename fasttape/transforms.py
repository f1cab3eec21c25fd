"""The transforms: each chooses seeds and hands them to one sweep. No rules, no numbers.

A function to be differentiated maps float arrays or Python floats, and any other arguments, to a
real number or array. It is written in plain NumPy and Python; transforms nest to any order.
"""
import functools

import numpy as np

from fasttape._core import checkpoint as _checkpoint
from fasttape._core import forward as _forward
from fasttape._core import jacobian as _jacobian
from fasttape._core import reverse as _reverse
from fasttape.schedules.budget import bytes_of


def _check(f, argnum, who):
    if not callable(f):
        raise TypeError(f"{who}: the first argument must be a function, got {type(f).__name__}")
    if isinstance(argnum, int) and not isinstance(argnum, bool):
        return
    if isinstance(argnum, tuple) and all(isinstance(k, int) and not isinstance(k, bool) for k in argnum):
        return
    raise TypeError(f"{who}: argnum must be an int or a tuple of ints, got {argnum!r}")


def grad(f, argnum=0, *, memory=None):
    """Return the function that computes the gradient of `f`, in reverse mode.

    Parameters
    ----------
    f : callable
        Maps arrays to a real scalar of shape ``()``.
    argnum : int or tuple of int
        Positions of the arguments to differentiate with respect to.
    memory : int or str, optional
        A budget: bytes, or a text such as ``"64 MB"`` (10**6 bytes; ``MiB`` are 2**20). What the gradient adds to the
        memory of the process stays within it, at the price of running parts of `f` again: a loop (`scan`) takes the
        schedule that makes the most of it, any other function is cut into segments. The gradient is the same, bit for bit.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns an array shaped like ``args[argnum]``, in units of `f`
        per unit of that argument, or a tuple of them where `argnum` is a tuple.

    Raises
    ------
    TypeError
        If `f` does not return a real scalar (use `jacobian`), or an argument is not a float array.
    ValueError
        If the budget is too small; it names the least that would do.

    Examples
    --------
    >>> grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> grad(lambda x: x + x**2)(3.0)
    np.float64(7.0)
    """
    _check(f, argnum, "grad")
    budget = 0 if memory is None else bytes_of(memory, "grad")

    def gradient(*args, **kwargs):
        return _reverse.value_and_gradient(f, args, kwargs, argnum, False, "grad", budget)

    gradient.__wrapped__ = f
    return gradient


def value_and_grad(f, argnum=0, *, memory=None):
    """Return the function that computes ``(f(*args), gradient)`` in one trace.

    Parameters, errors and the gradient are those of `grad`.

    Examples
    --------
    >>> value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    _check(f, argnum, "value_and_grad")
    budget = 0 if memory is None else bytes_of(memory, "value_and_grad")

    def value_and_gradient(*args, **kwargs):
        return _reverse.value_and_gradient(f, args, kwargs, argnum, True, "value_and_grad", budget)

    value_and_gradient.__wrapped__ = f
    return value_and_gradient


def _as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def _all_positions(primals, argnum):
    return tuple(range(len(primals))) if argnum is None else _as_tuple(argnum)


def jvp(f, primals, tangents, argnum=None):
    """Value of `f` and its directional derivative, in forward mode: ``(f(x), f'(x) v)``.

    The function is run as it is traced and its past forgotten, so memory does not grow with the
    number of steps.

    Parameters
    ----------
    f : callable
        Maps arrays to a real array.
    primals : tuple, or a single array or float
        The arguments of `f`.
    tangents : tuple, or a single array or float
        The direction: one tangent for each argument in `argnum`, shaped like it.
    argnum : int or tuple of int, optional
        Positions of the arguments that move; all of them by default.

    Returns
    -------
    (value, tangent)
        Both of the shape of ``f(*primals)``.

    Raises
    ------
    ValueError
        If a tangent is not shaped like its argument, or their numbers differ.

    Examples
    --------
    >>> jvp(np.sin, 0.0, 2.0)
    (np.float64(0.0), np.float64(2.0))
    """
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    argnums = _all_positions(primals, argnum)
    _check(f, argnums, "jvp")
    if len(tangents) != len(argnums):
        raise ValueError(f"jvp: {len(tangents)} tangents were given for {len(argnums)} arguments")
    return _forward.value_and_tangent(f, primals, tangents, argnums, "jvp")


def vjp(f, *primals, argnum=None):
    """Value of `f` and its pullback, in reverse mode: ``(f(x), w -> w f'(x))``.

    Parameters
    ----------
    f : callable
        Maps arrays to a real array.
    *primals
        The arguments of `f`.
    argnum : int or tuple of int, optional
        Positions of the arguments to pull back to; all of them by default.

    Returns
    -------
    (value, pullback)
        ``pullback(w)``, for a cotangent `w` shaped like the value, returns a tuple with one cotangent
        for each argument in `argnum`, shaped like it. It may be called any number of times; the
        trace's memory is held until it is dropped.

    Examples
    --------
    >>> value, pullback = vjp(np.multiply, 3.0, 4.0)
    >>> pullback(1.0)
    (np.float64(4.0), np.float64(3.0))
    """
    argnums = _all_positions(primals, argnum)
    _check(f, argnums, "vjp")
    return _reverse.pullback(f, primals, argnums, "vjp")


def jacobian(f, argnum=0, mode="auto"):
    """Return the function that computes the Jacobian of `f`.

    Parameters
    ----------
    f : callable
        Maps arrays to a real array.
    argnum : int or tuple of int
        Positions of the arguments to differentiate with respect to.
    mode : {"auto", "forward", "reverse"}
        Push one tangent per input element, or pull one cotangent per output element, all in one pass.
        "auto" takes whichever are fewer.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns an array of shape ``f(x).shape + x.shape``, or a tuple of
        them where `argnum` is a tuple.

    Examples
    --------
    >>> jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    _check(f, argnum, "jacobian")
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f"jacobian: mode must be 'auto', 'forward' or 'reverse', got {mode!r}")

    def jacobian_matrix(*args, **kwargs):
        blocks = _jacobian.jacobian(f, args, kwargs, _as_tuple(argnum), mode, "jacobian")
        blocks = [block[()] if isinstance(block, np.ndarray) else block for block in blocks]
        return tuple(blocks) if isinstance(argnum, tuple) else blocks[0]

    jacobian_matrix.__wrapped__ = f
    return jacobian_matrix


def hessian(f, argnum=0):
    """Return the function that computes the Hessian of a scalar `f`: forward over reverse.

    Returns
    -------
    callable
        Takes the arguments of `f`; returns an array of shape ``x.shape + x.shape``. Where `argnum` is
        a tuple, a tuple of tuples: block ``[i][j]`` has shape ``args[i].shape + args[j].shape``.

    Examples
    --------
    >>> hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 3.0]))
    array([[0., 6.],
           [6., 2.]])
    """
    _check(f, argnum, "hessian")
    if not isinstance(argnum, tuple):
        return jacobian(grad(f, argnum), argnum, mode="forward")

    def blocks(*args, **kwargs):
        return tuple(jacobian(grad(f, k), argnum, mode="forward")(*args, **kwargs) for k in argnum)

    return blocks


def hvp(f, primals, tangents, argnum=0):
    """The Hessian of a scalar `f` times a vector, without the Hessian: ``(d/dt) f'(x + t v)`` at 0.

    Parameters
    ----------
    primals : tuple, or a single array or float
        The arguments of `f`.
    tangents : tuple, or a single array or float
        The vector: one part for each argument in `argnum`, shaped like it.
    argnum : int or tuple of int
        Positions of the arguments to differentiate with respect to.

    Returns
    -------
    array, or a tuple of arrays where `argnum` is a tuple
        Shaped like the arguments in `argnum`.

    Examples
    --------
    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    _check(f, argnum, "hvp")
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    if not isinstance(argnum, tuple):
        return jvp(grad(f, argnum), primals, tangents, argnum)[1]
    return tuple(jvp(grad(f, k), primals, tangents, argnum)[1] for k in argnum)


_POLICIES = "nothing", "everything", "dots"


def checkpoint(f=None, *, policy="nothing"):
    """Return `f` as a region that reverse mode forgets and recomputes: less memory, one more run.

    A pull through a call of the returned function finds the arguments and results of the call, and what the policy
    keeps; all else it computes again. The gradient is the same, bit for bit; contributions may be added in another order
    only where `f` uses traced values from around it, and where one pull goes through another. Forward mode is as without
    it. In a one-shot `grad`, `value_and_grad` or reverse `jacobian` the policy ``"nothing"`` forgets the tape of the region
    too, and runs `f` itself again.

    Parameters
    ----------
    f : callable
        Maps traced arrays (positional arguments) to an array, or a tuple or list of them. Traced
        values that it uses from around it are differentiated too. It must do the same when it is run
        again. Its results are arrays of their own, also where they are views of its arguments.
        Without it, a decorator is returned.
    policy : {"nothing", "everything", "dots"}
        What is kept of a call: nothing; everything, as if there were no region; or the products of matrices (`matmul`,
        `dot`, `inner`), which take longest to compute again.

    Raises
    ------
    ValueError
        If there is no such policy.
    RuntimeError
        If `f` does something else when it is run again.

    Examples
    --------
    >>> step = checkpoint(lambda x: np.sin(x) * 2.0)
    >>> grad(lambda x: step(step(x)))(0.0)
    np.float64(4.0)
    >>> layer = checkpoint(lambda w, x: np.tanh(x @ w), policy="dots")
    >>> grad(lambda w, x: layer(w, layer(w, x)).sum())(np.zeros((2, 2)), np.ones((1, 2)))
    array([[0., 0.],
           [0., 0.]])

    After Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
    """
    if policy not in _POLICIES:
        raise ValueError(f"checkpoint: policy must be one of {', '.join(map(repr, _POLICIES))}, got {policy!r}")
    if f is None:
        return lambda f: checkpoint(f, policy=policy)
    _check(f, 0, "checkpoint")

    @functools.wraps(f, updated=())
    def checkpointed(*args, **kwargs):
        if policy == "everything":
            return f(*args, **kwargs)
        return _checkpoint.call(f, args, kwargs, policy == "dots")

    return checkpointed
