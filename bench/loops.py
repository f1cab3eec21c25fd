"""The workloads that are loops, by `fasttape.scan`."""

import numpy as np
import objectives
import workloads

import fasttape as ft


def lotka_volterra(parameters, steps=1000, dt=0.02, **how):
    alpha, beta, gamma, delta, u, v = parameters
    half, sixth = 0.5 * dt, dt / 6.0

    def rates(u, v):
        return workloads.growth(u, v, alpha, beta, gamma, delta)

    def step(carry, _):
        u, v = carry
        u1, v1 = rates(u, v)
        u2, v2 = rates(u + half * u1, v + half * v1)
        u3, v3 = rates(u + half * u2, v + half * v2)
        u4, v4 = rates(u + dt * u3, v + dt * v3)
        u = u + sixth * (u1 + 2.0 * u2 + 2.0 * u3 + u4)
        v = v + sixth * (v1 + 2.0 * v2 + 2.0 * v3 + v4)
        return (u, v), None

    (u, v), _ = ft.scan(step, (u, v), length=steps, **how)
    return u + v


def burgers(u, steps=1000, **how):
    def step(u, _):
        left, centre, right = u[:-2], u[1:-1], u[2:]
        convected = workloads.ADVECTION * centre * (right - left)
        inner = centre - convected + workloads.DIFFUSION * (right - 2.0 * centre + left)
        return np.concatenate((u[:1], inner, u[-1:])), None

    u, _ = ft.scan(step, u, length=steps, **how)
    return np.sum(u * u) / workloads.CELLS


def lstm(parameters, state, sequence):
    """`objectives.lstm_objective` of ADBench, its parameters in one vector."""
    b = state.shape[1]
    layers = state.shape[0] // 2
    main = np.reshape(parameters[: 8 * layers * b], (2 * layers, 4 * b))
    weight_in, weight_out, bias_out = np.reshape(parameters[8 * layers * b :], (3, b))
    gates = [[row[q * b : (q + 1) * b] for q in range(4)] for row in main]

    def step(carry, here_and_next):
        hidden, cell, total = list(carry[0]), list(carry[1]), carry[2]
        x, following = here_and_next
        x = x * weight_in
        for k in range(layers):
            x, cell[k] = objectives.lstm_cell(gates[2 * k], gates[2 * k + 1], hidden[k], cell[k], x)
            hidden[k] = x
        predicted = x * weight_out + bias_out
        normaliser = np.log(np.sum(np.exp(predicted)) + 2.0)
        return (hidden, cell, total + np.sum(following * (predicted - normaliser))), None

    start = [state[2 * k] for k in range(layers)], [state[2 * k + 1] for k in range(layers)], 0.0
    (_, _, total), _ = ft.scan(step, start, (sequence[:-1], sequence[1:]))
    return -total / (b * (len(sequence) - 1))


def shifted(x, steps=2000):
    """A loop in Python over arrays, each step of which has to be stored: what a budget is for."""
    for _ in range(steps):
        x = x + 1e-3 * np.concatenate((x[1:], x[:1])) * np.sin(x)
    return np.sum(x * x)
