"""Types of arrays, for checkers: what goes in, and that the library that goes in comes out.

Nothing here is looked at when the library runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


class ArrayProtocol(Protocol):
    """What every array has, of whichever library, installed or not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """The type of the elements."""

    @property
    def ndim(self) -> int:
        """The number of axes."""


# Rows within rows, written out: where a type contains itself, a string is a sequence of such.
_Number: TypeAlias = float | ArrayProtocol
_Row: TypeAlias = _Number | Sequence[_Number]
_Rows: TypeAlias = _Number | Sequence[_Row]
_Batch: TypeAlias = _Number | Sequence[_Rows]
ArrayLike: TypeAlias = _Number | Sequence[_Batch]

Numpy: TypeAlias = NDArray[Any]
_NumpyNumber: TypeAlias = float | np.generic | Numpy
_NumpyRow: TypeAlias = _NumpyNumber | Sequence[_NumpyNumber]
_NumpyRows: TypeAlias = _NumpyNumber | Sequence[_NumpyRow]
_NumpyBatch: TypeAlias = _NumpyNumber | Sequence[_NumpyRows]
NumpyArrayLike: TypeAlias = Numpy | Sequence[_NumpyBatch]
NumpyNumber: TypeAlias = float | np.generic
NumpyLike: TypeAlias = NumpyNumber | NumpyArrayLike  # NumPy answers in arrays of its own

if TYPE_CHECKING:  # typing's own has a default from Python 3.13 on
    from typing_extensions import TypeVar

    A = TypeVar("A", bound=ArrayProtocol)
    A_co = TypeVar("A_co", bound=ArrayProtocol, covariant=True, default=Any)
else:
    from typing import TypeVar

    A = TypeVar("A", bound=ArrayProtocol)
    A_co = TypeVar("A_co", bound=ArrayProtocol, covariant=True)

Like: TypeAlias = A | NumpyLike  # an array of a library, or what joins it there
