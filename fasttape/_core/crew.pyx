"""Jobs run by some threads of this process, the caller's among them, and their results in order."""
from _thread import allocate_lock, start_new_thread
from queue import Empty, SimpleQueue

cdef enum:
    LOOK_EVERY = 1                  # seconds: where waiting cannot be interrupted, Ctrl-C is seen after that


class Crew:
    """function(*job) for each of the jobs, which are made one by one as threads are free. `most` is how many there are at most;
    `here.stop` is set where those that run should give up. Threads are started bare: by `threading` the caller would wait for
    each to begin. What they share is made in C, where no signal comes between taking a lock and giving it back."""

    def __init__(self, function, jobs, threads, most, here):
        self.function, self.jobs, self.others, self.here = function, iter(jobs), min(threads, most) - 1, here
        self.lock, self.came = allocate_lock(), SimpleQueue()       # results of other threads, and None when one ends
        self.given, self.stop = 0, False
        self.working = 0                                            # other threads
        self.results = {}                                           # by job: (whether it went well, result or error)

    def run_next(self):
        """Run the next job: (its number, whether it went well, result or error), or None where there is none. A generator of jobs
        is entered by one thread at a time."""
        with self.lock:
            if self.stop:
                return None
            k = self.given
            try:
                job = next(self.jobs)
            except StopIteration:
                self.stop = True
                return None
            except BaseException as error:
                self.stop, self.given = True, k + 1
                return k, False, error
            self.given = k + 1
        try:
            return k, True, self.function(*job)
        except BaseException as error:
            self.stop = True
            if not isinstance(error, Exception):        # Ctrl-C, and whatever else is no answer to a job
                self.here.stop = True
            return k, False, error

    def work(self):
        try:
            while True:
                found = self.run_next()
                if found is None:
                    return
                self.came.put(found)
        finally:
            self.came.put(None)

    def take(self, wait):
        """Take what has come from another thread; False where nothing has."""
        try:
            found = self.came.get(wait, LOOK_EVERY)
        except Empty:
            return False
        if found is None:
            self.working -= 1
        else:
            self.results[found[0]] = found[1:]
        return True

    def in_order(self):
        """Yield the results. When one fails, or nobody wants the rest, no job runs any more when this ends."""
        k = 0
        try:
            for _ in range(self.others):
                try:
                    start_new_thread(self.work, ())
                except RuntimeError:        # the system has no more threads: those that there are will do
                    break
                self.working += 1
            while True:
                if k in self.results:
                    well, result = self.results.pop(k)
                    if not well:
                        raise result
                    k += 1
                    yield result
                elif not self.take(False):
                    found = self.run_next()
                    if found is not None:
                        self.results[found[0]] = found[1:]
                        if not found[1] and not isinstance(found[2], Exception):
                            raise found[2]  # it does not wait for its turn
                    elif k == self.given:
                        return
                    else:
                        self.take(True)
        except BaseException:
            self.here.stop = True
            raise
        finally:
            self.stop = True
            while self.working:
                self.take(True)
