"""Handwritten digits: a small neural network in plain NumPy, trained in seconds.

Images of 8 x 8 pixels, 0 to 16 (UCI, see data/README.md), through one hidden layer of tanh to the
scores of ten classes; cross-entropy, mini-batches, Adam.
"""
from importlib.resources import files
from typing import NamedTuple

import numpy as np

import fasttape as ft

from .adam import Adam, cooled
from .console import Table, heading, paragraph, say

TRAIN_COUNT = 1437      # of 1797; the rest are for the test
HIDDEN = 64
EPOCHS = 20
BATCH = 32
RATE = 0.01
SEED = 0


class Training(NamedTuple):
    """Mean training loss of each epoch, and the fraction of test images read rightly at the end."""

    losses: list
    accuracy: float


def load():
    """Return images, scaled to 0..1, of shape (1797, 64) and labels, 0..9, of shape (1797,)."""
    with files(__package__).joinpath("data/digits.npz").open("rb") as file, np.load(file) as data:
        return data["images"] / 16.0, data["labels"].astype(int)


def scores(W1, b1, W2, b2, images):
    """Return the scores of the ten classes, of shape (image, class)."""
    return np.tanh(images @ W1 + b1) @ W2 + b2


def loss(W1, b1, W2, b2, images, one_hot):
    """Return the mean cross-entropy between the scores and the true classes."""
    z = scores(W1, b1, W2, b2, images)
    top = z.max(axis=1, keepdims=True)      # so that no exponential overflows
    log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    return (log_sum - (z * one_hot).sum(axis=1)).mean()


def initial_weights(random):
    """Return W1, b1, W2, b2: weights of variance 1 / inputs, biases 0."""
    return [random.normal(size=(64, HIDDEN)) / 8, np.zeros(HIDDEN),
            random.normal(size=(HIDDEN, 10)) / np.sqrt(HIDDEN), np.zeros(10)]


def accuracy(weights, images, labels):
    """Return the fraction of images whose highest score is that of their label."""
    return float((scores(*weights, images).argmax(axis=1) == labels).mean())


def train(progress=lambda epoch, loss, accuracy: None):
    """Train from fixed seeds and return the `Training`; `progress` is called after every epoch."""
    images, labels = load()
    random = np.random.default_rng(SEED)
    order = random.permutation(len(labels))
    train_set, test_set = order[:TRAIN_COUNT], order[TRAIN_COUNT:]
    one_hot = np.eye(10)[labels]

    value_and_grad = ft.value_and_grad(loss, argnum=(0, 1, 2, 3))
    weights, losses = initial_weights(random), []
    adam = Adam(weights)
    for epoch in range(EPOCHS):
        batches = np.array_split(random.permutation(train_set), TRAIN_COUNT // BATCH)
        values = []
        for batch in batches:
            value, gradients = value_and_grad(*weights, images[batch], one_hot[batch])
            weights = adam.step(weights, gradients, cooled(RATE, epoch / EPOCHS))
            values.append(float(value))
        losses.append(float(np.mean(values)))
        progress(epoch + 1, losses[-1], accuracy(weights, images[test_set], labels[test_set]))
    return Training(losses, accuracy(weights, images[test_set], labels[test_set]))


def show():
    """Train with progress shown, print the accuracy, return the `Training`."""
    heading("4. Handwritten digits: a small neural network in plain NumPy")
    paragraph(f"""1797 images of 8 x 8 pixels (UCI, Alpaydin and Kaynak 1998), {TRAIN_COUNT} to
              learn from and the rest to test with. A network of 64 inputs, {HIDDEN} hidden units
              and 10 outputs; Adam on batches of {BATCH}. The loss is the mean cross-entropy.""")
    table = Table("epoch", "training loss", "test images right")

    def progress(epoch, value, right):
        if epoch == 1 or epoch % 2 == 0:
            table.row(str(epoch), f"{value:.4f}", f"{100 * right:.1f} %")

    result = train(progress)
    say()
    say(f"   accuracy on images never seen in training: {100 * result.accuracy:.1f} %")
    return result
