"""How many processors this process may use."""
import os
from math import inf


def processors():
    """How many may run its threads at a time: those that there are, that it is bound to, and whose time its control groups leave
    it, in whole ones. At least 1."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(n, allowance())))


def allowance(process="/proc/self/cgroup", groups="/sys/fs/cgroup"):
    """Processors whose time control groups leave (Linux), as a float; inf where nothing limits it."""
    least = inf
    try:
        with open(process, encoding="utf-8", errors="surrogateescape") as file:     # names of groups may be any bytes
            lines = [line.split(":", 2) for line in file.read().split("\n") if line.count(":") >= 2]
    except OSError:
        return least
    for _, kinds, path in lines:
        if not kinds:
            folder, names = groups, ("cpu.max",)
        elif "cpu" in kinds.split(","):
            folder, names = f"{groups}/{kinds}", ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        else:
            continue
        while True:                     # a group, and those that it is in; within a container the last may be all that is seen
            path = path.rstrip("/")
            least = min(least, limit([f"{folder}{path}/{name}" for name in names]))
            if not path:
                break
            path = path.rpartition("/")[0]
    return least


def limit(files):
    """What a group's files say, microseconds in each period; inf where there are none or they say that there is none."""
    words = []
    try:
        for name in files:
            with open(name) as file:
                words += file.read().split()
        quota, period = (int(word) for word in words)
    except (OSError, ValueError):       # "max" is no number
        return inf
    return quota / period if quota > 0 and period > 0 else inf
