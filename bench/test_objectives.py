"""The ADBench objectives agree with ADBench's values and Jacobians before anything is timed."""

import pathlib

import numpy as np
import objectives
import pytest

import fasttape as ft

ADBENCH = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "adbench"


def assert_as_adbench(found, reference):
    found = np.concatenate([np.ravel(part) for part in found])
    distance = np.abs(found - reference) / np.maximum(1.0, np.abs(found) + np.abs(reference))
    assert np.max(distance) <= 1e-8


@pytest.mark.parametrize("name", ["gmm_1k_d2_K5", "gmm_test_d2_K3_n1"])
def test_gmm(name):
    z = np.load(ADBENCH / f"{name}.npz")
    inputs = [z[key] for key in ("alphas", "means", "icf", "x")]
    derivative = ft.value_and_grad(objectives.gmm_objective, argnum=(0, 1, 2))
    value, gradient = derivative(*inputs, float(z["gamma"]), int(z["m"]))
    assert_as_adbench((value, *gradient), np.append(z["F"], z["J"]))


@pytest.mark.parametrize("name", ["lstm_l2_c16", "lstm_l2_c64"])
def test_lstm(name):
    z = np.load(ADBENCH / f"{name}.npz")
    inputs = [z[key] for key in ("main_params", "extra_params", "state", "sequence")]
    value, gradient = ft.value_and_grad(objectives.lstm_objective, argnum=(0, 1))(*inputs)
    assert_as_adbench((value, *gradient), np.append(z["F"], z["J"]))


def dense(z):
    """The reference Jacobian of bundle adjustment, from compressed rows."""
    jacobian = np.zeros(z["shape"])
    rows = np.repeat(np.arange(len(jacobian)), np.diff(z["J_rows"]))
    jacobian[rows, z["J_cols"]] = z["J_vals"]
    return jacobian


@pytest.mark.parametrize("name", ["ba_test", "ba_rand_n5_m40_p200"])
def test_bundle_adjustment_value(name):
    z = np.load(ADBENCH / f"{name}.npz")
    cameras, points, weights = z["cams"], z["X"], z["w"]
    found = objectives.ba_objective(cameras, points, weights, z["obs"], z["feats"])
    assert_as_adbench(found, np.append(z["reproj_err"], z["w_err"]))
    scalars = [
        objectives.ba_residual_scalar(cameras[camera], points[point], weight, feature)
        for (camera, point), weight, feature in zip(z["obs"], weights, z["feats"], strict=True)
    ]
    assert_as_adbench([scalars], np.ravel(z["reproj_err"]))


@pytest.mark.parametrize("name", ["ba_test", "ba_rand_n5_m40_p200"])
def test_bundle_adjustment_jacobian(name):
    z = np.load(ADBENCH / f"{name}.npz")

    def residuals(cameras, points, weights):
        errors, weight_errors = objectives.ba_objective(
            cameras, points, weights, z["obs"], z["feats"]
        )
        return np.concatenate((np.reshape(errors, (-1,)), weight_errors))

    blocks = ft.jacobian(residuals, argnum=(0, 1, 2))(z["cams"], z["X"], z["w"])
    jacobian = np.concatenate([np.reshape(b, (b.shape[0], -1)) for b in blocks], axis=1)
    assert_as_adbench(jacobian, np.ravel(dense(z)))


@pytest.mark.parametrize("name", ["ba_test", "ba_rand_n5_m40_p200"])
def test_one_residual_in_scalars(name):
    z = np.load(ADBENCH / f"{name}.npz")
    (n, m), reference = (len(z["cams"]), len(z["X"])), dense(z)

    def residual(q, feature):
        camera, point, weight = q[:11], q[11:14], q[14]
        return np.stack(
            objectives.ba_residual_scalar(camera, point, weight, feature, np.sqrt, np.sin, np.cos)
        )

    for i, (camera, point) in enumerate(z["obs"][:10]):
        q = np.concatenate((z["cams"][camera], z["X"][point], z["w"][i : i + 1]))
        jacobian = ft.jacobian(residual)(q, z["feats"][i])
        first, second, third = 11 * camera, 11 * n + 3 * point, 11 * n + 3 * m + i
        columns = np.r_[first : first + 11, second : second + 3, third]
        assert_as_adbench(jacobian, np.ravel(reference[2 * i : 2 * i + 2, columns]))
