"""Learners that look like modules: `clone()`, compute a loss, `adapt(loss)`, for a training loop of your own.

    maml = MAML(model, lr=0.1)
    opt = torch.optim.Adam(maml.parameters())
    learner = maml.clone();  learner.adapt(loss(learner(x), y));  loss(learner(x'), y').backward();  opt.step()

A clone holds values that hang on the graph of the original's parameters, so `backward()` fills the `.grad` of the
original: with the exact meta-gradient, or with `first_order` that of FOMAML. The functional core (`Learner`,
`build_algorithm`) gives the same gradients and all the rest of innerloop; this is the way in for loops that exist.
"""

import math
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

from innerloop.errors import ConfigError
from innerloop.models.copies import copy_of
from innerloop.models.in_place import out_of_place, refuse_in_place
from innerloop.models.kernels import is_recurrent, plain_kernels
from innerloop.models.learner import refuse_parameters


class MAML(nn.Module):
    """A module that can be cloned and adapted by gradient steps of one rate.

    The module is used as it is brought, BatchNorm too. A clone starts from its original's buffers and keeps to itself
    what it writes into them: running statistics of the original change only when the original is called in training
    mode. Tied parameters stay tied. Attention and recurrent layers run on kernels that can be differentiated twice.

    Args:
        model: Any module; its parameters are those the outer optimizer gets.
        lr: Rate of the inner steps, of any sign.
        first_order: Whether the outer gradient holds the inner gradients constant.
        allow_unused: Whether a parameter that a loss does not depend on is left as it is; by default as `allow_nograd`.
        allow_nograd: Whether a frozen parameter is left as it is. Without, both are refused.

    Source: finn2017, equation 1 and section 5.2.   Differs from the paper: nothing known.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        first_order: bool = False,
        allow_unused: bool | None = None,
        allow_nograd: bool = False,
    ) -> None:
        if not math.isfinite(lr):
            raise ConfigError(f"expected a finite inner learning rate, got {lr}; the papers use 0.01 to 0.4")
        refuse_parameters(model)
        super().__init__()
        self.module = model
        self.lr = lr
        self.first_order = first_order
        self.allow_unused = allow_nograd if allow_unused is None else allow_unused
        self.allow_nograd = allow_nograd
        self.is_clone = False
        self._recurrent = is_recurrent(model)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Call the module with the values it has by now."""
        with plain_kernels(self._recurrent):
            return self.module(*inputs, **named)

    def clone(
        self,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
    ) -> "MAML":
        """Return a learner to adapt, whose values hang on the graph of this one's; settings given replace its own."""
        other = self._around(out_of_place(copy_of(self.module, _on_the_graph)))
        other.first_order = self.first_order if first_order is None else first_order
        other.allow_unused = self.allow_unused if allow_unused is None else allow_unused
        other.allow_nograd = self.allow_nograd if allow_nograd is None else allow_nograd
        other.training = self.training
        other.is_clone = True
        return other

    def adapt(self, loss: Tensor, first_order: bool | None = None) -> None:
        """Take one gradient step on the loss; no tensor is changed in place, the clone only holds new ones.

        Args:
            loss: Scalar, computed from this clone's outputs.
            first_order: Whether the outer gradient holds this step's gradient constant; by default the learner's way.

        Raises:
            ConfigError: This is no clone, the loss is no scalar or does not depend on the clone, or a parameter is
                frozen or unused and that is not allowed.
        """
        values: list[Tensor] = list(self.module.parameters())
        gradients = self._gradients(loss, values, self.first_order if first_order is None else first_order)
        moved = {
            id(value): value - rate * gradient
            for value, rate, gradient in zip(values, self._rates(), gradients, strict=False)
            if gradient is not None
        }
        for layer in self.module.modules():
            for own, value in layer._parameters.items():
                if id(value) in moved:
                    layer._parameters[own] = moved[id(value)]

    def _around(self, module: nn.Module) -> "MAML":
        return type(self)(module, self.lr)

    def _rates(self) -> Iterable[Any]:
        return repeat(self.lr)

    def _gradients(self, loss: Tensor, values: list[Tensor], first_order: bool) -> list[Tensor | None]:
        """Return a gradient for each value; None for those that may stand still."""
        if not self.is_clone:
            raise ConfigError("expected adapt() on a clone, got the learner itself; write learner = maml.clone() first")
        if loss.dim() != 0:
            raise ConfigError(f"expected a scalar loss, got shape {tuple(loss.shape)}; take its mean")
        if not loss.requires_grad:
            raise ConfigError(
                "expected a loss that depends on the clone's parameters, got a constant; "
                "compute it from this clone's outputs, with gradients on"
            )
        moving = [value for value in values if value.requires_grad]
        if len(moving) < len(values) and not self.allow_nograd:
            name = self._name(next(value for value in values if not value.requires_grad))
            raise ConfigError(f"expected parameters that move, got '{name}' frozen; pass allow_nograd=True to leave it")
        try:
            found = torch.autograd.grad(
                loss, moving, retain_graph=not first_order, create_graph=not first_order, allow_unused=True
            )
        except RuntimeError as error:
            refuse_in_place(error, self.module)
            raise
        by_value = {id(value): gradient for value, gradient in zip(moving, found, strict=True)}
        unused = [value for value in moving if by_value[id(value)] is None]
        if unused and not self.allow_unused:
            raise ConfigError(
                f"expected a loss that depends on every parameter of this clone, got one without '"
                f"{self._name(unused[0])}'; compute it from this clone's outputs, or pass allow_unused=True"
            )
        return [by_value.get(id(value)) for value in values]

    def _name(self, wanted: Tensor) -> str:
        return next(name for name, value in self.module.named_parameters() if value is wanted)


class MetaSGD(MAML):
    """MAML with a learned rate for every weight; the outer optimizer gets the rates among `parameters()`.

    Args:
        model: As for `MAML`.
        lr: What every rate starts from, of any sign.
        first_order: As for `MAML`; the rates' gradient is exact for one step either way.
        allow_unused: As for `MAML`.
        allow_nograd: As for `MAML`.
        lrs: The rates, in the order of `model.parameters()`; by default new ones.

    Source: li2017, equation 2.   Differs from the paper: all rates start alike instead of at random.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 0.1,
        first_order: bool = False,
        allow_unused: bool | None = None,
        allow_nograd: bool = False,
        lrs: nn.ParameterList | None = None,
    ) -> None:
        super().__init__(model, lr, first_order, allow_unused, allow_nograd)
        if lrs is None:
            each = (nn.Parameter(torch.full_like(value, lr), value.requires_grad) for value in model.parameters())
            lrs = nn.ParameterList(each)
        self.lrs = lrs

    def _around(self, module: nn.Module) -> "MAML":
        # The rates do not adapt: clones share them with the original.
        return type(self)(module, self.lr, lrs=self.lrs)

    def _rates(self) -> Iterable[Any]:
        return self.lrs


def _on_the_graph(value: Tensor) -> Tensor:
    if isinstance(value, nn.Parameter) and not value.requires_grad:
        return value
    return value.clone() if value.requires_grad else value.detach().clone()
