"""Jobs run by some threads of this process, the caller's among them, and their results in order."""
import threading
from _thread import get_ident, start_new_thread

cdef enum:
    LOOK_EVERY = 1                  # seconds: where waiting cannot be interrupted, Ctrl-C is seen after that


class Crew:
    """function(*job) for each of the jobs, which are made one by one as threads are free. `most` is how many there are at most;
    `here.stop` is set where those that run should give up. Threads are started bare: by `threading` the caller would wait for
    each to begin."""

    def __init__(self, function, jobs, threads, most, here):
        self.function, self.jobs, self.others, self.here = function, iter(jobs), min(threads, most) - 1, here
        self.ready = threading.Condition()
        self.given, self.results, self.stop = 0, {}, False      # results by job: (whether it went well, result or error)
        self.running = 0                                        # jobs
        self.caller = get_ident()

    def next_job(self):
        """(number, job), or None where there is none. A generator of jobs is entered by one thread at a time."""
        with self.ready:
            if self.stop:
                return None
            k = self.given
            try:
                job = next(self.jobs)
            except StopIteration:
                self.stop = True
                return None
            except BaseException as error:
                self.stop, self.results[k] = True, (False, error)
                self.given = k + 1
                self.ready.notify()
                return None
            self.given = k + 1
            self.running += 1
        return k, job

    def run_next(self):
        """Run the next job; False where there is none."""
        taken = self.next_job()
        if taken is None:
            return False
        k, job = taken
        try:
            result = True, self.function(*job)
        except BaseException as error:
            result = False, error
        with self.ready:
            self.stop |= not result[0]
            self.results[k] = result
            self.running -= 1
            self.ready.notify()
        if not result[0] and not isinstance(result[1], Exception):
            self.leave(result[1])
        return True

    def leave(self, error):
        """Ctrl-C, and whatever else is no answer to a job, does not wait for its turn."""
        self.here.stop = True
        if get_ident() == self.caller:
            raise error

    def work(self):
        while self.run_next():
            pass

    def wait(self):
        self.ready.wait(LOOK_EVERY)

    def in_order(self):
        """Yield the results. When one fails, or nobody wants the rest, no job runs any more when this ends."""
        k = 0
        try:
            for _ in range(self.others):
                try:
                    start_new_thread(self.work, ())
                except RuntimeError:        # the system has no more threads: those that there are will do
                    break
            while True:
                with self.ready:
                    found = self.results.pop(k, None)
                if found is None:
                    if not self.run_next():
                        with self.ready:
                            if k == self.given:
                                return
                            while k not in self.results:
                                self.wait()
                    continue
                well, result = found
                if not well:
                    raise result
                k += 1
                yield result
        except BaseException:
            self.here.stop = True
            raise
        finally:
            self.stop = True
            with self.ready:
                while self.running:
                    self.wait()
