"""What every rank of a group computes, to be compared with one process: `python rank.py RANK SIZE PORT FOLDER`."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from brought import Transformer, brought, token_episode
from innerloop.data.episode import stacked
from innerloop.engine import Loop
from innerloop.engine.group import Group
from innerloop.engine.launch import Place, meet
from innerloop.engine.ranks import Sharded
from innerloop.errors import InnerloopError, RankError
from innerloop.models import Learner
from innerloop.training import TrainingConfig, initial_state, train
from worlds import algorithm_of, conv_learner, image_episode

# Plain descent: Adam makes whole steps of the rounding in a gradient that is zero, as that of a bias before BatchNorm.
STEPS = TrainingConfig(steps=3, tasks=5, outer_lr=0.1, outer_rule="sgd")


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
    }


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
        numbers = computed(lambda algorithm: Sharded(Loop(algorithm), group))
        said = [refused(lambda: differ(group)), refused(lambda: fail_on_the_last(group))]
    save_file({name: value.contiguous().clone() for name, value in numbers.items()}, folder / f"{rank}.safetensors")
    (folder / f"{rank}.txt").write_text("\n".join(said))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
