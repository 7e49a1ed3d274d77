from dataclasses import replace

import pytest

from innerloop.analysis.gradient_penalty import AtRate, GradientAt, GradientPenalty, LossAt
from innerloop.figures.gradient_penalty import draw, of_order
from innerloop.figures.style import WIDTH, colour, to_png
from innerloop.statistics import Interval


def interval(mean, half=0.1, observations=5):
    return Interval(mean, half, observations)


def loss_at(rate, steps=1, diverged=0):
    change = None if diverged else interval(-2 * steps * rate + 3 * rate**2, 0.01 * abs(rate))
    return LossAt(diverged, change, interval(-2 * steps * rate), interval(2 * rate**2), change and interval(rate**2))


def gradient_at(cosine):
    return GradientAt(interval(1.0), interval(0.5), interval(0.1), interval(cosine / 2), interval(cosine))


def result(rates=(-0.1, -0.01, 0.01, 0.1), steps=1, order="second", diverged=()):
    found = tuple(
        AtRate(
            rate,
            loss_at(rate, diverged=int(rate in diverged)),
            loss_at(rate, steps) if steps > 1 else None,
            gradient_at(0.8),
            gradient_at(0.4),
        )
        for rate in rates
    )
    one, none = interval(2.0), None
    return GradientPenalty(
        order,
        "cross_entropy",
        0.1,
        steps,
        "all",
        False,
        interval(1.6),
        one,
        one,
        none,
        one,
        1e-16,
        one,
        one,
        one,
        found,
    )


def lines(figure, style, shade):
    """Return the points of all lines of one style and colour, both sides of rate 0 together."""
    there = [line for line in figure.axes[0].lines if (line.get_linestyle(), line.get_color()) == (style, shade)]
    return {x: y for line in there for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def test_change_has_truth_penalty_and_both_terms_over_the_rate_a_colour_a_run():
    figure = draw({"one": result(), "other": result((-0.2, 0.2))})["change"]
    for index, rates in enumerate([(-0.1, -0.01, 0.01, 0.1), (-0.2, 0.2)]):
        shade = colour(index)
        assert lines(figure, "-", shade) == pytest.approx({rate: -2 + 3 * rate for rate in rates})
        assert lines(figure, "--", shade) == pytest.approx(dict.fromkeys(rates, -2.0))
        assert lines(figure, ":", shade) == pytest.approx({rate: -2 + 2 * rate for rate in rates})
    assert [each.get_text() for each in figure.legends[0].get_texts()] == [
        "one",
        "other",
        "true",
        "penalty",
        "penalty and curvature",
    ]


def test_lines_are_broken_at_rate_0_where_nothing_is_measured():
    axes = draw({"one": result()})["change"].axes[0]
    for line in axes.lines:
        rates = list(line.get_xdata())
        assert not (min(rates, default=0) < 0 < max(rates, default=0))


def test_terms_that_leave_the_range_of_truth_leave_the_picture():
    wild = result()
    far = replace(wild.rates[-1], one_step=replace(wild.rates[-1].one_step, curvature=interval(1e9)))
    low, high = draw({"one": replace(wild, rates=(*wild.rates[:-1], far))})["change"].axes[0].get_ylim()
    assert -4 < low < high < 4


def test_a_rate_at_which_an_episode_diverges_has_a_cross_and_no_point():
    axes = draw({"one": result(diverged=(0.1,))})["change"].axes[0]
    (crosses,) = (line for line in axes.lines if line.get_marker() == "x")
    assert list(crosses.get_xdata()) == [0.1]
    assert 0.1 not in lines(axes.figure, "-", colour(0))


def test_meta_gradients_are_of_the_order_of_training():
    figure = draw({"one": result(), "other": result(order="first")})["meta_gradient"]
    for index, cosine in enumerate([0.8, 0.4]):
        assert set(lines(figure, "-", colour(index)).values()) == {cosine}
        assert set(lines(figure, "--", colour(index)).values()) == {cosine / 2}
    first = result(order="first")
    assert of_order(first, first.rates[0]) is first.rates[0].first


def test_slopes_have_no_bar_for_what_does_not_adapt():
    axes = draw({"one": result()})["slopes"].axes[0]
    assert len(axes.patches) == 3
    assert [each.get_text() for each in axes.get_xticklabels()][-1] == "of the\nencoder"


def test_several_steps_of_training_have_a_figure_of_their_own_in_their_runs_colour():
    assert set(draw({"one": result()})) == {"change", "meta_gradient", "slopes"}
    figure = draw({"one": result(), "several": result(steps=3)})["steps"]
    assert list(lines(figure, "--", colour(1)).values()) == pytest.approx([-6.0] * 4)
    assert not lines(figure, "--", colour(0))


def test_wild_rates_and_many_runs_of_long_names_are_drawn_with_every_legend_inside():
    alone = result((1e-5, 1e6, 1e100), diverged=(1e100,))
    for figure in draw({"one": alone}).values():
        assert to_png(figure)[:4] == b"\x89PNG"
    assert len(draw({"one": alone})["change"].axes[0].get_xticks()) < 16
    for figure in draw({f"omniglot 5w1s gradient penalty {index}": result(steps=2) for index in range(6)}).values():
        assert to_png(figure)[:4] == b"\x89PNG"
        assert figure.legends[0].get_window_extent().x1 <= WIDTH * figure.dpi
