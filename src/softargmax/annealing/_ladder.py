"""Ladders of coldness: what is a good one, and a better one made from a run."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, read_only
from softargmax.annealing._record import ExchangeResult


@ignore_fp_errors
def checked_ladder(coldness: ArrayLike | None, temperatures: ArrayLike | None = None) -> Any:
    """The coldness of each rung, (R,), strictly increasing."""
    if (coldness is None) == (temperatures is None):
        both = "not both" if coldness is not None else "got neither"
        raise TypeError(f"pass temperatures or coldness, {both}")
    if coldness is None:
        given = checks.numbers_in(temperatures, "temperatures", "[0, inf]", np, np.empty(0))
        name, order = "temperatures", "decreasing (hot first)"
        ladder = 1 / np.abs(given)  # of -0.0: inf
    else:
        given = checks.real_array(coldness, "coldness", np, coldness).astype(np.float64)
        name, order, ladder = "coldness", "increasing (β = 1/T)", given
    if ladder.ndim != 1 or not ladder.size:
        raise ValueError(f"{name} must have shape (R,) with R ≥ 1, got shape {ladder.shape}")
    if not (ladder[1:] > ladder[:-1]).all() or np.isnan(ladder).any():
        raise ValueError(f"{name} must be strictly {order}, got {given}")
    return read_only(ladder)


@ignore_fp_errors
def swap_gain(cold: Any, colder: Any, energies: Any, others: Any) -> Any:
    """The logarithm of the ratio by which two replicas swap their states: (β' - β)(E' - E)."""
    rise = np.where(others == energies, 0, others - energies)
    return np.where(rise == 0, 0, (colder - cold) * rise)


@explained
def tune_ladder(
    result: ExchangeResult, rungs: int, *, criterion: Literal["swaps", "flow"] = "swaps"
) -> Any:
    r"""A ladder of coldness with the same ends, its rungs placed by the record of a run.

    The run says how far neighbours are apart, by one of two measures :math:`d_r`; the new rungs
    divide their sum evenly:

    ============  =================================================================================
    criterion     distance of rungs r and r + 1
    ============  =================================================================================
    ``"swaps"``   :math:`2 \operatorname{erfc}^{-1}(a_r)`, :math:`a_r` = the mean of
                  :math:`\min(1, e^{(\beta_{r+1} - \beta_r)(E_{r+1} - E_r)})` over the recorded
                  energies: then all pairs swap at the same rate
    ``"flow"``    :math:`\sqrt{f_r - f_{r+1}}`, f = the share, of the walkers at a rung that have
                  been at an end, that were last at the first one: then walkers drift at the same
                  speed everywhere
    ============  =================================================================================

    Parameters
    ----------
    result : ExchangeResult
        A run at 2 or more finite coldnesses, long enough to estimate the rates; without its
        burn-in.
    rungs : int
        The number of new rungs, 2 or more.
    criterion : {"swaps", "flow"}
        What is to be even along the ladder.

    Returns
    -------
    float64, shape (rungs,)
        The new coldnesses, strictly increasing from the first to the last of the run.

    Raises
    ------
    ValueError
        For a run of one rung, of infinite coldness or without a recorded step, for fewer than 2
        rungs, and for the flow of a run in which no walker has gone from one end to the other.
    TypeError
        For a result that is not an ExchangeResult.

    Notes
    -----
    Where rungs are close, :math:`1 - a_r` is the local communication barrier of Syed et al., whose
    sum they divide evenly; :math:`2 \operatorname{erfc}^{-1}` of the rate adds up along the ladder
    also where rungs are far apart, exactly so for normally distributed energies of equal variance.
    In between the rungs, a monotone cubic interpolates. A ladder on which some neighbours hardly
    swap says little about the gap between them: tune, run and tune again.

    Equal rates are best where a sweep makes the energies of a replica all but independent. Where
    sweeps are slow (near a phase transition), walkers turn back there although rates are even; the
    flow criterion accounts for that, but it needs a run with many round trips.

    References
    ----------
    Syed, Bouchard-Côté, Deligiannidis & Doucet (2022), https://arxiv.org/abs/1905.02939; rates of
    normal energies: Predescu, Predescu & Ciobanu (2004), https://doi.org/10.1063/1.1644093; the
    flow: Katzgraber, Trebst, Huse & Troyer (2006), https://arxiv.org/abs/cond-mat/0602085.

    Examples
    --------
    Six springs, whose best ladder is a geometric one.

    >>> import numpy as np
    >>> from softargmax.annealing import replica_exchange, tune_ladder
    >>> def run(ladder):
    ...     return replica_exchange(
    ...         np.zeros((len(ladder), 6)),
    ...         lambda x: (x**2).sum(axis=1) / 2,
    ...         lambda x, b, rng: rng.normal(size=x.shape) / np.sqrt(b)[:, None],
    ...         ladder,
    ...         steps=4000,
    ...         rng=0,
    ...     )
    >>> first = run([1.0, 4.0, 7.0, 10.0, 13.0, 16.0])
    >>> ladder = tune_ladder(first, 5)
    >>> ladder.round(1)
    array([ 1. ,  2. ,  4. ,  8.1, 16. ])
    >>> first.swap_rates.round(2), run(ladder).swap_rates.round(2)
    (array([0.12, 0.52, 0.69, 0.76, 0.82]), array([0.44, 0.4 , 0.43, 0.43]))
    """
    checks.check_instance(result, ExchangeResult, "result")
    rungs = checks.count(rungs, "rungs", 2, 2**31)
    coldness = result.coldness
    if len(coldness) < 2 or not np.isfinite(coldness).all():
        raise ValueError(f"result must have 2 or more rungs, all finite, got coldness {coldness}")
    which = checks.one_of(criterion, "criterion", ("swaps", "flow"))
    apart = _swap_distance(result) if which == "swaps" else _flow_distance(result)
    gaps = np.diff(coldness / 2)  # halves, lest the span overflow
    # Where nothing is known to be between two rungs, they are apart as β is.
    apart = apart + 1e-9 * max(float(apart.sum()), 1.0) * gaps / gaps.sum()
    from scipy.interpolate import PchipInterpolator  # slow to load, and rarely needed

    way = np.concatenate([[0.0], np.cumsum(apart)])
    found = PchipInterpolator(way, coldness)(np.linspace(0, way[-1], rungs))
    found[0], found[-1] = coldness[0], coldness[-1]
    return found


@ignore_fp_errors
def _swap_distance(result: ExchangeResult) -> Any:
    from scipy.special import erfcinv

    if not len(result.energies):
        raise ValueError("result must have recorded energies, got none")
    rates = np.empty(len(result.coldness) - 1)
    for r, (cold, colder) in enumerate(zip(result.coldness, result.coldness[1:], strict=False)):
        # After the swaps the pair's law is the product of the two, as before them.
        gain = swap_gain(cold, colder, result.energies[:, r], result.energies[:, r + 1])
        rates[r] = np.exp(np.minimum(gain, 0)).mean()
    return 2 * erfcinv(np.maximum(rates, np.finfo(np.float64).tiny))


def _flow_distance(result: ExchangeResult) -> Any:
    walkers = result.walkers
    times = np.arange(1, len(walkers) + 1)[:, None]
    # When each walker was last at either end; 0 is never.
    ends = [
        np.maximum.accumulate(np.where(walkers[:, [end]] == np.arange(walkers.shape[1]), times, 0))
        for end in (0, -1)
    ]
    first, last = (np.take_along_axis(end, walkers, axis=1) for end in ends)
    known = ((first > 0) | (last > 0)).sum(axis=0)
    if not len(walkers) or not known.all() or not result.round_trips.any():
        raise ValueError("result must have round trips for criterion='flow', got none")
    share = (first > last).sum(axis=0) / known
    return np.sqrt(np.maximum(share[:-1] - share[1:], 0))
