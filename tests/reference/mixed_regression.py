"""Mixed linear regression by other ways: one world and one task after the other, and the mean over labels exactly."""

import torch


def trained(model, tasks, rate):
    """Return every world's trained weights [world dimension], with (I - a S) written out and a pseudo-inverse."""
    start = torch.zeros(model.dimensions, dtype=torch.float64)
    start[0] = model.start_distance
    found = []
    for world in range(len(tasks.inner.inputs)):
        rows, asked = [], []
        for task in range(model.tasks):
            x, y = tasks.inner.inputs[world, task], tasks.inner.targets[world, task]
            keep = torch.eye(model.dimensions, dtype=torch.float64) - rate * x.T @ x / model.inner_points
            added = rate * x.T @ y / model.inner_points
            rows.append(tasks.outer.inputs[world, task] @ keep)
            asked.append(tasks.outer.targets[world, task] - tasks.outer.inputs[world, task] @ added)
        all_rows, all_asked = torch.cat(rows), torch.cat(asked)
        found.append(start + torch.linalg.pinv(all_rows) @ (all_asked - all_rows @ start))
    return torch.stack(found)


def outer_loss(model, tasks, world, rate, weights):
    """Return the sum of half squared errors over one world's outer points, after inner steps by autograd."""
    total = 0.0
    for x, y, outer_x, outer_y in zip(
        *(values[world] for points in (tasks.inner, tasks.outer) for values in points), strict=True
    ):
        inner = ((y - x @ weights) ** 2).mean() / 2
        (gradient,) = torch.autograd.grad(inner, weights, create_graph=True)
        total = total + ((outer_y - outer_x @ (weights - rate * gradient)) ** 2).sum() / 2
    return total


def distances(model, tasks, rate):
    """Return the mean of |trained - w0|^2 over weights and noise, given the inputs [world]; for a start at w0.

    The trained weights are linear in what is random, so that the mean is a sum of squares; it varies far less between
    worlds than the distance itself does.
    """
    pull = rate / model.inner_points * tasks.outer.inputs @ tasks.inner.inputs.mT
    rows = tasks.outer.inputs - pull @ tasks.inner.inputs
    inverse = torch.linalg.pinv(rows.flatten(1, 2)).unflatten(2, (model.tasks, model.outer_points))
    of_weights = torch.einsum("wpto,wtoq->wptq", inverse, rows)
    of_inner_noise = torch.einsum("wpto,wtoi->wpti", inverse, pull)
    spread = model.spread**2 / model.dimensions * (of_weights**2).sum((1, 2, 3))
    return spread + model.noise * ((inverse**2).sum((1, 2, 3)) + (of_inner_noise**2).sum((1, 2, 3)))
