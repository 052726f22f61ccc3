"""Rotation matrices of particles and the angle conventions of other programs.

A stored matrix R is active and maps the reference particle into the tomogram, ``x_tomo = position + R · x_particle``:
its columns are the particle's axes in the tomogram. Arrays are (n, 3, 3); angles are degrees. With Rx, Ry, Rz the
counter-clockwise rotations about the axes:

* RELION (rot, tilt, psi): R = Rz(−psi) · Ry(−tilt) · Rz(−rot), the inverse of RELION's intrinsic ZYZ rotation
* TOM and av3, STOPGAP, PyTom, DeepFinder (phi, theta, psi): R = Rz(psi) · Rx(theta) · Rz(phi), not inverted
* Dynamo (tdrot, tilt, narot): R = Rz(−tdrot) · Rx(−tilt) · Rz(−narot), the inverse of ``dynamo_euler2matrix``
* IMOD slicer angles (x, y, z): R = Rz(−z) · Ry(−y) · Rx(−x)
* reversed axis order: P · R · P with P the reversal of the axes
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoportal.errors import FormatError

__all__ = [
    "TOLERANCE",
    "about_x",
    "about_y",
    "about_z",
    "from_dynamo_angles",
    "from_relion_angles",
    "from_slicer_angles",
    "from_zxz_angles",
    "orthonormal",
    "reverse_axes",
    "to_dynamo_angles",
    "to_relion_angles",
    "to_slicer_angles",
    "to_zxz_angles",
]

TOLERANCE = 1e-3
"""Largest deviation of RᵀR from the identity that is taken for rounding."""

# Matrices that went through float32 deviate by about 1e-7; to change them would alter data that are right.
_EXACT = 1e-6
_POLE = 1e-9


def about_x(degrees: ArrayLike) -> NDArray[np.float64]:
    """Counter-clockwise rotations about x, (n, 3, 3), of angles (n,) in degrees."""
    return _about(0, degrees)


def about_y(degrees: ArrayLike) -> NDArray[np.float64]:
    """Counter-clockwise rotations about y, (n, 3, 3), of angles (n,) in degrees."""
    return _about(1, degrees)


def about_z(degrees: ArrayLike) -> NDArray[np.float64]:
    """Counter-clockwise rotations about z, (n, 3, 3), of angles (n,) in degrees."""
    return _about(2, degrees)


def from_relion_angles(angles: ArrayLike) -> NDArray[np.float64]:
    """Matrices (n, 3, 3) from RELION's rot, tilt, psi (n, 3) in degrees."""
    rot, tilt, psi = np.asarray(angles, np.float64).reshape(-1, 3).T
    return about_z(-psi) @ about_y(-tilt) @ about_z(-rot) + 0.0  # + 0.0 turns -0.0 into 0.0


def from_zxz_angles(angles: ArrayLike) -> NDArray[np.float64]:
    """Matrices (n, 3, 3) from phi, theta, psi (n, 3) in degrees as TOM, STOPGAP and PyTom use them.

    The particle is turned about z by phi, then about x by theta, then about z by psi, all about fixed axes.
    """
    phi, theta, psi = np.asarray(angles, np.float64).reshape(-1, 3).T
    return about_z(psi) @ about_x(theta) @ about_z(phi) + 0.0


def from_dynamo_angles(angles: ArrayLike) -> NDArray[np.float64]:
    """Matrices (n, 3, 3) from Dynamo's tdrot, tilt, narot (n, 3) in degrees.

    Dynamo's own matrix Rz(narot)·Rx(tilt)·Rz(tdrot) takes the tomogram's axes to the particle's; this is its inverse.
    """
    tdrot, tilt, narot = np.asarray(angles, np.float64).reshape(-1, 3).T
    return about_z(-tdrot) @ about_x(-tilt) @ about_z(-narot) + 0.0


def from_slicer_angles(angles: ArrayLike) -> NDArray[np.float64]:
    """Matrices (n, 3, 3) from the x, y, z angles (n, 3) in degrees of IMOD's Slicer window."""
    x, y, z = np.asarray(angles, np.float64).reshape(-1, 3).T
    return about_z(-z) @ about_y(-y) @ about_x(-x) + 0.0


def to_relion_angles(rotations: ArrayLike) -> NDArray[np.float64]:
    """RELION's rot, tilt, psi (n, 3) in degrees from matrices (n, 3, 3); psi is 0 where tilt is 0 or 180."""
    inverse = np.swapaxes(np.asarray(rotations, np.float64).reshape(-1, 3, 3), 1, 2)
    sine = np.hypot(inverse[:, 0, 2], inverse[:, 1, 2])
    tilt = np.arctan2(sine, inverse[:, 2, 2])
    pole = sine < _POLE
    sign = np.where(inverse[:, 2, 2] < 0, -1.0, 1.0)
    rot = np.where(
        pole,
        np.arctan2(sign * inverse[:, 1, 0], sign * inverse[:, 0, 0]),
        np.arctan2(inverse[:, 1, 2], inverse[:, 0, 2]),
    )
    psi = np.where(pole, 0.0, np.arctan2(inverse[:, 2, 1], -inverse[:, 2, 0]))
    angles: NDArray[np.float64] = np.degrees(np.stack([rot, tilt, psi], axis=1)) + 0.0
    return angles


def to_zxz_angles(rotations: ArrayLike) -> NDArray[np.float64]:
    """phi, theta, psi (n, 3) in degrees as TOM and STOPGAP use them; psi is 0 where theta is 0 or 180."""
    matrices = np.asarray(rotations, np.float64).reshape(-1, 3, 3)
    sine = np.hypot(matrices[:, 0, 2], matrices[:, 1, 2])
    theta = np.arctan2(sine, matrices[:, 2, 2])
    pole = sine < _POLE
    sign = np.where(matrices[:, 2, 2] < 0, -1.0, 1.0)
    phi = np.where(
        pole,
        np.arctan2(sign * matrices[:, 1, 0], matrices[:, 0, 0]),
        np.arctan2(matrices[:, 2, 0], matrices[:, 2, 1]),
    )
    psi = np.where(pole, 0.0, np.arctan2(matrices[:, 0, 2], -matrices[:, 1, 2]))
    angles: NDArray[np.float64] = np.degrees(np.stack([phi, theta, psi], axis=1)) + 0.0
    return angles


def to_dynamo_angles(rotations: ArrayLike) -> NDArray[np.float64]:
    """Dynamo's tdrot, tilt, narot (n, 3) in degrees; narot is 0 where tilt is 0 or 180."""
    return to_zxz_angles(np.swapaxes(np.asarray(rotations, np.float64).reshape(-1, 3, 3), 1, 2))


def to_slicer_angles(rotations: ArrayLike) -> NDArray[np.float64]:
    """The x, y, z angles (n, 3) in degrees of IMOD's Slicer window; x is 0 where y is ±90."""
    inverse = np.swapaxes(np.asarray(rotations, np.float64).reshape(-1, 3, 3), 1, 2)  # Rx(x) · Ry(y) · Rz(z)
    cosine = np.hypot(inverse[:, 0, 0], inverse[:, 0, 1])
    y = np.arctan2(inverse[:, 0, 2], cosine)
    pole = cosine < _POLE
    x = np.where(pole, 0.0, np.arctan2(-inverse[:, 1, 2], inverse[:, 2, 2]))
    z = np.where(pole, np.arctan2(inverse[:, 1, 0], inverse[:, 1, 1]), np.arctan2(-inverse[:, 0, 1], inverse[:, 0, 0]))
    angles: NDArray[np.float64] = np.degrees(np.stack([x, y, z], axis=1)) + 0.0
    return angles


def reverse_axes(rotations: ArrayLike) -> NDArray[np.float64]:
    """P · R · P for matrices (n, 3, 3): the same rotations with x and z exchanged."""
    return np.asarray(rotations, np.float64)[:, ::-1, ::-1]


def orthonormal(rotations: ArrayLike, name: str) -> NDArray[np.float64]:
    """The matrices (n, 3, 3), made exactly orthonormal where they deviate by rounding.

    Raises ``FormatError`` naming the first row that is no rotation: deviation of RᵀR from the identity above
    ``TOLERANCE``, or a reflection (det R = −1). Rows that are orthonormal to float32 precision are left untouched.
    """
    matrices = np.array(rotations, np.float64).reshape(-1, 3, 3)
    with np.errstate(all="ignore"):
        deviation = np.abs(np.swapaxes(matrices, 1, 2) @ matrices - np.eye(3)).max(axis=(1, 2))
        wrong = ~(deviation <= TOLERANCE) | ~(np.linalg.det(matrices) > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise FormatError(
            f"The matrix of row {row + 1} is no rotation (RᵀR deviates by {deviation[row]:.3g} from the identity"
            f" or R is a reflection; {int(wrong.sum())} such rows).",
            where=name,
            fix="Check the columns and the axis order of the source.",
        )
    rough = deviation > _EXACT
    if rough.any():
        left, _, right = np.linalg.svd(matrices[rough])
        matrices[rough] = left @ right
    return matrices


def _about(axis: int, degrees: ArrayLike) -> NDArray[np.float64]:
    angles = np.radians(np.asarray(degrees, np.float64).reshape(-1))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrices = np.zeros((len(angles), 3, 3))
    matrices[:, axis, axis] = 1.0
    matrices[:, first, first] = matrices[:, second, second] = np.cos(angles)
    matrices[:, second, first] = np.sin(angles)
    matrices[:, first, second] = -np.sin(angles)
    return matrices
