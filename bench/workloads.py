"""The functions that are measured, in plain Python and NumPy, and their gradients by hand.

A hand-written gradient returns (value, gradient) and shares sub-results as a good engineer would:
it is a yardstick of speed, and what an answer is checked against. Nothing here knows of fasttape,
but for the one function that NumPy lacks.
"""

import itertools
import math

import numpy as np

from fasttape.special import ndtr


def complex_step(f, x, h=1e-30):
    """Gradient of an analytic `f` of a list of scalars, exact to rounding."""
    return np.array(
        [f([complex(v, h * (k == j)) for j, v in enumerate(x)]).imag / h for k in range(len(x))]
    )


# ---- scalars in Python loops


def rosenbrock(x):
    """Rosenbrock's valley over an indexable of scalars."""
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_unpacked(x):
    """The same over an iterable of scalars."""
    total = 0.0
    for a, b in itertools.pairwise(x):
        total = total + 100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2
    return total


def rosenbrock_by_hand(x):
    rise, miss = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[:-1] = -400.0 * x[:-1] * rise - 2.0 * miss
    gradient[1:] += 200.0 * rise
    return np.sum(100.0 * rise**2 + miss**2), gradient


def growth(prey, predator, alpha, beta, gamma, delta):
    return alpha * prey - beta * prey * predator, delta * prey * predator - gamma * predator


LOTKA_VOLTERRA_OPERATIONS = 58  # scalar operations a step


def lotka_volterra(parameters, steps=1000, dt=0.02):
    """Prey plus predators after `steps` steps of classical Runge-Kutta, all in scalars.

    `parameters` are the four rates and the two initial populations.
    """
    alpha, beta, gamma, delta, u, v = parameters
    half, sixth = 0.5 * dt, dt / 6.0
    for _ in range(steps):
        u1, v1 = growth(u, v, alpha, beta, gamma, delta)
        u2, v2 = growth(u + half * u1, v + half * v1, alpha, beta, gamma, delta)
        u3, v3 = growth(u + half * u2, v + half * v2, alpha, beta, gamma, delta)
        u4, v4 = growth(u + dt * u3, v + dt * v3, alpha, beta, gamma, delta)
        u = u + sixth * (u1 + 2.0 * u2 + 2.0 * u3 + u4)
        v = v + sixth * (v1 + 2.0 * v2 + 2.0 * v3 + v4)
    return u + v


OSCILLATOR_OPERATIONS = 4  # scalar operations a step


def oscillator(parameters, steps):
    """Symplectic Euler steps of a harmonic oscillator: a tape of any length, of bounded values."""
    position, speed, dt = parameters
    for _ in range(steps):
        position = position + dt * speed
        speed = speed - dt * position
    return position


def black_scholes(spot, strike, rate, volatility, maturity):
    """Price of a European call; rate and volatility per unit of maturity, the former continuous."""
    deviation = volatility * np.sqrt(maturity)
    drift = rate + 0.5 * volatility**2
    d1 = (np.log(spot / strike) + drift * maturity) / deviation
    d2 = d1 - deviation
    return spot * ndtr(d1) - strike * np.exp(-rate * maturity) * ndtr(d2)


def call_options(n):
    """Spots, strikes, rates, volatilities and maturities of n options."""
    rng = np.random.default_rng(0)
    bounds = (80.0, 120.0), (80.0, 120.0), (0.0, 0.05), (0.1, 0.4), (0.2, 2.0)
    return np.array([rng.uniform(low, high, n) for low, high in bounds])


def black_scholes_by_hand(spot, strike, rate, volatility, maturity):
    """The price, then delta, dual delta, rho, vega and the derivative to maturity (-theta)."""
    root = math.sqrt(maturity)
    deviation = volatility * root
    d1 = (math.log(spot / strike) + rate * maturity) / deviation + 0.5 * deviation
    n1 = 0.5 * math.erfc(-math.sqrt(0.5) * d1)
    n2 = 0.5 * math.erfc(-math.sqrt(0.5) * (d1 - deviation))
    discount = math.exp(-rate * maturity)
    vega = spot * root * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    rho = strike * maturity * discount * n2
    decay = (0.5 * volatility * vega + rate * rho) / maturity
    return spot * n1 - strike * discount * n2, (n1, -discount * n2, rho, vega, decay)


def call_on_a_path(spot, rate, volatility, normals):
    """Discounted payoff of a call struck at 100 in a year, on one path by Euler's method."""
    dt, price = 1.0 / len(normals), spot
    for k in range(len(normals)):
        price = price + price * (rate * dt + volatility * dt**0.5 * normals[k])
    return np.exp(-rate) * np.maximum(price - 100.0, 0.0)


def call_on_paths_by_hand(spot, rate, volatility, normals):
    """The mean over the rows of `normals`, and its derivatives with respect to the other arguments."""
    dt, n = 1.0 / normals.shape[1], len(normals)
    price, slopes = np.full(n, spot), [np.ones(n), np.zeros(n), np.zeros(n)]
    for z in normals.T:
        growth = 1.0 + rate * dt + volatility * dt**0.5 * z
        slopes = [s * growth for s in slopes]
        slopes[1] += price * dt
        slopes[2] += price * dt**0.5 * z
        price = price * growth
    discount, paid = np.exp(-rate), price > 100.0
    payoff = discount * np.maximum(price - 100.0, 0.0)
    slopes = [(discount * paid * s).mean() for s in slopes]
    slopes[1] -= payoff.mean()
    return payoff.mean(), tuple(slopes)


# ---- elementwise chains


def sum_of_squares(x):
    return (x * x).sum()


def sum_of_squares_by_hand(x):
    return (x * x).sum(), 2.0 * x


def chain(x):
    return np.sum(np.tanh(np.sin(x) * np.exp(-(x**2)) + np.log1p(x**2)))


def chain_by_hand(x):
    square = x * x
    sine, decay = np.sin(x), np.exp(-square)
    y = np.tanh(sine * decay + np.log1p(square))
    inner = (np.cos(x) - 2.0 * x * sine) * decay + 2.0 * x / (1.0 + square)
    return np.sum(y), (1.0 - y * y) * inner


# ---- learning


def logistic_loss(weights, data, labels):
    """Mean cross-entropy of labels in {0, 1}; data (n, d)."""
    z = data @ weights
    return np.mean(np.logaddexp(0.0, z) - labels * z)


def logistic_by_hand(weights, data, labels):
    z = data @ weights
    decay = np.exp(-np.abs(z))
    value = np.mean(np.maximum(z, 0.0) + np.log1p(decay) - labels * z)
    probability = np.where(z >= 0.0, 1.0, decay) / (1.0 + decay)
    return value, (probability - labels) @ data / len(labels)


def mlp_loss(w1, b1, w2, b2, w3, b3, images, labels):
    """Mean cross-entropy of a network with two tanh layers; labels are class numbers."""
    hidden = np.tanh(images @ w1 + b1)
    hidden = np.tanh(hidden @ w2 + b2)
    logits = hidden @ w3 + b3
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - chosen)


def mlp_by_hand(w1, b1, w2, b2, w3, b3, images, labels):
    rows = np.arange(len(labels))
    first = images @ w1
    first += b1
    np.tanh(first, out=first)
    second = first @ w2
    second += b2
    np.tanh(second, out=second)
    shifted = second @ w3
    shifted += b3
    shifted -= np.max(shifted, axis=1, keepdims=True)
    chosen = shifted[rows, labels]
    error = np.exp(shifted)
    totals = np.sum(error, axis=1)
    value = np.mean(np.log(totals) - chosen)
    error /= totals[:, None]
    error[rows, labels] -= 1.0
    error /= len(labels)
    second_error = error @ w3.T
    second_error *= 1.0 - second * second
    first_error = second_error @ w2.T
    first_error *= 1.0 - first * first
    return value, (
        images.T @ first_error,
        np.sum(first_error, axis=0),
        first.T @ second_error,
        np.sum(second_error, axis=0),
        second.T @ error,
        np.sum(error, axis=0),
    )


# ---- a partial differential equation: u_t + u u_x = nu u_xx, central differences, fixed ends

CELLS = 512
ADVECTION = 1e-4 * CELLS / 2.0  # dt / (2 dx)
DIFFUSION = 0.01 * 1e-4 * CELLS**2  # nu dt / dx²


def burgers(u, steps=1000):
    """Energy after explicit steps, each a new array."""
    for _ in range(steps):
        left, centre, right = u[:-2], u[1:-1], u[2:]
        inner = (
            centre - ADVECTION * centre * (right - left) + DIFFUSION * (right - 2.0 * centre + left)
        )
        u = np.concatenate((u[:1], inner, u[-1:]))
    return np.sum(u * u) / CELLS


def burgers_in_place(u, steps=1000):
    """The same, each step written over the inner cells."""
    u = u.copy()
    for _ in range(steps):
        left, centre, right = u[:-2], u[1:-1], u[2:]
        u[1:-1] = (
            centre - ADVECTION * centre * (right - left) + DIFFUSION * (right - 2.0 * centre + left)
        )
    return np.sum(u * u) / CELLS


def burgers_by_hand(u, steps=1000):
    history = []
    for _ in range(steps):
        history.append(u)
        left, centre, right = u[:-2], u[1:-1], u[2:]
        u = u.copy()
        u[1:-1] += DIFFUSION * (right - 2.0 * centre + left) - ADVECTION * centre * (right - left)
    value, ct = np.sum(u * u) / CELLS, 2.0 * u / CELLS
    for u in reversed(history):
        left, centre, right = u[:-2], u[1:-1], u[2:]
        inner = ct[1:-1].copy()
        ct[1:-1] -= inner * (ADVECTION * (right - left) + 2.0 * DIFFUSION)
        ct[2:] += inner * (DIFFUSION - ADVECTION * centre)
        ct[:-2] += inner * (DIFFUSION + ADVECTION * centre)
    return value, ct


# ---- inputs

CALL_OPTION = (100.0, 105.0, 0.03, 0.2, 0.75)  # the arguments of black_scholes
LOTKA_VOLTERRA_PARAMETERS = (0.55, 0.028, 0.80, 0.024, 34.0, 6.0)


def burgers_start():
    place = np.linspace(0.0, 1.0, CELLS)
    return 1.0 + 0.5 * np.sin(2.0 * np.pi * place)


def logistic_inputs(n=10_000, d=100, seed=0):
    rng = np.random.default_rng(seed)
    data, weights = rng.normal(size=(n, d)), rng.normal(size=d)
    labels = (data @ weights + rng.normal(size=n) > 0.0).astype(float)
    return 0.1 * rng.normal(size=d), data, labels


def squared_error(w1, b1, w2, b2, w3, point, height):
    """Of a network of two hidden layers at one point of the plane."""
    return (w3 @ np.tanh(w2 @ np.tanh(w1 @ point + b1) + b2) - height) ** 2


def squared_errors_by_hand(w1, b1, w2, b2, w3, points, heights):
    """The sum over all points, and its derivatives with respect to the parameters."""
    h1 = np.tanh(points @ w1.T + b1)
    h2 = np.tanh(h1 @ w2.T + b2)
    rest = h2 @ w3 - heights
    ct2 = 2.0 * rest[:, None] * w3 * (1.0 - h2 * h2)
    ct1 = ct2 @ w2 * (1.0 - h1 * h1)
    return rest @ rest, (ct1.T @ points, ct1.sum(0), ct2.T @ h1, ct2.sum(0), 2.0 * rest @ h2)


def surface(n, hidden=64, seed=0):
    """Parameters of a network, and n points of a surface that it is to learn."""
    rng = np.random.default_rng(seed)
    parameters = [rng.normal(size=(hidden, 2)), rng.normal(size=hidden), rng.normal(size=(hidden, hidden)) / hidden**0.5,
                  rng.normal(size=hidden), rng.normal(size=hidden) / hidden**0.5]
    points = rng.normal(size=(n, 2))
    return parameters, points, np.sin(points[:, 0]) * points[:, 1]


def mlp_inputs(sizes=(784, 256, 128, 10), batch=128, seed=0):
    rng = np.random.default_rng(seed)
    parameters = []
    for inputs, outputs in itertools.pairwise(sizes):
        parameters.append(rng.normal(size=(inputs, outputs)) / np.sqrt(inputs))
        parameters.append(0.1 * rng.normal(size=outputs))
    return *parameters, rng.normal(size=(batch, sizes[0])), rng.integers(sizes[-1], size=batch)
