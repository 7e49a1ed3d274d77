import torch
from hypothesis import given
from hypothesis import strategies as st

from innerloop import params as p
from innerloop.seeds import generator


@st.composite
def two_params(draw):
    rng = generator(draw(st.integers(0, 999)), "params")
    shapes = draw(st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=4))

    def make():
        return {f"p{i}": torch.randn(shape, generator=rng, dtype=torch.float64) for i, shape in enumerate(shapes)}

    return make(), make()


def flat(params):
    return torch.cat([value.flatten() for value in params.values()])


@given(two_params(), st.floats(-3, 3))
def test_params_add_scale_and_multiply_as_the_flat_vectors_do(pair, scale):
    left, right = pair
    torch.testing.assert_close(flat(p.add(left, right, scale)), flat(left) + scale * flat(right))
    torch.testing.assert_close(flat(p.scaled(left, scale)), scale * flat(left))
    torch.testing.assert_close(p.dot(left, right), flat(left) @ flat(right))
    torch.testing.assert_close(p.norm(left), flat(left).norm())
    assert p.count(left) == flat(left).numel()


@given(two_params())
def test_a_flat_vector_has_all_numbers_in_order_and_takes_its_shapes_and_types_again(pair):
    params = {**pair[0], "single": torch.ones(2, dtype=torch.float32)}
    vector = p.flat(params)
    torch.testing.assert_close(vector, flat(params), rtol=0, atol=0)
    again = p.shaped(vector, params)
    assert list(again) == list(params)
    for name, value in params.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0)
    assert p.flat({}).shape == (0,)


def test_names_missing_on_the_right_are_kept_and_named_entries_are_zeroed_or_selected():
    left = {"a": torch.ones(2), "b": torch.ones(3)}
    assert torch.equal(p.add(left, {"b": torch.ones(3)})["a"], left["a"])
    assert not p.zeroed(left, {"a"})["a"].any()
    assert p.zeroed(left, {"a"})["b"] is left["b"]
    assert list(p.select(left, ["b"])) == ["b"]


def test_a_snapshot_is_out_of_reach_of_later_updates():
    params = {"a": torch.zeros(2)}
    kept = p.snapshot(params)
    params["a"].add_(1)
    assert not kept["a"].any()


def test_the_first_nonfinite_entry_is_named():
    assert p.first_nonfinite({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}) == "b"
    assert p.first_nonfinite({"a": torch.ones(2)}) is None
