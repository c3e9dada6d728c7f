"""What a distribution is: one small object, of which everything else is a function."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    aligned,
    read_only,
    to_namespace,
    to_numpy,
)
from softargmax._rows.law import Law
from softargmax._rows.memory import once
from softargmax._rows.rows import ONE, Temperature
from softargmax._rows.sparse import Sparse
from softargmax._rows.ways import law_of


class Kept(NamedTuple):
    """The survivors of truncations, row after row; NumPy arrays, of whichever library the state is.

    The categories of row i are ``indices[starts[i]:starts[i + 1]]``, ascending.
    """

    indices: Any  # int64
    starts: list[int]  # of rows + 1
    z: Any  # the survivors' logits, in the working dtype
    prior: Any  # their prior weights; None without any
    width: int  # K
    whole: Whole | None = None  # None where these logits are all that there is

    def row(self, i: int) -> slice:
        """Where row i stands."""
        return slice(self.starts[i], self.starts[i + 1])

    def rows(self) -> list[slice]:
        """Where every row stands."""
        return [self.row(i) for i in range(len(self.starts) - 1)]

    def take(self, positions: list[Any]) -> Kept:
        """Some rows of survivors, by their positions in these arrays."""
        flat, prior = joined(positions, np.int64), self.prior
        prior = None if prior is None else prior[flat]
        indices, z, starts = self.indices[flat], self.z[flat], starts_of(positions)
        return Kept(indices, starts, z, prior, self.width, self.whole)

    def mask(self, batch: Shape) -> Any:
        """Where a category survives, batch + (K,)."""
        found = np.zeros((len(self.starts) - 1, self.width), bool)
        found[self.row_of_each(), self.indices] = True
        return found.reshape(*batch, self.width)

    def row_of_each(self) -> Any:
        """The row that each survivor belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def _scalar_or_array(x: Array) -> Any:
    """An array as NumPy's, one without axes as a float."""
    found = to_numpy(x)
    return float(found) if found.ndim == 0 else found


def starts_of(rows: list[Any]) -> list[int]:
    """Where each of some arrays begins when they are joined, and where the last ends."""
    if len(rows) == 1:
        return [0, len(rows[0])]
    return list(accumulate(map(len, rows), initial=0))


def joined(rows: list[Any], dtype: Any) -> Any:
    """Arrays one after the other."""
    if len(rows) == 1:
        return rows[0]
    return np.concatenate(rows) if rows else np.empty(0, dtype)


class Whole(NamedTuple):
    """The dense arrays before the truncations, of the state's own library."""

    logits: Array  # as given
    z: Array  # in the working dtype
    prior: Array | None


class Origin(NamedTuple):
    """In what the derivatives of a distribution are taken whose logits the library has made.

    They are those in the logits of ``law``, which the user gave. With a ``coin`` the distribution
    is a mixture: its first side draws from the law, the others from what does not depend on these
    logits. Without one p is in proportion to exp(βz) of the law times what does not, or the law is
    at a limit of the temperature, where nothing moves. Without a law there are no such logits: the
    link to them is lost.
    """

    law: State | None
    coin: State | None

    def mapped(self, function: Callable[[Any], Any]) -> Origin:
        """With a function applied to both, where they are."""
        return Origin(*(None if state is None else function(state) for state in self))


LOST = Origin(None, None)


class State:
    """What a distribution is: logits, temperature and prior, checked, and what survives of them.

    It is never changed after it is made. ``memo`` holds what has been computed from it in NumPy;
    a state made from another by :meth:`replace` begins with an empty one. ``kept`` is None for a
    dense state. A sparse one, and one whose law holds the logits, make their dense arrays
    (``logits``, ``z``, ``prior``) on first use. ``origin`` is None where the logits are what
    derivatives are taken in, ``labels`` where the categories have no names.
    """

    kept: Kept | None = None
    origin: Origin | None = None
    labels: tuple[str, ...] | None = None

    def __init__(
        self,
        xp: Namespace,
        logits: Array,
        z: Array,
        temperature: Temperature,
        prior: Array | None,
        batch_shape: Shape,
    ) -> None:
        self.xp = xp
        self.logits = logits
        self.z = z
        self.temperature = temperature
        self.prior = prior
        self.batch_shape = batch_shape

    @classmethod
    def of_survivors(
        cls, xp: Namespace, temperature: Temperature, batch_shape: Shape, kept: Kept
    ) -> State:
        """A sparse state, of NumPy arrays or of PyTorch tensors on the CPU without gradient."""
        made = object.__new__(cls)
        made.xp, made.temperature, made.batch_shape, made.kept = xp, temperature, batch_shape, kept
        return made

    @classmethod
    def of_law(cls, temperature: Temperature, law: Law) -> State:
        """A state of NumPy's without a prior, whose logits its law holds."""
        made = object.__new__(cls)
        made.xp, made.temperature, made.prior = np, temperature, None
        made.batch_shape, made.law = law.batch, law
        return made

    # ------------------------------------------------------------------ what is made on first use

    @once
    def memo(self) -> dict[str, Any]:
        """What has been computed; of two that two threads make at once one is lost."""
        return {}

    @once
    def logits(self) -> Array:
        """The logits as given."""
        kept = self.kept
        return self.z if kept is None or kept.whole is None else kept.whole.logits

    @once
    def z(self) -> Array:
        """The logits in the working dtype."""
        kept = self.kept
        if kept is None:
            return read_only(self.law.make_logits())
        if kept.whole is not None:
            return kept.whole.z
        z = np.full((len(kept.starts) - 1, kept.width), -math.inf, kept.z.dtype)
        z[kept.row_of_each(), kept.indices] = kept.z
        return read_only(self.at_home(z.reshape(*self.batch_shape, kept.width)))

    @once
    def prior(self) -> Array | None:
        """The prior weights, 0 where a mask is or nothing has survived; None without any."""
        kept = self.kept
        if kept is None or kept.whole is None:
            return None
        found, prior = self.at_home(kept.mask(self.batch_shape)), kept.whole.prior
        if prior is not None:
            found = self.xp.where(found, prior, self.xp.zeros_like(prior))
        return read_only(found)

    @once
    def law(self) -> Law:
        """What follows from a state of NumPy arrays."""
        kept, batch = self.kept, self.batch_shape
        if kept is None:
            return law_of(self.z, self.temperature, self.prior, batch, self.memo.get("top"))
        if not batch:
            law = law_of(kept.z, self.temperature, kept.prior, (), self.memo.get("top"))
            return Sparse([law], [kept.indices], kept.width, kept.z.dtype, batch)
        laws, indices, tops = [], [], self.known("top")
        for i, row in enumerate(kept.rows()):
            prior = None if kept.prior is None else kept.prior[row]
            top = None if tops is None else tops[i]
            laws.append(law_of(kept.z[row], self.row_temperature(i), prior, top=top))
            indices.append(kept.indices[row])
        return Sparse(laws, indices, kept.width, kept.z.dtype, batch)

    # ------------------------------------------------------------------ what it is

    @property
    def num_categories(self) -> int:
        """K."""
        return int(self.z.shape[-1]) if self.kept is None else self.kept.width

    @property
    def dtype(self) -> Any:
        """The dtype of results."""
        if self.kept is None:
            return self.z.dtype
        return self.kept.z.dtype if self.xp is np else getattr(self.xp, self.kept.z.dtype.name)

    @property
    def like(self) -> Array | None:
        """An array of its library, on its device; None for a sparse state, which is on the CPU."""
        return self.z if self.kept is None else None

    @property
    def coldness(self) -> Any:
        """β, a float or an array of the batch's shape."""
        return self.temperature.coldness

    @property
    def support(self) -> Array:
        """Where a category has a logit above -inf and a prior above 0, batch_shape + (K,)."""
        full = (*self.batch_shape, self.num_categories)
        found = support_of(self.z, self.prior, self.xp)
        return found if found.shape == full else self.xp.broadcast_to(found, full)

    # ------------------------------------------------------------------ NumPy's view of it

    def row_temperature(self, i: int) -> Temperature:
        """The temperature of row i of the batch, in NumPy."""
        if type(self.coldness) is float:
            return self.temperature
        shape = self.batch_shape
        return self.temperature.mapped(
            lambda x: x.item(i) if x.shape == shape else float(np.broadcast_to(x, shape).flat[i])
        )

    def known(self, name: str) -> Any:
        """What the memo knows of the logits of each row of the batch; None where it does not.

        A batch may be larger than that of its logits, which several of its rows then share.
        """
        x = self.memo.get(name)
        if x is None:
            return None
        axes = x.ndim - SEEN[name]
        shape, rows = x.shape[:axes], x.reshape(-1, *x.shape[axes:])
        if shape == self.batch_shape:
            return rows
        place = np.arange(len(rows)).reshape(shape)
        return [rows[i] for i in np.broadcast_to(place, self.batch_shape).ravel()]

    def host(self) -> State:
        """This state over NumPy arrays, without a copy where the library allows it."""
        if self.xp is np:
            return self
        temperature = self.temperature.mapped(_scalar_or_array)
        if self.kept is None:
            z = to_numpy(self.z)
            prior = None if self.prior is None else to_numpy(self.prior)
            return State(np, z, z, temperature, prior, self.batch_shape).named(self)
        memo = self.memo
        if "host" not in memo:  # a sparse state has no graph that must not be kept
            whole = self.kept.whole
            if whole is not None:
                whole = Whole(*(None if x is None else to_numpy(x) for x in whole))
            kept = self.kept._replace(whole=whole)
            made = State.of_survivors(np, temperature, self.batch_shape, kept)
            memo["host"] = made.named(self)
        found: State = memo["host"]
        return found

    def at_home(self, x: Any) -> Array:
        """A NumPy result in this state's library, and on the device of its arrays."""
        if self.xp is np:
            return x
        return to_namespace(np.array(x), self.xp, self.like)

    # ------------------------------------------------------------------ its relatives

    def replace(self, **changes: Any) -> State:
        """A state with other parts, of which nothing has been computed yet."""
        parts = {name: getattr(self, name) for name in _PARTS if name not in changes}
        made = State(**parts, **changes)
        if made.z is self.z:
            made.memo.update({name: self.memo[name] for name in SEEN if name in self.memo})
        return made.after(self)

    def after(self, other: State) -> State:
        """This state, made from another with its logits: where they were made, so were these."""
        self.origin = None if other.origin is None else LOST
        return self.named(other)

    def at(self, other: State, function: Callable[[State], State]) -> State:
        """This state, which ``function`` made of another, with the other's origin under it too."""
        self.origin = None if other.origin is None else other.origin.mapped(function)
        return self.named(other)

    def named(self, *others: State) -> State:
        """This state with the labels of the states it was made of, where these agree on them."""
        if len(others) == 1:
            self.labels = others[0].labels
            return self
        known = [other.labels for other in others if other.labels is not None]
        same = known and all(labels is known[0] or labels == known[0] for labels in known)
        self.labels = known[0] if same else None
        return self

    def mapped(self, function: Callable[[Array], Array]) -> State:
        """A dense state with ``function`` applied to every array."""
        logits = function(self.logits)
        z = logits if self.z is self.logits else function(self.z)
        prior = None if self.prior is None else function(self.prior)
        temperature = self.temperature.mapped(function)
        return State(self.xp, logits, z, temperature, prior, self.batch_shape)


# What the memo knows of the logits alone, and its axes for a row. Survivors keep the top of what
# they have survived of; where β < 0 they may lack it themselves, and nothing asks for it.
SEEN = {"top": 0, "heads": 1}
_PARTS = ("xp", "logits", "z", "temperature", "prior", "batch_shape")


def of_logits(logits: Array, xp: Namespace, heat: Temperature = ONE) -> State:
    """The state of logits that are the library's own, in their working dtype, without a prior."""
    batch = tuple(logits.shape[:-1])
    if heat.shape:
        batch = np.broadcast_shapes(batch, heat.shape)
    return State(xp, read_only(logits), logits, heat, None, batch)


def support_of(z: Array, prior: Array | None, xp: Namespace) -> Array:
    """Where a category has a logit above -inf and a prior above 0."""
    alive = z > -math.inf
    if prior is None:
        return alive
    alive, possible = aligned(xp, alive, xp.astype(prior, xp.bool))
    return alive & possible
