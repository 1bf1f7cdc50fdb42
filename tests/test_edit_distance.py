"""Edit distance against the plain recursion."""

import numpy as np
import pytest

from catalog.idioms.edit_distance import edit_distance


def recursion(a, b):
    if not a or not b:
        return len(a) + len(b)
    changed = recursion(a[1:], b[1:]) + (a[0] != b[0])
    return min(changed, recursion(a[1:], b) + 1, recursion(a, b[1:]) + 1)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_recursion(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        a, b = (list(rng.integers(0, 3, rng.integers(0, 6))) for _ in range(2))
        assert edit_distance(a, b) == recursion(a, b) == edit_distance(b, a)


def test_known_values():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3 and edit_distance("abc", "abc") == 0
