"""Objects taken apart and put together: pickles, copies, and the leaves that JAX transforms."""

import copy
from typing import Any, Self, cast

import numpy as np

from softargmax._arrays.checks import cast as as_working
from softargmax._arrays.namespaces import copied, detached, is_torch, namespace_of
from softargmax._inputs import Heat, Inputs, inverse


class Copies:
    """What is defined by logits, temperature or coldness, and prior."""

    _given: Inputs

    @classmethod
    def _of(cls, given: Inputs) -> Self:
        """An object of checked inputs that nobody else can change."""
        made = cls.__new__(cls)
        made.__dict__["_given"] = given
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        coldness, temperature = self._given.heat
        cold = coldness if temperature is None else None
        return _rebuild, (type(self), self._given.logits, temperature, cold, self._given.prior)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        given = self._given
        if is_torch(given.xp):  # PyTorch copies no tensor within a graph
            return self._of(given.mapped(lambda x: copied(detached(x, given.xp), given.xp)))
        rebuild, parts = self.__reduce__()
        return cast("Self", rebuild(*copy.deepcopy(parts, memo)))

    def _leaves(self) -> tuple[tuple[Any, ...], str]:
        """What defines it, over the whole batch, for JAX's transformations."""
        given, shape = self._given, self._given.batch_shape
        coldness, temperature = given.heat
        name, value = (
            ("coldness", coldness) if temperature is None else ("temperature", temperature)
        )
        full = (*shape, self._given.z.shape[-1])
        prior = None if given.prior is None else given.xp.broadcast_to(given.prior, full)
        value = given.xp.broadcast_to(given.xp.asarray(value), shape)
        return (given.xp.broadcast_to(given.logits, full), value, prior), name

    @classmethod
    def _of_leaves(cls, name: str, leaves: tuple[Any, ...]) -> Self:
        """The object of leaves, which may be anything that a transformation puts there."""
        logits, value, prior = leaves
        xp = namespace_of(logits, value, prior)
        shape, z, other = (), logits, value
        if hasattr(logits, "shape") and hasattr(logits, "dtype"):
            shape, z = tuple(logits.shape[:-1]), as_working(logits, xp)
        if hasattr(value, "dtype"):
            value = float(value) if xp is np and np.ndim(value) == 0 else value
            other = inverse(value, xp)
        heat = Heat(value, None) if name == "coldness" else Heat(other, value)
        return cls._of(Inputs(xp, logits, z, heat, prior, shape))


def _rebuild(cls: type[Any], logits: Any, temperature: Any, coldness: Any, prior: Any) -> Any:
    """Unpickle."""
    return cls(logits, temperature, coldness=coldness, prior=prior)
