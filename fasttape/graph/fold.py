"""Which nodes of a sheet are drawn as one, so that there are few, and edges go one way.

Nodes are put in an order in which operands come first and the members of a run follow each other. What is drawn as one
is a stretch of that order: no path leaves a stretch and comes back, so folding makes no cycle. Stretches end where few
values pass from what is before to what is after: between the steps of a computation, rather than within one.
"""
import numpy as np

_LEAST = 5                          # units of a stretch, where it may be as short as that
_INPUT, _REDUCTION, _LOOP, _CALL = 0, 3, 5, 6       # kinds of nodes that are kept apart from stretches


def in_order(sheet):
    """(the nodes in order, the run of each node or -1, the place of each node in the order)."""
    run = sheet.run.copy()
    n = len(run)
    producer, reader = sheet.edges[:, 0], sheet.edges[:, 2]
    while True:                                     # a run that the plan has interleaved otherwise is taken apart
        key = np.arange(n)
        if (run >= 0).any():
            last = np.zeros(run.max() + 1, np.int64)
            np.maximum.at(last, run[run >= 0], np.flatnonzero(run >= 0))
            key = np.where(run >= 0, last[run], key)
        order = np.argsort(key, kind="stable")
        place = np.empty(n, np.int64)
        place[order] = np.arange(n)
        backward = place[producer] >= place[reader]
        apart = np.concatenate([run[producer[backward]], run[reader[backward]]])
        apart = apart[apart >= 0]
        if not apart.size:
            return order, run, place
        run[np.isin(run, apart)] = -1


def passing(sheet, place):
    """How many values pass before each place in the order."""
    n = len(sheet)
    last = place.copy()
    np.maximum.at(last, sheet.edges[:, 0], place[sheet.edges[:, 2]])
    for *_, producer, _ in sheet.ends + sheet.guards:
        if producer >= 0:
            last[producer] = n
    change = np.bincount(place + 1, minlength=n + 2) - np.bincount(last + 1, minlength=n + 2)
    return np.cumsum(change)[:n]


def kept_apart(kind, room):
    """Which units are not folded with others: inputs, loops and calls, runs, reductions, as far as there is room."""
    kept = np.zeros(len(kind), bool)
    for group in ((_INPUT,), (_LOOP, _CALL), (-1,), (_REDUCTION,)):
        more = np.isin(kind, group)
        if kept.sum() + more.sum() <= room:
            kept |= more
    return kept


def cuts_of(first, last, parts, live):
    """Where a stretch is cut into parts: near even places, where the fewest values pass. `live` is by unit."""
    cuts, width = [], (last - first) / parts
    for j in range(1, parts):
        low = max(int(first + width * (j - 0.33)), first + 1)
        high = max(int(first + width * (j + 0.33)), low + 1)
        cuts.append(low + int(live[low:high].argmin()))
    return cuts


def blocks_of(sheet, by_run, most):
    """(the nodes in order, the run of each node, where in the order each block begins): what is drawn as one node.

    Where `by_run`, a run is one; where there are more than `most` then, stretches are.
    """
    order, run, place = in_order(sheet)
    n = len(order)
    begins = np.ones(n, bool)
    if by_run:
        begins[1:] = (run[order][1:] != run[order][:-1]) | (run[order][1:] < 0)
    starts = np.flatnonzero(begins)
    if len(starts) <= most:
        return order, run, starts
    kind = np.where(np.diff(np.append(starts, n)) > 1, -1, sheet.kind[order[starts]])
    live = passing(sheet, place)[starts]
    kept = kept_apart(kind, most // 2)
    inputs = kind == _INPUT                         # of which there may be too many, but which are no operations
    edge = np.ones(len(starts), bool)
    edge[1:] = kept[1:] | kept[:-1] | (inputs[1:] != inputs[:-1])
    edge = np.flatnonzero(edge)
    sizes = np.diff(np.append(edge, len(starts)))
    more = np.where(inputs[edge], 0, sizes - 1)     # inputs are folded to one node, operations to several
    room = max(most // 3 - len(edge), 0)            # a third of what there may be is more readable
    parts = 1 + np.floor(room * more / max(more.sum(), 1)).astype(int)
    cut = set(edge.tolist())
    for first, size, into in zip(edge.tolist(), sizes.tolist(), parts.tolist(), strict=True):
        cut.update(cuts_of(first, first + size, min(into, -(-size // _LEAST)), live))
    return order, run, starts[sorted(cut)]
