import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from innerloop.analysis.mixed_regression import mean_of_traces
from innerloop.seeds import generator

sizes = st.integers(1, 12)
powers = st.lists(st.integers(0, 3), max_size=3)


@given(rows=sizes)
def test_one_dimension_has_the_moments_of_a_chi_square(rows):
    moment = 1
    for power in range(1, 5):
        moment *= rows + 2 * (power - 1)
        assert mean_of_traces(rows, 1, power) == moment
    assert mean_of_traces(rows, 1, 2, 1, 1) == mean_of_traces(rows, 1, 4)


@given(rows=sizes, dimensions=sizes, powers=powers.map(lambda each: [power or 1 for power in each]))
def test_rows_and_dimensions_change_places_as_both_products_have_the_same_traces(rows, dimensions, powers):
    assert mean_of_traces(rows, dimensions, *powers) == mean_of_traces(dimensions, rows, *powers)


@given(rows=sizes, dimensions=sizes, powers=powers)
def test_the_order_of_the_traces_does_not_matter(rows, dimensions, powers):
    assert mean_of_traces(rows, dimensions, *powers) == mean_of_traces(rows, dimensions, *reversed(powers))


@given(rows=sizes, dimensions=sizes, powers=powers)
def test_the_trace_is_independent_of_what_it_is_divided_by(rows, dimensions, powers):
    """With tr W a chi-square of n p degrees, W / tr W independent of it: E[tr W g] = (n p + 2 degree) E[g]."""
    expected = (rows * dimensions + 2 * sum(powers)) * mean_of_traces(rows, dimensions, *powers)
    assert mean_of_traces(rows, dimensions, 1, *powers) == expected


@given(rows=sizes, dimensions=sizes)
def test_the_second_power_is_the_one_known_for_long(rows, dimensions):
    assert mean_of_traces(rows, dimensions, 2) == rows * dimensions * (rows + dimensions + 1)


@pytest.mark.parametrize("powers", [(1,), (2,), (3,), (4,), (1, 1), (1, 2), (2, 2)])
def test_means_are_those_of_drawn_matrices(powers):
    """G0: |z| below 4 over 40,000 matrices, and above 4 for a mean that is a tenth too large."""
    draws = torch.randn(40000, 6, 4, generator=generator(0, "wishart"), dtype=torch.float64)
    product = draws.mT @ draws
    traces = {1: product, 2: product @ product}
    traces |= {3: traces[2] @ product, 4: traces[2] @ traces[2]}
    values = torch.ones(len(draws), dtype=torch.float64)
    for power in powers:
        values = values * traces[power].diagonal(dim1=1, dim2=2).sum(1)
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean() - mean_of_traces(6, 4, *powers)) / error < 4
    assert abs(values.mean() - 1.1 * mean_of_traces(6, 4, *powers)) / error > 4
