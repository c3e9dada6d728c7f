"""Which way serves a shape."""

import pytest

from softargmax._rows.few import choose_way
from softargmax._rows.ways import choose_method

ENGINES = ("numpy",)


@pytest.mark.parametrize(
    ("n", "num_categories", "expected"),
    [
        (0, 10, "few"),
        (1, 1, "few"),
        (16, 10**7, "few"),
        (17, 10**7, "inverse"),
        (1023, 10, "inverse"),
        (1024, 10, "alias"),
        (1024, 2048, "alias"),
        (1024, 2049, "inverse"),
        (10**6 - 1, 2 * 10**6, "inverse"),
    ],
)
def test_the_method_of_auto_at_its_borders(n, num_categories, expected):
    assert choose_method("auto", n, num_categories) == expected
    if expected != "alias":
        assert choose_method("inverse", n, num_categories) == expected
    assert choose_method("alias", n, num_categories) == "alias"
    assert choose_method("gumbel", n, num_categories) == "gumbel"


@pytest.mark.parametrize(
    ("n", "rows", "num_categories", "expected"),
    [
        (1, 1, 64, "cdf"),
        (1, 64, 64, "cdf"),
        (1, 65, 64, "columns"),
        (1, 4096, 1, "cdf"),
        (1, 4097, 1, "columns"),
        (1, 65, 65, "cdf"),
        (2, 2, 64, "cdf"),
        (16, 512, 64, "cdf"),
        (16, 513, 64, "rows"),
        (1, 504, 65, "cdf"),
        (1, 505, 65, "rows"),
        (1, 1, 1023, "cdf"),
        (1, 1, 1024, "blocks"),
        (16, 9, 10**7, "blocks"),
    ],
)
def test_the_way_of_few_draws_at_its_borders(n, rows, num_categories, expected):
    assert choose_way(n, rows, num_categories) == expected
