"""The gradient through an adaptive integrator, whose number of steps nobody knows: Dormand and Prince's Runge-Kutta 4(5)
(J. Comp. Appl. Math. 6, 1980) of van der Pol's oscillator, y'' = mu (1 - y^2) y' - y."""
import numpy as np
import pytest

import fasttape as ft
from fasttape._core.feed import snapshots_held, steps_run
from fasttape.schedules import Online, Revolve

NODES = [[], [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9], [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
         [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656], [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]]
FIFTH = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0]
FOURTH = [5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40]
END = 10.0
AT = 1.5, 2.0, 0.1              # mu, y and y' at 0


def python_loop(going, step, carry):
    while going(carry):
        carry = step(carry)
    return carry


def oscillator(mu, y, v, tolerance=1e-8, loop=ft.while_loop, **how):
    """A number that depends on y and y' at the end."""
    def combined(y, v, h, weights, slopes):
        for w, (dy, dv) in zip(weights, slopes):
            if w:
                y, v = y + h * w * dy, v + h * w * dv
        return y, v

    def step(carry):
        y, v, t, h = carry
        h = np.minimum(h, END - t)
        slopes = []
        for weights in NODES:
            a, b = combined(y, v, h, weights, slopes)
            slopes.append((b, mu * (1.0 - a * a) * b - a))
        a, b = combined(y, v, h, FIFTH, slopes)
        c, d = combined(y, v, h, FOURTH, slopes)
        error = np.sqrt((a - c) ** 2 + (b - d) ** 2) / tolerance
        good = error <= 1.0
        factor = np.clip(0.9 * np.maximum(error, 1e-10) ** -0.2, 0.2, 5.0)
        return np.where(good, a, y), np.where(good, b, v), np.where(good, t + h, t), h * factor

    y, v, _, _ = loop(lambda carry: carry[2] < END, step, (y, v, 0.0, 0.01), **how)
    return y + 0.5 * v


def gradient(how=lambda f: f, **options):
    return how(ft.value_and_grad(lambda *at: oscillator(*at, **options), argnum=(0, 1, 2)))


VALUE, GRADIENT = gradient()(*AT)


def test_it_needs_many_steps_and_rejects_some():
    times = []

    def noting(going, step, carry):
        while going(carry):
            times.append(float(carry[2]))
            carry = step(carry)
        return carry
    assert oscillator(*AT, loop=noting) == pytest.approx(VALUE, rel=1e-11)
    assert len(times) > 200 and len(set(times)) < len(times)


def test_against_differences_of_a_tight_integration():
    """The integrator's own error at 1e-8 is what the two may differ by."""
    def tight(*at):
        return oscillator(*at, tolerance=1e-12, loop=python_loop)
    for k, found in enumerate(GRADIENT):
        h = 1e-4
        up, down, up2, down2 = (tight(*AT[:k], AT[k] + j * h, *AT[k + 1:]) for j in (1, -1, 2, -2))
        assert found == pytest.approx((8 * (up - down) - (up2 - down2)) / (12 * h), rel=1e-5)


def test_against_the_loop_in_python():
    assert gradient(loop=python_loop)(*AT) == (VALUE, GRADIENT)


@pytest.mark.parametrize("how", [lambda f: f, ft.compile], ids=["one-shot", "compiled"])
@pytest.mark.parametrize("options", [{"schedule": Online(s)} for s in (1, 2, 5, 20, 1000)] + [{"memory": "1 MB"}], ids=repr)
def test_every_schedule_gives_the_gradient_of_storing_all(options, how):
    f = gradient(how, **options)
    assert f(*AT) == (VALUE, GRADIENT)
    assert f(2.5, 2.0, 0.1) == gradient(loop=python_loop)(2.5, 2.0, 0.1)        # another number of steps


def test_twenty_snapshots_hold_twenty_states():
    snapshots_held()
    before = steps_run()
    assert gradient(schedule=Online(20))(*AT) == (VALUE, GRADIENT)
    steps = steps_run() - before
    assert snapshots_held() == (0, 20)
    before = steps_run()
    gradient()(*AT)
    length = steps_run() - before
    assert Revolve(20).steps(length) <= steps < 1.3 * Revolve(20).steps(length)


def test_forward_and_second_derivatives():
    tangents = [ft.jvp(oscillator, AT, tuple(np.eye(3)[k]))[1] for k in range(3)]
    np.testing.assert_allclose(tangents, GRADIENT, rtol=1e-8)
    hessian = ft.hessian(lambda mu: oscillator(mu, *AT[1:], schedule=Online(20)))(AT[0])
    assert hessian == pytest.approx(ft.hessian(lambda mu: oscillator(mu, *AT[1:], loop=python_loop))(AT[0]), rel=1e-9)
