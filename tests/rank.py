"""What every rank of a group computes, to be compared with one process: `python rank.py RANK SIZE PORT FOLDER`."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from brought import Transformer, brought, token_episode
from innerloop.data.episode import Episode, stacked
from innerloop.engine import Loop
from innerloop.engine.group import Group
from innerloop.engine.launch import Place, meet
from innerloop.engine.ranks import Sharded
from innerloop.errors import InnerloopError, RankError
from innerloop.models import Learner
from innerloop.training import TrainingConfig, initial_state, train
from worlds import algorithm_of, conv_learner, image_episode, smooth_learner, vector_episode

# Plain descent: Adam makes whole steps of the rounding in a gradient that is zero, as that of a bias before BatchNorm.
STEPS = TrainingConfig(steps=3, tasks=5, outer_lr=0.1, outer_rule="sgd")
SPOILT = 3  # a task of the second half, which is not rank 0's


def computed(engine_of):
    """Return named numbers that an engine, made for an algorithm, computes."""
    learner, params = conv_learner()
    maml = algorithm_of("maml", learner, lr=0.1, steps=2)
    noisy = algorithm_of("fomaml", Learner(brought(Transformer, dropout=0.4)), lr=0.1, steps=1)
    several = stacked([image_episode(seed=seed) for seed in range(5)])
    uneven = tuple(token_episode(seed, k_shot=1 + seed % 2) for seed in range(3))
    single = stacked([image_episode()])

    def batch(step):
        return stacked([image_episode(seed=10 * step + task) for task in range(STEPS.tasks)])

    return {
        **named("several", engine_of(maml).gradient(params, several)),
        **named("noisy", engine_of(noisy).gradient(noisy.initial_params(), uneven, 7, 3)),
        **named("single", engine_of(maml).gradient(params, single)),
        "each": engine_of(maml).each(logits, params, several),
        "each of one": engine_of(maml).each(logits, params, single),
        **list(train(maml, initial_state(maml, params), batch, STEPS, engine=engine_of(maml)))[-1].params,
        **halved(engine_of),
    }


def spoilt(step):
    """A batch of vectors, one of which is not finite at the second step."""
    drawn = [vector_episode(seed=10 * step + task) for task in range(STEPS.tasks)]
    if step == 1:
        support, query = drawn[SPOILT]
        drawn[SPOILT] = Episode(support, query._replace(inputs=query.inputs * float("inf")))
    return stacked(drawn)


def halved(engine_of, policy="halve"):
    """Return where training ends that meets a task that is not finite."""
    learner, params = smooth_learner()
    maml = algorithm_of("maml", learner, lr=0.1, steps=2)
    config = replace(STEPS, nonfinite=policy, clip=0.5)
    *_, second, last = train(maml, initial_state(maml, params), spoilt, config, engine=engine_of(maml))
    where = torch.frombuffer(bytearray(second.skipped.encode()), dtype=torch.uint8)
    numbers = torch.tensor([last.rate, last.loss, last.gradient_norm], dtype=torch.float64)
    return {"where": where, "numbers": numbers, **{f"halved {name}": value for name, value in last.params.items()}}


def logits(algorithm, params, episode):
    return algorithm.query_loss(params, episode)[1].detach()


def named(what, result):
    return {
        **{f"{what} {name}": value for name, value in result.gradient.items()},
        f"{what} losses": result.losses,
        f"{what} accuracies": result.accuracies,
    }


def refused(act):
    try:
        act()
    except InnerloopError as error:
        return str(error)
    return ""


def differ(group):
    group.agree({"inner.lr": 0.1, "seed": min(group.rank, 1)})


def fail_on_the_last(group):
    with group.together():
        if group.rank == group.size - 1:
            raise RankError("expected an even rank, got an odd one; add one")


def main(rank, size, port, folder):
    torch.set_num_threads(1)
    with Group() as group:
        place = Place(rank, size, "127.0.0.1", port, torch.device("cpu"))
        group.connect(meet(place), rank, size, place.device)
        group.agree({"inner.lr": 0.1})

        def shared(algorithm):
            return Sharded(Loop(algorithm), group)

        numbers = computed(shared)
        said = [
            refused(lambda: differ(group)),
            refused(lambda: fail_on_the_last(group)),
            refused(lambda: halved(shared, "stop")),
        ]
    save_file({name: value.contiguous().clone() for name, value in numbers.items()}, folder / f"{rank}.safetensors")
    (folder / f"{rank}.txt").write_text("\n".join(said))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
