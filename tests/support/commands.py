"""What a command of `dnnc` answers, and the program that the tests of the commands use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SPEC = """\
data digits {
  train builtin digits
  valid split=10% stratify=true
  test  builtin digits
  scale (1 / 16)
}

model net {
  input image[8 8]
  part body { flatten | dense 16 bias=false | batch_norm | relu | dropout 20% }
  part head { dense 10 | softmax }
}

train net on digits {
  loss      cross_entropy
  metric    accuracy
  optimizer adam lr=1e-2
  batch     64
  epochs    2
  seed      7
}

export net { onnx "net.onnx" }
"""


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object of stdout, which holds nothing else."""
        told = json.loads(self.out)
        assert isinstance(told, dict)
        assert "NaN" not in self.out
        return told

    @property
    def codes(self) -> list[str]:
        return [d["code"] for d in self.json["diagnostics"]]


Dnnc = Callable[..., Answer]
