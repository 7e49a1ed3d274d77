from dataclasses import replace

from innerloop.analysis.learned_rates import Layer, LearnedInnerRates, Rates
from innerloop.figures.learned_rates import draw
from innerloop.report.said.learned_rates import captions, say


def plain(*means):
    return tuple(Rates(mean, mean, mean, float(mean < 0)) for mean in means)


def result(**layers):
    """Layers by name, with the rates of two inner steps; the head's begin with `head`."""
    made = tuple(
        Layer(
            name.replace("_", "."), "head" if name.startswith("head") else "body", 1, plain(0.1, 0.1), plain(*now), ()
        )
        for name, now in layers.items()
    )
    return LearnedInnerRates("layer_step", 50, (), made)


def test_the_count_below_zero_where_they_are_the_sizes_and_head_against_body_are_said():
    said = say({"a": result(one_weight=(-0.2, 0.05), two_weight=(0.3, -0.01), head_weight=(0.4, 0.6))})
    assert said == (
        "The a has learned inner rates, one a layer and step: 2 of 6 below 0 (0% at first), after 50 outer steps. "
        "Below 0: one.weight (-0.2 at step 1) and two.weight (-0.01 at step 2). "
        "The largest in size is 0.6 in head.weight at step 2, the smallest -0.01 in two.weight at step 2. "
        "The head's mean rate was 0.1 at first and is 0.5; the body's mean rate was 0.1 at first and is 0.035. "
        "By inner step the mean rate is 0.167 and 0.213."
    )


def test_no_negative_rate_is_said_and_a_part_that_does_not_adapt_is_not():
    said = say({"a": result(head_weight=(0.4, 0.6))})
    assert "0 of 2 below 0 (0% at first), after 50 outer steps. None is below 0." in said
    assert "body" not in said


def test_many_negative_layers_are_counted_after_the_five_most_negative():
    layers = {f"layer{number}_weight": (-0.1 * number, 0.1) for number in range(1, 8)}
    said = say({"a": result(**layers)})
    assert "Below 0: layer7.weight (-0.7 at step 1), layer6.weight" in said
    assert "layer3.weight (-0.3 at step 1) and 2 more layers." in said


def test_rates_of_weights_are_told_by_means_and_shares():
    layers = (
        Layer("one.weight", "body", 300, plain(0.1), (Rates(0.2, -0.1, 0.3, 0.1),), ()),
        Layer("head.weight", "head", 100, plain(0.1), (Rates(0.5, -0.2, 0.9, 0.25),), ()),
    )
    found = LearnedInnerRates("weight", 9, (), layers)
    said = say({"a": found})
    assert "one a weight: 55 of 400 below 0 (0% at first), after 9 outer steps. No layer's mean is below 0." in said
    assert "The largest share below 0 has head.weight, 25.0%." in said
    assert "The largest in size by a layer's mean is 0.5 in head.weight, the smallest 0.2 in one.weight." in said
    low = replace(found, layers=(replace(layers[0], now=(Rates(-0.02, -0.3, 0.1, 0.6),)), layers[1]))
    assert "Below 0 on average: one.weight (-0.02). The largest share below 0 has one.weight, 60.0%." in say({"a": low})


def test_one_rate_for_all_is_told_as_one():
    found = LearnedInnerRates("one", 9, (), (Layer("all layers", "all", 1, plain(0.1), plain(-0.25), ()),))
    assert say({"a": found}) == (
        "The a has a learned inner rate: 1 of 1 below 0 (0% at first), after 9 outer steps. Below 0: all layers "
        "(-0.25). It is -0.25, and was 0.1 at first."
    )


def test_every_run_has_its_line_and_every_figure_its_caption():
    each = result(one_weight=(0.2, 0.1), head_weight=(0.4, 0.6))
    layers = tuple(replace(layer, path=(layer.first, layer.now)) for layer in each.layers)
    results = {"a": replace(each, recorded=(0, 50), layers=layers), "b": each}
    assert [line.split(" has ")[0] for line in say(results).split("\n")] == ["The a", "The b"]
    assert set(draw(results)) <= set(captions(results))
    assert "Inner rates of the b after 50 outer steps, by layer and inner step." in captions(results)["rates_2"]
    assert "each layer of the a over training, over inner steps" in captions(results)["layers"]
