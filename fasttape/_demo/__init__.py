"""The parts of ``python -m fasttape``: textbook, pelts, modes and digits, in the order shown.

Each part has a `show` that prints and returns its results; `plot` draws them. The parts use the
public names of fasttape alone and are written as a user would write them.
"""
