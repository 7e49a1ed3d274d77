from dataclasses import replace

import pytest

from innerloop.analysis.gradient_penalty import AtRate, GradientAt, GradientPenalty, LossAt
from innerloop.figures.gradient_penalty import draw
from innerloop.report.said.gradient_penalty import captions, reach, say
from innerloop.statistics import Interval


def interval(mean, half=0.1, observations=5):
    return Interval(mean, half, observations)


def loss_at(rate, bend=3.0, seen=2.0, steps=1):
    """Truth is -2 steps rate + bend rate^2; the curvature sees `seen` of the bend."""
    change = -2 * steps * rate + bend * rate**2
    return LossAt(0, *map(interval, (change, -2 * steps * rate, seen * rate**2, (bend - seen) * rate**2)))


def gradient_at(cosine):
    return GradientAt(interval(1.0), interval(0.5), interval(0.25), interval(cosine / 2), interval(cosine))


def result(rates=(-0.3, -0.1, 0.1, 0.3), own=0.1, steps=1, order="second", **terms):
    found = tuple(
        AtRate(
            rate,
            loss_at(rate, **terms),
            loss_at(rate, steps=steps, **terms) if steps > 1 else None,
            gradient_at(0.8),
            gradient_at(0.4),
        )
        for rate in rates
    )
    product = (interval(4.0), interval(1.0), interval(3.0), interval(1.0), 3e-16)
    squares = (interval(0.3), interval(9.0), interval(6.0))
    return GradientPenalty(order, "cross_entropy", own, steps, "all", False, interval(1.6), *product, *squares, found)


def lined(results):
    return say(results).split("\n")


def test_the_product_is_said_with_its_parts_and_whether_it_is_told_from_0():
    unsure = replace(result(), product=interval(0.05), product_head=None)
    assert lined({"random": result(), "body": unsure})[0] == (
        "To first order a positive inner rate rewards the inner product of the slopes on support and query, and a "
        "negative one penalises it: 4.00 ± 0.10 for the random (1.00 ± 0.10 by the head and 3.00 ± 0.10 by the "
        "encoder); 0.05 ± 0.10 for the body, not told from 0."
    )


def test_the_contrastive_sum_is_said_with_its_largest_deviation_where_there_is_one():
    without = replace(result(), contrast=None, contrast_error=None)
    assert "of 3e-16 for the random." in lined({"random": result(), "other": without})[1]
    assert "contrastive" not in say({"other": without})


@pytest.mark.parametrize(
    ("terms", "alone", "curved"),
    [
        ({"bend": 0.0, "seen": 0.0}, (-0.3, 0.3), (-0.3, 0.3)),
        ({"bend": 2.0, "seen": 2.0}, (-0.1, 0.1), (-0.3, 0.3)),
        ({"bend": 6.0, "seen": 0.0}, (None, None), (None, None)),
        ({"bend": 4.0, "seen": 0.0}, (-0.1, None), (-0.1, None)),
    ],
)
def test_terms_reach_to_where_their_mean_is_first_more_than_a_fifth_off(terms, alone, curved):
    found = result(**terms)
    assert (reach(found), reach(found, curved=True)) == (alone, curved)


def test_a_rate_beyond_one_that_fails_or_diverges_is_not_reached():
    fine = result(bend=0.0, seen=0.0)
    gone = replace(fine.rates[2], one_step=LossAt(1, None, None, None, None))
    assert reach(replace(fine, rates=(*fine.rates[:2], gone, fine.rates[3]))) == (-0.3, None)


def test_how_far_terms_reach_is_said_of_the_rates_tried():
    said = lined({"a": result(bend=2.0, seen=2.0), "b": result(bend=6.0, seen=0.0), "c": result(bend=4.0, seen=0.0)})[2]
    assert said.endswith(
        "for the a -0.1 to 0.1 by the penalty alone and -0.3 to 0.3 with the curvature; for the b none by the penalty "
        "alone and none with the curvature; for the c -0.1 to 0 by the penalty alone and -0.1 to 0 with the curvature."
    )


def test_the_loss_is_said_at_the_rate_of_training_with_one_step_and_with_those_of_training():
    one, three = lined({"a": result()}), lined({"a": result(steps=3)})
    assert one[3] == (
        "One inner step at the rate of training changes the query loss by -0.17 ± 0.10 (penalty -0.20 ± 0.10, "
        "curvature 0.02 ± 0.10, the rest 0.01 ± 0.10) for the a at 0.1."
    )
    assert three[4] == (
        "All inner steps of training change it by -0.57 ± 0.10 (penalty -0.60 ± 0.10, curvature 0.02 ± 0.10, the rest "
        "0.01 ± 0.10) for the a with 3."
    )
    assert len(three) == len(one) + 1


def test_a_rate_of_training_that_diverges_or_is_0_is_said():
    fine = result()
    gone = replace(fine.rates[2], one_step=LossAt(2, None, interval(1.0), None, None))
    assert "a number that is not finite (2 episodes diverged) for the a at 0.1" in say(
        {"a": replace(fine, rates=(*fine.rates[:2], gone, fine.rates[3]))}
    )
    assert "at the rate of training" not in say({"a": result(own=0.0)})


def test_the_meta_gradient_is_said_of_the_order_of_training_and_where_it_is_all_penalty():
    said = lined({"a": result(), "b": result(order="first")})[-1]
    assert (
        "for the a it is 0.40 ± 0.10 without the penalty and 0.80 ± 0.10 with it, and what is left over 0.25 ± 0.10"
        in said
    )
    assert "for the b it is 0.20 ± 0.10 without the penalty and 0.40 ± 0.10 with it" in said
    own = result()
    zero = replace(own.rates[2], second=replace(own.rates[2].second, cosine_query=None))
    assert "undefined, as that gradient is 0, without the penalty" in say(
        {"a": replace(own, rates=(*own.rates[:2], zero, own.rates[3]))}
    )


def test_every_figure_has_a_caption_with_what_is_particular_of_these_runs():
    plain = {"a": result()}
    assert captions(plain).keys() == draw(plain).keys()
    assert "of second order, as trained" in captions(plain)["meta_gradient"]
    assert "encoder alone" not in captions(plain)["meta_gradient"]
    assert "cross marks" not in captions(plain)["change"]
    fine = result(steps=3)
    gone = replace(fine.rates[2], one_step=LossAt(1, None, None, None, None))
    odd = {"b": replace(fine, order="first", of_encoder=True, rates=(gone,)), **plain}
    told = captions(odd)
    assert told.keys() == draw(odd).keys()
    assert "first for the b and second for the a" in told["meta_gradient"]
    assert "For the b by the encoder alone" in told["meta_gradient"]
    assert "A cross marks a rate at which an episode diverges" in told["change"]
    assert "cross marks" not in told["steps"]
    assert "3 for the b." in told["steps"]
    assert "9.00 ± 0.10 on support and 6.00 ± 0.10 on query for the a" in told["slopes"]


def test_numbers_have_two_digits_of_their_interval_whatever_their_size():
    wide = replace(result(), product=interval(1234.5, 321.0), product_head=None)
    assert "1234 ± 321 for the a." in lined({"a": wide})[0]
    small = replace(wide, product=interval(0.00123, 0.00045))
    assert "0.00123 ± 0.00045 for the a." in lined({"a": small})[0]
    huge = replace(wide, product=interval(-3.2e30, 1e30))
    assert "-3.2e+30 ± 1e+30 for the a." in lined({"a": huge})[0]
    alone = replace(wide, product=interval(0.5, float("inf"), 1))
    assert "0.50 (one episode) for the a." in lined({"a": alone})[0]
