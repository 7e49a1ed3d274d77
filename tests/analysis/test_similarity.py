import math

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from innerloop.analysis.similarity import alike, by_place, linear_cka, mean_cca, reduced
from innerloop.seeds import generator


def random(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed, "similarity"), dtype=torch.float64)


LEFT, RIGHT = random(40, 6), random(40, 6, seed=1) + random(40, 6)
ROTATION = torch.from_numpy(ortho_group.rvs(6, random_state=0))
MIXED = random(6, 6, seed=2)
ORDER = torch.randperm(40, generator=generator(0, "order"))


def slow_cka(left, right):
    """The published definition, from the side of the features."""
    left, right = left - left.mean(0), right - right.mean(0)
    across, own, other = left.T @ right, left.T @ left, right.T @ right
    return (across.norm() ** 2 / (own.norm() * other.norm())).item()


def slow_cca(left, right):
    """Canonical correlations as the published eigenvalue problem: Sxx^-1 Sxy Syy^-1 Syx."""
    left, right = left - left.mean(0), right - right.mean(0)
    across = left.T @ right
    product = torch.linalg.solve(left.T @ left, across) @ torch.linalg.solve(right.T @ right, across.T)
    squares = np.sort(np.linalg.eigvals(product.numpy()).real)[::-1]
    return float(np.sqrt(squares[: min(left.shape[1], right.shape[1])].clip(0)).mean())


@pytest.mark.parametrize("width", [2, 6, 9])
def test_both_are_the_published_definitions(width):
    right = random(40, width, seed=3) + LEFT[:, :1]
    assert linear_cka(LEFT, right) == pytest.approx(slow_cka(LEFT, right), abs=1e-12)
    assert mean_cca(LEFT, right) == pytest.approx(slow_cca(LEFT, right), abs=1e-10)


def test_cka_stays_under_rotation_shift_and_one_scale_but_not_under_every_linear_map():
    truth = linear_cka(LEFT, RIGHT)
    assert linear_cka(LEFT @ ROTATION * 7 + 3, RIGHT) == pytest.approx(truth, abs=1e-12)
    assert linear_cka(RIGHT, LEFT) == pytest.approx(truth, abs=1e-12)
    assert abs(linear_cka(LEFT @ MIXED, RIGHT) - truth) > 0.01
    assert linear_cka(LEFT, LEFT @ ROTATION) == pytest.approx(1, abs=1e-12)


def test_cca_stays_under_every_invertible_linear_map():
    truth = mean_cca(LEFT, RIGHT)
    assert mean_cca(LEFT @ MIXED + 5, RIGHT @ MIXED.T) == pytest.approx(truth, abs=1e-9)
    assert mean_cca(LEFT, LEFT @ MIXED) == pytest.approx(1, abs=1e-9)


def test_planted_correlations_are_found():
    planted = torch.tensor([0.9, 0.6, 0.3], dtype=torch.float64)
    noise = random(200_000, 6, seed=4)
    left = noise[:, :3]
    right = planted * left + (1 - planted**2).sqrt() * noise[:, 3:]
    assert mean_cca(left @ random(3, 3, seed=5), right @ random(3, 3, seed=6)) == pytest.approx(0.6, abs=0.01)
    # Of unit variances, CKA is the squared correlations' mean.
    assert linear_cka(left[:2000], right[:2000]) == pytest.approx((planted**2).mean().item(), abs=0.05)


def test_unrelated_sides_show_what_their_size_alone_makes():
    """Known small-sample values: squared correlations have mean q/n, CKA of p by p white numbers about p/(n + p)."""
    pairs = [(random(201, 10, seed=2 * seed), random(201, 10, seed=2 * seed + 1)) for seed in range(20)]
    bases = [[torch.linalg.qr(each - each.mean(0))[0] for each in pair] for pair in pairs]
    squares = [torch.linalg.svdvals(one.T @ other).square().mean().item() for one, other in bases]
    assert np.mean(squares) == pytest.approx(10 / 200, rel=0.1)
    assert np.mean([mean_cca(*pair) ** 2 for pair in pairs]) < np.mean(squares)
    assert np.mean([linear_cka(*pair) for pair in pairs]) == pytest.approx(10 / 210, rel=0.1)


def test_with_as_many_directions_as_examples_every_cca_is_one_so_directions_are_cut_to_a_quarter():
    wide, other = random(21, 40), random(21, 40, seed=1)
    assert mean_cca(wide, other) == pytest.approx(1, abs=1e-9)
    found = alike(wide, other, torch.arange(21))
    assert found.directions == 5
    assert found.cca < 0.9
    assert 0.2 < found.variance < 0.9


def test_directions_hold_99_percent_of_the_variance_where_a_quarter_of_the_examples_will_do():
    sizes = torch.tensor([10.0, 3.0, 1.0, 0.01], dtype=torch.float64)
    basis = torch.linalg.qr(random(80, 4) - random(80, 4).mean(0))[0]
    found = reduced(basis * sizes)
    assert found.basis.shape == (80, 2)  # 100 and 9 of 110
    assert found.variance == pytest.approx(109 / 110.0001, abs=1e-9)
    torch.testing.assert_close(found.basis.T @ found.basis, torch.eye(2, dtype=torch.float64))
    assert linear_cka(found.basis, basis[:, :2]) == pytest.approx(1, abs=1e-9)


def test_places_of_images_are_examples_of_their_channels():
    images = random(4, 3, 2, 5)
    rows = by_place(images)
    assert rows.shape == (40, 3)
    assert torch.equal(rows[13], images[1, :, 0, 3])
    assert by_place(images[:, :, :1, :1]).shape == (4, 3)
    assert by_place(images[..., 0]).shape == (4, 6)


def test_shuffling_moves_whole_examples_and_the_plain_measures_are_those_of_the_parts():
    left, right = random(40, 3, 2, 2), random(40, 3, 2, 2, seed=1) + random(40, 3, 2, 2)
    found = alike(left, right, ORDER)
    assert found.cka == pytest.approx(slow_cka(left.flatten(1), right.flatten(1)), abs=1e-12)
    assert found.cka_shuffled == pytest.approx(slow_cka(left.flatten(1), right[ORDER].flatten(1)), abs=1e-12)
    assert found.cca == pytest.approx(slow_cca(by_place(left), by_place(right)), abs=1e-10)
    assert found.cca_shuffled == pytest.approx(slow_cca(by_place(left), by_place(right[ORDER])), abs=1e-10)
    assert found.cca > found.cca_shuffled


def test_a_side_that_is_one_point_has_no_likeness():
    # A third is no sum of halves, and 40 of them have a mean that is off by a digit.
    for point in (torch.zeros(40, 5), torch.full((40, 5), 1 / 3, dtype=torch.float64) * torch.arange(1, 6)):
        found = alike(point, LEFT, ORDER)
        assert all(math.isnan(each) for each in found[:4])
        assert found.directions == 0
    assert math.isnan(alike(LEFT[:4], RIGHT[:4], torch.arange(4)).cca)  # no quarter of three


def test_numbers_whose_squares_overflow_are_compared_all_the_same():
    assert linear_cka(LEFT * 1e200, RIGHT * 1e-200) == pytest.approx(linear_cka(LEFT, RIGHT), abs=1e-12)
    assert mean_cca(LEFT * 1e200, RIGHT * 1e-200) == pytest.approx(mean_cca(LEFT, RIGHT), abs=1e-12)
