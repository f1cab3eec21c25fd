"""What a plan knows of a program that it calls: that it lends kept plans, one for each who runs it."""


cdef class Call:
    """A kept plan, lent to one caller."""


cdef class Callee:
    """What lends them."""

    cdef Call begin(self):
        raise NotImplementedError

    cdef int end(self, Call call) except -1:
        """The call is over; another may have its plan."""
        raise NotImplementedError
