"""Rotations against three computations that share no code with the module: unit quaternions, basis vectors turned one
step at a time, and the closed form of the Euler matrix in the RELION and Xmipp papers' convention."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.rotations import (
    about_x,
    about_y,
    about_z,
    from_dynamo_angles,
    from_relion_angles,
    from_slicer_angles,
    from_zxz_angles,
    orthonormal,
    reverse_axes,
    to_relion_angles,
)

angle = st.floats(-720, 720)
triple = st.tuples(angle, angle, angle)


def quaternion(axis, degrees):
    half = math.radians(degrees) / 2
    return (math.cos(half), *(component * math.sin(half) for component in axis))


def multiply(p, q):
    a, b, c, d = p
    e, f, g, h = q
    return (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )


def turn(q, vector):
    conjugate = (q[0], -q[1], -q[2], -q[3])
    return multiply(multiply(q, (0.0, *vector)), conjugate)[1:]


X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)


@given(triple)
def test_relion_angles_by_quaternions(angles):
    rot, tilt, psi = angles
    # first −rot about z, then −tilt about y, then −psi about z, all about fixed axes
    q = multiply(quaternion(Z, -psi), multiply(quaternion(Y, -tilt), quaternion(Z, -rot)))
    matrix = from_relion_angles([angles])[0]
    for column, axis in enumerate((X, Y, Z)):
        np.testing.assert_allclose(matrix[:, column], turn(q, axis), atol=1e-9)


@given(triple)
def test_relion_angles_by_the_closed_form(angles):
    (ca, cb, cg), (sa, sb, sg) = (
        [function(math.radians(value)) for value in angles] for function in (math.cos, math.sin)
    )
    expected = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    np.testing.assert_allclose(from_relion_angles([angles])[0], expected, atol=1e-9)


def test_relion_angles_by_moving_basis_vectors():
    # rot 90 alone is −90° about z: the particle's x axis points along −y, its y axis along x
    np.testing.assert_allclose(from_relion_angles([[90, 0, 0]])[0], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    # tilt 90 alone is −90° about y: x goes to z, z to −x
    np.testing.assert_allclose(from_relion_angles([[0, 90, 0]])[0], [[0, 0, -1], [0, 1, 0], [1, 0, 0]], atol=1e-12)
    # rot 90, tilt 90: x → −y, which −90° about y leaves alone; z → −x
    np.testing.assert_allclose(from_relion_angles([[90, 90, 0]])[0], [[0, 0, -1], [-1, 0, 0], [0, 1, 0]], atol=1e-12)
    # and psi 90 on top: −y → −x, −x → y
    np.testing.assert_allclose(from_relion_angles([[90, 90, 90]])[0], [[-1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-12)


@given(triple)
def test_relion_angles_survive_the_way_back(angles):
    matrix = from_relion_angles([angles])
    back = to_relion_angles(matrix)
    assert 0 <= back[0, 1] <= 180
    np.testing.assert_allclose(from_relion_angles(back), matrix, atol=1e-7)


@pytest.mark.parametrize("tilt", [0, 180, -180, 360])
@pytest.mark.parametrize("rot", [-135, 0, 30])
def test_relion_angles_at_the_poles(rot, tilt):
    matrix = from_relion_angles([[rot, tilt, 50]])
    back = to_relion_angles(matrix)
    assert back[0, 2] == 0
    np.testing.assert_allclose(from_relion_angles(back), matrix, atol=1e-9)


def test_right_angles_have_no_negative_zero():
    assert not np.signbit(to_relion_angles(np.eye(3)[None])).any()


@given(angle)
def test_single_axes_turn_counter_clockwise(degrees):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    np.testing.assert_allclose(about_x(degrees)[0] @ Y, [0, cosine, sine], atol=1e-12)
    np.testing.assert_allclose(about_y(degrees)[0] @ Z, [sine, 0, cosine], atol=1e-12)
    np.testing.assert_allclose(about_z(degrees)[0] @ X, [cosine, sine, 0], atol=1e-12)


@given(triple, st.tuples(angle, angle, angle))
def test_reversed_axes_commute_with_turning_a_vector(angles, vector):
    matrix = from_relion_angles([angles])[0]
    turned = (matrix @ vector)[::-1]
    np.testing.assert_allclose(reverse_axes(matrix[None])[0] @ vector[::-1], turned, atol=1e-6)


@given(triple, st.floats(-2e-4, 2e-4), st.integers(0, 8))
def test_rounding_is_repaired(angles, error, position):
    exact = from_relion_angles([angles])
    rough = exact.copy()
    rough.flat[position] += error
    mended = orthonormal(rough, "points.star")
    np.testing.assert_allclose(mended @ np.swapaxes(mended, 1, 2), np.eye(3)[None], atol=4e-6)
    np.testing.assert_allclose(mended, exact, atol=1e-3)


def test_float32_matrices_stay_as_they_are():
    exact = from_relion_angles([[10, 20, 30]]).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(orthonormal(exact, "x"), exact)


@pytest.mark.parametrize(
    "matrix", [np.eye(3) * 1.01, -np.eye(3), np.diag([1, 1, -1]), np.zeros((3, 3)), np.full((3, 3), np.nan)]
)
def test_what_is_no_rotation_is_refused_with_its_row(matrix):
    with pytest.raises(FormatError, match="row 2"):
        orthonormal([np.eye(3), matrix], "points.ndjson")


def by_quaternion(*turns):
    """Matrix of turns (axis, degrees) about fixed axes, the first one first."""
    q = (1.0, 0.0, 0.0, 0.0)
    for axis, degrees in turns:
        q = multiply(quaternion(axis, degrees), q)
    return np.array([turn(q, axis) for axis in (X, Y, Z)]).T


@given(triple)
def test_zxz_angles_turn_about_z_by_phi_then_x_by_theta_then_z_by_psi(angles):
    phi, theta, psi = angles
    expected = by_quaternion((Z, phi), (X, theta), (Z, psi))
    np.testing.assert_allclose(from_zxz_angles([angles])[0], expected, atol=1e-9)


@given(triple)
def test_dynamo_angles_are_the_inverse_of_dynamos_own_matrix(angles):
    tdrot, tilt, narot = angles
    own = by_quaternion((Z, tdrot), (X, tilt), (Z, narot))
    np.testing.assert_allclose(from_dynamo_angles([angles])[0], own.T, atol=1e-9)


def test_dynamo_angles_against_a_matrix_of_dynamo_itself():
    """What dynamo_euler2matrix([30 60 75]) prints, four decimals."""
    own = [[-0.0173, -0.5477, 0.8365], [0.9012, -0.3709, -0.2241], [0.4330, 0.7500, 0.5000]]
    np.testing.assert_allclose(from_dynamo_angles([[30, 60, 75]])[0].T, own, atol=6e-5)


def test_dynamo_and_relion_angles_of_one_particle():
    """A pair from the converter's own tests: both programs describe the same orientation."""
    dynamo = from_dynamo_angles([[-47.2730, 1.1777, -132.3000]])
    relion = from_relion_angles([[137.7000, 1.1777, 42.7270]])
    np.testing.assert_allclose(dynamo, relion, atol=1e-9)


@given(triple)
def test_slicer_angles_are_negative_turns_about_x_then_y_then_z(angles):
    x, y, z = angles
    expected = by_quaternion((X, -x), (Y, -y), (Z, -z))
    np.testing.assert_allclose(from_slicer_angles([angles])[0], expected, atol=1e-9)


@given(triple)
def test_zxz_and_relion_describe_the_same_particle(angles):
    """Rx(θ) = Rz(−90°)·Ry(θ)·Rz(90°), so RELION's rot, tilt, psi are −phi − 90°, −theta, −psi + 90°."""
    phi, theta, psi = angles
    relion = from_relion_angles([(-phi - 90, -theta, -psi + 90)])
    np.testing.assert_allclose(from_zxz_angles([angles]), relion, atol=1e-9)
