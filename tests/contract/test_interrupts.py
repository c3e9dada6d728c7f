"""Signal handlers that draw, truncate and resample while draws and truncations run."""

import itertools
import signal
import threading

import numpy as np
import pytest

from softargmax import Categorical, log_softargmax
from softargmax.gumbel import gumbel_top_k
from softargmax.resampling import resample
from softargmax.tokens import (
    XTC,
    DynamicTemperature,
    EtaCutoff,
    MinP,
    PLess,
    RepetitionPenalty,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Typical,
)

INTERRUPTS = 10_000
LOGITS = np.random.default_rng(0).normal(0, 2, (2, 9_000)).astype(np.float32)
STAGES = [TopP(0.9), Typical(0.8), TopH(0.5), EtaCutoff(0.01), PLess(), TopNSigma(1.0), TopK(50)]
STAGES += [MinP(0.05), RepetitionPenalty(1.2), DynamicTemperature(0.5, 1.5), XTC(0.01, 0.5)]
JOBS = [
    *(lambda z, stage=stage: stage(Categorical(z), [3, 3, 7]).log_probs for stage in STAGES),
    lambda z: Categorical(z, 0.8).sample(rng=1),
    lambda z: Categorical(z, 0.8).sample(20, rng=1, method="gumbel"),
    lambda z: Categorical(z, 0.8).sample(5_000, rng=1, workers=2),
    lambda z: Categorical(z, 0.8).sample_without_replacement(40, rng=1),
    lambda z: log_softargmax(z, 0.7),
    lambda z: Categorical(z).entropy(),
    lambda z: resample(Categorical(z), 5_000, rng=1),
    lambda z: gumbel_top_k(Categorical(z), 5, rng=1).indices,
]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_nothing_is_wrong_after_ten_thousand_interrupts():
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals go to the main thread")
    inside, outside = ([job(z) for job in JOBS] for z in LOGITS)
    moments, jobs = np.random.default_rng(1), itertools.cycle(range(len(JOBS)))
    fired, wrong = 0, []

    def handler(*_):
        nonlocal fired
        fired += 1
        i = next(jobs)
        if not np.array_equal(JOBS[i](LOGITS[0]), inside[i]):
            wrong.append(("in the handler", i))
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, 8e-4))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3)
        while fired < INTERRUPTS:
            for i, job in enumerate(JOBS):
                if not np.array_equal(job(LOGITS[1]), outside[i]):
                    wrong.append(("around it", i))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not wrong, wrong[:5]
