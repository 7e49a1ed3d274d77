import pytest

from innerloop.bench import specs
from innerloop.errors import ConfigError


def test_a_word_names_an_engine_and_how_it_works():
    options = specs.engine("vmap+bf16+chunk=8+constant").options
    assert (options["name"], options["precision"], options["chunk"], options["memory"]) == (
        "vmap",
        "bf16",
        8,
        "constant",
    )
    assert "order" not in options
    assert specs.engine("auto+first").options["order"] == "first"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lop", "Did you mean 'loop'"),
        ("loop+bf", "after \\+ in 'loop\\+bf', got 'bf'.*Did you mean 'bf16'"),
        ("loop+chunk=many", "got 'chunk=many'"),
        ("loop+chunk=3", "engine.name=vmap"),
        ("", "engine.name"),
    ],
)
def test_other_words_are_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        specs.engine(spec)


def test_there_is_a_matrix_product_for_every_precision_and_no_more():
    engines = [specs.engine(each) for each in ("auto", "loop", "auto+bf16")]
    assert [each.precision for each in specs.products(engines)] == ["float32", "bf16"]
