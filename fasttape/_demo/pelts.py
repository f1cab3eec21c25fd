"""Hare and lynx: the Lotka-Volterra rates fitted to the Hudson Bay pelts of 1900 to 1920.

    du/dt = (alpha - beta v) u        u: hares, v: lynxes, in thousands of pelts
    dv/dt = (-gamma + delta u) v      t in years

The model is that of Carpenter (2018), "Predator-prey population dynamics: the Lotka-Volterra model
in Stan" (Stan case studies), with its priors: log-normal errors about the solution of the
equations, weak priors on rates, initial values and error scales. Carpenter samples the posterior;
here its mode is found by gradient descent, so the two agree to the digits that the data determine.

The pelts are those of Howard (2009), after Hewitt (1921), "The Conservation of the Wild Life of
Canada".
"""
from typing import NamedTuple

import numpy as np

import fasttape as ft

from .adam import Adam, cooled
from .console import Table, heading, paragraph, say

YEARS = np.arange(1900, 1921)
HARES = np.array([30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6,
                  52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7])
LYNXES = np.array([4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1,
                   29.7, 15.8, 9.7, 10.1, 8.6])
LOG_PELTS = np.log(np.stack([HARES, LYNXES], axis=1))       # (year, species)

NAMES = ["alpha", "beta", "gamma", "delta", "hares in 1900", "lynxes in 1900",
         "sigma of hares", "sigma of lynxes"]
MEANINGS = ["births of hares, per year", "hares caught, per lynx and year",
            "deaths of lynxes, per year", "lynxes fed, per hare and year",
            "thousands", "thousands", "error of log pelts", "error of log pelts"]
PUBLISHED = [0.55, 0.028, 0.80, 0.024, 34, 6, 0.25, 0.25]   # posterior means, Carpenter (2018)

STEPS_PER_YEAR = 50     # of the integrator; many, so that the memory of the modes shows
DESCENT_STEPS = 200
DESCENT_RATE = 0.05


class Fit(NamedTuple):
    """What the descent found: the logarithms of the parameters, and the loss after every step."""

    theta: np.ndarray
    losses: list


def runge_kutta(u, v, rates, h):
    """Return hares and lynxes a time `h` later: one step of fourth order, on plain scalars."""
    alpha, beta, gamma, delta = rates

    def slope(u, v):
        return (alpha - beta * v) * u, (delta * u - gamma) * v

    u1, v1 = slope(u, v)
    u2, v2 = slope(u + h / 2 * u1, v + h / 2 * v1)
    u3, v3 = slope(u + h / 2 * u2, v + h / 2 * v2)
    u4, v4 = slope(u + h * u3, v + h * v3)
    return u + h / 6 * (u1 + 2 * u2 + 2 * u3 + u4), v + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)


def year(state, rates):
    """Return the pair (hares, lynxes) one year after `state`."""
    u, v = state
    alpha, beta, gamma, delta = rates
    for _ in range(STEPS_PER_YEAR):
        u, v = runge_kutta(u, v, (alpha, beta, gamma, delta), 1 / STEPS_PER_YEAR)
    return np.stack([u, v])


def loss(theta, year=year):
    """Return the negative log posterior density, up to a constant.

    Parameters
    ----------
    theta : array of shape (8,)
        Logarithms of the parameters in the order of `NAMES`; so all stay positive.
    year : callable
        Advances the state by a year; given here so that it can be checkpointed.
    """
    rates, state, sigma = np.exp(theta[:4]), np.exp(theta[4:6]), np.exp(theta[6:])
    states = [state]
    for _ in YEARS[1:]:
        state = year(state, rates)
        states.append(state)
    errors = (LOG_PELTS - np.log(np.stack(states))) / sigma
    log_initial, log_sigma = theta[4:6], theta[6:]
    return (
        (errors**2 / 2 + log_sigma).sum()
        + normal(rates, np.array([1, 0.05, 1, 0.05]), np.array([0.5, 0.05, 0.5, 0.05]))
        + normal(log_initial, np.log(10), 1) + log_initial.sum()    # log-normal: the density of
        + normal(log_sigma, -1, 1) + log_sigma.sum()                # x has a factor 1/x
    )


def normal(x, mean, deviation):
    """Return the negative log density of independent normal variables, up to a constant."""
    return (((x - mean) / deviation)**2).sum() / 2


def first_guess():
    """Return a `theta` read off the data, close enough for the descent to find the cycles in step.

    Small cycles of the equations have the period 2 pi / sqrt(alpha gamma), about ten years in the
    data, and the means gamma / delta of the hares and alpha / beta of the lynxes.
    """
    rate = 2 * np.pi / 10
    rates = [rate, rate / LYNXES.mean(), rate, rate / HARES.mean()]
    return np.log([*rates, HARES[0], LYNXES[0], 1, 1])


def fit(progress=lambda step, value, theta: None):
    """Return the `Fit` from the first guess; `progress` is called after every step."""
    value_and_grad = ft.value_and_grad(loss)
    theta, losses = first_guess(), []
    adam = Adam([theta])
    for step in range(DESCENT_STEPS):
        value, gradient = value_and_grad(theta)
        losses.append(float(value))
        progress(step, value, theta)
        rate = cooled(DESCENT_RATE, step / DESCENT_STEPS)
        [theta] = adam.step([theta], [gradient], rate)
    losses.append(float(loss(theta)))
    progress(DESCENT_STEPS, losses[-1], theta)
    return Fit(theta, losses)


def curve(theta):
    """Return times in years and populations of shape (time, 2) at every step of the integrator."""
    rates, state = np.exp(theta[:4]), tuple(np.exp(theta[4:6]))
    states = [state]
    for _ in range((len(YEARS) - 1) * STEPS_PER_YEAR):
        state = runge_kutta(*state, rates, 1 / STEPS_PER_YEAR)
        states.append(state)
    return YEARS[0] + np.arange(len(states)) / STEPS_PER_YEAR, np.array(states)


def show():
    """Fit with progress shown, print the parameters beside the published ones, return the `Fit`."""
    steps = (len(YEARS) - 1) * STEPS_PER_YEAR
    heading("2. Hares and lynxes: fitting a differential equation to the pelts of 1900-1920")
    paragraph(f"""Hares u and lynxes v follow du/dt = (alpha - beta v) u, dv/dt = (-gamma + delta u)
              v. Four rates, two initial values and two error scales are fitted to 21 years of pelts
              (Hewitt 1921) by {DESCENT_STEPS} steps of gradient descent (Adam). Each gradient is
              that of a plain Python loop of {steps} Runge-Kutta steps. The loss is the negative log
              posterior density.""")
    table = Table(" step", "     loss", *(f"{name:>6}" for name in NAMES[:4]))

    def progress(step, value, theta):
        if step % 25 == 0:
            rates = np.exp(theta[:4])
            table.row(str(step), f"{value:.3f}", *(f"{rate:.4f}" for rate in rates))

    result = fit(progress)
    say()
    paragraph("""The fit (the mode of the posterior) beside the published means of the posterior
              (Carpenter 2018, Stan case study):""")
    table = Table(f"{'parameter':>15}", f"{'meaning':>31}", "fitted", "published")
    for name, meaning, fitted, published in zip(NAMES, MEANINGS, np.exp(result.theta), PUBLISHED,
                                                strict=True):
        table.row(name, meaning, f"{fitted:.3g}", f"{published:.2g}")
    return result
