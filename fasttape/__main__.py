"""``python -m fasttape [--plot FILE] [--memory FILE]``: the demonstration.

Reads the options and calls the parts in turn; what they show is in `fasttape._demo`.
"""
import argparse
import sys
import time

from fasttape._demo import digits, memory, modes, pelts, plot, textbook


def parse(arguments):
    """Return the options; end the program with a message where they cannot be met."""
    parser = argparse.ArgumentParser(
        prog="python -m fasttape",
        description="Three examples of exact derivatives of plain NumPy code, in under a minute.")
    parser.add_argument("--plot", metavar="FILE",
                        help="also draw the results to FILE (.png, .pdf, .svg); needs matplotlib")
    parser.add_argument("--memory", metavar="FILE",
                        help="only draw the memory of forward, reverse and checkpointed reverse mode to FILE")
    options = parser.parse_args(arguments)
    for option, file in (("--plot", options.plot), ("--memory", options.memory)):
        if file is not None:
            try:
                plot.check(option, file)
            except (ImportError, ValueError) as error:
                parser.error(str(error))
    return options


def main(arguments=None):
    """Run the demonstration; return the exit status."""
    options = parse(arguments)
    if options.memory is not None:
        memory.draw(options.memory)
        print(f"Drawn to {options.memory}.")
        return 0
    start = time.perf_counter()
    textbook.show()
    fit = pelts.show()
    costs = modes.show()
    training = digits.show()
    if options.plot is not None:
        plot.draw(options.plot, fit, costs, training)
        print(f"\nDrawn to {options.plot}.")
    print(f"\nAll of this took {time.perf_counter() - start:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
