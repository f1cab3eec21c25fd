"""Objectives of Microsoft ADBench in plain NumPy, written from the maths.

Differentiated arguments come first; the rest is data. The shapes are those of
`tests/data/adbench/README.md`. Nothing here knows of derivatives.

Source: Srajer, Kukelova & Fitzgibbon, "A benchmark of selected algorithmic differentiation tools
on some problems in computer vision and machine learning" (2018).
"""

import math

import numpy as np


def log_sum_exp(a, axis):
    """log(sum(exp(a))) over `axis`, the maximum taken out first."""
    largest = np.max(a, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(a - largest), axis=axis)) + np.squeeze(largest, axis=axis)


def gmm_constant(n, d, k, gamma, m):
    """Return what the objective owes to no parameter: the normalisers of likelihood and prior."""
    freedom = d + m + 1
    log_multigamma = 0.25 * d * (d - 1) * math.log(math.pi) + math.fsum(
        math.lgamma(0.5 * (freedom - j)) for j in range(d)
    )
    wishart = freedom * d * (math.log(gamma) - 0.5 * math.log(2.0)) - log_multigamma
    return -0.5 * n * d * math.log(2.0 * math.pi) - k * wishart


def strict_lower_positions(d):
    """Return the (d, d) places of a strictly lower triangle packed by columns.

    All that is not strictly below the diagonal points at one more entry, a zero at the end.
    """
    positions = np.full((d, d), d * (d - 1) // 2)
    columns, rows = np.triu_indices(d, 1)
    positions[rows, columns] = np.arange(columns.size)
    return positions


def gmm_objective(alphas, means, icf, x, gamma, m):
    """Log posterior of a Gaussian mixture with a Wishart prior.

    Row j of `icf` packs the inverse covariance factor of component j: d logarithms of the
    diagonal, then the strictly lower triangle by columns.
    """
    n, d = x.shape
    k = alphas.shape[0]
    log_diagonal, packed = icf[:, :d], icf[:, d:]
    diagonal = np.exp(log_diagonal)
    log_determinant = np.sum(log_diagonal, axis=1)
    padded = np.concatenate((packed, np.zeros((k, 1))), axis=1)
    lower = padded[:, strict_lower_positions(d)]  # (k, d, d)
    centred = np.transpose(x)[None, :, :] - means[:, :, None]  # (k, d, n)
    scaled = diagonal[:, :, None] * centred + np.matmul(lower, centred)  # (k, d, n)
    distance = np.sum(scaled * scaled, axis=1)  # (k, n)
    weighted = (alphas + log_determinant)[:, None] - 0.5 * distance
    likelihood = np.sum(log_sum_exp(np.transpose(weighted), axis=1)) - n * log_sum_exp(alphas, 0)
    squares = np.sum(diagonal * diagonal) + np.sum(packed * packed)
    prior = 0.5 * gamma * gamma * squares - m * np.sum(log_determinant)
    return likelihood + prior + gmm_constant(n, d, k, gamma, m)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm_cell(weights, biases, hidden, cell, x):
    """One step of one layer whose gates are all diagonal; every array is (b,)."""
    forget = sigmoid(x * weights[0] + biases[0])
    ingate = sigmoid(hidden * weights[1] + biases[1])
    outgate = sigmoid(x * weights[2] + biases[2])
    change = np.tanh(hidden * weights[3] + biases[3])
    cell = cell * forget + ingate * change
    return outgate * np.tanh(cell), cell


def lstm_objective(main_params, extra_params, state, sequence):
    """Mean negative log-likelihood of a sequence under a stack of diagonal LSTM layers.

    The parameters are sliced once; then a step is about 23 operations a layer and 9 more.
    """
    layers, b = main_params.shape[0] // 2, main_params.shape[1] // 4
    steps = sequence.shape[0] - 1
    gates = [[row[q * b : (q + 1) * b] for q in range(4)] for row in main_params]
    hidden = [state[2 * layer] for layer in range(layers)]
    cell = [state[2 * layer + 1] for layer in range(layers)]
    weight_in, weight_out, bias_out = extra_params
    total = 0.0
    for t in range(steps):
        x = sequence[t] * weight_in
        for layer in range(layers):
            x, cell[layer] = lstm_cell(
                gates[2 * layer], gates[2 * layer + 1], hidden[layer], cell[layer], x
            )
            hidden[layer] = x
        predicted = x * weight_out + bias_out
        normaliser = np.log(np.sum(np.exp(predicted)) + 2.0)
        total = total + np.sum(sequence[t + 1] * (predicted - normaliser))
    return -total / (b * steps)


def ba_residual_scalar(camera, point, weight, feature, sqrt=math.sqrt, sin=math.sin, cos=math.cos):
    """Reprojection error of one observation in scalar Python: 15 inputs, 2 outputs.

    `camera` is (rotation vector 3, centre 3, focal length, principal point 2, distortion 2). The
    elementary functions are arguments, for a caller whose scalars are not floats.
    """
    r0, r1, r2 = camera[0], camera[1], camera[2]
    x0, x1, x2 = point[0] - camera[3], point[1] - camera[4], point[2] - camera[5]
    squared_angle = r0 * r0 + r1 * r1 + r2 * r2
    if squared_angle != 0.0:  # Rodrigues' formula
        angle = sqrt(squared_angle)
        cosine, sine, inverse = cos(angle), sin(angle), 1.0 / angle
        w0, w1, w2 = r0 * inverse, r1 * inverse, r2 * inverse
        along = (w0 * x0 + w1 * x1 + w2 * x2) * (1.0 - cosine)
        y0 = x0 * cosine + (w1 * x2 - w2 * x1) * sine + w0 * along
        y1 = x1 * cosine + (w2 * x0 - w0 * x2) * sine + w1 * along
        y2 = x2 * cosine + (w0 * x1 - w1 * x0) * sine + w2 * along
    else:  # to first order in the rotation, so that the derivative is right
        y0 = x0 + (r1 * x2 - r2 * x1)
        y1 = x1 + (r2 * x0 - r0 * x2)
        y2 = x2 + (r0 * x1 - r1 * x0)
    p0, p1 = y0 / y2, y1 / y2
    radius = p0 * p0 + p1 * p1
    scale = (1.0 + camera[9] * radius + camera[10] * radius * radius) * camera[6]
    return (
        weight * (p0 * scale + camera[7] - feature[0]),
        weight * (p1 * scale + camera[8] - feature[1]),
    )


def ba_objective(cameras, points, weights, observations, features):
    """All reprojection errors (p, 2) and weight errors (p,): two gathers, then elementwise work.

    No rotation may be exactly zero.
    """
    camera, point = cameras[observations[:, 0]], points[observations[:, 1]]
    rotation, offset = camera[:, :3], point - camera[:, 3:6]
    angle = np.sqrt(np.sum(rotation * rotation, axis=1, keepdims=True))
    cosine, sine, axis = np.cos(angle), np.sin(angle), rotation / angle
    along = np.sum(axis * offset, axis=1, keepdims=True) * (1.0 - cosine)
    turned = offset * cosine + cross(axis, offset) * sine + axis * along
    projected = turned[:, :2] / turned[:, 2:]
    radius = np.sum(projected * projected, axis=1, keepdims=True)
    distortion = 1.0 + camera[:, 9:10] * radius + camera[:, 10:11] * radius * radius
    image = projected * distortion * camera[:, 6:7] + camera[:, 7:9]
    return weights[:, None] * (image - features), 1.0 - weights * weights


def cross(a, b):
    """Cross products of the rows of two (p, 3) arrays."""
    a0, a1, a2 = a[:, 0], a[:, 1], a[:, 2]
    b0, b1, b2 = b[:, 0], b[:, 1], b[:, 2]
    return np.stack((a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0), axis=1)
