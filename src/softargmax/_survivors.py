"""What is left of long rows after truncations: a few categories, and all else on demand."""

import math
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from softargmax import _noise, draws
from softargmax._arrays import checks
from softargmax._arrays.namespaces import ArrayLike, Shape, quiet, read_only, unwrap
from softargmax._inputs import ONE, Inputs
from softargmax._kernels import rows_of
from softargmax._noise import Rngs
from softargmax._row import Row
from softargmax.categorical import Categorical


class Truncated(Categorical):
    """A distribution of which few categories are left: draws and questions touch these alone.

    Everything else is derived from the dense arrays, made on first use.
    """

    _left: list[Row]
    _whole: Inputs | None  # before the truncations; None where the rows' scores are all there is
    _size: tuple[Shape, int, Any]  # batch shape, K, dtype

    @classmethod
    def made(cls, whole: Inputs | None, left: Iterable[Row], size: tuple[Shape, int, Any]) -> Self:
        """Of rows of survivors."""
        made = cls.__new__(cls)
        made.__dict__.update(_whole=whole, _left=list(left), _size=size)
        return made

    @classmethod
    def _of(cls, given: Inputs) -> Any:
        return Categorical._of(given)

    def __getattr__(self, name: str) -> Any:
        if name != "_given" or "_left" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.__dict__["_given"] = found = self._dense()
        return found

    def _dense(self) -> Inputs:
        """The inputs of a plain Categorical that is the same."""
        shape, width, dtype = self._size
        if self._whole is None:
            z = np.full((len(self._left), width), -math.inf, dtype)
            for out, row in zip(z, self._left, strict=True):
                out[row.categories] = row.q
            z = read_only(z.reshape(*shape, width))
            return Inputs(np, z, z, ONE, None, shape)
        keep = np.zeros((len(self._left), width), bool)
        for out, row in zip(keep, self._left, strict=True):
            out[row.categories] = True
        prior = keep.reshape(*shape, width)
        if self._whole.prior is not None:
            prior = np.where(prior, self._whole.prior, self._whole.prior.dtype.type(0))
        return self._whole._replace(prior=read_only(prior))

    def __reduce__(self) -> tuple[Any, ...]:
        return Categorical._of(self._given).__reduce__()

    def __repr__(self) -> str:
        return Categorical._of(self._given).__repr__()

    @property
    def batch_shape(self) -> Shape:
        return self._size[0]

    @property
    def num_categories(self) -> int:
        return self._size[1]

    @property
    def dtype(self) -> Any:
        return self._size[2]

    def _scattered(self, name: str, empty: float) -> Any:
        shape, width, dtype = self._size
        out = np.full((len(self._left), width), empty, dtype)
        for line, row in zip(out, self._left, strict=True):
            line[row.categories] = getattr(row, name)
        return out.reshape(*shape, width)

    @property
    def log_probs(self) -> Any:
        return self._kept("log_probs", lambda: self._scattered("log_probs", -math.inf))

    @property
    def probs(self) -> Any:
        return self._kept("probs", lambda: self._scattered("probs", 0.0))

    def entropy(self) -> Any:
        found = np.array([row.entropy for row in self._left], self.dtype)
        return unwrap(found.reshape(self.batch_shape))

    @quiet
    def perplexity(self) -> Any:
        return unwrap(np.exp(self.entropy()))

    def tempered(
        self, temperature: ArrayLike | None = None, *, coldness: ArrayLike | None = None
    ) -> Any:
        return Categorical._of(self._given).tempered(temperature, coldness=coldness)

    def masked(self, keep: ArrayLike) -> Any:
        return Categorical._of(self._given).masked(keep)

    def mode(self) -> Any:
        found = np.array([row.categories[row.q.argmax()] for row in self._left], np.int64)
        return unwrap(found.reshape(self.batch_shape))

    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        *,
        rng: Rngs = None,
        method: str = "auto",
        workers: int | None = None,
    ) -> Any:
        single = shape == () and self._size[0] == () and method == "auto" and workers is None
        if single and type(rng) is _noise.Generator:
            return self._left[0].draw(_noise.uniform(rng))
        size = checks.sample_shape(shape)
        if method not in ("auto", "inverse"):
            return super().sample(shape, rng=rng, method=method, workers=workers)
        checks.check_workers(workers)
        sources = _noise.one_a_row(rng, self.batch_shape)
        if sources is None:
            u = _noise.uniforms(_noise.generator(rng), (*size, len(self._left)))  # type: ignore[arg-type]
        else:
            parts = [_noise.uniforms(source, size) for source in sources]
            u = np.stack(parts, axis=-1) if parts else np.empty((*size, 0))
        found = np.empty(u.shape, np.int64)
        for i, row in enumerate(self._left):
            found[..., i] = row.draw(u[..., i])
        return unwrap(found.reshape(size + self.batch_shape))

    def sample_and_log_prob(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[Any, Any]:
        x = self.sample(shape, rng=rng)
        return x, self.log_prob(x)

    def log_prob(self, category: ArrayLike) -> Any:
        return self._looked_up(category, "log_probs", -math.inf)

    def prob(self, category: ArrayLike) -> Any:
        return self._looked_up(category, "probs", 0.0)

    def _looked_up(self, category: ArrayLike, name: str, empty: float) -> Any:
        """What the rows have of these categories."""
        x = checks.category(category, np, self._nothing, self.num_categories)
        lead = checks.check_fits(x.shape, self.batch_shape, "category")
        ahead = lead[: len(lead) - len(self.batch_shape)]
        spread = np.broadcast_to(x, lead).reshape(*ahead, len(self._left))
        found = np.empty(spread.shape, self.dtype)
        for i, row in enumerate(self._left):
            place = np.minimum(row.categories.searchsorted(spread[..., i]), len(row) - 1)
            hit = row.categories[place] == spread[..., i]
            found[..., i] = np.where(hit, getattr(row, name)[place], empty)
        return unwrap(found.reshape(lead))

    @property
    def _nothing(self) -> Any:
        return np.empty(0, self.dtype)


def rows_left(dist: Categorical) -> list[Row] | None:
    """The rows of a distribution of long NumPy rows, or None where whole arrays serve better."""
    if isinstance(dist, Truncated):
        return dist._left
    given = dist._given
    if given.xp is not np or dist.num_categories < draws.MANY:
        return None
    if not given.batch_shape:
        return [Row.of(given)]
    part = rows_of(given)
    return [Row.of(part(slice(i, i + 1))) for i in range(math.prod(given.batch_shape))]


def truncated(dist: Categorical, left: list[Row]) -> Truncated:
    """The same logits, temperature and prior, on the survivors alone."""
    if isinstance(dist, Truncated):
        return Truncated.made(dist._whole, left, dist._size)
    size = (dist.batch_shape, dist.num_categories, dist.dtype)
    return Truncated.made(dist._given, left, size)


def replaced(dist: Categorical, left: list[Row]) -> Truncated:
    """New log-probabilities of the survivors, at temperature 1 and without a prior."""
    return Truncated.made(None, left, (dist.batch_shape, dist.num_categories, dist.dtype))
