"""What is the mean of a product of traces of powers of a Wishart matrix W = X' X, with X of standard normals?

Integration by parts, E[X_ij f(X)] = E[df / dX_ij], takes one power off the first trace. With t_k = tr W^k, t_0 = p,
n rows in X and g a product of other traces,

    E[t_{k+1} g] = E[ (n + k) t_k g + sum_{a=0}^{k-1} t_{a+1} t_{k-1-a} g + sum_{t_l in g} 2 l t_{k+l} g / t_l ]

The first two come from the derivative of X W^k itself: from its first X, and from the two X in each of its k W; the
last from d t_l / dX = 2 l X W^(l-1). Repeated, nothing is left but powers of n and p, so that means are exact.
"""

from functools import cache


@cache
def mean_of_traces(rows: int, dimensions: int, *powers: int) -> int:
    """Return E[tr W^a tr W^b ...] for W = X' X of `rows` points: 1 for no power.

    Args:
        rows: Rows of X (n).
        dimensions: Columns of X (p).
        powers: Each 0 or more.
    """
    if not powers:
        return 1
    first, *others = powers

    def mean(*of: int) -> int:
        return mean_of_traces(rows, dimensions, *of)

    if first == 0:
        return dimensions * mean(*others)
    k = first - 1
    from_itself = (rows + k) * mean(k, *others) + sum(mean(a + 1, k - 1 - a, *others) for a in range(k))
    from_others = sum(2 * own * mean(k + own, *others[:at], *others[at + 1 :]) for at, own in enumerate(others))
    return from_itself + from_others
