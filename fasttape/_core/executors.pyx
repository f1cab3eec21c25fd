"""Work handed to a `concurrent.futures.Executor`, piece by piece, and its results in order.

An executor is anything that has `submit`. Whether it runs the work here or elsewhere shows when a job is pickled.
"""
import hashlib
import pickle
from collections import OrderedDict, deque
from concurrent.futures import BrokenExecutor, CancelledError

from fasttape._core.processors import processors

cdef enum:
    AHEAD = 4                       # jobs that are handed over for each worker
    WORKERS = 16                    # where nobody knows how many there are
    KEPT = 32                       # programs that a worker keeps

arrived = OrderedDict()             # digest -> program, in a worker


class Here:
    """What a job has of the process that gave it: arrays for its results, and word of whether to go on. Elsewhere: None."""

    __slots__ = ("into", "sent", "stop")

    def __init__(self, into=None):
        self.into, self.stop, self.sent = into, False, False

    def __reduce__(self):
        self.sent = True
        return type(None), ()


class Sent:
    """A program as a job has it. It is pickled once, and each worker unpickles it once."""

    __slots__ = ("digest", "packed", "program")

    def __init__(self, program):
        self.program, self.packed = program, None

    def __reduce__(self):
        if self.packed is None:
            packed = pickle.dumps(self.program, pickle.HIGHEST_PROTOCOL)
            self.digest, self.packed = hashlib.blake2b(packed, digest_size=16).digest(), packed
        return received, (self.digest, self.packed)


def received(digest, packed):
    """A `Sent` program, in the worker."""
    program = arrived.get(digest)
    if program is None:
        program = pickle.loads(packed)
        arrived[digest] = program
        while len(arrived) > KEPT:
            arrived.popitem(last=False)
    sent = Sent(program)
    sent.digest, sent.packed = digest, packed
    return sent


def workers_of(executor):
    """How many workers an executor has, as far as it says."""
    n = getattr(executor, "_max_workers", None)
    return n if isinstance(n, int) and n > 0 else min(WORKERS, processors())


def check_executor(executor, who):
    if executor is not None and (isinstance(executor, type) or not callable(getattr(executor, "submit", None))):
        raise TypeError(f"{who}: executor must be a concurrent.futures.Executor, got "
                        f"{f'the class {executor.__name__}' if isinstance(executor, type) else type(executor).__name__}")


def handed_over(executor, function, job, who):
    try:
        future = executor.submit(function, *job)
    except BrokenExecutor as error:
        raise type(error)(f"{who}: a worker of the executor has died, and it takes no more work; make a new executor") from error
    except RuntimeError as error:
        raise RuntimeError(f"{who}: the executor takes no work ({error}); has it been shut down?") from error
    if not all([callable(getattr(future, name, None)) for name in ("result", "exception", "cancel", "cancelled")]):
        job[0].stop = True
        raise TypeError(f"{who}: submit of the executor, a {type(executor).__name__}, must return a concurrent.futures.Future, got "
                        f"{type(future).__name__}")
    return future


def result_of(future, who):
    try:
        return future.result()
    except BrokenExecutor as error:
        raise type(error)(f"{who}: a worker of the executor died at its work (was it killed, or out of memory?), and no result of the "
                          f"batch is left; make a new executor") from error
    except CancelledError as error:
        raise RuntimeError(f"{who}: the executor was shut down, or a part of the batch cancelled, before it was done") from error


def ordered(executor, function, jobs, who):
    """Yield the results of function(*job), in the order of the jobs, the first argument of each being its `Here`. Only some
    jobs are handed over at a time. When one fails, or nobody wants the rest, jobs that are waiting are cancelled, and those
    that run in this process are stopped before this ends; the executor can be used again."""
    waiting = deque()
    most = AHEAD * workers_of(executor)
    try:
        for job in jobs:
            waiting.append((handed_over(executor, function, job, who), job[0]))
            if len(waiting) == most:
                out = result_of(waiting[0][0], who)
                waiting.popleft()
                yield out
        while waiting:
            out = result_of(waiting[0][0], who)
            waiting.popleft()
            yield out
    finally:
        for future, here in waiting:
            here.stop = True
            future.cancel()
        for future, here in waiting:
            if not here.sent and not future.cancelled():
                try:
                    future.exception()          # when it has ended
                except CancelledError:
                    pass
