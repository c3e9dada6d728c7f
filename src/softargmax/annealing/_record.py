"""What a run of replica exchange has recorded, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import ignore_fp_errors, read_only
from softargmax._random.numpy import Generator
from softargmax.annealing._arviz import inference_data
from softargmax.annealing._batch_means import batch_means


@dataclass(frozen=True, eq=False, repr=False)
class ExchangeResult:
    """The result of a run of :func:`replica_exchange`; replica r is the one at coldness[r].

    Attributes
    ----------
    states : array, shape (R, ...)
        The states after the last step.
    coldness : float64, shape (R,)
    temperatures : float64, shape (R,)
        1 / coldness.
    best_state, best_energy
        The state of the lowest energy, among the initial states and those after each sweep.
    energies : float64, shape (n, R)
        The energies after each recorded step; column r is a sample at coldness[r].
    observables : dict of str to float64, shape (n, R, ...)
        The values of the functions of the states, after the same steps as the energies.
    burn_in, thin : int
        Recorded are the steps burn_in, burn_in + thin, …, counted from 0: n of them.
    walkers : int64, shape (steps, R)
        The walker at each replica after each step, recorded or not; walkers are numbered by their
        initial replica.
    rng : Generator
        The run's generator in its state after the last step.
    steps : int
        The number of steps done.
    swap_rates : float64, shape (R - 1,)
        Accepted swaps over attempts, for each pair of neighbours; NaN without an attempt.
    round_trips : int64, shape (R,)
        How often each walker has gone from one end of the ladder to the other and back.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.annealing import replica_exchange
    >>> energies = np.array([0.0, 9.0, 1.0])
    >>> run = replica_exchange(
    ...     np.zeros(3, int),
    ...     lambda x: energies[x],
    ...     lambda x, b, rng: Categorical.from_energies(energies, coldness=b).sample(rng=rng),
    ...     [0.0, 0.5, 1.0],
    ...     steps=2000,
    ...     rng=0,
    ... )
    >>> run
    ExchangeResult(steps=2000, replicas=3, best_energy=0, swap_rates=0.58…0.89)
    >>> mean, error = run.mean("energies")
    >>> mean.round(2), error.round(2)
    (array([3.36, 0.46, 0.28]), array([0.11, 0.02, 0.01]))
    """

    states: Any
    best_state: Any
    best_energy: float
    coldness: Any
    energies: Any
    walkers: Any
    rng: Generator
    observables: dict[str, Any] = field(default_factory=dict)
    burn_in: int = 0
    thin: int = 1

    @property
    def steps(self) -> int:
        """The number of steps done."""
        return len(self.walkers)

    @property
    @ignore_fp_errors
    def temperatures(self) -> Any:
        """1 / coldness, (R,)."""
        return read_only(1 / (self.coldness + 0.0))  # of -0.0 too it is +inf

    def mean(self, name: str) -> tuple[Any, Any]:
        """Means over the recorded steps, and their standard errors by batch means.

        The steps are cut into 32 batches, whose means are all but independent if a batch is many
        times as long as the correlation of the series; then the error is right to 13 %, and
        (found - exact) / error follows Student's t with 31 degrees of freedom. With fewer than 64
        steps, batches are pairs; with fewer than 4, the error is NaN.

        Parameters
        ----------
        name : str
            ``"energies"``, or an observable.

        Returns
        -------
        mean, error : float64, shape (R, ...)

        Raises
        ------
        ValueError
            For a name that was not recorded, and where no step was: ``burn_in`` is beyond the last.

        References
        ----------
        Flegal & Jones (2010), https://arxiv.org/abs/0811.1729.

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.annealing import replica_exchange
        >>> run = replica_exchange(
        ...     np.zeros((2, 3)),
        ...     lambda x: (x**2).sum(axis=1) / 2,
        ...     lambda x, b, rng: rng.normal(size=x.shape) / np.sqrt(b)[:, None],
        ...     [0.5, 1.0],
        ...     steps=1000,
        ...     observables={"x": lambda x: x},
        ...     rng=0,
        ... )
        >>> mean, error = run.mean("energies")  # 3 T / 2
        >>> mean.round(2), error.round(2)
        (array([2.95, 1.51]), array([0.07, 0.03]))
        >>> run.mean("x")[0].shape
        (2, 3)
        """
        checks.one_of(name, "name", ("energies", *self.observables))
        if not len(self.energies):
            raise ValueError(
                f"burn_in must be below the number of steps, {self.steps}, got {self.burn_in}"
            )
        return batch_means(self.energies if name == "energies" else self.observables[name])

    def to_arviz(self, *others: ExchangeResult) -> Any:
        """The record as ArviZ's InferenceData (a DataTree of ArviZ 1), for its diagnostics.

        A run is a chain, and a rung is a place on the axis ``rung`` of each variable, with its
        coldness for a label: ArviZ's ESS, autocorrelations and trace plots are then of one rung at
        a time. Rungs are not chains, since their distributions differ. R-hat compares chains, so it
        needs other runs of the same ladder, from other seeds and initial states.

        Parameters
        ----------
        *others : ExchangeResult
            Further runs of the same ladder, observables and number of recorded steps: chains 1, 2,
            …; this one is chain 0.

        Returns
        -------
        InferenceData or DataTree
            Group ``posterior``: ``energies`` and the observables, with dimensions chain, draw,
            rung, and those of an observable.

        Raises
        ------
        ValueError
            For runs of other ladders or shapes, and observables named as an axis is.
        TypeError
            For others that are not of this class.
        ImportError
            Without ArviZ (extra ``arviz``).

        References
        ----------
        Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), https://arxiv.org/abs/1903.08008.

        Examples
        --------
        ::

            runs = [replica_exchange(..., rng=seed) for seed in range(4)]
            data = runs[0].to_arviz(*runs[1:])
            arviz.ess(data), arviz.rhat(data), arviz.plot_autocorr(data, var_names=["energies"])
        """
        for other in others:
            checks.check_instance(other, ExchangeResult, "others")
            if not np.array_equal(other.coldness, self.coldness):
                raise ValueError(
                    f"others must have the ladder {self.coldness}, got {other.coldness}"
                )
        chains = [{"energies": run.energies, **run.observables} for run in (self, *others)]
        dims = {
            name: ["rung", *(f"{name}_{i}" for i in range(x.ndim - 2))]
            for name, x in chains[0].items()
        }
        return inference_data(chains, dims, {"rung": self.coldness})

    def _swaps(self) -> tuple[Any, Any]:
        """How many swaps each pair of neighbours has made, and attempted, (R - 1,) each."""
        steps, replicas = self.walkers.shape
        before = np.concatenate([np.arange(replicas)[None], self.walkers[:-1]])[:steps]
        swaps = (self.walkers[:, :-1] == before[:, 1:]).sum(axis=0)
        odd = np.arange(replicas - 1) % 2
        return swaps, (steps + 1 - odd) // 2

    @property
    def swap_rates(self) -> Any:
        """Accepted swaps over attempts for each pair of neighbours, (R - 1,)."""
        swaps, attempts = self._swaps()
        rates = np.full(len(swaps), np.nan)
        return read_only(np.divide(swaps, attempts, out=rates, where=attempts > 0))

    @property
    def round_trips(self) -> Any:
        """Round trips of each walker between the ends of the ladder, (R,)."""
        replicas = self.walkers.shape[1]
        trips = np.zeros(replicas, np.int64)
        if replicas == 1:
            return read_only(trips)
        both = np.concatenate([np.arange(replicas)[None], self.walkers])[:, [0, -1]]
        for walker in range(replicas):
            # The ends that this walker visits, in order.
            ends = np.nonzero(both == walker)[1]
            changes = int((ends[1:] != ends[:-1]).sum())
            trips[walker] = changes // 2
        return read_only(trips)

    def __repr__(self) -> str:
        steps, replicas = self.walkers.shape
        parts = [f"steps={steps}", f"replicas={replicas}", f"best_energy={self.best_energy:g}"]
        if replicas > 1 and steps > 1:
            rates = self.swap_rates
            parts.append(f"swap_rates={rates.min():.2g}…{rates.max():.2g}")
        return f"ExchangeResult({', '.join(parts)})"
