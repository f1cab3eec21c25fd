"""Programs over many lanes, against C by hand that is vectorised as far as the compiler can."""

import native
import numpy as np
import pytest
import workloads

import fasttape as ft


def priced(n):
    """A million options: ours, C by hand, and what comes out of C. Both write into memory they have."""
    options = workloads.call_options(n)
    greeks = ft.value_and_grad(workloads.black_scholes, argnum=(0, 1, 2, 3, 4))
    program = ft.trace(greeks, *options[:, 0].tolist())
    by_hand = native.Native("black_scholes_many", [options], sizes=[n], history=n)
    by_hand()
    expected = by_hand.history, tuple(by_hand.gradient)
    out = np.empty(n), tuple(np.empty((5, n)))

    def ours(threads=1):
        return program.batch(*options, out=out, threads=threads)

    return ours, by_hand, expected


@pytest.mark.usefixtures("need_compiler")
def test_options_against_c(race, quick):
    n = 10**5 if quick else 10**6
    ours, by_hand, expected = priced(n)
    race(f"Black-Scholes, {n:.0e} options, batch vs C", ours=ours, yardstick=by_hand, expected=expected, target=1.5)


@pytest.mark.usefixtures("need_compiler")
def test_options_in_two_threads(race, quick):
    """Half is best; it needs a second core that is free, and memory that feeds both."""
    n = 10**5 if quick else 10**6
    ours, _, expected = priced(n)
    name = f"Black-Scholes, {n:.0e} options, two threads vs one"
    race(name, ours=lambda: ours(2), yardstick=ours, expected=expected, target=1 / 1.8)
