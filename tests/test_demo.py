"""The demonstration: what it prints, and the losses it is built on against outside numbers."""
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fasttape as ft
from fasttape import __main__ as demonstration
from fasttape._demo import adam, digits, modes, pelts

MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
NUMBER = r"([-+.\de]+)"


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    """Where the one run of the demonstration draws, if matplotlib is installed."""
    return tmp_path_factory.mktemp("demo") / "demo.png"


@pytest.fixture(scope="session")
def output(picture):
    """What one run of the demonstration prints, from a folder that is not the checkout's."""
    command = [sys.executable, "-m", "fasttape", *(["--plot", str(picture)] if MATPLOTLIB else [])]
    path = os.pathsep.join(filter(None, [str(Path(ft.__file__).parents[1]),
                                         os.environ.get("PYTHONPATH")]))
    # ASCII: the narrowest encoding that a terminal may have.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=picture.parent,
                          env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def row(output, *start):
    """Return the cells that follow the cells `start` in the one line that begins with them."""
    lines = [tuple(re.split(r"\s{2,}", line.strip())) for line in output.splitlines()]
    found, = (cells[len(start):] for cells in lines
              if len(cells) > len(start) and cells[:len(start)] == start)
    return found


def test_memory_is_drawn_alone(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert demonstration.main(["--memory", str(tmp_path / "memory.svg")]) == 0
    text = (tmp_path / "memory.svg").read_text(encoding="utf-8")
    assert all(mode in text for mode in ("forward", "reverse", "checkpointed"))
    with pytest.raises(SystemExit):
        demonstration.main(["--memory", str(tmp_path / "nowhere" / "memory.svg")])
    assert "--memory" in capsys.readouterr().err


def test_textbook_table(output):
    assert row(output, "0", "x") == ("3", "1", "7")
    assert row(output, "1", "s0 * s0") == ("9", "6", "1")
    assert row(output, "2", "s0 + s1") == ("12", "7", "1")


def test_textbook_derivative_by_both_modes(output):
    assert "f'(3) by forward mode: 7\n" in output
    assert "f'(3) by reverse mode: 7\n" in output


# Posterior means and standard deviations that Carpenter (2018) prints; the fit is the mode.
@pytest.mark.parametrize(("name", "mean", "deviation"), [
    ("alpha", 0.55, 0.06), ("beta", 0.028, 0.004), ("gamma", 0.80, 0.09), ("delta", 0.024, 0.004),
    ("hares in 1900", 34, 3), ("lynxes in 1900", 5.9, 0.5),
    ("sigma of hares", 0.25, 0.04), ("sigma of lynxes", 0.25, 0.04),
])
def test_fit_is_near_the_published_posterior_mean(output, name, mean, deviation):
    _, fitted, published = row(output, name)
    assert float(fitted) == pytest.approx(mean, abs=0.9 * deviation)
    assert float(published) == pytest.approx(mean, rel=0.02)


def test_modes_agree(output):
    difference, = re.findall(rf"largest difference between any two modes: {NUMBER}", output)
    assert float(difference) < 1e-10


def test_modes_trade_memory_for_time(output):
    forward, checkpointed, reverse = (
        float(row(output, mode)[1]) for mode in ("forward", "checkpointed", "reverse"))
    assert 0 < forward < checkpointed < reverse


def test_digits_are_read(output):
    accuracy, = re.findall(rf"never seen in training: {NUMBER} %", output)
    assert float(accuracy) >= 95


def test_training_loss_falls(output):
    early, late = (float(row(output, epoch)[0]) for epoch in ("4", str(digits.EPOCHS)))
    assert late < early / 2


@pytest.mark.parametrize("shift", [0, 0.1])
def test_gradient_of_pelts_loss_agrees_with_central_differences(shift):
    theta = pelts.first_guess() + shift * np.cos(np.arange(8))
    slopes = [slope(pelts.loss, theta, direction) for direction in np.eye(8)]
    np.testing.assert_allclose(ft.grad(pelts.loss)(theta), slopes, rtol=1e-6, atol=1e-6)


def slope(f, x, direction, h=1e-5):
    """Return the directional derivative of `f` at `x` by central differences."""
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


def test_checkpoints_leave_the_gradient_as_it_is_bit_for_bit():
    theta = pelts.first_guess()
    np.testing.assert_array_equal(modes.GRADIENTS["checkpointed"](theta),
                                  modes.GRADIENTS["reverse"](theta))


def test_pelts_loss_is_the_posterior_of_the_case_study():
    """Up to a constant; the equations solved and the densities evaluated by SciPy."""
    pytest.importorskip("scipy")
    from scipy.integrate import solve_ivp
    from scipy.stats import lognorm, norm

    def reference(theta):
        alpha, beta, gamma, delta, u0, v0, *sigma = np.exp(theta)

        def slopes(t, z):
            return [(alpha - beta * z[1]) * z[0], (-gamma + delta * z[0]) * z[1]]

        z = solve_ivp(slopes, (0, 20), [u0, v0], t_eval=range(21), rtol=1e-10, atol=1e-10).y
        pelt_density = [lognorm.logpdf(y, s, scale=m).sum()
                        for y, s, m in zip([pelts.HARES, pelts.LYNXES], sigma, z, strict=True)]
        return -(sum(pelt_density)
                 + norm.logpdf([alpha, gamma], 1, 0.5).sum()
                 + norm.logpdf([beta, delta], 0.05, 0.05).sum()
                 + lognorm.logpdf([u0, v0], 1, scale=10).sum()
                 + lognorm.logpdf(sigma, 1, scale=np.exp(-1)).sum())

    here = pelts.first_guess()
    there = here + 0.1 * np.sin(np.arange(8))
    assert (pelts.loss(there) - pelts.loss(here)
            == pytest.approx(reference(there) - reference(here), rel=1e-5))


def test_gradient_of_digits_loss_agrees_with_central_differences():
    random = np.random.default_rng(0)
    images, labels = digits.load()
    batch = images[:digits.BATCH], np.eye(10)[labels[:digits.BATCH]]
    weights = digits.initial_weights(random)
    gradients = ft.grad(digits.loss, argnum=(0, 1, 2, 3))(*weights, *batch)
    for k, gradient in enumerate(gradients):
        def loss_of_one(w, k=k):
            return digits.loss(*weights[:k], w, *weights[k + 1:], *batch)

        direction = random.normal(size=weights[k].shape)
        assert (gradient * direction).sum() == pytest.approx(
            slope(loss_of_one, weights[k], direction), rel=1e-6)


def test_digits_are_those_of_uci():
    images, labels = digits.load()
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0, 1)
    # Class sizes as printed in the description of the data set.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_first_step_of_adam_has_the_given_size_and_the_sign_of_the_gradient():
    descent = adam.Adam([np.zeros(3)])
    [moved] = descent.step([np.zeros(3)], [np.array([1e-3, -5, 200])], 0.1)
    np.testing.assert_allclose(moved, [-0.1, 0.1, -0.1], rtol=1e-4)


def test_plot_is_drawn(output, picture):
    pytest.importorskip("matplotlib")
    assert f"Drawn to {picture}." in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_names_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert refused(["--plot", "demo.png"], capsys).endswith(
        "--plot needs matplotlib: pip install fasttape[plot]\n")


@pytest.mark.parametrize(("file", "complaint"), [
    ("demo.xyz", "must end in one of"), ("no/such/folder/demo.png", "there is no folder")])
def test_plot_to_an_impossible_file_is_refused_before_the_run(file, complaint, capsys):
    pytest.importorskip("matplotlib")
    assert complaint in refused(["--plot", file], capsys)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--plot"], ["stray"]])
def test_bad_options_are_refused(arguments, capsys):
    assert refused(arguments, capsys).startswith("usage: python -m fasttape")


def refused(arguments, capsys):
    """Return the complaint of the demonstration about its `arguments`."""
    with pytest.raises(SystemExit) as stop:
        demonstration.main(arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err
