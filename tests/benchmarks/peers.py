"""Draws against peers: ours and theirs in turn, A B A B …, in one process.

``python tests/benchmarks/peers.py [--only JOB …] [--seconds S]`` prints the median time of each and
the median of the ratios peer / ours, round by round. Peers that are not installed are left out
(extra ``bench``). Before it is timed, every contender's answer is checked: probabilities by value,
many draws by their mean log-probability. PyTorch runs with one thread and with two; the better
one counts.
"""

import argparse
import importlib.util
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from scipy.stats import sampling

from softargmax import Categorical, log_softargmax

Contenders = dict[str, Callable[[], Any]]


class Job(NamedTuple):
    """What is timed: contenders by name, ours first, and how to check an answer."""

    title: str
    contenders: Contenders
    check: Callable[[Any], bool]


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def in_torch(make: Callable[[Any], Callable[[], Any]], label: str) -> Contenders:
    """A PyTorch contender with one thread and with two."""
    if not installed("torch"):
        return {}
    import torch

    run = make(torch)

    def threaded(threads: int) -> Callable[[], Any]:
        def call() -> Any:
            torch.set_num_threads(threads)
            return run()

        return call

    return {f"{label}, {n} thread{'s' * (n > 1)}": threaded(n) for n in (1, 2)}


def in_jax(make: Callable[[Any], Callable[[], Any]], label: str) -> Contenders:
    """A jitted JAX contender, waiting for its answer."""
    if not installed("jax"):
        return {}
    import jax

    run = make(jax)
    return {label: lambda: np.asarray(run())}


def draws_of(log_probs: Any) -> Callable[[Any], bool]:
    """Check draws (…, rows) by their mean log-probability, within six standard errors."""
    rows = np.atleast_2d(log_probs).astype(np.float64)
    p = np.exp(rows)
    mean = np.where(p > 0, p * rows, 0).sum(-1)
    spread = np.where(p > 0, p * (rows - mean[:, None]) ** 2, 0).sum(-1)

    def check(answer: Any) -> bool:
        x = np.asarray(answer).reshape(-1, len(rows))
        seen = rows[np.arange(len(rows)), x]
        error = abs(float((seen - mean).mean()))
        return error <= 6 * float(np.sqrt(spread.mean() / x.size)) + 1e-6

    return check


# ---------------------------------------------------------------------------- the jobs


def one_token() -> Job:
    x = (3 * np.random.default_rng(0).standard_normal(128_256)).astype(np.float32)
    rng, t = np.random.default_rng(1), 0.8

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z / t).sample().numpy()

    def by_multinomial(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.multinomial(torch.softmax(z / t, -1), 1).numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        z, keys = jax.numpy.asarray(x), iter(jax.random.split(jax.random.key(0), 100_000))
        draw = jax.jit(lambda key, z: jax.random.categorical(key, z / t))
        return lambda: draw(next(keys), z)

    return Job(
        "one token of 128,256 float32 logits at T = 0.8",
        {
            "softargmax": lambda: Categorical(x, t).sample(rng=rng),
            **in_torch(by_torch, "torch Categorical"),
            **in_torch(by_multinomial, "torch softmax + multinomial"),
            **in_jax(by_jax, "jax.random.categorical"),
            "scipy softmax + choice": lambda: rng.choice(
                x.size, p=special.softmax(x.astype(np.float64) / t)
            ),
            "floor: np.exp alone": lambda: np.exp(x),
        },
        lambda answer: 0 <= int(np.ravel(answer)[0]) < x.size,
    )


def batch_of_tokens() -> Job:
    x = (3 * np.random.default_rng(0).standard_normal((64, 128_256))).astype(np.float32)
    rng = np.random.default_rng(1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z / 0.8).sample().numpy()

    return Job(
        "the same for a batch of 64 rows",
        {
            "softargmax": lambda: Categorical(x, 0.8).sample(rng=rng),
            "softargmax, 2 workers": lambda: Categorical(x, 0.8).sample(rng=rng, workers=2),
            **in_torch(by_torch, "torch Categorical"),
        },
        draws_of(log_softargmax(x, 0.8)),
    )


def one_action() -> Job:
    x = np.random.default_rng(0).standard_normal(6).astype(np.float32)
    rng = np.random.default_rng(1)

    def ours() -> Any:
        dist = Categorical(x)
        action, log_p = dist.sample_and_log_prob(rng=rng)
        return action, log_p, dist.entropy()

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)

        def call() -> Any:
            dist = torch.distributions.Categorical(logits=z)
            action = dist.sample()
            return action.numpy(), dist.log_prob(action).numpy(), dist.entropy().numpy()

        return call

    expected = log_softargmax(x)
    entropy = Categorical(x).entropy()

    def check(answer: Any) -> bool:
        action, log_p, h = answer
        return abs(log_p - expected[int(action)]) < 1e-5 and abs(h - entropy) < 1e-5

    return Job(
        "one action of 6: object, draw, log-probability, entropy",
        {"softargmax": ours, **in_torch(by_torch, "torch Categorical")},
        check,
    )


def one_draw_of_six() -> Job:
    x = np.random.default_rng(0).standard_normal(6).astype(np.float32)
    rng = np.random.default_rng(1)

    def recipe() -> Any:
        cdf = np.exp(x - x.max()).cumsum()
        return cdf.searchsorted(rng.random() * cdf[-1], side="right")

    return Job(
        "Categorical(x).sample() of 6 logits",
        {"softargmax": lambda: Categorical(x).sample(rng=rng), "NumPy recipe": recipe},
        lambda answer: 0 <= int(answer) < 6,
    )


def row_draws(rows: int, num_categories: int, title: str) -> Job:
    x = np.random.default_rng(0).standard_normal((rows, num_categories)).astype(np.float32)
    rng = np.random.default_rng(1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z).sample().numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        z, keys = jax.numpy.asarray(x), iter(jax.random.split(jax.random.key(0), 100_000))
        draw = jax.jit(lambda key, z: jax.random.categorical(key, z))
        return lambda: draw(next(keys), z)

    def gumbel() -> Any:
        with np.errstate(divide="ignore"):  # NumPy's float32 exponentials can be 0
            return (x - np.log(rng.standard_exponential(x.shape, dtype=np.float32))).argmax(-1)

    def inverse() -> Any:
        cdf = np.exp(x - x.max(-1, keepdims=True)).cumsum(-1)
        return (cdf <= rng.random((rows, 1)) * cdf[:, -1:]).sum(-1)

    return Job(
        title,
        {
            "softargmax": lambda: Categorical(x).sample(rng=rng),
            **in_torch(by_torch, "torch Categorical"),
            **in_jax(by_jax, "jax.random.categorical"),
            "NumPy Gumbel recipe": gumbel,
            "NumPy inverse recipe": inverse,
        },
        draws_of(log_softargmax(x)),
    )


def many_draws(num_categories: int, n: int = 10_000_000) -> Job:
    p = np.random.default_rng(0).dirichlet(np.ones(num_categories))
    dist, rng = Categorical.from_weights(p), np.random.default_rng(1)
    urn = sampling.DiscreteAliasUrn(p, random_state=np.random.default_rng(1))
    guide = sampling.DiscreteGuideTable(p, random_state=np.random.default_rng(1))

    def by_torch(torch: Any) -> Callable[[], Any]:
        weights = torch.from_numpy(p)
        return lambda: torch.multinomial(weights, n, replacement=True).numpy()

    return Job(
        f"{n:,} draws of one K = {num_categories:,} distribution",
        {
            "softargmax": lambda: dist.sample(n, rng=rng),
            "Generator.choice": lambda: rng.choice(num_categories, n, p=p),
            "scipy DiscreteAliasUrn": lambda: urn.rvs(n),
            "scipy DiscreteGuideTable": lambda: guide.rvs(n),
            **in_torch(by_torch, "torch.multinomial"),
        },
        draws_of(np.log(p)),
    )


def log_probabilities() -> Job:
    x = (3 * np.random.default_rng(0).standard_normal((64, 128_256))).astype(np.float32)
    expected = special.log_softmax(x.astype(np.float64), axis=-1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.log_softmax(z, -1).numpy()

    return Job(
        "log_softargmax of 64 × 128,256 float32",
        {
            "softargmax": lambda: log_softargmax(x),
            "softargmax, 2 workers": lambda: log_softargmax(x, workers=2),
            "Categorical(x).log_probs": lambda: Categorical(x).log_probs,
            "scipy log_softmax": lambda: special.log_softmax(x, axis=-1),
            **in_torch(by_torch, "torch log_softmax"),
        },
        lambda answer: bool(np.abs(answer - expected).max() < 1e-4),
    )


def without_replacement() -> Job:
    x = (3 * np.random.default_rng(0).standard_normal(128_256)).astype(np.float32)
    p = special.softmax(x.astype(np.float64))
    rng = np.random.default_rng(1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        weights = torch.from_numpy(p)
        return lambda: torch.multinomial(weights, 50, replacement=False).numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        weights = jax.numpy.asarray(p)
        keys = iter(jax.random.split(jax.random.key(0), 100_000))
        draw = jax.jit(lambda key: jax.random.choice(key, x.size, (50,), replace=False, p=weights))
        return lambda: draw(next(keys))

    return Job(
        "50 of 128,256 without replacement",
        {
            "softargmax": lambda: Categorical(x).sample_without_replacement(50, rng=rng),
            **in_torch(by_torch, "torch.multinomial"),
            **in_jax(by_jax, "jax.random.choice"),
        },
        lambda answer: len(set(np.asarray(answer).tolist())) == 50,
    )


JOBS: dict[str, Callable[[], Job]] = {
    "token": one_token,
    "batch": batch_of_tokens,
    "action": one_action,
    "draw": one_draw_of_six,
    "environments": lambda: row_draws(4096, 18, "4,096 environments × 18 actions, one draw each"),
    "rows": lambda: row_draws(100_000, 10, "100,000 different rows of K = 10, one draw each"),
    "many": lambda: many_draws(1000),
    "many-10": lambda: many_draws(10),
    "many-100000": lambda: many_draws(100_000),
    "log-probabilities": log_probabilities,
    "without-replacement": without_replacement,
}


# ---------------------------------------------------------------------------- the clock


def measure(contenders: Contenders, seconds: float) -> dict[str, list[float]]:
    """Seconds a call, in turn, in as many rounds as fit (three at least)."""
    repeats = {}
    for name, call in contenders.items():
        start = time.perf_counter()
        call()
        # A turn of 20 ms: the first call after another contender meets a cold cache and heap.
        repeats[name] = max(1, int(2e-2 / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    stop = time.perf_counter() + seconds
    while len(times["softargmax"]) < 3 or time.perf_counter() < stop:
        for name, call in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.perf_counter() - start) / repeats[name])
            if "threads" in name or "workers" in name or "jax" in name:
                time.sleep(0.3)  # idle threads of a pool spin for up to 0.2 s, in others' time
    return times


def table_rows(times: dict[str, list[float]]) -> Iterator[str]:
    """A row a contender: median time, median ratio to ours in the same round."""
    medians = {name: float(np.median(values)) for name, values in times.items()}
    for name, values in times.items():
        base, _, threads = name.partition(", ")
        rivals = [m for other, m in medians.items() if other.startswith(base + ", ")]
        if "thread" in threads and medians[name] > min(rivals):
            continue  # the better number of threads counts
        ratio = np.median(np.array(values) / np.array(times["softargmax"]))
        yield f"| {name} | {show(medians[name])} | {ratio:.2f} |"


def show(seconds: float) -> str:
    """A time with its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS), metavar="JOB")
    parser.add_argument("--seconds", type=float, default=5.0, help="a job, at least")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for name in options.only:
        job = JOBS[name]()
        for contender, call in job.contenders.items():
            if not contender.startswith("floor") and not job.check(call()):
                raise SystemExit(f"{name}: {contender} gives another answer")
        print(f"\n{name}: {job.title}\n\n| | median | time / ours |\n|---|---|---|", flush=True)
        for row in table_rows(measure(job.contenders, options.seconds)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
