"""BFGS from many starts at once: each row of a matrix is one start, and all rows take their steps together.

For a handful of parameters this is L-BFGS with unlimited memory. The line search asks for the weak Wolfe
conditions by bisection, with which BFGS also works where the gradient has kinks (Lewis and Overton 2013).
"""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
# (x: (rows, k), which: (rows,)) → (values: (rows,), gradients: (rows, k)); `which` are the starts' numbers.
Objective = Callable[[Array, Array], tuple[Array, Array]]
SUFFICIENT, CURVATURE = 1e-4, 0.9  # of the weak Wolfe conditions
TRIALS = 25  # steps of one line search
STALLS = 3  # iterations without progress, after which a row is done


def minimize(
    objective: Objective, starts: Array, iterations: int = 400, rtol: float = 1e-12
) -> tuple[Array, Array]:
    """Local minima: their places (rows, k) and values (rows,). Rows that stop improving are left alone."""
    x = np.array(starts, dtype=np.float64)
    rows, k = x.shape
    value, gradient = objective(x, np.arange(rows))
    inverse = np.broadcast_to(np.eye(k), (rows, k, k)).copy()  # of the Hessian, estimated
    inverse /= np.maximum(1.0, np.linalg.norm(gradient, axis=1))[:, None, None]
    stalls = np.zeros(rows, dtype=int)
    stalls[~np.isfinite(value)] = STALLS
    for _ in range(iterations):
        active = np.flatnonzero(stalls < STALLS)
        if not len(active):
            break
        g = gradient[active]
        direction = -np.einsum("rij,rj->ri", inverse[active], g)
        slope = np.einsum("ri,ri->r", direction, g)
        uphill = ~(slope < 0)
        if uphill.any():  # start the estimate again
            inverse[active[uphill]] = np.eye(k)
            direction[uphill], slope[uphill] = -g[uphill], -np.einsum("ri,ri->r", g[uphill], g[uphill])
        moved, new_value, new_gradient = _search(objective, x, value, active, direction, slope)
        step, change = moved - x[active], new_gradient - g
        gain = value[active] - new_value
        stalls[active] = np.where(gain > rtol * np.abs(value[active]), 0, stalls[active] + 1)
        x[active], value[active], gradient[active] = moved, new_value, new_gradient
        _update(inverse, active, step, change)
    return x, value


def _search(
    objective: Objective, x: Array, value: Array, active: Array, direction: Array, slope: Array
) -> tuple[Array, Array, Array]:
    """Where each active row's line search ends: its place, value and gradient; no row's value rises."""
    length = np.ones(len(active))
    low, high = np.zeros(len(active)), np.full(len(active), np.inf)
    best_x, best_value = x[active].copy(), value[active].copy()
    best_gradient = np.zeros_like(best_x)
    known = np.zeros(len(active), dtype=bool)  # rows with a step that lowers the value
    open_ = np.arange(len(active))
    for _ in range(TRIALS):
        tried = x[active[open_]] + length[open_, None] * direction[open_]
        found, g = objective(tried, active[open_])
        enough = found <= value[active[open_]] + SUFFICIENT * length[open_] * slope[open_]
        flat = np.einsum("ri,ri->r", g, direction[open_]) >= CURVATURE * slope[open_]
        better = enough & (found <= best_value[open_])
        kept = open_[better]
        best_x[kept], best_value[kept], best_gradient[kept] = tried[better], found[better], g[better]
        known[kept] = True
        high[open_[~enough]] = length[open_[~enough]]
        low[open_[enough & ~flat]] = length[open_[enough & ~flat]]
        open_ = open_[~(enough & flat)]
        if not len(open_):
            break
        bounded = np.isfinite(high[open_])
        middle = (low[open_] + np.where(bounded, high[open_], 0.0)) / 2
        length[open_] = np.where(bounded, middle, 2 * low[open_])
    if not known.all():  # rows without a lower value keep their place and gradient
        lost = np.flatnonzero(~known)
        _, best_gradient[lost] = objective(best_x[lost], active[lost])
    return best_x, best_value, best_gradient


def _update(inverse: Array, active: Array, step: Array, change: Array) -> None:
    """BFGS's update of the inverse Hessians, in place, for rows with positive curvature."""
    curvature = np.einsum("ri,ri->r", step, change)
    scale = np.linalg.norm(step, axis=1) * np.linalg.norm(change, axis=1)
    good = curvature > 1e-12 * scale
    rows, s, y, rho = active[good], step[good], change[good], 1 / curvature[good]
    left = np.eye(s.shape[1]) - rho[:, None, None] * np.einsum("ri,rj->rij", s, y)
    inverse[rows] = np.einsum("rij,rjk,rlk->ril", left, inverse[rows], left) + rho[:, None, None] * np.einsum(
        "ri,rj->rij", s, s
    )
