"""What a plan knows of what it calls: how many arguments and results it has, and that it lends kept plans, one for each
who runs it."""


cdef class Call:
    """A kept plan, lent to one caller."""

    cdef int complain(self) except -1:
        """Raise what went wrong in its run, if something did."""
        return 0

    cdef int abandon(self) except -1:
        """Its run has been given up: leave nothing behind."""
        return 0


cdef class Callee:
    """What lends them."""

    @property
    def __name__(self):
        return self.name

    cdef list results(self):
        """Of each result, its dtype and its shape."""
        raise NotImplementedError

    cdef bint allow(self, int64_t memory) except -1:
        """Let it take no more than so many bytes, if it lets itself be told; whether it does."""
        return False

    cdef Call begin(self):
        raise NotImplementedError

    cdef int end(self, Call call) except -1:
        """The call is over; another may have its plan."""
        raise NotImplementedError
