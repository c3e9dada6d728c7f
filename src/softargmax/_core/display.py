"""How a distribution shows itself: its repr, and a small table for notebooks."""

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors, is_traced, to_numpy
from softargmax._core import information
from softargmax._core.state import State

_TOP = 5  # categories of a single row that are shown


def text(state: State, name: str) -> str:
    """Shapes, dtype and temperature."""
    kind, value = _temperature(state)
    return (
        f"{name}(batch_shape={state.batch_shape}, num_categories={state.num_categories}, "
        f"dtype={state.dtype}, {kind}={value})"
    )


@ignore_fp_errors
def table(state: State, name: str) -> str | None:
    """Shapes, temperature, entropy, and the likeliest categories of a single row.

    None, for which notebooks show the repr, where values are hidden.
    """
    from html import escape  # for notebooks alone

    if is_traced(state.logits) or is_traced(state.coldness):
        return None
    kind, value = _temperature(state)
    facts = [
        ("batch shape", str(state.batch_shape)),
        ("categories", f"{state.num_categories:,}"),
        ("dtype", str(state.dtype)),
        *([("prior", "given")] if _has_prior(state) else []),
        (kind, value),
        ("entropy", _range(information.entropy(state), "nats")),
        ("perplexity", _range(information.perplexity(state), "")),
    ]
    body = "".join(_row(escape(key), escape(text)) for key, text in facts)
    if state.batch_shape == ():
        body += _likeliest(state)
    return f"<table><thead>{_row(name, '', 'th')}</thead><tbody>{body}</tbody></table>"


def _temperature(state: State) -> tuple[str, str]:
    """What was given, temperature or coldness, and its value."""
    kind, value = "temperature", state.temperature.value
    if value is None:
        kind, value = "coldness", state.coldness
    if not isinstance(value, float):
        value = np.array2string(to_numpy(value), threshold=8, precision=4, separator=", ")
        value = " ".join(value.split())
    return kind, str(value)


def _has_prior(state: State) -> bool:
    return state.prior is not None if state.kept is None else state.kept.whole is not None


def _row(key: str, value: str, tag: str = "td") -> str:
    style = "text-align: left; padding: 1px 8px"
    return f"<tr><{tag} style='{style}'>{key}</{tag}><{tag} style='{style}'>{value}</{tag}></tr>"


def _range(x: Any, unit: str) -> str:
    values = to_numpy(x)
    if not values.size:
        return "–"
    low, high = (f"{v:.4g}" for v in (np.min(values), np.max(values)))
    return f"{low if low == high else f'{low} … {high}'} {unit}".strip()


def _likeliest(state: State) -> str:
    indices, log_probs = map(to_numpy, information.top(state, min(_TOP, state.num_categories)))
    rows = ""
    for i, p in zip(indices.tolist(), np.exp(log_probs).tolist(), strict=True):
        bar = (
            f"<span style='display: inline-block; height: 0.7em; width: {100 * p:.1f}px; "
            "background: #0072B2; margin-left: 6px'></span>"
        )
        rows += _row(f"p({i})", f"{p:.4g}{bar if p else ''}")
    return rows
