"""The fit, against the published law of Hoffmann's runs, scipy's optimizer and the closed forms."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from train.ladder.fit import GRID, FitError, Point, _huber, fit
from train.ladder.law import NAMES, Law
from train.ladder.minimize import minimize

# Besiroglu et al. 2024 (arXiv 2404.10102), table 1: Hoffmann's runs fitted again.
PUBLISHED = Law(E=1.8172, log_A=math.log(482.01), log_B=math.log(2085.43), alpha=0.3478, beta=0.3658)


def chinchilla_like(noise: float = 2e-3, seed: int = 0) -> list[Point]:
    """240 runs that span what Hoffmann's do: 57M to 16B parameters, 1 to 200 tokens each, with noise."""
    draw = np.random.default_rng(seed)
    sizes = np.exp(draw.uniform(np.log(57e6), np.log(16e9), 240))
    tokens = sizes * np.exp(draw.uniform(np.log(1), np.log(200), 240))
    scatter = np.exp(draw.normal(0, noise, 240))
    return [
        Point(f"run {i}", n, d, PUBLISHED.loss(n, d) * s)
        for i, (n, d, s) in enumerate(zip(sizes, tokens, scatter))
    ]


@pytest.fixture(scope="module")
def fitted():
    return fit(chinchilla_like(), replicates=200)


@pytest.mark.parametrize("name", ["E", "A", "B", "alpha", "beta"])
def test_the_published_law_is_recovered_within_its_intervals(fitted, name):
    low, high = fitted.interval(name)
    truth = getattr(PUBLISHED, name)
    assert low < truth < high
    assert high - low < 0.8 * truth  # and the interval says something


def test_the_law_is_exact_without_noise():
    law = fit(chinchilla_like(noise=0), replicates=0).law
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(PUBLISHED, name), rel=1e-3)


def test_scipy_finds_no_better_minimum(fitted):
    points = chinchilla_like()
    logs = (np.log([p.parameters for p in points]), np.log([p.tokens for p in points]))
    measured = np.log([p.loss for p in points])

    def objective(theta):
        value, gradient = _huber(theta[None], logs, measured[None])
        return value[0], gradient[0]

    law = fitted.law
    ours = objective(np.array([law.log_A, law.log_B, np.log(law.E), law.alpha, law.beta]))[0]
    starts = np.random.default_rng(1).permutation(
        np.stack(np.meshgrid(*GRID, indexing="ij"), axis=-1).reshape(-1, 5)
    )
    theirs = min(
        scipy_minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000}).fun
        for start in starts[:60]
    )
    assert ours <= theirs * (1 + 1e-9)


def test_the_minimizer_finds_rosenbrocks_valley_from_every_start():
    def rosenbrock(x, _):
        a, b = x.T
        gradient = np.stack([-400 * a * (b - a**2) - 2 * (1 - a), 200 * (b - a**2)], axis=1)
        return 100 * (b - a**2) ** 2 + (1 - a) ** 2, gradient

    places, values = minimize(rosenbrock, np.random.default_rng(0).uniform(-3, 3, (50, 2)))
    np.testing.assert_allclose(places, 1, rtol=1e-4)
    assert values.max() < 1e-8


def test_a_gradient_agrees_with_differences():
    draw = np.random.default_rng(0)
    logs = (draw.uniform(10, 20, 9), draw.uniform(12, 25, 9))
    measured, theta = draw.uniform(0.5, 1.5, 9)[None], np.array([[6.0, 7.5, 0.6, 0.35, 0.4]])
    _, gradient = _huber(theta, logs, measured)
    for i in range(5):
        off = np.eye(5)[i] * 1e-7
        (above,), _ = _huber(theta + off, logs, measured)
        (below,), _ = _huber(theta - off, logs, measured)
        assert (above - below) / 2e-7 == pytest.approx(gradient[0, i], rel=1e-4)


def test_the_next_size_falls_into_its_interval():
    """A ladder of three sizes, two noise draws a thousandth wide; the fourth size is four times larger."""
    inside = 0
    for seed in range(5):
        draw = np.random.default_rng(seed)
        points = [
            Point(f"{n:g}@{r}", n, r * n, PUBLISHED.loss(n, r * n) * np.exp(draw.normal(0, 1e-3)))
            for n in (1e8, 2e8, 4e8)
            for r in (5, 10, 20, 40)
        ]
        _, (low, high) = fit(points, replicates=100).predict(8e8, 1.6e10)
        inside += low < PUBLISHED.loss(8e8, 1.6e10) < high
    assert inside >= 4


def test_runs_that_determine_no_law_are_refused_by_name():
    def points(sizes, ratios):
        return [Point(f"{n:g}@{r}", n, r * n, PUBLISHED.loss(n, r * n)) for n in sizes for r in ratios]

    with pytest.raises(FitError, match=r"2 sizes .* at least 3"):
        fit(points((1e6, 2e6), (5, 10, 20, 40)))
    with pytest.raises(FitError, match="at least two values of tokens_per_parameter"):
        fit(points((1e6, 2e6, 4e6, 8e6, 16e6, 32e6), (20,)))
    with pytest.raises(FitError, match=r"3 runs: .* at least 6"):
        fit(points((1e6, 2e6, 4e6), (20,)))
    with pytest.raises(FitError, match=r"^bad: .*above 0"):
        fit([*points((1e6, 2e6, 4e6), (5, 20)), Point("bad", 1e6, 1e6, float("nan"))])


def test_the_compute_optimal_run_has_the_least_loss_of_its_budget():
    n, d = PUBLISHED.compute_optimal(5.76e23)
    assert 6 * n * d == pytest.approx(5.76e23)
    assert 50e9 < n < 90e9  # Chinchilla: 70B parameters on 1.4T tokens
    for other in (0.8 * n, 1.25 * n):
        assert PUBLISHED.loss(other, 5.76e23 / 6 / other) > PUBLISHED.loss(n, d)


def test_serving_more_makes_the_cheapest_model_smaller_and_its_training_longer():
    loss = PUBLISHED.loss(*PUBLISHED.compute_optimal(1e23))
    unserved = PUBLISHED.cheapest(loss, served=0)
    served = PUBLISHED.cheapest(loss, served=1e13)
    assert unserved and served
    assert unserved[0] == pytest.approx(PUBLISHED.compute_optimal(1e23)[0], rel=0.02)
    assert served[0] < unserved[0] and served[1] > unserved[1]
    assert PUBLISHED.loss(*served) == pytest.approx(loss, rel=1e-6)
    assert PUBLISHED.cheapest(1.8, served=0) is None  # below E


def test_a_law_beyond_every_float_still_predicts():
    """As in the bootstrap of few runs, where one size alone can have a term: alpha and A grow without end."""
    steep = Law(E=1.8, log_A=150 * math.log(1e6), log_B=math.log(90), alpha=150, beta=0.3)
    assert math.isinf(steep.A)
    assert steep.loss(1e6, 1e9) == pytest.approx(1.8 + 1 + 90 / 1e9**0.3)
    assert steep.loss(2e6, 1e9) == pytest.approx(1.8 + 90 / 1e9**0.3)
    assert steep.loss(1, 1e9) == math.inf
    size, tokens = steep.cheapest(2.5, served=1e9) or (0, 0)
    assert steep.loss(size, tokens) == pytest.approx(2.5)
    flat = Law(E=1.8, log_A=150, log_B=math.log(90), alpha=0.01, beta=0.3)
    assert flat.cheapest(2.5, served=0) is None


def test_three_sizes_with_an_outlier_have_intervals_and_a_prediction():
    points = [
        Point(f"{n:g}@{r}", n, r * n, (1.3 if n == 1e6 else 1.0) * PUBLISHED.loss(n, r * n) * noise)
        for n, noises in ((1e6, (0.98, 1, 1.02)), (2e6, (1, 1.01, 1.02)), (4e6, (1.02, 1, 0.98)))
        for r, noise in zip((2, 5, 10), noises)
    ]
    fitted = fit(points)
    assert max(law.alpha for law in fitted.laws) > 10
    for name in NAMES:
        low, high = fitted.interval(name)
        assert low <= high
    loss, (low, high) = fitted.predict(8e6, 8e7)
    assert 0 < low < loss < high < math.inf
