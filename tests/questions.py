"""Everything that can be asked of a batch of three rows and four categories."""


def questions(dist, array):
    """Every answer that needs no randomness, arrays made by ``array``."""
    yield from (dist.logits, dist.log_probs, dist.probs)
    yield from (dist.entropy(), dist.perplexity(), dist.mode(), *dist.top(2))
    yield from (dist.log_prob(1), dist.prob(array([[1] * 3, [2] * 3])), dist.cdf(1))
    yield from (dist.log_cdf(1), dist.sf(array([0, 2, 3])), dist.log_sf(array([[1] * 3, [2] * 3])))
    yield dist.log_prob_counts(array([0, 2, 1, 3]))
    yield from (dist.quantile(0.3), dist.quantile(array([[0.0] * 3, [1.0] * 3])))
    yield from (dist.cross_entropy(dist), dist.kl_divergence(dist.tempered(2.0)))
    yield from (dist.expectation([1, 2, 3, 4]), dist.variance(array([1.0, 2, 3, 4])))
    yield from (dist.score(1), dist.entropy_gradient(), dist.fisher_information())
    yield from (dist.masked([True, True, True, False]).probs, dist[1:].probs, dist[0].probs)
    yield from (dist.tempered(coldness=-1.0).probs, dist.tempered(array([0.0, 1, 2])).probs)


def surface(dist, array):
    """Every result of every method."""
    yield from questions(dist, array)
    yield from (dist.sample((2, 3), rng=1), *dist.sample_and_log_prob(rng=2))
    yield from (dist.sample(5, rng=1, method=m) for m in ("inverse", "gumbel", "alias"))
    yield from (dist.sample(5, rng=[1, 2, 3]), dist.sample_counts(100, rng=3))
    yield from (dist.sample_without_replacement(2, 4, rng=1), dist.log_prob_ordered([1, 2]))
