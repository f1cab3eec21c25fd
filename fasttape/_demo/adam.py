"""Adam (Kingma & Ba 2015): gradient descent that scales every component by its recent size.

Knows nothing of derivatives: it is handed gradients.
"""
import math

import numpy as np

MEAN_DECAY, SQUARE_DECAY, TINY = 0.9, 0.999, 1e-8


def cooled(rate, done):
    """Return the step size after the fraction `done` of the run: from `rate` to 0 by a cosine."""
    return rate * (1 + math.cos(math.pi * done)) / 2


class Adam:
    """Running means of the gradients, and of their squares, of a list of parameter arrays."""

    def __init__(self, parameters):
        self.count = 0
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]

    def step(self, parameters, gradients, rate):
        """Return the parameters after one step of size `rate` down the `gradients`."""
        self.count += 1
        mean_weight = 1 - MEAN_DECAY**self.count
        square_weight = 1 - SQUARE_DECAY**self.count
        moved = []
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            self.means[i] += (1 - MEAN_DECAY) * (g - self.means[i])
            self.squares[i] += (1 - SQUARE_DECAY) * (g * g - self.squares[i])
            scale = np.sqrt(self.squares[i] / square_weight) + TINY
            moved.append(p - rate * self.means[i] / mean_weight / scale)
        return moved
