from dataclasses import replace

import numpy as np
import pytest

from innerloop.analysis.inner_steps import InnerSteps, arm
from innerloop.figures.inner_steps import draw, lines, shown_from
from innerloop.figures.style import HEIGHT, WIDTH, colour, to_png


def column(mean, episodes=12):
    return mean + np.linspace(-0.01, 0.01, episodes) * (1 + 10 * mean)


def result(*means, zeroed=None, training_steps=1, test_steps=1, episodes=12):
    first, second = (
        arm(np.stack([column(mean, episodes) for mean in each], axis=1)) for each in (means, zeroed or means)
    )
    return InnerSteps(
        training_steps,
        test_steps,
        len(means) - 1,
        0.0 if zeroed is None else 2.5,
        zeroed is None,
        first.accuracy[test_steps],
        first,
        second,
    )


RANDOM = result(0.2, 0.4, 0.5, 0.6, zeroed=(0.2, 0.5, 0.5, 0.7))
ZEROING = result(0.2, 0.7, 0.8, 0.75)


def test_accuracy_has_a_solid_and_a_dashed_line_a_run_and_one_where_the_head_is_zero_anyway():
    axes = draw({"random": RANDOM, "zeroing": ZEROING})["accuracy"].axes[0]
    drawn = [(each.get_color(), each.get_linestyle(), each.get_ydata()) for each in axes.lines]
    expected = [(0, "-", (40, 50, 60)), (0, "--", (50, 50, 70)), (1, "-", (70, 80, 75))]
    for (shade, style, values), (index, line, means) in zip(drawn, expected, strict=True):
        assert (shade, style) == (colour(index), line)
        assert list(values) == pytest.approx(list(means))
    assert len(axes.collections) == 3


def test_no_adaptation_is_drawn_only_where_it_is_among_the_best_or_there_is_little_else():
    assert shown_from({"a": RANDOM, "b": ZEROING}) == 1
    assert shown_from({"a": RANDOM, "b": result(0.9, 0.7, 0.8)}) == 0
    assert shown_from({"a": result(0.2, 0.7)}) == 0
    axes = draw({"a": result(0.9, 0.7, 0.8)})["accuracy"].axes[0]
    assert list(axes.lines[0].get_xdata()) == [0, 1, 2]


def test_training_steps_are_drawn_only_where_runs_differ_in_them():
    assert set(draw({"a": RANDOM, "b": ZEROING})) == {"accuracy"}
    grid = {
        f"{name} m{steps}": replace(each, training_steps=steps)
        for steps in (5, 1)
        for name, each in (("random", RANDOM), ("zeroing", ZEROING))
    }
    assert lines(grid) == {"random": ["random m5", "random m1"], "zeroing": ["zeroing m5", "zeroing m1"]}
    figure = draw(grid)["training_steps"]
    means = [line for line in figure.axes[0].lines if line.get_linestyle() in ("-", "--")]
    assert [list(line.get_xdata()) for line in means] == [[1, 5]] * 4
    assert [line.get_ydata()[0] for line in means] == pytest.approx([40, 50, 70, 70])
    assert [each.get_text() for each in figure.legends[0].get_texts()] == [
        "random",
        "zeroing",
        "as tested",
        "head zeroed, 1 step",
    ]


def test_six_runs_of_long_names_and_one_episode_are_drawn_with_every_legend_inside():
    for episodes in (1, 12):
        results = {
            f"omniglot 5w1s fomaml m{steps}": result(
                0.2, 0.4, 0.5, zeroed=(0.2,) * 3, training_steps=steps, episodes=episodes
            )
            for steps in range(6)
        }
        for figure in draw(results).values():
            assert to_png(figure)[:4] == b"\x89PNG"
            assert figure.legends[0].get_window_extent().x1 <= WIDTH * figure.dpi
        assert len(draw(results)["accuracy"].axes[0].collections) == (0 if episodes == 1 else 12)  # bands
    assert draw(results)["accuracy"].get_figheight() > HEIGHT
