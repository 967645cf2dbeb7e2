"""PEFT's adapter_config.json: how strongly the LoRA beside it is meant, and what of it cannot be merged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from world.info import WorldError
from world.wan.checkpoint import read_json, told

# What makes an adapter more than W + B A: the weights would be merged to something else than was trained.
REFUSED = {
    "use_dora": "DoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "layer_replication": "replicated layers",
    "alora_invocation_tokens": "activated LoRA",
    "trainable_token_indices": "trained tokens",
    "arrow_config": "Arrow routing",
    "lora_bias": "biases of its own",
}
# These begin with changed base weights, which the folder's base has not.
REFUSED_STARTS = ("pissa", "olora", "corda", "loftq")

REPETITIONS = 3  # in a pattern
LARGEST = 1e30  # of an alpha; far above it, a float32 cannot hold the scale

T = TypeVar("T")


@dataclass(frozen=True)
class LoraRules:
    """How a LoRA is scaled.

    alpha: the update is scaled by alpha / rank; None for a scale of 1, unless the file gives a layer its own alpha.
    is_rank_stabilised: rsLoRA, alpha / sqrt(rank). rank: that of every layer; None if it is not known.
    alpha_pattern, rank_pattern: other values for the layers whose name matches, or ends with a match of, a key.
    fan_in_fan_out: the layers that were trained hold their weights transposed.
    """

    alpha: float | None = None
    is_rank_stabilised: bool = False
    rank: int | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    fan_in_fan_out: bool = False

    def rank_of(self, names: Sequence[str]) -> int | None:
        """The rank of the layer that is called by any of `names`; None if it is not known."""
        return _matching(self.rank_pattern, names, self.rank)

    def scale(self, names: Sequence[str], rank: int, alpha: float | None) -> float:
        """The factor of B A for the layer that is called by any of `names`. alpha: from the LoRA's own file, if any."""
        if alpha is None:
            alpha = _matching(self.alpha_pattern, names, self.alpha)
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)


def _matching(pattern: Mapping[str, T], names: Sequence[str], default: T) -> T:
    """The value of the first key that matches one of `names`, whole or behind a dot, as PEFT matches them."""
    for key, value in pattern.items():
        if any(re.match(rf"(.*\.)?({key})$", name) for name in names):
            return value
    return default


def read_rules(lora: Path) -> LoraRules:
    """The rules in adapter_config.json beside the file `lora`; the defaults if there is none.

    Raises WorldError, one line, if the file is damaged or describes what cannot be merged.
    """
    path = lora.with_name("adapter_config.json")
    if not path.is_symlink() and not path.exists():
        return LoraRules()
    try:
        content = read_json(path)
        unlike = _unlike_lora(content)
        if unlike:
            raise ValueError(f"{unlike} cannot be merged here")
        return LoraRules(
            _number(content.get("lora_alpha"), "lora_alpha"),
            _flag(content, "use_rslora"),
            None if content.get("r") is None else _rank(content["r"], "r"),
            {key: _number(value, f"alpha_pattern {told(key)}") for key, value in _pattern(content, "alpha_pattern")},
            {key: _rank(value, f"rank_pattern {told(key)}") for key, value in _pattern(content, "rank_pattern")},
            _flag(content, "fan_in_fan_out"),
        )
    except ValueError as error:
        raise WorldError(f"{path} does not describe a plain LoRA: {error}") from None


def _unlike_lora(content: Mapping[str, Any]) -> str | None:
    """What makes the adapter something else than a plain LoRA; None if nothing does."""
    kind = content.get("peft_type") or "LORA"
    start = content.get("init_lora_weights")
    found = [what for option, what in REFUSED.items() if content.get(option)]
    if not isinstance(kind, str) or kind.upper() != "LORA":
        found.append(f"peft_type {told(kind)}")
    if isinstance(start, str) and start.lower().startswith(REFUSED_STARTS):
        found.append(f"a start from {told(start)}")
    return found[0] if found else None


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError(f"{name} is {told(repr(value))}, expected a finite number")
    return float(value)


def _rank(value: object, name: str) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise ValueError(f"{name} is {told(repr(value))}, expected a whole number above 0")
    return value


def _flag(content: Mapping[str, Any], name: str) -> bool:
    value = content.get(name) or False
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {told(repr(value))}, expected true or false")
    return value


def _pattern(content: Mapping[str, Any], name: str) -> Sequence[tuple[str, Any]]:
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object, {{...}}")
    for key in value:
        # more repetitions, or repeated groups, could take for ever to match
        if len(re.findall(r"[*+?{]", key)) > REPETITIONS or re.search(r"\)[*+{]", key):
            raise ValueError(f"{name} has a key that is too complicated: {told(key)}")
        try:
            re.compile(f"({key})")
        except (re.error, RecursionError, OverflowError):
            raise ValueError(f"{name} has a key that is no pattern: {told(key)}") from None
    return list(value.items())
