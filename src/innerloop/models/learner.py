"""Encoder and head as pure functions of Params, made from any nn.Module with a named head."""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from innerloop.errors import ConfigError, did_you_mean
from innerloop.models.blocks import blocks, heard
from innerloop.models.copies import copy_of
from innerloop.models.curved import curved
from innerloop.models.in_place import layer_of, out_of_place
from innerloop.models.normalization import Normalization, is_batch_norm, reference_rows, with_normalization
from innerloop.models.pooled import pooled
from innerloop.models.pure import PureModule, parameter_places
from innerloop.params import select, snapshot
from innerloop.shapes import Features, Inputs, Logits, Params


class Learner:
    """A module's structure, without the values of its trainable parameters.

    The head is the submodule that turns features into logits, and the last thing the module does. Frozen parameters
    (`requires_grad=False`) are constants of the module: neither meta-trained nor adapted. Buffers are read; what a
    forward pass writes into them is dropped after it. A parameter tied to one of the head's is the encoder's. Dropout
    is on in every layer that came in training mode, as new modules do, and draws from torch's global generator
    (`innerloop.models.seeded` makes that repeat).

    Args:
        module: Any module; it is copied, and never changed.
        head: The head's name in it, as in `named_modules`.
        normalization: Whose statistics BatchNorm uses for query examples: `batch` (transductive, as in the papers),
            `support` or `frozen` (the running statistics that the module came with).

    Attributes:
        names: All trainable parameters.
        head_names: Those of the head.
        norm_names: The scales and shifts of BatchNorm layers.
        rounding: The type that convolutions and matrix products round to; None for none.

    Raises:
        ConfigError: The module has no such head, nothing to train, a parameter that cannot be differentiated, or no
            running statistics where they are asked for.
    """

    def __init__(self, module: nn.Module, head: str = "head", normalization: Normalization = "batch") -> None:
        if normalization not in get_args(Normalization):
            known = ", ".join(get_args(Normalization))
            raise ConfigError(f"expected a normalization out of {known}, got '{normalization}'; choose one of them")
        refuse_parameters(module)
        _refuse_head(module, head)
        self.head = head
        self.normalization = normalization
        self.rounding: torch.dtype | None = None
        self._whole = with_normalization(out_of_place(copy_of(module, _copied)), normalization)
        places = _places(self._whole, head)
        self.names = frozenset(places.values())
        self.head_names = frozenset(name for name in self.names if name.startswith(f"{head}."))
        self.norm_names = frozenset(name for place, name in places.items() if is_batch_norm(self._whole, place))
        self._encoder_names = self.names - self.head_names
        if not self.names:
            raise ConfigError("expected a parameter to train, got none; set requires_grad=True on those that may move")
        self._bind(self._whole, places)

    @property
    def transductive(self) -> bool:
        """Whether a query example's prediction depends on the other query examples."""
        norms = (nn.modules.batchnorm._BatchNorm,)
        return self.normalization == "batch" and any(isinstance(layer, norms) for layer in self._whole.modules())

    def tested(self) -> "Learner":
        """Return this learner with its dropout off; normalization stays as it is."""
        whole = copy_of(self._whole, _itself).eval()
        for layer in whole.modules():
            # In eval mode it would turn to running statistics, which no pure function ever gathered.
            if isinstance(layer, _InstanceNorm):
                layer.train()
        return self._made_of(whole)

    def rounded(self, kind: torch.dtype) -> "Learner":
        """Return the same learner whose convolutions and matrix products round to a shorter type (autocast)."""
        other = copy.copy(self)
        other.rounding = kind
        return other._made_of(self._whole)

    def copied(self) -> "Learner":
        """Return the same learner on a module of its own, so that another thread can run it meanwhile."""
        return self._made_of(copy_of(self._whole, _itself))

    def curved(self) -> "Learner":
        """Return the same learner with BatchNorm whose second derivative is fast on a CPU, in reverse mode alone."""
        return self._made_of(curved(copy_of(self._whole, _itself)))

    @property
    def recurrent(self) -> bool:
        """Whether there is a recurrent layer in it."""
        return self._run_whole.recurrent

    def layer_of(self, error: BaseException) -> str:
        """Return ` in 'name' (Kind)` of the innermost layer that was running when the error came, or nothing."""
        return layer_of(error, self._run_whole.module) or layer_of(error, self._run_encoder.module)

    def pooled(self) -> "Learner":
        """Return the same learner with BatchNorm, pooling and ReLU as one operation, for first derivatives alone."""
        return self._made_of(pooled(copy_of(self._whole, _itself)))

    def head_alone(self) -> "Learner":
        """Return a learner of the same parameters whose inputs are this one's features."""
        other = copy.copy(self)
        other._whole = self._whole.get_submodule(self.head)
        for part in reversed(self.head.split(".")):
            other._whole = nn.Sequential(OrderedDict([(part, other._whole)]))
        held = parameter_places(other._whole)
        places = {place: name for place, name in self._run_whole.places if place in held}
        lead = self._run_whole.lead, self._run_whole.home
        other._run_whole = PureModule(other._whole, places, lead, self.rounding)
        other._run_encoder = PureModule(nn.Identity(), {}, lead)
        return other

    def initial_params(self) -> Params:
        """Return a copy of the values the module came with."""
        held = parameter_places(self._whole)
        return snapshot({name: held[place] for place, name in self._run_whole.places if place == name})

    def logits(self, params: Params, inputs: Inputs, reference: Tensor | None = None) -> Logits:
        """Return the class scores of each input.

        Args:
            params: All trainable parameters, by name; other entries are left alone.
            inputs: One row an example; real values are turned into the parameters' type.
            reference: The support inputs. They lend their statistics to `inputs` where normalization is `support`,
                and change nothing otherwise.
        """
        return self._run(self._run_whole, params, inputs, reference)

    def features(self, params: Params, inputs: Inputs, reference: Tensor | None = None) -> Features:
        """Return what the head is given for each input; `params` and `reference` as in `logits`."""
        return self._run(self._run_encoder, params, inputs, reference)

    def activations(self, params: Params, inputs: Inputs, reference: Tensor | None = None) -> Params:
        """Return what every block of the encoder makes of the inputs, in the order in which blocks run.

        Args as in `logits`. A block whose output has no row of its own for every input is left out.
        """
        own = len(inputs)
        with heard(self._run_encoder.module, blocks(self._run_encoder.module)) as said:
            self.features(params, inputs, reference)
        rows = own + (0 if reference is None or self.normalization != "support" else len(reference))
        return {name: value[rows - own :] for name, value in said.items() if value.dim() > 1 and len(value) == rows}

    def block_names(self) -> dict[str, frozenset[str]]:
        """Return the names of the trainable parameters of each block of the encoder; the first has what is tied."""
        found: dict[str, frozenset[str]] = {}
        left = set(self._encoder_names)
        for block in blocks(self._run_encoder.module):
            own = {name for place, name in self._run_encoder.places if place.startswith(f"{block.place}.")}
            found[block.name] = frozenset(own & left)
            left -= own
        return found

    def encoder_params(self, params: Params) -> Params:
        """Return the learner's own parameters that are not the head's."""
        return select(params, self._encoder_names)

    def head_params(self, params: Params) -> Params:
        """Return the head's parameters."""
        return select(params, self.head_names)

    def linear_head(self, params: Params, needed_by: str = "the contrastive view") -> tuple[Tensor, Tensor | None]:
        """Return the head's weight [way feature] and its bias [way] or None; `needed_by` is named where there is none.

        Raises:
            ConfigError: The head is not one linear layer with values of its own.
        """
        head = self._whole.get_submodule(self.head)
        held = dict(head.named_parameters(recurse=False, remove_duplicate=False))
        if not isinstance(head, nn.Linear) or "weight" not in held:
            raise ConfigError(
                f"expected a linear head, got {type(head).__name__} at '{self.head}'; {needed_by} needs nn.Linear"
            )
        names = dict(self._run_whole.places)
        for own in held:
            place = f"{self.head}.{own}"
            if names.get(place, place) != place:
                raise ConfigError(
                    f"expected a head with values of its own, got '{place}' tied to '{names[place]}'; "
                    f"untie them for {needed_by}"
                )
        values = {own: params[f"{self.head}.{own}"] if f"{self.head}.{own}" in names else held[own] for own in held}
        return values["weight"], values.get("bias")

    def _made_of(self, whole: nn.Module) -> "Learner":
        """Return this learner with another module of the same structure."""
        other = copy.copy(self)
        other._whole = whole
        other._bind(whole, dict(self._run_whole.places))
        return other

    def _bind(self, whole: nn.Module, places: dict[str, str]) -> None:
        encoder = copy_of(whole, _itself)
        encoder.set_submodule(self.head, nn.Identity())
        held = parameter_places(encoder)
        inside = {place: name for place, name in places.items() if place in held}
        # An encoder without parameters of its own follows the head's.
        lead = next(iter(inside or places))
        self._run_whole = PureModule(whole, places, (places[lead], parameter_places(whole)[lead]), self.rounding)
        self._run_encoder = PureModule(encoder, inside, (places[lead], parameter_places(whole)[lead]), self.rounding)

    def _run(self, run: PureModule, params: Params, inputs: Inputs, reference: Tensor | None) -> Tensor:
        inputs = run.fitted(params, inputs)
        if reference is None or self.normalization != "support":
            return run(params, inputs)
        with reference_rows(run.module, len(reference)):
            rows = run(params, torch.cat([run.fitted(params, reference), inputs]))
        return rows[len(reference) :]


def _copied(value: Tensor) -> Tensor:
    copied = value.detach().clone()
    return nn.Parameter(copied, value.requires_grad) if isinstance(value, nn.Parameter) else copied


def _itself(value: Tensor) -> Tensor:
    return value


def _places(module: nn.Module, head: str) -> dict[str, str]:
    """Map every place of a trainable parameter to its name: its first place, outside the head if it can be."""
    held = {place: value for place, value in parameter_places(module).items() if value.requires_grad}
    names: dict[int, str] = {}
    for place, value in sorted(held.items(), key=lambda item: item[0].startswith(f"{head}.")):
        names.setdefault(id(value), place)
    return {place: names[id(value)] for place, value in held.items()}


def refuse_parameters(module: nn.Module) -> None:
    """Refuse parameters that gradients cannot move.

    Raises:
        ConfigError: One is complex, of whole numbers, or has no values yet.
    """
    for name, value in module.named_parameters():
        if is_lazy(value):
            raise ConfigError(f"expected parameters with values, got '{name}' without; run the module once on an input")
        if not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise ConfigError(f"expected real-valued parameters, got '{name}' of type {kind}; make it a buffer")


def _refuse_head(module: nn.Module, head: str) -> None:
    layers = {name: layer for name, layer in module.named_modules() if name}
    if head not in layers:
        names = sorted(layers, key=lambda name: not isinstance(layers[name], nn.Linear))
        raise ConfigError(
            f"expected a submodule '{head}' as the head, got a module with {_first(names)}; "
            f"name the one that makes the logits.{did_you_mean(head, names)}"
        )


def _first(names: Sequence[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "no submodules") + rest
