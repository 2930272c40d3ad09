"""Messages about augmentation (E481 and E482)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus


@record
class AugmentMisfit(Diagnostic):
    """An `augment` row cannot be applied to an input of the model, or to this source.

    Images are [C H W] with 1, 3 or 4 channels, or [H W]. Where a model has other inputs too, `of=`
    says which one is meant.

    ```wrong
    data pairs { train npz "good.npz"; augment flip horizontal }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images"; augment flip horizontal }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    augmentation: str
    problem: str
    advice: str

    code = "E481"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"`augment {self.augmentation}`: {self.problem}"

    @property
    def help(self) -> str:
        return self.advice


@record
class CannotMix(Diagnostic):
    """`augment mixup` mixes targets, but the targets of this loss cannot be mixed.

    Classes are mixed as rows of probabilities, which cross_entropy, kl_divergence, focal and
    binary_cross_entropy take; numbers are mixed as they are. A margin has two sides and nothing
    between.

    ```wrong
    data pairs { train npz "good.npz"; augment mixup alpha=0.2 }
    model m { input x[4]; dense 1 }
    train m on pairs { loss hinge; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz"; augment mixup alpha=0.2 }
    model m { input x[4]; dense 1 | sigmoid }
    train m on pairs { loss binary_cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    loss: str

    code = "E482"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"`augment mixup` does not go with the loss `{self.loss}`"

    @property
    def label(self) -> str:
        return "its targets cannot be mixed"

    @property
    def help(self) -> str:
        return "take cross_entropy or binary_cross_entropy, or leave the row out"
