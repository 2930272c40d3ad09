"""Formulas in NumPy that several rows are held against."""

from __future__ import annotations

from math import erf
from typing import Any

import numpy as np

from deepdsl.nn.layers.activations.relu_variants import SELU_ALPHA, SELU_SCALE

from .feeds import Array, Formula


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def log_softmax(x: Array) -> Array:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def batch_norm(x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
    axes = tuple(a for a in range(x.ndim) if a != 1)
    shape = (-1, *[1] * (x.ndim - 2))
    mean, variance = x.mean(axes), x.var(axes)
    centered = x - mean.reshape(shape)
    inverse = 1 / np.sqrt(variance + 1e-3)
    out = centered * (inverse * gamma).reshape(shape) + beta.reshape(shape)
    return out, mean, variance, centered, inverse


def normalized(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    shape = (-1, *[1] * (x.ndim - 2))
    scale = gamma / np.sqrt(variance + 1e-3)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)


def selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))


def sloped(x: Array, slope: Any) -> Array:
    return np.where(x > 0, x, slope * x)


def gelu(x: Array) -> Array:
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def gelu_by_tanh(x: Array) -> Array:
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def unit_rows(x: Array, epsilon: float = 1e-3, centered: bool = True) -> tuple[Array, Array]:
    """Along the last axis; and what the centered rows were multiplied by."""
    if centered:
        x = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
    return x * inverse, inverse


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, epsilon: float = 1e-3) -> Array:
    grouped = x.reshape(len(x), groups, -1)
    shape = (-1, *[1] * (x.ndim - 2))
    z = unit_rows(grouped, epsilon)[0].reshape(x.shape)
    return gamma.reshape(shape) * z + beta.reshape(shape)


def cross_entropy(x: Array, target: Array) -> tuple[Any, Array]:
    log = log_softmax(x)
    return -(target * log).sum(-1).mean(), log


def divergence(x: Array, target: Array) -> tuple[Any, Array]:
    log = log_softmax(x)
    return (target * (np.log(target) - log)).sum(-1).mean(), log


def focal(gamma: float, alpha: float) -> Formula:
    """After sigmoid, as the paper's equation 5 has it."""

    def formula(x: Array, t: Array) -> Any:
        right = np.where(t > 0.5, sigmoid(x), sigmoid(-x))
        weight = np.where(t > 0.5, alpha, 1 - alpha)
        return (-weight * (1 - right) ** gamma * np.log(right)).mean()

    return formula


def focal_of_classes(gamma: float) -> Formula:
    """After softmax."""

    def formula(x: Array, t: Array) -> tuple[Any, Array]:
        log = log_softmax(x)
        return -(t * (1 - np.exp(log)) ** gamma * log).sum(-1).mean(), log

    return formula


def huber(x: Array, delta: float) -> Array:
    small = np.abs(x) <= delta
    return np.where(small, x * x / 2, delta * (np.abs(x) - delta / 2))
