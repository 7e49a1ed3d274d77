"""A loss's slope, and its second derivatives times a vector; the matrix itself is never made."""

from collections.abc import Callable, Collection

from torch import Tensor
from torch.func import grad, vjp

from innerloop.models import refuse_in_place
from innerloop.params import select
from innerloop.shapes import Params

Product = Callable[[Params], Params]


def slope_and_product(
    loss: Callable[[Params], Tensor], params: Params, names: Collection[str]
) -> tuple[Params, Product]:
    """Return the loss's gradient by the named parameters, and what multiplies a vector by how it changes.

    The product is vector -> d / d params of (d loss / d named . vector). The slope's graph is made once, for any number
    of products, each one pass back over it.

    Args:
        loss: A function of all parameters.
        params: Where.
        names: The parameters that the slope is taken by, and that a vector has.
    """

    def slope(here: Params) -> Params:
        found: Params = grad(lambda part: loss({**here, **part}))(select(here, names))
        return found

    try:
        made = vjp(slope, {name: value.detach() for name, value in params.items()})
    except RuntimeError as error:
        refuse_in_place(error)
        raise

    def product(vector: Params) -> Params:
        turned: Params = made[1](vector)[0]
        return turned

    return made[0], product
