"""The rows of a schedule, as a loop asks for them, and the folder of its files.

A schedule is any object with `blocks(length)`, which yields int64 arrays of rows; see `fasttape.schedules`. What it asks
for is checked when it is done (csrc/scan.c), so that a wrong one is an error and nothing worse.
"""
import os
import tempfile

import numpy as np

cimport numpy as cnp

cnp.import_array()

cdef extern from "scan.h" nogil:
    ft_drive ft_scan_forward, ft_scan_reverse
    void ft_store_clear(ft_store *)
    void ft_store_drop(ft_store *)
    int64_t ft_steps_run()
    int64_t ft_snapshots_held(int64_t *most)

scan_forward = ft_scan_forward
scan_reverse = ft_scan_reverse

cdef object WRONG = "the schedule {schedule!r} asks for what cannot be done at step {step} of {length}: {row}"


cdef class Feed:
    """The rows of one run at a time."""

    cdef int begin(self, ft_store *e) except -1:
        """Start anew."""
        self.clean(e)
        self.failure = None
        if self.schedule is None:
            self.rows = iter([np.array([[FT_ADVANCE, 0, e.length, 0, FT_KEEP, 0], *([] if e.open else all_back(e.length))], np.int64)])
            return 0
        self.rows = iter(self.schedule.forward() if e.open else self.schedule.blocks(e.length))
        if not e.open and self.schedule.slots(e.length)[1]:
            self.folder = tempfile.mkdtemp(prefix="fasttape-", dir=self.directory)
            self.path = os.fsencode(os.path.join(self.folder, ""))
            e.folder = self.path
        return 0

    cdef int end(self, ft_store *e) except -1:
        """An open loop has ended: what follows is its reversal."""
        cdef int64_t k
        if self.schedule is None or e.length == 0:
            self.rows = iter([np.array(all_back(e.length), np.int64)])
        else:
            held = {k: e.slot[0][k].step for k in range(e.n_slot[0]) if e.slot[0][k].holds}
            self.rows = iter(self.schedule.backward(e.length, held))
        return 0

    cdef int go_on(self, ft_store *e) except -1:
        """The next block; at the end the files go."""
        cdef cnp.ndarray block
        for rows in self.rows:
            block = np.ascontiguousarray(rows, np.int64)
            if cnp.PyArray_NDIM(block) != 2 or cnp.PyArray_DIM(block, 1) != FT_ROW:
                raise ValueError(f"{self.name}: a block of the schedule {self.schedule!r} has shape {(<object>block).shape}; it must "
                                 f"be (n, {FT_ROW})")
            if len(block):
                self.block = block
                e.row = <const int64_t *>cnp.PyArray_DATA(block)
                e.n_row = len(block)
                return 0
        self.clean(e)
        return 0

    cdef int complain(self, ft_store *e) except -1:
        """Raise what went wrong in this run."""
        error, e.error = e.error, FT_E_NONE
        if error == FT_E_FEED and self.failure is not None:
            raise self.failure
        if error == FT_E_ROW:
            row = "its rows end before all steps are reversed"
            if e.next < e.n_row:
                row = [e.row[e.next * FT_ROW + k] for k in range(FT_ROW - 1)]
            raise ValueError(f"{self.name}: " + WRONG.format(schedule=self.schedule, step=e.error_step, length=e.length, row=row))
        if error == FT_E_WRITE:
            raise OSError(e.os_error, f"{self.name}: the snapshot of step {e.error_step} could not be written: "
                                      f"{os.strerror(e.os_error)}", self.folder)
        if error == FT_E_READ:
            raise OSError(e.os_error, f"{self.name}: the snapshot of step {e.error_step} could not be read: "
                                      f"{os.strerror(e.os_error)}", self.folder)
        if error == FT_E_DAMAGED:
            raise RuntimeError(f"{self.name}: the snapshot of step {e.error_step}, in {self.folder}, is not what was written; "
                               f"something else changed it, or the disk fails")
        if error == FT_E_MEMORY:
            raise MemoryError(f"{self.name}: no memory for the states of the loop at step {e.error_step} of {e.length}; use a "
                              f"schedule with fewer snapshots")
        return 0

    cdef int clean(self, ft_store *e) except -1:
        """Remove the files of the last run."""
        if self.folder is not None:
            ft_store_clear(e)
            e.folder = NULL
            folder, self.folder, self.path = self.folder, None, None
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
        return 0


cdef list all_back(int64_t length):
    return [[FT_TURN, 0, 0, 0, 0, 0]] + ([[FT_REVERSE, 0, length, 0, 0, 0]] if length else [])


cdef void drop_store(ft_store *e) noexcept:
    ft_store_drop(e)


cdef int feed_rows(ft_store *e, int what) noexcept nogil:
    with gil:
        feed = <Feed>e.feeder
        try:
            feed.begin(e) if what == FT_RESTART else feed.end(e) if what == FT_ENDED else feed.go_on(e)
        except BaseException as error:
            feed.failure = error
            return 1
        return 0


def steps_run():
    """Forward steps of all loops so far, counted where they are run. For tests."""
    return ft_steps_run()


def snapshots_held():
    """How many snapshots all loops hold, and the most that they held since this was asked before. For tests."""
    cdef int64_t most
    now = ft_snapshots_held(&most)
    return now, most
