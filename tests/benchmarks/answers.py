"""What is timed beyond draws: edits and masks of tokens, mixtures, watermarks, and pooled runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_softmax

from jobs import VOCABULARY, Contenders, Job, draws_of, in_torch, installed, logits
from softargmax import Categorical
from softargmax.mixtures import mix, pool
from softargmax.thermodynamics import reweight
from softargmax.tokens import Allow, RepetitionPenalty, TopP, Watermark, per_row

TOKENS = 1000  # of the history


def penalty() -> Job:
    x = logits(VOCABULARY)
    history = np.random.default_rng(2).integers(VOCABULARY, size=TOKENS)
    stage = RepetitionPenalty(1.2, on="logits")

    def by_hand() -> Any:
        z, seen = x.copy(), np.unique(history)
        own = z[seen]
        z[seen] = np.where(own > 0, own / 1.2, own * 1.2)
        return z

    contenders: Contenders = {
        "softargmax": lambda: stage(Categorical(x), history).logits,
        "NumPy: where": by_hand,
    }
    if installed("torch") and installed("transformers"):
        from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

        process = RepetitionPenaltyLogitsProcessor(1.2)

        def make(torch: Any) -> Callable[[], Any]:
            ids, z = torch.from_numpy(history)[None], torch.from_numpy(x)[None]
            return lambda: process(ids, z)[0].numpy()

        contenders |= in_torch(make, "transformers")
    expected = by_hand()
    return Job(
        f"a repetition penalty of {TOKENS:,} tokens on {VOCABULARY:,} logits",
        contenders,
        lambda found: bool(np.allclose(found, expected, rtol=1e-6)),
    )


def bitmask() -> Job:
    x, rng = logits(VOCABULARY), np.random.default_rng(1)
    allowed = np.random.default_rng(2).random(VOCABULARY) < 0.01
    words = np.packbits(allowed, bitorder="little").view(np.int32)
    with np.errstate(invalid="ignore"):
        check = draws_of(log_softmax(np.where(allowed, x.astype(np.float64), -np.inf)))

    def by_hand() -> Any:
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")[: len(x)].view(bool)
        z = np.where(bits, x, -np.inf)
        weights = np.exp(z - z.max()).cumsum(dtype=np.float64)
        return weights.searchsorted(rng.random() * weights[-1], side="right")

    return Job(
        f"one of {VOCABULARY:,} tokens under the bits of a grammar that allows 1 %",
        {
            "softargmax": lambda: Allow(bitmask=words)(Categorical(x)).sample(rng=rng),
            "NumPy: unpackbits, where, exp, cumsum": by_hand,
        },
        check,
    )


def rows() -> Job:
    z, rng = logits(16, 32_000), np.random.default_rng(1)
    chains = [TopP(p) for p in np.linspace(0.5, 0.95, 16)]
    together, whole = per_row(chains), Categorical(z)

    def one_by_one() -> Any:
        pairs = zip(chains, z, strict=True)
        return np.array([stage(Categorical(row)).sample(rng=rng) for stage, row in pairs])

    def at_hand() -> Any:
        return np.array([stage(whole[i]).sample(rng=rng) for i, stage in enumerate(chains)])

    with np.errstate(invalid="ignore"):
        check = draws_of(together(Categorical(z.astype(np.float64))).log_probs)
    return Job(
        "a token each for 16 requests of 32,000, each with a TopP of its own",
        {
            "softargmax": lambda: together(Categorical(z)).sample(rng=rng),
            "row by row": one_by_one,
            "the stages and the draws alone": lambda: together(whole).sample(rng=rng),
            "the stages and the draws alone, row by row": at_hand,
        },
        check,
    )


def mixture() -> Job:
    a, b = logits(2, VOCABULARY)
    first, second = Categorical(a), Categorical(b)

    def by_hand() -> Any:
        return np.logaddexp(
            log_softmax(a) + np.float32(np.log(0.3)), log_softmax(b) + np.float32(np.log(0.7))
        )

    expected = by_hand()
    return Job(
        f"a mixture of two distributions of {VOCABULARY:,} tokens, from the logits",
        {
            "softargmax": lambda: (
                mix([first.tempered(1.0), second.tempered(1.0)], [0.3, 0.7]).log_probs
            ),
            "SciPy: log_softmax, logaddexp": by_hand,
        },
        lambda found: bool(np.allclose(found, expected, rtol=1e-4)),
    )


def product() -> Job:
    a, b = logits(2, VOCABULARY)
    first, second = Categorical(a), Categorical(b)

    def by_hand() -> Any:
        return log_softmax(np.float32(1.5) * log_softmax(a) - np.float32(0.5) * log_softmax(b))

    expected = by_hand()
    return Job(
        f"two distributions of {VOCABULARY:,} tokens contrasted: p^1.5 / q^0.5, from the logits",
        {
            "softargmax": lambda: (
                pool([first.tempered(1.0), second.tempered(1.0)], [1.5, -0.5]).log_probs
            ),
            "SciPy: log_softmax thrice": by_hand,
        },
        lambda found: bool(np.allclose(found, expected, rtol=1e-4)),
    )


def watermark() -> Job:
    dist, mark = Categorical(logits(VOCABULARY)), Watermark(key=1, window=3)
    p, texts = dist.probs.astype(np.float64), iter(range(10**9))

    def by_hand() -> Any:
        u = np.random.Generator(np.random.Philox(key=next(texts))).random(VOCABULARY)
        return int((np.log(u) / p).argmax())

    return Job(
        f"one watermarked token of {VOCABULARY:,}, from an object or probabilities at hand",
        {
            "softargmax": lambda: mark.sample(dist, [next(texts) % VOCABULARY, 2, 3]),
            "NumPy: Philox, u^(1/p)": by_hand,
            "floor: the words of Philox": lambda: np.random.Philox(key=1).random_raw(VOCABULARY),
        },
        lambda found: 0 <= int(np.max(found)) < 2**64,
    )


def pooled() -> Job:
    coldness = np.linspace(0.5, 2.0, 10)
    energies = np.random.default_rng(0).gamma(5.0, 1 / coldness, (1000, 10))
    exact = -5 * np.log(coldness / coldness[0])
    contenders: Contenders = {
        "softargmax": lambda: reweight(energies, coldness, to=coldness).log_partition
    }
    if installed("pymbar"):
        import pymbar

        flat, counts = energies.T.ravel(), np.full(10, 1000)

        def peer() -> Any:
            found = pymbar.MBAR(coldness[:, None] * flat, counts)
            return -found.compute_free_energy_differences()["Delta_f"][0]

        contenders["pymbar"] = peer
    return Job(
        "10 rungs of 1,000 energies pooled: log Z and its error (ours: heat capacity too)",
        contenders,
        lambda found: bool(np.abs(found - exact).max() < 0.3),
    )


ANSWERS: dict[str, Callable[[], Job]] = {
    "penalty": penalty,
    "bitmask": bitmask,
    "per-row": rows,
    "mixture": mixture,
    "product": product,
    "watermark": watermark,
    "reweight": pooled,
}
