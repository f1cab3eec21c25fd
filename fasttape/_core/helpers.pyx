"""Threads that stay and wait for work without Python.

Starting a thread takes as long as thousands of lanes, and so does waking one. So those that there are stay for a while, spin
before they sleep, longer where calls follow each other (but then others that want the processor go first), and are woken as
soon as it is known that there will be something to do. They need no GIL. OpenMP would do the same, but a wheel had to bring it
along, and a forked process could not use it.
"""
import os

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from fasttape._core.processors import processors

cdef extern from "pythread.h" nogil:
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock)
    int PyThread_acquire_lock(PyThread_type_lock, int)
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long, int)
    void PyThread_release_lock(PyThread_type_lock)
    unsigned long PyThread_start_new_thread(void (*)(void *) noexcept nogil, void *)
    unsigned long PYTHREAD_INVALID_THREAD_ID

cdef extern from "atomic.h" nogil:
    int64_t ft_add(int64_t *, int64_t)
    int64_t ft_swap(int64_t *, int64_t)
    int ft_change(int64_t *, int64_t, int64_t)
    int64_t ft_get(int64_t *)
    void ft_pause()
    void ft_yield()
    int64_t ft_nanoseconds()

cdef enum:
    AWAKE, ASLEEP, CALLED           # states of a helper
    PAUSES = 32                     # between two looks at the clock
    SPIN = 100000                   # nanoseconds: what waking a thread takes, and what is between calls in a row
    PATIENT = 2000000               # the same, where the last call came within so many
    STAYS = 2000000                 # microseconds that a helper sleeps before it leaves

cdef int64_t SLEEPS = <int64_t>1 << 32          # added to the number of those at work

cdef struct Helper:
    int64_t state
    PyThread_type_lock wake         # held but when it has been released to wake the helper
    int64_t patience                # nanoseconds that it spins
    Task task
    void *what
    Team *team
    bint idle                       # in the pile
    Helper *below

cdef PyThread_type_lock gate        # of the piles
cdef Helper *pile                   # of those that are idle, the last one that came on top
cdef Team *teams                    # that nobody has
cdef int64_t spinning               # helpers that spin
cdef int64_t most_spinning          # that may: one less than there are processors, when the first helper came
cdef int64_t alive                  # helpers that there are
cdef int64_t process                # counts forks
cdef int64_t most = 1 << 20         # that there may be


# ---- what a helper does

cdef bint spin(int64_t *at, int64_t what, int64_t patience) noexcept nogil:
    """Wait some nanoseconds for a number to become `what`; whether it does. Beyond SPIN, others go first."""
    cdef int64_t start = ft_nanoseconds(), passed, _
    while True:
        for _ in range(PAUSES):
            if ft_get(at) == what:
                return True
            ft_pause()
        passed = ft_nanoseconds() - start
        if <uint64_t>passed >= <uint64_t>patience:
            return False
        if passed > SPIN:
            ft_yield()


cdef bint spin_if_room(Helper *h) noexcept nogil:
    """Whether a helper is called soon. One that may need a processor on which others work does not spin."""
    cdef bint found
    if ft_add(&spinning, 1) < most_spinning:
        found = spin(&h.state, CALLED, h.patience)
    else:
        found = ft_get(&h.state) == CALLED
    ft_add(&spinning, -1)
    return found


cdef bint is_called(Helper *h) noexcept nogil:
    """Wait for a call; False where there has been none for long, and the helper is out of the pile."""
    cdef Helper **at
    while not spin_if_room(h):
        if not ft_change(&h.state, AWAKE, ASLEEP):
            continue
        if not PyThread_acquire_lock_timed(h.wake, STAYS, 0):
            PyThread_acquire_lock(gate, 1)
            if h.idle and ft_change(&h.state, ASLEEP, AWAKE):
                at = &pile
                while at[0] != h:
                    at = &at[0].below
                at[0] = h.below
                PyThread_release_lock(gate)
                return False
            PyThread_release_lock(gate)
            PyThread_acquire_lock(h.wake, 1)    # somebody has just called
    return True


cdef void live(void *own) noexcept nogil:
    cdef Helper *h = <Helper *>own
    cdef Team *team
    cdef int64_t since = ft_nanoseconds() - PATIENT
    while is_called(h):
        h.patience = PATIENT if ft_nanoseconds() - since < PATIENT else SPIN
        h.task(h.what)
        since = ft_nanoseconds()
        team = h.team
        ft_swap(&h.state, AWAKE)
        lie_down(h)
        if ft_add(&team.busy, -1) == SLEEPS + 1:
            PyThread_release_lock(team.done)
    PyThread_free_lock(h.wake)
    free(h)
    ft_add(&alive, -1)


cdef void lie_down(Helper *h) noexcept nogil:
    """Put it onto the pile."""
    global pile
    PyThread_acquire_lock(gate, 1)
    h.idle = True
    h.below = pile
    pile = h
    PyThread_release_lock(gate)


# ---- what others do with it

cdef Helper *new_helper() noexcept nogil:
    """One that is not in the pile, and awake; NULL where the system has no more threads."""
    cdef Helper *h = NULL
    if ft_add(&alive, 1) < most:
        h = <Helper *>malloc(sizeof(Helper))
    if h != NULL:
        h.state, h.idle, h.patience = AWAKE, False, SPIN
        h.wake = PyThread_allocate_lock()
        if h.wake != NULL:
            PyThread_acquire_lock(h.wake, 1)
            if PyThread_start_new_thread(live, h) != PYTHREAD_INVALID_THREAD_ID:
                return h
            PyThread_free_lock(h.wake)
        free(h)
    ft_add(&alive, -1)
    return NULL


cdef int get_ready() except -1:
    """Before the first call of a helper: count processors, of which there may be others than when the package was imported."""
    global most_spinning
    if ft_get(&alive) == 0:
        most_spinning = processors() - 1
    return 0


cdef int alert(int64_t n) noexcept nogil:
    """There will soon be work for n helpers: wake them, as far as there are processors for them."""
    cdef Helper *h
    cdef int64_t found = 0
    n = min(n, most_spinning)
    PyThread_acquire_lock(gate, 1)
    h = pile
    while h != NULL and found < n:
        if ft_change(&h.state, ASLEEP, AWAKE):
            PyThread_release_lock(h.wake)
        found += 1
        h = h.below
    PyThread_release_lock(gate)
    while found < n:
        h = new_helper()
        if h == NULL:
            break
        lie_down(h)
        found += 1
    return 0


cdef Team *new_team() noexcept nogil:
    """A team of nobody, or NULL. When all whom it called are done it is dismissed."""
    global teams
    cdef Team *team
    PyThread_acquire_lock(gate, 1)
    team = teams
    if team != NULL:
        teams = team.below
    PyThread_release_lock(gate)
    if team == NULL:
        team = <Team *>malloc(sizeof(Team))
        if team == NULL:
            return NULL
        team.done = PyThread_allocate_lock()
        if team.done == NULL:
            free(team)
            return NULL
        PyThread_acquire_lock(team.done, 1)
    team.busy, team.process = 0, process
    return team


cdef bint call_helper(Team *team, Task task, void *what) noexcept nogil:
    """Let a helper run task(what); False where there is none, and the system has no more threads."""
    global pile
    cdef Helper *h
    PyThread_acquire_lock(gate, 1)
    h = pile
    if h != NULL:
        pile = h.below
        h.idle = False
    PyThread_release_lock(gate)
    if h == NULL:
        h = new_helper()
        if h == NULL:
            return False
    h.task, h.what, h.team = task, what, team
    ft_add(&team.busy, 1)
    if ft_swap(&h.state, CALLED) == ASLEEP:
        PyThread_release_lock(h.wake)
    return True


cdef bint is_ours(Team *team) noexcept nogil:
    """False where the process has been forked since: its helpers are not here."""
    return team.process == process


cdef bint all_done(Team *team, int64_t microseconds) noexcept nogil:
    """Wait for the helpers of a team, so long; whether they are done."""
    cdef int64_t busy = ft_get(&team.busy)
    if busy < SLEEPS:
        if spin(&team.busy, 0, SPIN if busy <= most_spinning else 0) or ft_add(&team.busy, SLEEPS) == 0:
            return True
    return PyThread_acquire_lock_timed(team.done, microseconds, 0)


cdef void dismiss(Team *team) noexcept nogil:
    """Give it back; all are done."""
    global teams
    PyThread_acquire_lock(gate, 1)
    team.below = teams
    teams = team
    PyThread_release_lock(gate)


# ---- this process

def begin_anew():
    """No helpers; in a forked process there are none of those that there were."""
    global gate, pile, teams, spinning, alive, process
    gate = PyThread_allocate_lock()
    if gate == NULL:
        raise MemoryError
    pile, teams, alive, spinning = NULL, NULL, 0, 0
    process += 1


def count():
    """How many helpers there are. For tests."""
    return ft_get(&alive)


def allow(n):
    """Let there be no more than n helpers, besides those that there are; returns how many there might be before. For tests."""
    global most
    before, most = most, n
    return before


begin_anew()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)
