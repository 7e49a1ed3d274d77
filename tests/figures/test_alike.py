import pytest

from innerloop.figures.alike import alike


def groups(kinds="x", **numbers):
    named = {label.replace("_", " "): number for label, number in numbers.items()}
    return alike(named, dict(zip(named, kinds * len(named) if len(kinds) == 1 else kinds, strict=False)))


def test_labels_that_differ_in_the_number_alone_are_one_group_named_without_it():
    assert groups(random_m1=1, zeroing_m1=1, random_m3=3, zeroing_m3=3) == {
        "random": ["random m1", "random m3"],
        "zeroing": ["zeroing m1", "zeroing m3"],
    }
    assert groups(random_1_step=1, random_10_steps=10) == {"random": ["random 1 step", "random 10 steps"]}


def test_other_numbers_in_a_label_tell_groups_apart_even_where_they_equal_the_number():
    held = groups(**{"5w1s_m1_s0": 1, "5w1s_m5_s0": 5, "5w1s_m1_s1": 1, "5w1s_m5_s1": 5})
    assert held == {"5w1s s0": ["5w1s m1 s0", "5w1s m5 s0"], "5w1s s1": ["5w1s m1 s1", "5w1s m5 s1"]}


def test_another_kind_is_another_group_and_is_named_where_words_do_not_tell():
    held = groups(["zero", "other", "zero", "other"], a_m1=1, A_m1=1, a_m2=2, A_m2=2)
    assert held == {"a": ["a m1", "a m2"], "A": ["A m1", "A m2"]}
    assert groups(["zero", "other"], m1=1, m2=2) == {"zero": ["m1"], "other": ["m2"]}
    held = groups(["zero", "zero", "other", "other"], run_m1=1, run_m2=2, run_m3=3, run_m4=4)
    assert held == {"run zero": ["run m1", "run m2"], "run other": ["run m3", "run m4"]}


def test_where_no_labels_are_alike_the_kind_decides_unless_a_number_would_stand_twice():
    assert groups(["zero", "other", "zero"], short=1, middle=3, long=5) == {
        "zero": ["short", "long"],
        "other": ["middle"],
    }
    assert groups(short=1, quick=1, long=5) == {"short": ["short"], "quick": ["quick"], "long": ["long"]}


@pytest.mark.parametrize("labels", [("grid/random/m1", "grid/random/m3"), ("m1/grid/random", "m3/grid/random")])
def test_a_path_is_named_without_its_part_that_held_the_number(labels):
    assert list(alike(dict(zip(labels, (1, 3), strict=True)), dict.fromkeys(labels, "x"))) == ["grid/random"]


def test_no_group_is_lost_where_names_would_be_the_same():
    held = groups(a_m1=1, a_m3=3, a_n1=1, a_n3=3)
    assert sorted(held.values()) == [["a m1", "a m3"], ["a n1", "a n3"]]
