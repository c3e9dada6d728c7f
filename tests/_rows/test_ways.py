"""Which way serves a shape."""

import pytest

from softargmax._rows.ways import choose_method


@pytest.mark.parametrize(
    ("n", "rows", "num_categories", "expected"),
    [
        (1, 1, 64, "inverse"),
        (1, 64, 64, "inverse"),
        (1, 65, 64, "columns"),
        (1, 4096, 1, "inverse"),
        (1, 4097, 1, "columns"),
        (1, 65, 65, "inverse"),
        (2, 2, 64, "inverse"),
        (16, 512, 64, "inverse"),
        (16, 513, 64, "rows"),
        (17, 513, 64, "inverse"),
        (1, 504, 65, "inverse"),
        (1, 505, 65, "rows"),
        (1, 1, 1023, "inverse"),
        (1, 1, 1024, "blocks"),
        (16, 9, 10**7, "blocks"),
        (17, 1, 10**7, "inverse"),
        (1023, 1, 10, "inverse"),
        (1024, 1, 10, "alias"),
        (1024, 9, 2048, "alias"),
        (1024, 1, 2049, "inverse"),
        (10**6 - 1, 1, 2 * 10**6, "inverse"),
        (0, 3, 10, "inverse"),
    ],
)
def test_the_method_of_auto_at_its_borders(n, rows, num_categories, expected):
    assert choose_method("auto", n, rows, num_categories) == expected
    if expected != "alias":
        assert choose_method("inverse", n, rows, num_categories) == expected
    assert choose_method("alias", n, rows, num_categories) == "alias"
    assert choose_method("gumbel", n, rows, num_categories) == "gumbel"
