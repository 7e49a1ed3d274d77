"""Encoder and head as pure functions of Params, made from any nn.Module with a named head."""

import copy
from typing import get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from innerloop.errors import ConfigError, did_you_mean
from innerloop.models.normalization import Normalization, reference_rows, without_running_statistics
from innerloop.params import select, snapshot
from innerloop.shapes import Features, Inputs, Logits, Params


class Learner:
    """A module's structure, without the values of its parameters.

    The head is the submodule that turns features into logits, and the last thing the module does.

    Args:
        module: Any module; it is copied, and never changed.
        head: The head's name in it, as in `named_modules`.
        normalization: Whose statistics BatchNorm uses for query examples, `batch` (transductive, as in the papers)
            or `support`.

    Raises:
        ConfigError: The module has no such head, or a parameter that cannot be differentiated.
    """

    def __init__(self, module: nn.Module, head: str = "head", normalization: Normalization = "batch") -> None:
        if normalization not in get_args(Normalization):
            known = ", ".join(get_args(Normalization))
            raise ConfigError(f"expected a normalization out of {known}, got '{normalization}'; choose one of them")
        names = [name for name, _ in module.named_modules() if name]
        if head not in names:
            raise ConfigError(
                f"expected a submodule '{head}' as the head, got a module with {', '.join(names)}; "
                f"name the one that makes the logits.{did_you_mean(head, names)}"
            )
        self._whole = without_running_statistics(copy.deepcopy(module), normalization)
        self._encoder = copy.deepcopy(self._whole)
        self._encoder.set_submodule(head, nn.Identity())
        self.head = head
        self.normalization = normalization
        self.head_names = frozenset(name for name, _ in self._whole.named_parameters() if name.startswith(f"{head}."))
        integer = next((name for name, p in self._whole.named_parameters() if not p.is_floating_point()), None)
        if integer is not None:
            raise ConfigError(f"expected real-valued parameters, got '{integer}' of another kind; make it a buffer")

    @property
    def transductive(self) -> bool:
        """Whether a query example's prediction depends on the other query examples."""
        norms = (nn.modules.batchnorm._BatchNorm,)
        return self.normalization == "batch" and any(isinstance(layer, norms) for layer in self._whole.modules())

    def initial_params(self) -> Params:
        """Return a copy of the values the module came with."""
        return snapshot(dict(self._whole.named_parameters()))

    def logits(self, params: Params, inputs: Inputs, reference: Tensor | None = None) -> Logits:
        """Return the class scores of each input.

        Args:
            params: All parameters, by name.
            inputs: One row an example.
            reference: The support inputs. They lend their statistics to `inputs` where normalization is `support`,
                and change nothing otherwise.
        """
        return self._run(self._whole, params, inputs, reference)

    def features(self, params: Params, inputs: Inputs, reference: Tensor | None = None) -> Features:
        """Return what the head is given for each input; `reference` as in `logits`."""
        return self._run(self._encoder, self.encoder_params(params), inputs, reference)

    def encoder_params(self, params: Params) -> Params:
        """Return the parameters that are not the head's."""
        return {name: value for name, value in params.items() if name not in self.head_names}

    def head_params(self, params: Params) -> Params:
        """Return the head's parameters."""
        return select(params, self.head_names)

    def linear_head(self, params: Params) -> tuple[Tensor, Tensor | None]:
        """Return the head's weight [way feature] and its bias [way] or None.

        Raises:
            ConfigError: The head is not one linear layer.
        """
        head = self._whole.get_submodule(self.head)
        if not isinstance(head, nn.Linear):
            raise ConfigError(
                f"expected a linear head, got {type(head).__name__} at '{self.head}'; "
                "the contrastive view needs nn.Linear"
            )
        return params[f"{self.head}.weight"], params.get(f"{self.head}.bias")

    def _run(self, module: nn.Module, params: Params, inputs: Inputs, reference: Tensor | None) -> Tensor:
        if reference is None or self.normalization == "batch":
            output: Tensor = functional_call(module, params, (inputs,))
            return output
        with reference_rows(module, len(reference)):
            rows: Tensor = functional_call(module, params, (torch.cat([reference, inputs]),))
        return rows[len(reference) :]
