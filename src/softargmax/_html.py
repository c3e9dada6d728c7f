"""A distribution as a small table, for notebooks."""

from html import escape
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import is_traced, quiet, to_numpy

_TOP = 5  # categories of a single row that are shown


@quiet
def table(dist: Any) -> str | None:
    """Shapes, temperature, entropy, and the likeliest categories of a single row.

    None, for which notebooks show the repr, where values cannot be seen.
    """
    if is_traced(dist.logits) or is_traced(dist._given.heat.coldness):
        return None
    name, value = dist._named_heat()
    facts = [
        ("batch shape", str(dist.batch_shape)),
        ("categories", f"{dist.num_categories:,}"),
        ("dtype", str(dist.dtype)),
        (name, value),
        ("entropy", _range(dist.entropy(), "nats")),
        ("perplexity", _range(dist.perplexity(), "")),
    ]
    if dist.prior is not None:
        facts.insert(4, ("prior", "given"))
    body = "".join(_row(escape(key), escape(text)) for key, text in facts)
    if dist.batch_shape == ():
        body += _likeliest(dist)
    return (
        f"<table><thead>{_row(type(dist).__name__, '', 'th')}</thead><tbody>{body}</tbody></table>"
    )


def _row(key: str, value: str, tag: str = "td") -> str:
    style = "text-align: left; padding: 1px 8px"
    return f"<tr><{tag} style='{style}'>{key}</{tag}><{tag} style='{style}'>{value}</{tag}></tr>"


def _range(x: Any, unit: str) -> str:
    values = to_numpy(x)
    if not values.size:
        return "–"
    low, high = (f"{v:.4g}" for v in (np.min(values), np.max(values)))
    return f"{low if low == high else f'{low} … {high}'} {unit}".strip()


def _likeliest(dist: Any) -> str:
    indices, log_probs = map(to_numpy, dist.top(min(_TOP, dist.num_categories)))
    rows = ""
    for i, p in zip(indices.tolist(), np.exp(log_probs).tolist(), strict=True):
        bar = (
            f"<span style='display: inline-block; height: 0.7em; width: {100 * p:.1f}px; "
            "background: #0072B2; margin-left: 6px'></span>"
        )
        rows += _row(f"p({i})", f"{p:.4g}{bar if p else ''}")
    return rows
