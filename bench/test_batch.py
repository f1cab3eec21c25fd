"""Programs over many lanes, against C by hand that is vectorised as far as the compiler can; and two threads against one.

Two threads take turns with one call by call, as all sides do, and also in turns of some calls: where calls alternate, each
finds half of the arrays in the other processor's cache, and its helper asleep if one thread takes longer than that waits.
"""

import concurrent.futures

import native
import numpy as np
import objectives
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


TURNS = {"two threads vs one": {}, "two threads vs one, calls in a row": {"turn": 0.01}}
both_ways = pytest.mark.parametrize("how", TURNS)


def race_threads(race, name, how, ours, expected):
    """Half is best; it needs a second core that is free, and memory that feeds both."""
    race(f"{name}, {how}", ours=lambda: ours(2), yardstick=ours, expected=expected, target=1 / 1.8, **TURNS[how])


@pytest.mark.usefixtures("need_compiler")
@both_ways
def test_options_in_two_threads(race, quick, how):
    n = 10**5 if quick else 10**6
    ours, _, expected = priced(n)
    race_threads(race, f"Black-Scholes, {n:.0e} options", how, ours, expected)


@pytest.mark.usefixtures("need_compiler")
def test_two_free_cores(race):
    """Whether there are two, as the rows of two threads suppose: C by hand that needs no Python, no memory beyond the second
    cache, and nothing of the other thread."""
    n, calls = 4000, 200
    here, there = (native.Native("black_scholes_many", [part], sizes=[n], history=n)
                   for part in np.split(workloads.call_options(2 * n), 2, axis=1))
    here(), there()
    expected = here.history.copy(), there.history.copy()

    def in_turn():
        here.seconds_per_call(calls)
        there.seconds_per_call(calls)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def at_once():
            other = pool.submit(there.seconds_per_call, calls)
            here.seconds_per_call(calls)
            other.result()
            return here.history, there.history

        race("two free cores? C in two threads vs one", ours=at_once, yardstick=in_turn, expected=expected, target=None)


def both_errors(camera, point, weight, feature):
    """The errors of an observation, and their derivatives to camera, point and weight: (2,), (2, 15)."""

    def error(k):
        return lambda *x: objectives.ba_residual_scalar(*x, feature, np.sqrt, np.sin, np.cos)[k]

    found = [ft.value_and_grad(error(k), argnum=(0, 1, 2))(camera, point, weight) for k in range(2)]
    rows = [np.concatenate((c, p, np.reshape(w, (1,)))) for _, (c, p, w) in found]
    return np.stack([value for value, _ in found]), np.stack(rows)


def bundle(in_columns):
    """Observations; C by hand, with or without the columns of a sparse matrix; errors and derivatives that come out of it."""
    n, n_camera, n_point = 31843, 49, 7776
    rng = np.random.default_rng(0)
    cameras, points = rng.normal(size=(n_camera, 11)), rng.normal(size=(n_point, 3))
    weights, features = rng.normal(size=n), rng.normal(size=(n, 2))
    seen = np.stack((np.sort(rng.integers(0, n_camera, n)), rng.integers(0, n_point, n)), axis=1)
    inputs = [np.empty((n, 2, 15)), cameras, points, weights, features, seen.view(np.float64)]
    sizes = [n, n_camera, n_point] if in_columns else [n, 0, 0]
    by_hand = native.Native("bundle", inputs, sizes, history=2 * n + 15 * n * in_columns)
    by_hand()

    seen_by, shows = seen.T.copy()

    def arguments():
        return ft.gather(cameras, seen_by), ft.gather(points, shows), weights, features

    return arguments, by_hand, by_hand.history[: 2 * n].reshape(n, 2), by_hand.gradient


@pytest.mark.usefixtures("need_compiler")
def test_bundle_adjustment_against_c(race):
    arguments, by_hand, errors, slopes = bundle(False)
    program, out = ft.trace(both_errors, *(x[0] for x in arguments())), (np.empty_like(errors), np.empty_like(slopes))

    def ours():
        return program.batch(*arguments(), out=out)

    name = "bundle adjustment, 31843 observations, batch"
    race(f"{name} vs C", ours=ours, yardstick=by_hand, expected=(errors, slopes), target=1.0)


@pytest.mark.usefixtures("need_compiler")
@both_ways
def test_bundle_adjustment_in_two_threads(race, how):
    arguments, _, errors, slopes = bundle(False)
    program, out = ft.trace(both_errors, *(x[0] for x in arguments())), (np.empty_like(errors), np.empty_like(slopes))

    def ours(threads=1):
        return program.batch(*arguments(), out=out, threads=threads)

    race_threads(race, "bundle adjustment, batch", how, ours, (errors, slopes))


def sparse_jacobian():
    """Errors, and the matrix as SciPy has it, new at each call; C, which writes errors, data and columns into memory that it
    has; and what comes out of it."""
    arguments, by_hand, errors, slopes = bundle(True)

    def residual(camera, point, weight, feature):
        return np.stack(objectives.ba_residual_scalar(camera, point, weight, feature, np.sqrt, np.sin, np.cos))

    program = ft.trace(residual, *(x[0] for x in arguments()))
    _, matrix = program.batch_jacobian(*arguments(), argnum=(0, 1, 2))
    np.testing.assert_array_equal(matrix.indices, by_hand.history[errors.size :].view(np.int32))

    def ours(threads=1):
        found, matrix = program.batch_jacobian(*arguments(), argnum=(0, 1, 2), threads=threads)
        return found, matrix.data.reshape(slopes.shape)

    return ours, by_hand, (errors, slopes)


@pytest.mark.usefixtures("need_compiler")
def test_sparse_jacobian_against_c(race):
    ours, by_hand, expected = sparse_jacobian()
    name = "bundle adjustment, 31843 observations, batch_jacobian"
    race(f"{name} vs C", ours=ours, yardstick=by_hand, expected=expected, target=1.0)


@pytest.mark.usefixtures("need_compiler")
@both_ways
def test_sparse_jacobian_in_two_threads(race, how):
    ours, _, expected = sparse_jacobian()
    race_threads(race, "bundle adjustment, batch_jacobian", how, ours, expected)
