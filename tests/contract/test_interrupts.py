"""Signal handlers that draw, truncate and resample while draws and truncations run."""

import itertools
import signal
import threading

import numpy as np
import pytest

from softargmax import Categorical, RelaxedCategorical, log_softargmax, smooth_max
from softargmax.draws import Keyed
from softargmax.gumbel import (
    Reservoir,
    conditional_gumbels,
    exponential_race,
    gumbel_top_k,
    maximal_coupling,
)
from softargmax.policies import MultiCategorical
from softargmax.resampling import resample
from softargmax.temperatures import temperature_for_entropy
from softargmax.tokens import (
    DRY,
    XTC,
    Allow,
    Ban,
    DynamicTemperature,
    EpsilonCutoff,
    EtaCutoff,
    FrequencyPenalty,
    LogitBias,
    MinP,
    Mirostat,
    NoRepeatNgram,
    PLess,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    chain,
    verify,
)

INTERRUPTS = 10_000
# Rows long enough that memory for intermediate values is kept, and batches of their parts.
LOGITS = np.random.default_rng(0).normal(0, 2, (2, 9_000)).astype(np.float32)
STAGES = [TopP(0.9), Typical(0.8), TopH(0.5), EtaCutoff(0.01), PLess(), TopNSigma(1.0), TopK(50)]
STAGES += [MinP(0.05), EpsilonCutoff(1e-3), DynamicTemperature(0.5, 1.5), XTC(0.01, 0.5)]
STAGES += [RepetitionPenalty(1.2), FrequencyPenalty(0.3), PresencePenalty(0.3), NoRepeatNgram(2)]
STAGES += [DRY(0.8), LogitBias({5: 2.0}), Ban([1, 2]), Allow(range(50, 99)), Temperature(0.7)]
STAGES += [chain(Temperature(0.7), TopK(200), TopP(0.9), MinP(0.01))]


def parts(dist):
    """Nine rows of a thousand."""
    return Categorical(dist.logits.reshape(9, -1), 0.8)


def other(dist):
    return Categorical(dist.logits[::-1])


def drafted(dist):
    rows = parts(dist)
    return verify([3] * 8, rows[:8], rows.tempered(0.9), rng=1)


JOBS = [
    *(lambda d, stage=stage: stage(d, [3, 3, 7, 3]).log_probs for stage in STAGES),
    lambda d: TopP(0.5)(d).sample(9, rng=1),
    lambda d: Mirostat(3.0).step(d, 6.0, rng=1),
    drafted,
    lambda d: d.tempered(0.8).sample(rng=1),
    lambda d: d.sample(20, rng=1, method="gumbel"),
    lambda d: d.sample(5_000, rng=1, workers=2),
    lambda d: d.sample(300, rng=Keyed(1), method="alias"),
    lambda d: d.sample_and_log_prob(3, rng=1),
    lambda d: parts(d).sample(rng=1),
    lambda d: parts(d).sample(2, rng=list(range(9))),
    lambda d: d.sample_counts(99, rng=1),
    lambda d: d.sample_without_replacement(40, rng=1),
    lambda d: parts(d).sample_without_replacement(4, rng=1),
    lambda d: d.log_prob_ordered([4, 2, 7]),
    lambda d: d.quantile([0.0, 0.3, 1.0]),
    lambda d: log_softargmax(d.logits, 0.7),
    lambda d: smooth_max(d.logits, 0.7),
    lambda d: (d.entropy(), d.mode(), d.cdf(700), d.log_prob([3, 4]), *d.top(3)),
    lambda d: (d.kl_divergence(other(d)), d.variance(np.arange(9_000))),
    lambda d: d.relaxed(0.5).sample(rng=1),
    lambda d: RelaxedCategorical(d.logits, 0.5).straight_through_with_pullback(rng=1)[0],
    lambda d: Reservoir(1, 3).update(d.logits, 0).indices,
    lambda d: exponential_race(d.logits, rng=1),
    lambda d: maximal_coupling(d, other(d), rng=1),
    lambda d: gumbel_top_k(d, 5, rng=1),
    lambda d: conditional_gumbels(d, 3, rng=1),
    *(lambda d, s=s: resample(d, 500, scheme=s, rng=1) for s in ("systematic", "residual")),
    lambda d: temperature_for_entropy(d.logits, 3.0),
    lambda d: MultiCategorical(d.logits, [3_000, 6_000]).sample(2, rng=1),
]


def equal(found, want):
    if not isinstance(want, tuple):
        return np.array_equal(found, want)
    return all(np.array_equal(a, b) for a, b in zip(found, want, strict=True))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_nothing_is_wrong_after_ten_thousand_interrupts():
    """Every other one asks the very object that is being asked."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals go to the main thread")
    inside, outside = ([job(Categorical(z)) for job in JOBS] for z in LOGITS)
    moments = np.random.default_rng(1).uniform(1e-5, 8e-4, INTERRUPTS + 1)
    jobs = itertools.cycle(range(len(JOBS)))
    fired, wrong, asked = 0, [], Categorical(LOGITS[1])

    def handler(*_):
        nonlocal fired
        fired += 1
        i = next(jobs)
        shared = (fired + fired // len(JOBS)) % 2  # so that every job has its turn with both
        dist, want = (asked, outside) if shared else (Categorical(LOGITS[0]), inside)
        if not equal(JOBS[i](dist), want[i]):
            wrong.append(("in the handler", i))
        if fired < INTERRUPTS:  # a later alarm would meet the default handler, which kills
            signal.setitimer(signal.ITIMER_REAL, moments[fired])

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3)
        while fired < INTERRUPTS:
            for i, job in enumerate(JOBS):
                asked = Categorical(LOGITS[1])
                if not equal(job(asked), outside[i]):
                    wrong.append(("around it", i))
    finally:
        fired = INTERRUPTS
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not wrong, wrong[:5]
