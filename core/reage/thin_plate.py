"""Smooth maps through pairs of points: thin-plate splines that may miss noisy points by a little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2), x and y


@dataclass(frozen=True)
class ThinPlate:
    """A map from space a to space b: affine plus one radial term a control point."""

    centres: Points  # (N, 2) in space a, divided by `unit`
    weights: NDArray[np.float64]  # (N + 3, 2): radial terms, then x, y and 1
    unit: float  # length in space a that counts as 1

    def __call__(self, points: Points) -> Points:
        """Map (..., 2) points of space a to (..., 2) points of space b."""
        flat = np.asarray(points, np.float64).reshape(-1, 2) / self.unit
        terms = np.concatenate([_radial(flat, self.centres), flat, np.ones((len(flat), 1))], 1)
        answer: Points = (terms @ self.weights).reshape(np.shape(points))
        return answer


def fit(a: Points, b: Points, stiffness: NDArray[np.float64], unit: float) -> ThinPlate:
    """Fit the spline b(a).

    Args:
        a: (N, 2) control points, N >= 3, not all on one line.
        b: (N, 2) where they should go.
        stiffness: (N,) >= 0; 0 meets a point exactly, larger values trade it for less bending.
        unit: length in space a that counts as 1 (so that stiffness does not depend on the picture's size).

    Source: Wahba, Spline Models for Observational Data (1990): (K + stiffness) w + P c = b, P' w = 0.
    """
    centres = np.asarray(a, np.float64) / unit
    n = len(centres)
    plane = np.concatenate([centres, np.ones((n, 1))], 1)
    system = np.zeros((n + 3, n + 3))
    # r^2 log r has the sign that makes the bending energy positive, so stiffness is added to it.
    system[:n, :n] = _radial(centres, centres) + np.diag(stiffness)
    system[:n, n:], system[n:, :n] = plane, plane.T
    wanted = np.concatenate([np.asarray(b, np.float64), np.zeros((3, 2))])
    return ThinPlate(centres, np.linalg.solve(system, wanted), unit)


def _radial(points: Points, centres: Points) -> NDArray[np.float64]:
    """r^2 log r of every point to every centre: (M, N)."""
    square = (points**2).sum(1)[:, None] + (centres**2).sum(1)[None, :] - 2.0 * points @ centres.T
    square = np.maximum(square, 1e-30)
    answer: NDArray[np.float64] = 0.5 * square * np.log(square)
    return answer
