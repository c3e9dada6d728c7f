"""Watermarks by Gumbel noise: draws whose noise is keyed, and the test that finds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from softargmax._arrays.checks import count, natural
from softargmax._arrays.namespaces import ignore_fp_errors, is_traced, unwrap
from softargmax._core.information import log_probs, probs
from softargmax._core.state import State
from softargmax._random.keyed import word_gumbels, words_at, words_of_key
from softargmax._rows.memory import blocks
from softargmax._rows.race import least_waits
from softargmax._rows.sparse import Sparse
from softargmax.categorical import Categorical, state_of
from softargmax.gumbel import gumbel_max
from softargmax.tokens._history import texts_of, tokens_of
from softargmax.tokens._parameters import Parameters
from softargmax.tokens._stage import History

_MANY = 100  # so many words in a row cost what a word by its number does


class Detection(NamedTuple):
    """What :meth:`Watermark.detect` finds: numbers, or arrays with one per text."""

    statistic: Any  # Σ -log(1 - u)
    scored: Any  # how many tokens were
    p_value: Any
    log_p_value: Any


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Watermark(Parameters):
    r"""Draws of tokens that a holder of the key can tell from any other text.

    The token is the arg max of

    .. math:: u_i^{1/p_i}, \quad\text{which is that of}\quad \log p_i - \log(-\log u_i),

    with uniforms u_i that depend on the key, the last ``window`` tokens and the token's id i alone,
    to the bit: not on K, dtype, batch or array library. Over random keys it is a draw from p.

    Parameters
    ----------
    key : int
        The secret, non-negative, of any size: ``secrets.randbits(128)``. Not shown by ``repr``.
    window : int
        How many of the last tokens key the noise, at least 1. More make a context rarer and a
        stolen key harder to guess from texts; fewer let the mark survive more edits, each of which
        destroys the mark of up to window + 1 tokens.

    Raises
    ------
    ValueError, TypeError
        For a key or a window that is not an integer, or is too small.

    Notes
    -----
    Where the last tokens are fewer than ``window``, or have occurred together before in the
    history, the noise depends on the key and the whole history instead, and bears no mark. So no
    noise is used twice in a text, and over random keys a whole text is distributed as it is without
    a mark. ``detect`` counts each context once, at its first occurrence.

    Uniform i is made of word i of the stream of Philox-4x64 whose key is a keyed BLAKE2b hash of
    the context.

    Limits:

    - Equal histories give equal tokens: a prompt has one answer for each key.
    - A token that is nearly certain hardly bears a mark, so texts of low entropy need to be long.
    - A paraphrase or a translation removes the mark; each inserted, deleted or replaced token
      removes it from itself and from those whose context it changes.
    - Anyone who has the key can write marked texts. Anyone who sees many answers to prompts that
      end alike can find that they are marked, and which tokens follow a context.
    - It says nothing of texts by others: a p-value is not the probability that a text has the mark.

    References
    ----------
    The scheme: Aaronson (2022), https://scottaaronson.blog/?p=6823. P-values that are exact, and
    why a repeated context counts once: Fernandez et al. (2023), https://arxiv.org/abs/2308.00113.
    Repeated contexts in draws: Dathathri et al. (2024),
    https://doi.org/10.1038/s41586-024-08025-4. Marks that change the distribution:
    Kirchenbauer et al. (2023), https://arxiv.org/abs/2301.10226; that resist more edits:
    Kuditipudi et al. (2023), https://arxiv.org/abs/2307.15593.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Watermark
    >>> mark, dist, text = Watermark(key=2**90 + 7, window=2), Categorical(np.zeros(50)), [3, 1]
    >>> for _ in range(40):
    ...     text.append(int(mark.sample(dist, text)))
    >>> mark.detect(text).p_value < 1e-12, mark.detect(text[::-1]).p_value < 0.01
    (np.True_, np.False_)
    """

    key: int
    window: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("key", natural(self.key, "key"))
        self._set("window", count(self.window, "window", 1, 2**62))

    def __repr__(self) -> str:
        return f"Watermark(window={self.window})"

    def sample(self, dist: Categorical, history: History) -> Any:
        """The next token of each row.

        Parameters
        ----------
        dist : Categorical
            After all stages.
        history : integer ids
            The tokens so far, the prompt included, as stages take them.

        Returns
        -------
        integers, shape batch_shape
            Never a token of probability 0.

        Raises
        ------
        ValueError, TypeError
            For a history that does not fit the batch.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import Watermark
        >>> Watermark(key=5, window=3).sample(Categorical([[0.0, 1.0, 0.5]] * 2), [[1, 2], [0]])
        array([2, 1])
        """
        state = state_of(dist)
        keys = [self._key_after(row) for row in tokens_of(history, state, "Watermark")]
        if state.kept is None and any(map(is_traced, (state.z, state.coldness, state.prior))):
            words = [words_of_key(key)(state.num_categories) for key in keys]
            full = (*state.batch_shape, state.num_categories)
            noise = np.array(words, np.uint64).reshape(full)
            return gumbel_max(log_probs(state), word_gumbels(noise))
        found = np.array([*map(_drawn, keys, *_rows(state.host()))], np.int64)
        return unwrap(state.at_home(found.reshape(state.batch_shape)))

    def detect(self, tokens: Any) -> Detection:
        r"""The evidence that texts bear the mark.

        .. math:: S = \sum -\log(1 - u), \quad p = Q(n, S) = P(\mathrm{Gamma}(n) \ge S)

        over the n tokens that follow a context for the first time; exact for a text that was
        written without the key, however it is distributed.

        Parameters
        ----------
        tokens : integer ids
            A text, (t,), texts (..., t), or a sequence of texts of any lengths. Negative ids are
            padding. A prompt in front of a text is counted as the text is.

        Returns
        -------
        Detection
            With ``statistic``, ``scored`` (n), ``p_value`` and ``log_p_value``: NumPy numbers, or
            arrays with one per text. A text of ``window`` tokens or fewer has n = 0 and p = 1.

        Raises
        ------
        ValueError, TypeError
            For anything but integers.

        Examples
        --------
        >>> from softargmax.tokens import Watermark
        >>> Watermark(key=5, window=1).detect([[3, 1, 4, 1, 5], [9, -1, -1, -1, -1]]).scored
        array([3, 0])
        """
        texts, batch = texts_of(tokens, "tokens")
        found = [self._scored(text) for text in texts]
        total, n = np.array(found).reshape(*batch, 2).T
        return Detection(*map(unwrap, (total.T, n.T.astype(np.int64), *_tails(total.T, n.T))))

    @cached_property
    def _secret(self) -> bytes:
        size = -(-self.key.bit_length() // 8)
        return blake2b(self.key.to_bytes(size, "little"), person=b"watermark").digest()

    def _hash(self, ids: bytes, purpose: bytes) -> bytes:
        return blake2b(ids, digest_size=16, key=self._secret, person=purpose).digest()

    def _key_after(self, tokens: Any) -> bytes:
        """The key of the noise of the token that follows some others."""
        contexts = self._contexts(tokens)
        if len(contexts) and not (contexts[:-1] == contexts[-1]).all(axis=-1).any():
            return self._hash(contexts[-1].tobytes(), b"context")
        return self._hash(tokens.astype("<i8").tobytes(), b"history")

    def _contexts(self, tokens: Any) -> Any:
        """All that stand in a text in order, (…, window)."""
        if len(tokens) < self.window:
            return np.empty((0, 1), "<i8")
        return sliding_window_view(tokens.astype("<i8"), self.window)

    def _scored(self, text: Any) -> tuple[float, int]:
        """The statistic of a text, and of how many tokens it is."""
        first: dict[bytes, int] = {}
        for place, context in enumerate(self._contexts(text[:-1]), self.window):
            first.setdefault(context.tobytes(), place)
        if not first:
            return 0.0, 0
        keys = [self._hash(context, b"context") for context in first]
        words = words_at(keys, text[list(first.values())])
        return float(-np.log((words + 0.5) * 2.0**-64).sum()), len(first)


def _rows(state: State) -> tuple[Any, Any]:
    """The categories that each row of NumPy's may draw, None for all, and their probabilities."""
    law = state.law
    if state.kept is not None:
        assert isinstance(law, Sparse)
        return law.indices, [row.probs for row in law.laws]
    rows = probs(state).reshape(-1, state.num_categories)
    return [None] * len(rows), rows


@ignore_fp_errors
def _drawn(key: bytes, ids: Any, p: Any) -> int:
    """The arg max of log p plus the Gumbel noise of a key."""
    taken, words = words_of_key(key), None
    if ids is not None:
        few = ids[-1] > _MANY * len(ids)
        words = words_at([key], ids) if few else taken(int(ids[-1]) + 1)[ids]
    best, high, shortest = -1, -math.inf, math.inf
    for some in blocks(len(p), 1):
        block = taken(some.stop - some.start) if words is None else words[some]
        own = p[some]
        # With v = 1 - u, a token waits -log(1 - v) / p ≥ v / p, and the shortest wait wins: noise
        # is only made where v / p is no longer than one of the waits.
        least = least_waits(block, own)
        first = least.argmin()
        if least[first] > shortest:
            continue
        shortest = min(shortest, math.exp(-_score(block[first], own[first])) * (1 + 1e-9))
        near = np.flatnonzero(least <= shortest)
        scores = _score(block[near], own[near])
        if len(near) and scores.max() > high:
            best, high = some.start + int(near[scores.argmax()]), scores.max()
    return best if ids is None else int(ids[best])


def _score(words: Any, p: Any) -> Any:
    return word_gumbels(words) + np.log(p, dtype=np.float64)


def _tails(total: Any, n: Any) -> tuple[Any, Any]:
    """P(Gamma(n) ≥ total) and its logarithm, also where the former underflows."""
    from scipy.special import gammaincc, gammaln, logsumexp  # slow to import, and rarely needed

    p = np.where(n == 0, 1.0, gammaincc(np.maximum(n, 1), total))
    tiny = p < 1e-300
    log_p = np.array(np.log(np.where(tiny, 1.0, p)))
    for place in np.argwhere(tiny):
        s, k = total[tuple(place)], np.arange(n[tuple(place)])
        log_p[tuple(place)] = logsumexp(k * math.log(s) - gammaln(k + 1)) - s
    return p, log_p
