"""Who can be asked to take part, by a word: `workers`, `auto+bf16`, `vmap+chunk=8`, `loop+constant+first`."""

from dataclasses import asdict
from typing import Any, get_args

from innerloop.bench.race import Contender
from innerloop.engine import EngineConfig
from innerloop.engine.config import EngineName, Memory, Precision
from innerloop.errors import ConfigError, did_you_mean, one_of

PLAIN = Contender("plain autograd loop", "plain", ("-m", "innerloop.bench.plain"))

# What may stand after a `+`: a value, and the setting it is one of; the order is the algorithm's, for comparing two.
WORDS = {
    **dict.fromkeys(get_args(Precision), "precision"),
    **{memory: "memory" for memory in get_args(Memory) if memory != "auto"},
    **dict.fromkeys(("first", "second"), "order"),
}
COUNTS = ("chunk", "workers")


def engine(spec: str, label: str | None = None) -> Contender:
    """Return an engine as a contender.

    Args:
        spec: Its name, and after each `+` a word of `WORDS`, `chunk=` or `workers=`.
        label: Its name in the table; the spec by default.

    Raises:
        ConfigError: There is no such engine or word.
    """
    name, *words = spec.split("+")
    one_of("engine.name", name, get_args(EngineName))
    settings: dict[str, Any] = dict(_setting(spec, word) for word in words)
    order = {"order": settings.pop("order")} if "order" in settings else {}
    options = {**asdict(EngineConfig(**{"name": name, **settings})), **order}
    return Contender(label or spec, "ours", ("-m", "innerloop.cli.contender"), options)


def product(precision: str) -> Contender:
    """Return the large matrix product that shares are taken of."""
    options = {"precision": precision}
    return Contender(f"matrix product, {precision}", "product", ("-m", "innerloop.bench.product"), options)


def products(contenders: list[Contender]) -> list[Contender]:
    """Return the matrix products of all precisions that these contenders work in."""
    return [product(each) for each in dict.fromkeys(one.precision for one in contenders)]


def _setting(spec: str, word: str) -> tuple[str, str | int]:
    name, _, value = word.partition("=")
    if name in COUNTS and value.isdecimal():
        return name, int(value)
    if word not in WORDS:
        known = ", ".join([*WORDS, *(f"{count}=NUMBER" for count in COUNTS)])
        raise ConfigError(f"expected {known} after + in '{spec}', got '{word}'.{did_you_mean(word, WORDS)}")
    return WORDS[word], word
