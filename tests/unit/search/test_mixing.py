import numpy as np
import pytest

from kindred_kit.errors import InvalidArgument
from kindred_search.mixing import mix, unit

X, Y = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)


def test_a_mix_is_the_normalised_weighted_sum() -> None:
    mixed = mix([X, Y], [3.0, -4.0])
    assert mixed.dtype == np.float32
    assert mixed == pytest.approx([0.6, -0.8])


def test_one_term_is_itself_whatever_its_weight() -> None:
    assert mix([X], [0.01]) == pytest.approx(X)
    assert mix([X], [-2.0]) == pytest.approx(-X)


@pytest.mark.parametrize(("vectors", "weights"), [([X, X], [1.0, -1.0]), ([X], [0.0]), ([X, Y], [0.0, 1e-9])])
def test_terms_that_cancel_out_are_refused(vectors: list[np.ndarray], weights: list[float]) -> None:
    with pytest.raises(InvalidArgument, match="cancel"):
        mix(vectors, weights)


def test_unit_normalises() -> None:
    assert unit(np.array([3, 4], dtype=np.float32), "/q") == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("values", [[], [0, 0], [np.nan, 1], [np.inf, 1], [1e-30, 0]])
def test_unit_refuses_what_has_no_direction(values: list[float]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        unit(np.array(values, dtype=np.float32), "/query/0")
    assert caught.value.pointer == "/query/0"
