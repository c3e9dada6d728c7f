"""Noise: fine, positive, finite."""

import numpy as np
from scipy import stats

from softargmax._random import numpy as noise


class Stuck:
    """A generator whose exponentials are the exact zeros that a ziggurat can return."""

    def standard_exponential(self, shape):
        return np.zeros(shape)


def test_noise_is_finite_even_where_the_generator_returns_zero():
    assert (noise.exponentials(Stuck(), (3,)) == 2.0**-64).all()
    assert (noise.gumbels(Stuck(), (3,)) < 45).all()


def test_laws_of_the_noise():
    rng = np.random.default_rng(0)
    # Kolmogorov-Smirnov on 10⁶ numbers: p below 1e-6 once in 10⁶; finds distances of 0.003.
    for draw, cdf in (
        (noise.uniforms, stats.uniform.cdf),
        (noise.exponentials, stats.expon.cdf),
        (noise.gumbels, stats.gumbel_r.cdf),
    ):
        x = draw(rng, (10**6,))
        assert x.dtype == np.float64
        assert np.isfinite(x).all()
        assert stats.kstest(x, cdf).pvalue > 1e-6
    assert noise.gumbels(rng, (10**7,)).max() > 14
