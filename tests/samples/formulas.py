"""Formulas in NumPy that several rows are held against."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepdsl.ops.activations import SELU_ALPHA, SELU_SCALE

from .feeds import Array


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


def cross_entropy(x: Array, target: Array) -> tuple[Any, Array]:
    log = log_softmax(x)
    return -(target * log).sum(-1).mean(), log
