"""Random orders of rows: pure functions of the seed and a purpose, the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np

from deepdsl.data.table import Rows


def random_order(seed: int, purpose: str, rows: int) -> Rows:
    """The numbers 0 to rows - 1 in the order of random 64-bit keys.

    Sorting the raw stream of Philox, which NumPy promises not to change, gives the same order
    with every version of NumPy; `Generator.permutation` does not promise that.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    stream = np.random.Philox(key=int.from_bytes(digest, "little"))
    keys = stream.random_raw(rows)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)


def epoch_order(seed: int, epoch: int, rows: int) -> Rows:
    """The order in which an epoch visits the training rows; a function of (seed, epoch) alone."""
    return random_order(seed, f"epoch {epoch}", rows)


def stratified(order: Rows, labels: Rows, count: int) -> tuple[Rows, Rows]:
    """For each class (by its number) how many of `count` rows it gives, and those rows, the
    first of it in `order`.

    Shares are rounded by largest remainder; of equal remainders the lower class goes first.
    """
    sizes = np.bincount(labels)
    # Whole numbers: a share is count * size / rows, and its remainder is compared exactly.
    exact = [count * int(size) for size in sizes]
    rows = len(labels)
    quotas = [share // rows for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda c: (-(exact[c] % rows), c))
    for c in by_remainder[: count - sum(quotas)]:
        quotas[c] += 1
    ordered = labels[order]
    chosen = [order[ordered == c][:quota] for c, quota in enumerate(quotas)]
    return np.array(quotas, np.int64), np.concatenate(chosen)
