import pytest

from innerloop.analysis.learned_rates import Layer, LearnedInnerRates, Rates
from innerloop.figures.learned_rates import columns, draw
from innerloop.figures.style import to_png


def rates(*means):
    return tuple(Rates(mean, mean - 0.1, mean + 0.1, 0.25 if mean < 0.1 else 0.0) for mean in means)


def result(kind="layer_step", recorded=(0, 10)):
    steps = 2 if kind == "layer_step" else 1
    first = rates(*[0.1] * steps)

    def layer(name, part, *now):
        path = (first, rates(*now[:steps]))[: len(recorded)]
        return Layer(name, part, 30 if kind == "weight" else 1, first, rates(*now[:steps]), path)

    layers = (layer("one.weight", "body", 0.2, -0.3), layer("head.weight", "head", 0.4, 0.5))
    return LearnedInnerRates(kind, 10, recorded, layers)


def written(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_table_has_a_field_a_layer_and_step_with_its_rate_coloured_by_its_sign():
    figure = draw({"a": result()})["rates"]
    assert written(figure) == ["0.2", "-0.3", "0.4", "0.5"]
    (image,) = figure.axes[0].images
    assert image.norm.vmin == -image.norm.vmax == -0.5
    negative, positive = image.cmap(image.norm(-0.3)), image.cmap(image.norm(0.4))
    assert negative[0] > negative[2]
    assert positive[2] > positive[0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one.weight", "head.weight"]


def test_other_kinds_are_told_beside_their_first_value():
    assert columns(result()) == ["step 1", "step 2"]
    assert columns(result("layer")) == ["first", "now"]
    assert written(draw({"a": result("layer")})["rates"]) == ["0.1", "0.2", "0.1", "0.4"]
    fields = written(draw({"a": result("weight")})["rates"])
    assert fields == ["0.1", "0.1", "0.2", "0.3", "0.1", "0.3", "0.4", "0.5", "0.0%", "0.0%"]


def test_layers_over_training_are_means_over_inner_steps_and_the_share_below_zero_is_in_percent():
    figures = draw({"a": result()})
    body, head, zero = figures["layers"].axes[0].lines
    assert list(body.get_xdata()) == [0, 10]
    assert list(body.get_ydata()) == pytest.approx([0.1, -0.05])
    assert list(head.get_ydata()) == pytest.approx([0.1, 0.45])
    assert set(zero.get_ydata()) == {0}
    (share,) = figures["negative"].axes[0].lines
    assert list(share.get_ydata()) == pytest.approx([0, 6.25])  # a quarter of one rate in four


def test_what_was_not_recorded_is_not_drawn_and_every_run_has_figures_of_its_own():
    assert set(draw({"a": result(recorded=())})) == {"rates"}
    assert set(draw({"a": result(recorded=()), "b": result(), "c": result("one")})) == {
        *("rates", "rates_2", "rates_3", "layers_2", "layers_3", "negative")
    }
    titles = {
        name: figure.axes[0].get_title(loc="left") for name, figure in draw({"a": result(), "b": result()}).items()
    }
    assert (titles["rates"], titles["rates_2"], titles["layers_2"]) == ("a", "b", "b")


def test_rates_of_zero_and_many_layers_of_long_names_are_drawn():
    zero = Layer("x" * 80, "body", 1, rates(0.0), (Rates(0.0, 0.0, 0.0, 0.0),), ())
    many = LearnedInnerRates("layer", 0, (), (zero,) * 60)
    figure = draw({"a": many})["rates"]
    assert to_png(figure)[:4] == b"\x89PNG"
    assert len(figure.axes[0].get_yticklabels()[0].get_text()) == 30
    assert figure.get_figheight() > 10


def test_the_share_of_negative_rates_is_drawn_from_zero_up_even_where_none_is():
    above = (Rates(0.1, 0.1, 0.1, 0.0),)
    none = LearnedInnerRates("layer", 10, (0, 10), (Layer("one", "body", 1, above, above, (above, above)),))
    figures = draw({"a": none})
    low, high = figures["negative"].axes[0].get_ylim()
    assert low == 0
    assert high >= 1
