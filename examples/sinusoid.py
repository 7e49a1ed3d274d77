"""What a run on the sinusoid family learned: predictions from ten points, before adaptation and after 1 and 5 steps.

innerloop train --config recipes/sinusoid-10s-maml.yaml
python examples/sinusoid.py runs/sinusoid-10s-maml --out sinusoid.svg
"""

import argparse

import torch
from matplotlib.figure import Figure

import innerloop as il
from innerloop.figures.style import COLOURS, styled

SHOWN = (0, 1, 5)
LOOKS = {0: ("#999999", ":"), 1: (COLOURS[1], "--"), 5: (COLOURS[2], "-")}


def draw(run: str, tasks: int) -> Figure:
    """Draw some test tasks of a run: the true curve, the points given, and what is predicted after some steps."""
    opened = il.open_run(run)
    family = il.load(opened.recipe.data).split("test")
    algorithm, state = opened.learned(family, "last")
    algorithm = algorithm.with_inner(steps=max(SHOWN))
    with styled():
        figure = Figure(figsize=(3.1 * tasks, 2.7), layout="constrained")
        for index, axes in enumerate(figure.subplots(1, tasks, squeeze=False)[0]):
            episode = il.draw(family, il.EpisodeShape(k_shot=10, n_queries=400), seed=0, index=index)
            order = episode.query.inputs[:, 0].argsort()
            x, y = (values[order] for values in episode.query)
            path = algorithm.adapt(state.params, episode.support).params
            axes.plot(x[:, 0], y[:, 0], color="black", linewidth=1, label="true")
            for step in SHOWN:
                with torch.no_grad():
                    predicted = algorithm.learner.logits(path[step], x)
                loss = ((predicted - y) ** 2).mean()
                colour, line = LOOKS[step]
                label = "before" if step == 0 else f"{step} step" + "s" * (step > 1)
                axes.plot(x[:, 0], predicted[:, 0], color=colour, linestyle=line, label=f"{label}: {loss:.2f}")
            axes.scatter(*(values[:, 0] for values in episode.support), color="black", s=14, zorder=3)
            axes.legend(title="mean squared error", fontsize=7, title_fontsize=7, loc="upper center", ncols=2)
            axes.set_ylim(-5.5, 10)
    return figure


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--out", default="sinusoid.svg")
    parser.add_argument("--tasks", type=int, default=3)
    asked = parser.parse_args()
    draw(asked.run, asked.tasks).savefig(asked.out, metadata={"Date": None} if asked.out.endswith("svg") else None)


if __name__ == "__main__":
    main()
