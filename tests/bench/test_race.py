import textwrap

import pytest

from innerloop.bench import specs
from innerloop.bench.race import Contender, race
from worlds import raced_world as world

STARTED = """
from innerloop.bench.contender import Outcome, serve
from innerloop.bench.plain import mean_gradient
from innerloop.bench.settings import algorithm_of
"""


@pytest.fixture
def contender(tmp_path):
    """A contender of a few lines, in a file of its own."""

    def made(label, body, **options):
        (tmp_path / f"{label}.py").write_text(STARTED + textwrap.dedent(body) + "\nserve(prepare)\n")
        return Contender(label, "peer", (str(tmp_path / f"{label}.py"),), options)

    return made


def test_all_work_in_turns_and_are_compared_with_the_first(contender):
    doubled = contender(
        "doubled",
        """
        def prepare(world, options):
            learner = algorithm_of(world).learner
            def work():
                print("a library that says something")
                found = mean_gradient(learner.logits, world)
                return Outcome([options["factor"] * found.gradient[name] for name in world.told.names], 7.0, "by hand")
            return work
        """,
        factor=2.0,
    )
    plain, other = race(world(), [specs.PLAIN, doubled], rounds=2)
    assert [len(each.seconds) for each in (plain, other)] == [2, 2]
    assert plain.apart == 0
    assert other.apart == pytest.approx(1, abs=1e-6)
    assert (other.loss, other.how) == (7.0, "by hand")


def test_whoever_fails_says_why_and_the_others_go_on(contender):
    refuses = contender("refuses", "def prepare(world, options): raise ValueError('no such\\n  thing')")
    dies = contender("dies", "import sys\nprint('out of luck', file=sys.stderr)\nsys.exit(3)")
    later = contender(
        "later",
        """
        def prepare(world, options):
            calls = []
            def work():
                calls.append(1)
                if len(calls) == 3:
                    raise RuntimeError("enough")
                return Outcome(world.params, 0.0)
            return work
        """,
    )
    refused, dead, tired, plain = race(world(), [refuses, dies, later, specs.PLAIN], rounds=3)
    assert refused.failed == "ValueError: no such thing"
    assert dead.failed == "ended with exit code 3: out of luck"
    assert tired.failed == "RuntimeError: enough"
    assert [each.seconds for each in (refused, dead, tired)] == [[], [], []]
    assert plain.failed is None
    assert len(plain.seconds) == 3


def test_an_engine_that_goes_on_in_another_way_is_reported(contender):
    warns = contender(
        "warns",
        """
        import warnings
        from innerloop.errors import EngineWarning
        def prepare(world, options):
            def work():
                warnings.warn("going on with less", EngineWarning)
                warnings.warn("something else")
                return Outcome(world.params, 0.0)
            return work
        """,
    )
    (measured,) = race(world(), [warns], rounds=1)
    assert measured.notes == ["going on with less"]


def test_under_a_zero_head_its_own_gradient_is_not_compared(contender):
    def with_head(value):
        return f"""
        def prepare(world, options):
            found = {{name: value + 1 for name, value in world.params.items()}}
            return lambda: Outcome({{**found, "head.bias": found["head.bias"] * {value}}}, 0.0)
        """

    both = [contender("one", with_head(1)), contender("five", with_head(5))]
    assert race(world(algorithm="zeroing"), both, rounds=1)[1].apart == 0
    assert race(world(), both, rounds=1)[1].apart > 0
