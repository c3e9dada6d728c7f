"""What is timed: jobs of the library and the same jobs done by its peers."""

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from scipy.stats import sampling

from softargmax import Categorical, log_softargmax
from softargmax.draws import AliasTable

Contenders = dict[str, Callable[[], Any]]
VOCABULARY = 128_256  # of Llama 3


class Job(NamedTuple):
    """Contenders by name, ours first, and how to check an answer."""

    title: str
    contenders: Contenders
    check: Callable[[Any], bool]
    renew: Callable[[], None] | None = None  # changes the input, untimed, before a call


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
            if torch.get_num_threads() != threads:
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


def jax_keys(jax: Any) -> Callable[[], Any]:
    """Another key at every call, split beforehand."""
    keys = iter(jax.random.split(jax.random.key(0), 200_000))
    return lambda: next(keys)


def in_transformers(x: Any, warpers: Callable[[Any], list[Any]], label: str) -> Contenders:
    """The sampling step of transformers' ``generate`` with these warpers of its module."""
    if not (installed("torch") and installed("transformers")):
        return {}
    from transformers import LogitsProcessorList
    from transformers.generation import logits_process

    warp = LogitsProcessorList(warpers(logits_process))

    def make(torch: Any) -> Callable[[], Any]:
        ids, z = torch.zeros((1, 1), dtype=torch.long), torch.from_numpy(x)[None]
        return lambda: torch.multinomial(torch.softmax(warp(ids, z), -1), 1).numpy()

    return in_torch(make, label)


def in_llama_cpp(x: Any, samplers: dict[str, tuple[Any, ...]], label: str) -> Contenders:
    """llama.cpp's samplers by name, then its draw, on a fresh array of candidates."""
    if not installed("llama_cpp"):
        return {}
    import ctypes

    from llama_cpp import llama_cpp as lib

    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    for name, arguments in samplers.items():
        lib.llama_sampler_chain_add(chain, getattr(lib, f"llama_sampler_init_{name}")(*arguments))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(1))
    table = np.zeros(len(x), [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
    ids = np.arange(len(x), dtype=np.int32)
    pointer = table.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
    candidates = lib.llama_token_data_array(pointer, len(x), -1, False)

    def call() -> int:
        table["id"], table["logit"] = ids, x
        candidates.size, candidates.selected, candidates.sorted = len(x), -1, False
        lib.llama_sampler_apply(chain, ctypes.byref(candidates))
        return int(table["id"][candidates.selected])

    return {label: call}


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


def logits(*shape: int, scale: float = 3) -> Any:
    return (scale * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


# ---------------------------------------------------------------------------- the jobs


def one_token() -> Job:
    x, t = logits(VOCABULARY), 0.8
    rng = np.random.default_rng(1)
    dist = Categorical(x, t)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z / t).sample().numpy()

    def by_multinomial(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.multinomial(torch.softmax(z / t, -1), 1).numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        z, key = jax.numpy.asarray(x), jax_keys(jax)
        draw = jax.jit(lambda key, z: jax.random.categorical(key, z / t))
        return lambda: draw(key(), z)

    def by_choice() -> Any:
        return rng.choice(x.size, p=special.softmax(x.astype(np.float64) / t))

    return Job(
        "one token: `Categorical(x, 0.8).sample()`, 128,256 float32 logits",
        {
            "softargmax": lambda: Categorical(x, t).sample(rng=rng),
            "softargmax, another draw of one object": lambda: dist.sample(rng=rng),
            **in_torch(by_torch, "torch Categorical"),
            **in_torch(by_multinomial, "torch softmax + multinomial"),
            **in_transformers(
                x,
                lambda w: [w.TemperatureLogitsWarper(t)],
                "transformers: warper, softmax, multinomial",
            ),
            **in_jax(by_jax, "jax.random.categorical"),
            **in_llama_cpp(x, {"temp": (t,)}, "llama.cpp: temp, dist"),
            "scipy softmax + Generator.choice": by_choice,
            "floor: np.exp(x)": lambda: np.exp(x),
            "floor: x.copy()": lambda: x.copy(),
        },
        # One draw shows little: at least a token that has a chance.
        lambda answer: dist.log_prob(int(np.ravel(answer)[0])) > -40,
    )


def one_token_of_torch() -> Job:
    """A PyTorch tensor on the CPU, with PyTorch's generator."""
    import torch

    x, t = logits(VOCABULARY), 0.8
    z, rng = torch.from_numpy(x), torch.Generator().manual_seed(1)
    dist = Categorical(x, t)

    def theirs(torch: Any) -> Callable[[], Any]:
        return lambda: torch.distributions.Categorical(logits=z / t).sample().numpy()

    return Job(
        "one token of a PyTorch tensor, drawn with a `torch.Generator`",
        {
            "softargmax": lambda: Categorical(z, t).sample(rng=rng),
            **in_torch(theirs, "torch Categorical"),
        },
        lambda answer: dist.log_prob(int(np.ravel(answer)[0])) > -40,
    )


def batch_of_tokens() -> Job:
    x, t = logits(64, VOCABULARY), 0.8
    rng = np.random.default_rng(1)
    dist = Categorical(x)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z / t).sample().numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        z, key = jax.numpy.asarray(x), jax_keys(jax)
        draw = jax.jit(lambda key, z: jax.random.categorical(key, z / t))
        return lambda: draw(key(), z)

    return Job(
        "64 rows of 128,256 logits, one token each",
        {
            "softargmax": lambda: Categorical(x, t).sample(rng=rng),
            "softargmax, row by row": lambda: [Categorical(z, t).sample(rng=rng) for z in x],
            "softargmax, workers=2": lambda: Categorical(x, t).sample(rng=rng, workers=2),
            "the draw alone": lambda: dist.tempered(t).sample(rng=rng),
            "the draw alone, workers=2": lambda: dist.tempered(t).sample(rng=rng, workers=2),
            **in_torch(by_torch, "torch Categorical"),
            **in_jax(by_jax, "jax.random.categorical"),
            "floor: np.exp(x), row by row": lambda: [int(np.exp(z)[0] > 0) for z in x],
        },
        draws_of(log_softargmax(x, t)),
    )


def one_step(shape: tuple[int, ...], title: str) -> Job:
    """What an agent asks for in every step."""
    x = logits(*shape, scale=1)
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
        chosen = np.take_along_axis(expected, np.asarray(action)[..., None], -1)[..., 0]
        return bool(np.all(abs(log_p - chosen) < 1e-5) and np.all(abs(h - entropy) < 1e-5))

    return Job(title, {"softargmax": ours, **in_torch(by_torch, "torch Categorical")}, check)


def one_draw_of_six() -> Job:
    x = logits(6, scale=1)
    rng = np.random.default_rng(1)

    def recipe() -> Any:
        cdf = np.exp(x - x.max()).cumsum()
        return cdf.searchsorted(rng.random() * cdf[-1], side="right")

    return Job(
        "`Categorical(x).sample()` of 6 logits",
        {
            "softargmax": lambda: Categorical(x).sample(rng=rng),
            "NumPy: max, exp, cumsum, searchsorted": recipe,
        },
        lambda answer: 0 <= int(answer) < 6,
    )


def row_draws(rows: int, num_categories: int, title: str) -> Job:
    x = logits(rows, num_categories, scale=1)
    rng = np.random.default_rng(1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.distributions.Categorical(logits=z).sample().numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        z, key = jax.numpy.asarray(x), jax_keys(jax)
        draw = jax.jit(lambda key, z: jax.random.categorical(key, z))
        return lambda: draw(key(), z)

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
            "floor: the uniforms": lambda: rng.random(n),
        },
        draws_of(np.log(p)),
    )


def alias_table() -> Job:
    p = np.random.default_rng(0).dirichlet(np.ones(1_000_000))

    def check(answer: Any) -> bool:
        if not isinstance(answer, AliasTable):
            return True
        held = np.bincount(answer.alias, 1 - answer.threshold, len(p)) + answer.threshold
        return bool(np.allclose(held / len(p), p, rtol=1e-8, atol=1e-15))

    return Job(
        "building the alias table of K = 1,000,000",
        {
            "softargmax": lambda: AliasTable.build(p),
            "scipy DiscreteAliasUrn": lambda: sampling.DiscreteAliasUrn(p),
            "scipy DiscreteGuideTable": lambda: sampling.DiscreteGuideTable(p),
            "floor: p.copy()": lambda: p.copy(),
        },
        check,
    )


def log_probabilities() -> Job:
    x = logits(64, VOCABULARY)
    expected = special.log_softmax(x.astype(np.float64), axis=-1)
    out = np.empty_like(x)

    def by_torch(torch: Any) -> Callable[[], Any]:
        z = torch.from_numpy(x)
        return lambda: torch.log_softmax(z, -1).numpy()

    return Job(
        "`log_softargmax` of 64 × 128,256 float32",
        {
            "softargmax": lambda: log_softargmax(x),
            "softargmax, workers=2": lambda: log_softargmax(x, workers=2),
            "Categorical(x).log_probs": lambda: Categorical(x).log_probs,
            "scipy log_softmax": lambda: special.log_softmax(x, axis=-1),
            **in_torch(by_torch, "torch log_softmax"),
            "floor: np.copyto(out, x)": lambda: np.copyto(out, x),
        },
        lambda answer: bool(np.abs(answer - expected).max() < 1e-4),
    )


def without_replacement() -> Job:
    x = logits(VOCABULARY)
    p = special.softmax(x.astype(np.float64))
    dist, rng = Categorical(x), np.random.default_rng(1)

    def by_torch(torch: Any) -> Callable[[], Any]:
        weights = torch.from_numpy(p)
        return lambda: torch.multinomial(weights, 50, replacement=False).numpy()

    def by_jax(jax: Any) -> Callable[[], Any]:
        weights, key = jax.numpy.asarray(p), jax_keys(jax)
        draw = jax.jit(lambda key: jax.random.choice(key, x.size, (50,), replace=False, p=weights))
        return lambda: draw(key())

    return Job(
        "50 of 128,256 without replacement, from an object or probabilities at hand",
        {
            "softargmax": lambda: dist.sample_without_replacement(50, rng=rng),
            "softargmax, from the logits": lambda: Categorical(x).sample_without_replacement(
                50, rng=rng
            ),
            **in_torch(by_torch, "torch.multinomial"),
            **in_jax(by_jax, "jax.random.choice"),
        },
        lambda answer: len(set(np.asarray(answer).tolist())) == 50,
    )


JOBS: dict[str, Callable[[], Job]] = {
    "token": one_token,
    **({"token-torch": one_token_of_torch} if installed("torch") else {}),
    "batch": batch_of_tokens,
    "action": lambda: one_step((6,), "one action of 6: object, draw, log-probability, entropy"),
    "action-18": lambda: one_step((18,), "one action of 18: the same"),
    "action-100": lambda: one_step((100,), "one action of 100: the same"),
    "environments-8": lambda: one_step((8, 18), "8 environments × 18 actions: the same"),
    "environments-64": lambda: one_step((64, 18), "64 environments × 18 actions: the same"),
    "environments-4096": lambda: one_step((4096, 18), "4,096 environments × 18 actions: the same"),
    "draw": one_draw_of_six,
    "environments": lambda: row_draws(4096, 18, "4,096 environments × 18 actions, one draw each"),
    "rows": lambda: row_draws(100_000, 10, "100,000 different rows of K = 10, one draw each"),
    "many": lambda: many_draws(1000),
    "many-10": lambda: many_draws(10),
    "many-100000": lambda: many_draws(100_000),
    "table": alias_table,
    "log-probabilities": log_probabilities,
    "without-replacement": without_replacement,
}
