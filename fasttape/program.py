"""Programs: a function is traced once and run many times, without Python.

`trace` makes one `Program`, for one path through the function; `compile` keeps programs by signature and by path and
traces where it must. What an argument contributes is decided by its type:

- floats and arrays of float64 or float32 are what a program computes with;
- all else is fixed: whole numbers, truth values, strings, None, functions, arrays of integers or truth values. Other
  fixed values are another signature;
- tuples, lists, dicts and dataclasses are trees of these.

What the function takes from around it, a global or a variable that it closes over, is a constant, copied when it is
traced: a later change of it is not seen until the function is traced again (`compile(f).clear()`). Whatever else
Python does besides computing, printing and the text of numbers included, it does when it traces.
"""
import numpy as np

from fasttape import export as _export
from fasttape import graph as _graph
from fasttape import inspect as _inspect
from fasttape import saving as _saving
from fasttape import sparse as _sparse
from fasttape import transforms as _transforms
from fasttape._core import batch as _batch
from fasttape._core import calls as _calls
from fasttape._core import compiled as _compiled
from fasttape._core import keep as _keep
from fasttape._core import listing as _listing
from fasttape._core import profile as _profile
from fasttape._core import program as _program
from fasttape._core import stats as _stats
from fasttape._core import table as _table
from fasttape.schedules.budget import bytes_of

_LIMIT = 256                        # programs of a signature, and signatures, that compile keeps


class Program(_program.Program):
    """A traced function that is run without Python, by any number of threads at once. Made by `trace`.

    Called with arguments of the form that it was traced with (the same shapes, dtypes, tree structure and fixed
    values), it returns what the function returns: new arrays and NumPy numbers. Called with traced values it records
    itself into their trace, as one entry; derivatives of that compute what they need of the program again.

    Raises
    ------
    GuardError
        If the arguments would have taken another path through the function's Python code.
    TypeError
        If the arguments are of another form.
    """

    __slots__ = ()

    def grad(self, argnum=0):
        """The Program of the gradient: that of ``grad(f, argnum)``, with the same arguments.

        It is made from what was recorded, without running the function again, as are those below.

        Examples
        --------
        >>> p = trace(lambda x: x + x**2, 1.0)
        >>> p.grad()(3.0)
        np.float64(7.0)
        """
        return self._derive(_transforms.grad(_calls.inlined(self), argnum), "grad")

    def value_and_grad(self, argnum=0):
        """The Program of ``value_and_grad(f, argnum)``."""
        return self._derive(_transforms.value_and_grad(_calls.inlined(self), argnum), "value_and_grad")

    def jacobian(self, argnum=0, mode="auto"):
        """The Program of ``jacobian(f, argnum, mode)``."""
        return self._derive(_transforms.jacobian(_calls.inlined(self), argnum, mode), "jacobian")

    def hessian(self, argnum=0):
        """The Program of ``hessian(f, argnum)``."""
        return self._derive(_transforms.hessian(_calls.inlined(self), argnum), "hessian")

    def batch(self, *args, in_axes=0, out=None, reduce=None, threads=1, executor=None, chunk=None, **named):
        """The program of many arguments at once: each array has an axis more, that of the lanes.

        A number of the program becomes a row of numbers: what takes 1 µs for one takes some nanoseconds a lane for many,
        and no memory grows with them but that of the results. Each lane has the bits of a call; products of matrices may
        differ in the last place. Lanes on which guards see something else are run by a trace of their own path.

        Parameters
        ----------
        *args : arrays, numbers and trees of them
            As for a call; arrays with an axis more, that of the lanes, unless `in_axes` says None.
        in_axes : int, None, or a tuple of these
            The axis of the lanes for each argument. Named arguments are the same for all lanes.
        out : arrays, optional
            Where the results go: a tree like the result's, C-contiguous, of the results' dtypes and shapes. Memory that
            has been used before is written faster than new.
        reduce : {None, 'sum', 'mean'}
            Return the sum or the mean over the lanes. What the lanes give is added up as they are run; no memory grows with
            their number.
        threads : int
            How many threads run the lanes of a chunk, the caller's among them. The others spin for 0.1 ms when they are done
            (2 ms where the last call came within these), in case there is more, then sleep, and leave after two seconds;
            meanwhile Python warns of ``os.fork``.
        executor : concurrent.futures.Executor, optional
            What the chunks are handed to: a pool of threads or processes, `Client.get_executor()` of Dask, or anything else
            whose `submit` returns a concurrent.futures.Future. It is left as it was, also after an error or Ctrl-C.
        chunk : int, optional
            How many lanes a chunk has; by default a quarter of what each worker has to do. Sums depend on it, in their last
            places, but not on who computes them.

        Returns
        -------
        like the program's result
            Each array and number stacked along a first axis, or its sum or mean.

        Raises
        ------
        ValueError
            If arguments differ in their number of lanes, or have no such axis.
        GuardError
            If a lane takes another path, and the program was not made from a function that could be traced for it.
        concurrent.futures.BrokenExecutor
            If a worker died.
        RuntimeError
            If the executor has been shut down.

        Examples
        --------
        >>> slope = trace(lambda x, k: np.sin(k * x), 1.0, 1.0).grad()
        >>> slope.batch(np.array([0.0, np.pi]), 2.0, in_axes=(0, None))
        array([2., 2.])
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as pool:
        ...     slope.batch(np.linspace(0.0, np.pi, 1001), 2.0, in_axes=(0, None), reduce="mean", executor=pool).round(6)
        np.float64(0.001998)
        """
        return _batch.batch(self, args, named, in_axes, out, reduce, threads, executor, chunk)

    def batch_value_and_grad(self, *args, argnum=0, in_axes=0, reduce="sum", threads=1, executor=None, chunk=None, **named):
        """The sum or mean of the program over many lanes, and its gradient.

        The reverse sweep goes over a stretch of lanes at once: the gradient with respect to what all lanes share, the weights
        of a network say, is added up as it is computed, and that with respect to an array that is gathered from goes to the
        rows that were read.

        Parameters
        ----------
        *args, in_axes, threads, executor, chunk, **named
            As for `batch`.
        argnum : int or tuple of int
            Positions of the arguments to differentiate with respect to.
        reduce : {'sum', 'mean'}

        Returns
        -------
        (value, gradient)
            The sum or mean of the program's results, which must be one number, and for each argument `argnum` its derivatives,
            shaped like the argument; like the array, where it is what `gather` returns.

        Raises
        ------
        TypeError
            If the program returns anything but one number, or within a trace, where the gradient of a function that calls
            `batch` does this.

        Examples
        --------
        >>> error = trace(lambda w, x, y: (w @ x - y) ** 2, np.ones(2), np.ones(2), 1.0)
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> error.batch_value_and_grad(np.ones(2), x, np.zeros(2), in_axes=(None, 0, 0))
        (np.float64(58.0), array([48., 68.]))
        """
        argnums = self._given(argnum, args, "batch_value_and_grad")
        value, slopes = _batch.value_and_grad(self, args, named, argnums, in_axes, reduce, threads, executor, chunk)
        return value, slopes if isinstance(argnum, tuple) else slopes[0]

    def batch_jacobian(self, *args, argnum=0, in_axes=0, threads=1, executor=None, chunk=None, **named):
        """The results of many lanes, and their derivatives as one sparse matrix.

        Row after row stand the results of the first lane, of the second, and so on. The columns are those of the arguments
        `argnum`, one after the other: all rows of an array that is gathered from, all lanes of one that is batched, the
        elements of one that all lanes share. Those of a batched argument are numbered lane by lane, whatever its `in_axes`. No
        zeros are stored but those within a lane's own block.

        Parameters
        ----------
        *args, in_axes, threads, executor, chunk, **named
            As for `batch`.
        argnum : int or tuple of int
            Positions of the arguments to differentiate with respect to: arrays, floats, or what `gather` returns.

        Returns
        -------
        (results, matrix)
            The results as `batch` returns them, and a ``scipy.sparse.csr_array`` of shape (lanes times results, columns),
            its columns in order. Without SciPy a named tuple (data, indices, indptr, shape).

        Examples
        --------
        >>> stretch = trace(lambda a, b: (b - a) ** 2, 0.0, 1.0)
        >>> heights, pairs = np.array([1.0, 4.0, 9.0]), np.array([[0, 1], [1, 2]])
        >>> from fasttape import gather
        >>> values, slope = stretch.batch_jacobian(gather(heights, pairs[:, 0]), 5.0, in_axes=(0, None))
        >>> values, slope.shape
        (array([16.,  1.]), (2, 3))
        """
        argnums = self._given(argnum, args, "batch_jacobian")
        return _batch.jacobian(self, args, named, argnums, in_axes, _rows, _sparse.of_blocks, threads, executor, chunk)

    def save(self, path):
        """Write the program to a file, from which `load` makes it again, here or on another machine.

        The format has no pickle in it and is described in csrc/FORMAT.md. What the program computes with is in the file; the
        Python function is not, so that its derivatives and batches are made from what was recorded.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        TypeError
            If an argument is fixed that is more than numbers, texts, truth values, arrays of them, and tuples.

        Examples
        --------
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "slope.fasttape")
        >>> trace(lambda x: x**3, 1.0).grad().save(path)
        >>> load(path)(2.0)
        np.float64(12.0)
        """
        pieces, _ = _saving.dumped(self)
        with open(path, "wb") as file:
            for piece in pieces:
                file.write(piece)

    def to_c(self, name, folder=None, *, derivatives=None, argnum=None):
        """The program as C, to be compiled into another: its value and derivatives, without Python.

        The C is C11 that needs nothing but the C library. It has the program's bits, but for products of matrices, which
        NumPy leaves to its BLAS, and where the processor of the program has no fused multiply-add. Loops stay loops; those
        that are reversed store all steps, whatever their schedule. The header says what each function takes.

        Parameters
        ----------
        name : str
            Of the functions: ``NAME``, ``NAME_gradient`` (the value and the gradient), ``NAME_jacobian``.
        folder : str or path-like, optional
            Where NAME.c, NAME.h and NAME_example.c are written.
        derivatives : sequence of {'gradient', 'jacobian'}, optional
            By default the gradient of a program that returns one number, the Jacobian of one that returns one array.
        argnum : int or tuple of int, optional
            Positions of the arguments to differentiate with respect to; by default all that are floats or float arrays.

        Returns
        -------
        Export
            A named tuple of texts: source, header, example.

        Raises
        ------
        ValueError
            If the name is no identifier, or one that C has.
        TypeError
            If the program returns something that has no such derivative.
        NotImplementedError
            If something in it cannot be C: the reversal of a `while_loop`, whose memory nobody knows beforehand, or a rare
            way of looking at a value (`argmax` in an ``if``).

        Examples
        --------
        >>> swing = trace(lambda angle, speed: 0.5 * speed**2 - 9.81 * np.cos(angle), 0.5, 0.0)
        >>> print(*[line for line in swing.to_c("energy").header.split("\\n") if line.startswith("int energy_g")])
        int energy_gradient(double angle, double speed, double *result, double *d_angle, double *d_speed, double *workspace);
        """
        return _export.to_c(self, name, folder, derivatives, argnum)

    def __reduce__(self):
        others = []
        pieces, types = _saving.dumped(self, others)
        return _unpickled, (b"".join(pieces), types, tuple(others))

    def jvp(self, argnum=None):
        """The Program of the value and its directional derivative.

        Parameters
        ----------
        argnum : int or tuple of int, optional
            Positions of the arguments that move; all of them by default.

        Returns
        -------
        Program
            Takes the arguments, then a tangent for each argument in `argnum`, shaped like it; returns (value,
            tangent).

        Examples
        --------
        >>> trace(np.sin, 1.0).jvp()(0.0, 2.0)
        (np.float64(0.0), np.float64(2.0))
        """
        f, (example, named), argnums = _calls.inlined(self), _keep.example_of(self), self._positions(argnum)

        def value_and_tangent(*primals_and_tangents, **named):
            n = len(example)
            return _transforms.jvp(lambda *args: f(*args, **named), primals_and_tangents[:n], primals_and_tangents[n:],
                                   argnums)

        return _keep.trace(Program, value_and_tangent, example + tuple(example[k] for k in argnums), named,
                           f"jvp({self.__name__})")

    def vjp(self, argnum=None):
        """The Program of the value and the pullback of a cotangent.

        Parameters
        ----------
        argnum : int or tuple of int, optional
            Positions of the arguments to pull back to; all of them by default.

        Returns
        -------
        Program
            Takes the arguments, then a cotangent shaped like the value; returns (value, cotangents), with one
            cotangent for each argument in `argnum`, shaped like it.

        Examples
        --------
        >>> trace(np.multiply, 1.0, 1.0).vjp()(3.0, 4.0, 1.0)
        (np.float64(12.0), (np.float64(4.0), np.float64(3.0)))
        """
        f, (example, named), argnums = _calls.inlined(self), _keep.example_of(self), self._positions(argnum)
        cotangent = _keep.example_result(self)
        if not isinstance(cotangent, (float, np.floating, np.ndarray)):
            raise TypeError(f"vjp: the program returns {type(cotangent).__name__}, but must return one array or number")

        def value_and_cotangents(*primals_and_cotangent, **named):
            value, pullback = _transforms.vjp(lambda *args: f(*args, **named), *primals_and_cotangent[:-1], argnum=argnums)
            return value, pullback(primals_and_cotangent[-1])

        return _keep.trace(Program, value_and_cotangents, (*example, cotangent), named, f"vjp({self.__name__})")

    def _positions(self, argnum):
        if argnum is None:
            return tuple(range(len(_keep.example_of(self)[0])))
        return argnum if isinstance(argnum, tuple) else (argnum,)

    def _given(self, argnum, args, name):
        """Positions of arguments of a batch, counted from the first."""
        argnums = argnum if isinstance(argnum, tuple) else (argnum,)
        if not argnums or any(isinstance(k, bool) or not isinstance(k, (int, np.integer)) for k in argnums):
            raise TypeError(f"{self.__name__}.{name}: argnum must be a whole number or a tuple of them, got {argnum!r}")
        if any(not -len(args) <= k < len(args) for k in argnums):
            raise TypeError(f"{self.__name__}.{name}: argnum {argnum} names an argument that was not given; there are {len(args)}")
        return tuple(int(k) % len(args) for k in argnums)

    def _derive(self, f, name):
        example, named = _keep.example_of(self)
        return _keep.trace(Program, f, example, named, f"{name}({self.__name__})")

    def __repr__(self):
        return _listing.line(self)

    def __str__(self):
        """The program, an entry a line: what it computes, its dtype and shape, and the run that computes it."""
        return _listing.text(self)

    def table(self, *args, tangents=None, cotangents=None, **named):
        """The nodes of the program with these arguments, with both recurrences worked out.

        The nodes are those that were recorded, before they are optimised and repetitions are rolled up.

        Parameters
        ----------
        *args, **named
            Arguments of the form that the program was traced with.
        tangents : sequence, optional
            What t is at the inputs: a number or array for each of the numbers and arrays of the arguments, in their
            order. Ones if left out.
        cotangents : sequence, optional
            What r is at the outputs, likewise for each of the numbers and arrays of the result. Ones if left out.

        Returns
        -------
        list of Node
            ``s`` the value of the node, ``t`` its tangent, ``r`` its cotangent, each of the node's shape; what does
            not depend on the inputs has zeros. For a function of one number they are s_k, ds_k/dx and df/ds_k.

        Raises
        ------
        GuardError, TypeError
            As a call does.
        ValueError
            If a tangent or cotangent is missing or has another shape.

        Examples
        --------
        >>> p = trace(lambda x, y: x * y + x, 3.0, 5.0)
        >>> for row in p.table(3.0, 5.0, tangents=[1.0, 0.0]): print(row.k, row.operation, row.s, row.t, row.r)
        0 x 3.0 1.0 6.0
        1 x 5.0 0.0 3.0
        2 s0 * s1 15.0 5.0 1.0
        3 s2 + s0 18.0 6.0 1.0
        """
        return [_inspect.Node(*row) for row in _table.of_program(self, args, named, tangents, cotangents)]

    def graph(self, *, fold="auto", most=80):
        """The program as a graph: DOT text, or a picture where graphviz is installed.

        A node is an entry, with its label s_k, what it computes, its dtype and shape. Constants and views stand in their
        readers. Inputs bear the names of the function's arguments; results and guards are nodes too. An edge says which
        operand it is where the order matters. Loops and calls of programs have their bodies drawn within them, once for one
        step: what a step hands to the next is "next carry" there, and no edge leads back.

        Parameters
        ----------
        fold : {'auto', True, False}
            Whether runs, and loops and calls, are one node each. "auto" folds runs of what has more than `most` nodes, and
            shows bodies as far as there is room. False shows all there is; a body that is called again is not drawn again.
        most : int
            How many nodes there may be before stretches of operations are folded to one node, which counts them. They are
            cut where few values pass. Results and guards, of more than a quarter of these, are one node each. Of False no
            notice is taken of it.

        Returns
        -------
        Graph
            ``str(graph)`` is DOT text, ``graph.svg()`` SVG, and ``graph.save(path)`` writes a .dot, .gv or .svg file. In a
            notebook graphs show themselves, and so do programs: as a picture, or without graphviz as a table.

        Examples
        --------
        >>> graph = trace(lambda x: x + x**2, 3.0).graph()
        >>> graph
        <graph of <lambda>(float) -> float64: 4 nodes, 4 edges>
        >>> print(graph.dot.splitlines()[-2])
          n2 -> n3;
        """
        return _graph.graph(self, fold, most)

    def _repr_svg_(self):
        return _graph.svg_of_program(self)

    def _repr_html_(self):
        return _graph.html_of_program(self)

    def stats(self):
        """What the program is made of, and what a call costs.

        Returns
        -------
        Stats
            - ``recorded``: entries that the trace had; ``kept``: those that the optimiser left; ``entries``: those
              that are left when repetitions are rolled up;
            - ``instructions``: of the virtual machine, ``runs`` of them spans of elementwise operations that are
              computed block by block; ``loops``;
            - ``flops``: one for each element of an elementwise operation, be it a sum or a sine (two for a
              multiply-and-add, none for a copy), one for each element that a reduction reads, 2nmk for a product
              of matrices;
            - ``bytes_read``, ``bytes_written``: between memory and the processor if each run reads an operand once and
              caches hold nothing from one instruction to the next;
            - ``buffers``, ``buffer_bytes``: memory of one state for values that are neither arguments nor results,
              scratch rows included in the bytes; ``constant_bytes``: numbers and arrays that the program has from its
              trace;
            - ``guards``; ``states``: as many as calls have run at once.

        Examples
        --------
        >>> p = trace(lambda x: (x * x).sum(), np.zeros(1000))
        >>> p.stats().flops, p.stats().bytes_read, p.stats().runs
        (2000, 8000, 1)
        """
        return _inspect.Stats(**_stats.stats(self))

    def memory_profile(self):
        """The memory of one run, instruction by instruction, as the program is planned.

        Returns
        -------
        MemoryProfile
            - ``instruction``: 0, 1, ... in the order in which they are run, those of a program that this one calls in
              the place of the call. A step of a `scan` is one point, at the first of its instructions, where all of
              the step's are live; a loop of unknown length is one instruction, and what it keeps is not counted;
            - ``bytes``: of the buffers that hold, while it runs, a value that it or a later instruction reads: arrays
              on their way, copies, workspace, and what loops keep in memory for the way back. ``peak`` is the largest;
            - ``argument_bytes``, ``result_bytes``: of the arrays that are arguments and results. They lie in arrays of
              the caller's all the time, and so does what a result is added up from: they are not in ``bytes``, but for
              results that are views, which are copied at the end.

            Constants, numbers (8 bytes each, on the tape) and the scratch rows of runs stay the same throughout and
            are not counted; `stats` tells of them. Buffers are given back to a pool, not to the system.

        Examples
        --------
        >>> p = trace(lambda w, x: np.tanh(w @ np.tanh(w @ x)).sum(), np.eye(100), np.zeros(100))
        >>> p.memory_profile().peak                 # of one product and the next, 800 bytes each
        1600
        >>> p.grad(1).memory_profile().peak
        2400
        """
        return _inspect.MemoryProfile(*_profile.course(self))


def trace(f, *example, **named):
    """Run `f` once, recording it; return the `Program` that does the same without Python.

    Parameters
    ----------
    f : callable
        A function of floats, arrays, and trees of them, in plain NumPy and Python; also ``grad(g)`` or any other
        transform of one.
    *example, **named
        Arguments. Their shapes, dtypes and fixed values (whole numbers, strings and so on) become part of the
        program, the floats do not.

    Returns
    -------
    Program

    Raises
    ------
    TypeError
        If an argument is neither a float, a float array, fixed, nor a tree of these.

    Examples
    --------
    >>> import fasttape as ft
    >>> p = trace(ft.grad(lambda x: (x * x).sum()), np.zeros(2))
    >>> p(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    if not callable(f):
        raise TypeError(f"trace: the first argument must be a function, got {type(f).__name__}")
    return _keep.trace(Program, f, example, named)


def load(path, *, types=()):
    """The `Program` that was saved in a file.

    All of the file is checked before anything of it is run: whatever it holds, what comes back touches no memory but its
    own, runs no code but that of its operations, and was allocated within a fixed multiple of the file's size, unless its
    arrays are small. Arrays that a run needs are allocated when it runs.

    Parameters
    ----------
    path : str or path-like
    types : sequence of class, optional
        The dataclasses and named tuples that are among the program's arguments and results. They are found by their names.

    Raises
    ------
    ValueError
        If the file is damaged, cut off, of another version, or no program.
    OSError
        If it cannot be read.

    Examples
    --------
    See `Program.save`.
    """
    with open(path, "rb") as file:
        data = _saving.read(file)
    return _saving.loaded(data, Program, tuple(types))


def _unpickled(data, types, others):
    return _saving.loaded(_saving.as_bytes(data), Program, types, others, "unpickling a program")


def _rows(f, argnums):
    """The function that returns what f does, and a row of derivatives for each of its numbers."""
    def with_rows(*args, **named):
        y = f(*args, **named)
        leaves = _batch.leaves_of(y)
        inputs = sum(np.size(args[k]) for k in argnums)
        outputs = [(k, at) for k, leaf in enumerate(leaves) for at in range(np.size(leaf))]

        def number(k, at):
            def f_k(*args):
                leaf = _batch.leaves_of(f(*args, **named))[k]
                return np.ravel(leaf)[at] if np.ndim(leaf) else leaf
            return f_k

        def all_numbers(*args):
            return np.concatenate([np.reshape(leaf, (-1,)) for leaf in _batch.leaves_of(f(*args, **named))])

        if not outputs:
            return y, np.zeros((0, inputs), np.result_type(*[args[k].dtype for k in argnums]))
        if len(outputs) <= inputs:      # sweeps of numbers, which stay numbers
            gradients = [_transforms.grad(number(k, at), argnums)(*args) for k, at in outputs]
            return y, np.stack([np.concatenate([np.reshape(g, (-1,)) for g in gradient]) for gradient in gradients])
        blocks = _transforms.jacobian(all_numbers, argnums, "forward")(*args)
        return y, np.concatenate([np.reshape(block, (len(outputs), -1)) for block in blocks], axis=1)
    return with_rows


def compile(f=None, *, static=(), memory=None):
    """Return `f` as a function that is traced once for each signature and path, and run without Python after that.

    The results are, bit for bit, those of `f`. Where `f` branches on values (``if``, ``while``, ``int(x)``, a mask as
    an index), each path is traced when it is first taken, and found again by what Python saw on the way.

    Parameters
    ----------
    f : callable
        As `trace` takes it. Without it, a decorator is returned: ``@compile(static="n")``.
    static : int, str, or a tuple of them
        Positions and names of arguments that are fixed although they are, or hold, floats.
    memory : int or str, optional
        A budget for what a run adds to the memory of the process: bytes, or a text such as ``"64 MB"``. It is that of the
        `grad` or `value_and_grad` that is compiled, as their own `memory` is, and of the loops in anything else.

    Returns
    -------
    callable
        Takes the arguments of `f`. ``programs`` are those it keeps, 256 paths of each of 256 signatures at most,
        and ``clear()`` forgets them.

    Warns
    -----
    RuntimeWarning
        Once, when 32 paths or signatures have been traced, naming the line or the argument that made the last.

    Raises
    ------
    ValueError
        When a path is traced that cannot do within the budget.

    Examples
    --------
    >>> @compile
    ... def f(x, n):
    ...     for _ in range(n):
    ...         x = x * x if x > 0.5 else x + 1.0
    ...     return x
    >>> f(2.0, 3), f(0.25, 1)
    (np.float64(256.0), np.float64(1.25))
    >>> len(f.programs)
    2
    """
    static = tuple(static) if isinstance(static, (tuple, list, set, frozenset)) else (static,)
    if not all(isinstance(key, (int, str)) and not isinstance(key, bool) for key in static):
        raise TypeError(f"compile: static must be positions and names of arguments, got {static}")
    static = frozenset(static)
    if f is None:
        return lambda function: compile(function, static=static, memory=memory)
    if not callable(f):
        raise TypeError(f"compile: the first argument must be a function, got {type(f).__name__}")
    return _compiled.Compiled(Program, f, static or None, _LIMIT, 0 if memory is None else bytes_of(memory, "compile"))
