"""Microsoft's ADBench: gradients and Jacobians against its hand-written references.

The data and their source are described in tests/data/adbench/README.md, the objectives, in plain
NumPy, are those of bench/objectives.py. The measure is ADBench's: |a - b| <= 1e-8 max(1, |a| + |b|).
"""
import importlib.util
import pathlib

import numpy as np
import pytest

import fasttape as ft

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data" / "adbench"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


objectives = load(HERE.parent / "bench" / "objectives.py")


def assert_near(a, b):
    a, b = np.ravel(a), np.ravel(b)
    assert a.shape == b.shape
    assert np.max(np.abs(a - b) / np.maximum(1.0, np.abs(a) + np.abs(b))) <= 1e-8


def flat(parts):
    return np.concatenate([np.ravel(p) for p in parts])


GMM = ["gmm_test_d2_K3_n1", "gmm_1k_d2_K5", "gmm_1k_d10_K25"]
LSTM = ["lstm_l2_c16", "lstm_l2_c64", "lstm_l2_c1024"]


def gmm(name):
    z = np.load(DATA / f"{name}.npz")
    return [z[k] for k in ("alphas", "means", "icf", "x")] + [float(z["gamma"]), int(z["m"])], z


def lstm(name):
    z = np.load(DATA / f"{name}.npz")
    return [z[k] for k in ("main_params", "extra_params", "state", "sequence")], z


@pytest.mark.parametrize("name", GMM)
def test_gmm(name):
    args, z = gmm(name)
    value, gradient = ft.value_and_grad(objectives.gmm_objective, argnum=(0, 1, 2))(*args)
    assert_near(value, z["F"])
    assert_near(flat(gradient), z["J"])


@pytest.mark.parametrize("name", LSTM)
def test_lstm(name):
    args, z = lstm(name)
    value, gradient = ft.value_and_grad(objectives.lstm_objective, argnum=(0, 1))(*args)
    assert_near(value, z["F"])
    assert_near(flat(gradient), z["J"])


@pytest.mark.parametrize("name, load_case, f, argnum", [
    ("gmm_1k_d2_K5", gmm, objectives.gmm_objective, (0, 1, 2)),
    ("lstm_l2_c16", lstm, objectives.lstm_objective, (0, 1))])
def test_forward_mode_along_a_direction(name, load_case, f, argnum):
    args, z = load_case(name)
    rng = np.random.default_rng(0)
    v = tuple(rng.normal(size=args[k].shape) for k in argnum)
    value, slope = ft.jvp(f, tuple(args), v, argnum=argnum)
    assert_near(value, z["F"])
    assert_near(slope, z["J"] @ flat(v))


def dense(z):
    rows, columns = z["shape"]
    j = np.zeros((rows, columns))
    for r in range(rows):
        span = slice(z["J_rows"][r], z["J_rows"][r + 1])
        j[r, z["J_cols"][span]] = z["J_vals"][span]
    return j


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_bundle_adjustment(mode):
    z = np.load(DATA / "ba_rand_n5_m40_p200.npz")

    def residuals(cameras, points, weights):
        errors, weight_errors = objectives.ba_objective(cameras, points, weights, z["obs"], z["feats"])
        return np.concatenate((np.reshape(errors, (-1,)), weight_errors))

    blocks = ft.jacobian(residuals, argnum=(0, 1, 2), mode=mode)(z["cams"], z["X"], z["w"])
    assert_near(np.concatenate([np.reshape(b, (b.shape[0], -1)) for b in blocks], axis=1), dense(z))


@pytest.mark.parametrize("name", ["ba_test", "ba_rand_n5_m40_p200"])
def test_bundle_adjustment_one_observation_at_a_time(name):
    """Scalar Python with a branch on the angle, which is 0 in the first camera of ba_test."""
    z = np.load(DATA / f"{name}.npz")
    n, m = len(z["cams"]), len(z["X"])
    reference = dense(z)
    for i in range(min(len(z["w"]), 40)):
        camera, point = z["obs"][i]

        def residual(q):
            return np.stack(objectives.ba_residual_scalar(
                q[:11], q[11:14], q[14], z["feats"][i], sqrt=np.sqrt, sin=np.sin, cos=np.cos))

        q = np.concatenate((z["cams"][camera], z["X"][point], z["w"][i:i + 1]))
        columns = np.r_[11 * camera:11 * camera + 11, 11 * n + 3 * point:11 * n + 3 * point + 3, 11 * n + 3 * m + i]
        for mode in ("forward", "reverse"):
            assert_near(ft.jacobian(residual, mode=mode)(q), reference[2 * i:2 * i + 2][:, columns])
