import torch

from innerloop.analysis.responsibility import Blamed, Mistake, Responsibility
from innerloop.data.pictures import to_text
from innerloop.figures import responsibility
from innerloop.figures.style import to_svg
from innerloop.statistics import Interval

PICTURE = to_text(torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)).numpy())
SURE = Interval(0.9, 0.01, 10)


def result(*shares, picture=PICTURE):
    support = tuple(Blamed("a/long/name/character07", i, share, picture) for i, share in enumerate(shares))
    mistake = Mistake(0, 3, "true", "said", sum(shares), 0.0, 0.0, support, picture)
    return Responsibility(True, SURE, 1, SURE, SURE, SURE, SURE, SURE, None, (mistake,))


def words(figure):
    return [axes.get_xlabel() for axes in figure.axes]


def test_a_mistake_shows_what_made_it_and_only_what_truly_spoke_against_it():
    figure = responsibility.draw({"one": result(2.0, 1.0, 0.5, 0.001, -0.001, -0.7)})["mistakes"]
    assert words(figure) == [
        "is true\nsaid said",
        *[f"character07\n{share}" for share in ("+2.00", "+1.00", "+0.50", "-0.70")],
    ]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["query", "to blame", "", "", "against it"]
    assert to_svg(figure)


def test_few_support_examples_are_shown_once_each():
    assert len(responsibility.draw({"one": result(1.0, -1.0)})["mistakes"].axes) == 3


def test_what_is_no_picture_is_not_drawn_and_the_first_learner_that_has_pictures_is():
    assert responsibility.draw({"one": result(1.0, picture="")}) == {}
    assert "mistakes" in responsibility.draw({"one": result(1.0, picture=""), "two": result(1.0)})
