"""The adapted query loss of a linear head on given features, for autograd to differentiate."""

import torch
import torch.nn.functional as F  # noqa: N812


def loss_value(outputs, labels, loss, reduction):
    if loss == "cross_entropy":
        return F.cross_entropy(outputs, labels, reduction=reduction)
    return F.mse_loss(outputs, F.one_hot(labels, outputs.shape[1]).to(outputs.dtype), reduction=reduction)


def gradients(
    support, support_labels, query, query_labels, weight, bias, *, inner_lr, inner_steps, loss, reduction, order
):
    """Return d loss / d (support, query, weight, bias) and the loss, through the inner loop or holding it constant."""
    leaves = [each.clone().requires_grad_() for each in (support, query, weight)]
    fs, fq, w0 = leaves
    b0 = None if bias is None else bias.clone().requires_grad_()
    w, b = w0, b0
    for _ in range(inner_steps):
        outputs = fs @ w.T + (0 if b is None else b)
        at = [w] if b is None else [w, b]
        grads = torch.autograd.grad(loss_value(outputs, support_labels, loss, reduction), at, create_graph=True)
        w = w - inner_lr * grads[0]
        b = None if b is None else b - inner_lr * grads[1]
    if order == "first":
        w = w.detach().requires_grad_()
        b = None if b is None else b.detach().requires_grad_()
        wrt = [fq, w] + ([] if b is None else [b])
    else:
        wrt = [fq, w0] + ([] if b is None else [b0])
    total = loss_value(fq @ w.T + (0 if b is None else b), query_labels, loss, reduction)
    found = torch.autograd.grad(total, [fs, *wrt], allow_unused=True, materialize_grads=True)
    return {
        "support": found[0],
        "query": found[1],
        "weight": found[2],
        "bias": found[3] if bias is not None else None,
        "loss": total.detach(),
    }
