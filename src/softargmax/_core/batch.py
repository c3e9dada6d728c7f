"""What every distribution has in common with an array of its batch, and that it never changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Self

from softargmax._arrays.keywords import Spoken
from softargmax._arrays.namespaces import Shape


class Batch(metaclass=Spoken):
    """An immutable batch: ``len`` and iteration follow its first axis; true, even if empty."""

    if TYPE_CHECKING:

        @property
        def batch_shape(self) -> Shape: ...

        def __getitem__(self, index: Any) -> Self: ...

    def __dir__(self) -> list[str]:
        return [*{*vars(self), *dir(type(self))}]

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError(f"a {type(self).__name__} without batch axes has no len()")
        return self.batch_shape[0]

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a {type(self).__name__} is immutable: its methods, such as tempered(…), "
            "return new ones"
        )

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)
