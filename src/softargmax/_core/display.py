"""How a distribution shows itself: its repr, and a small table for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors, is_traced, to_numpy
from softargmax._core import information
from softargmax._core.state import State
from softargmax._core.variants import indexed
from softargmax._rows.orders import largest

_TOP = 5  # categories of a single row that are shown
_ROWS, _TOP_OF_EACH = 3, 2  # rows of a batch that are shown, and categories of each
_PLAIN, _STRONG = "td", "th"


def text(state: State, name: str, law: State | None = None) -> str:
    """Shapes, dtype, temperature, and the likeliest categories with their probabilities.

    These are those of ``law`` where one is given; where values are hidden there are none.
    """
    kind, value = _temperature(state)
    facts = (
        f"{name}(batch_shape={state.batch_shape}, num_categories={state.num_categories}, "
        f"dtype={state.dtype}, {kind}={value}"
    )
    if is_hidden(state):
        return f"{facts})"
    shown = [_in_braces(row) for _, row in _rows(state if law is None else law)]
    if not state.batch_shape:
        return f"{facts}, probs={shown[0]})"
    rest = ["…"] * (int(np.prod(state.batch_shape)) > len(shown))
    return f"{facts}, probs=[{', '.join([*shown, *rest])}])"


@ignore_fp_errors
def table(state: State, name: str, law: State | None = None) -> str | None:
    """Shapes, temperature, entropy, and the likeliest categories of the first rows, as HTML.

    None, for which notebooks show the repr, where values are hidden.
    """
    if is_hidden(state):
        return None
    kind, value = _temperature(state)
    shown = state if law is None else law
    facts = [
        ("batch shape", str(state.batch_shape)),
        ("categories", f"{state.num_categories:,}"),
        ("dtype", str(state.dtype)),
        *([("prior", "given")] if _has_prior(state) else []),
        (kind, value),
        ("entropy", _range(information.entropy(shown), "nats")),
        ("perplexity", _range(information.perplexity(shown), "")),
    ]
    return framed(name, facts, likeliest(shown))


def framed(name: str, facts: list[tuple[str, str]], body: str) -> str:
    """A table of facts, and of rows of HTML below them."""
    from html import escape  # for notebooks alone

    head = "".join(_line(escape(key), escape(value)) for key, value in facts)
    return f"<table><thead>{_line(name, '', _STRONG)}</thead><tbody>{head}{body}</tbody></table>"


def likeliest(state: State, prefix: str = "") -> str:
    """The likeliest categories of the first rows, as rows of HTML with bars."""
    from html import escape

    found = ""
    for index, row in _rows(state):
        place = "".join(f"{i}, " for i in index)
        for label, p in row:
            if p is not None:
                key = f"{prefix}p({place and f'row {place}'}{escape(str(label))})"
                found += _line(key, f"{p:.4g}{_bar(p)}")
    return found


def is_hidden(state: State) -> bool:
    """Whether values cannot be seen."""
    arrays = () if state.kept is not None else (state.logits, state.coldness, state.prior)
    return any(map(is_traced, arrays))


def _rows(state: State) -> list[tuple[tuple[int, ...], list[tuple[int | str, float | None]]]]:
    """The first rows of a batch: each index, and likeliest categories with p > 0 in falling order.

    After them stands "…" without a number where there are more.
    """
    batch, found = state.batch_shape, []
    for i in range(min(_ROWS, int(np.prod(batch)))):
        index = tuple(int(n) for n in np.unravel_index(i, batch)) if batch else ()
        row = indexed(state, index) if batch else state
        found.append((index, _top(row, _TOP_OF_EACH if batch else _TOP)))
    return found


@ignore_fp_errors
def _top(state: State, count: int) -> list[tuple[int | str, float | None]]:
    from softargmax._core.scored import scored  # with what truncates, which few programs need

    indices, log_p = scored(state, "log_probs")[0]  # of a sparse state, of the survivors alone
    if np.isnan(log_p).any():
        return [("…", None)]
    some = largest((log_p[None], -np.arange(len(log_p))[None]), min(count, len(log_p)))[0]
    some = some[log_p[some] > -np.inf]
    own = (some if indices is None else indices[some]).tolist()
    labels: Any = own if state.labels is None else [state.labels[i] for i in own]
    more = [("…", None)] * int(np.count_nonzero(log_p > -np.inf) > len(own))
    return [*zip(labels, np.exp(log_p[some].astype(float)).tolist(), strict=True), *more]


def _in_braces(row: list[tuple[int | str, float | None]]) -> str:
    """A row as a dictionary would show it."""
    return f"{{{', '.join('…' if p is None else f'{label!r}: {p:.4g}' for label, p in row)}}}"


def _temperature(state: State) -> tuple[str, str]:
    """What was given, temperature or coldness, and its value."""
    kind, value = "temperature", state.temperature.value
    if value is None:
        kind, value = "coldness", state.coldness
    if is_traced(value):
        return kind, "…"
    if not isinstance(value, float):
        value = np.array2string(to_numpy(value), threshold=8, precision=4, separator=", ")
        value = " ".join(value.split())
    return kind, str(value)


def _has_prior(state: State) -> bool:
    return state.prior is not None if state.kept is None else state.kept.whole is not None


def _line(key: str, value: str, tag: str = _PLAIN) -> str:
    style = "text-align: left; padding: 1px 8px"
    return f"<tr><{tag} style='{style}'>{key}</{tag}><{tag} style='{style}'>{value}</{tag}></tr>"


def _range(x: Any, unit: str) -> str:
    values = to_numpy(x)
    if not values.size:
        return "–"
    low, high = (f"{v:.4g}" for v in (np.min(values), np.max(values)))
    return f"{low if low == high else f'{low} … {high}'} {unit}".strip()


def _bar(p: float) -> str:
    style = f"display: inline-block; height: 0.7em; width: {100 * p:.1f}px; margin-left: 6px"
    return f"<span style='{style}; background: #0072B2'></span>" if p else ""
