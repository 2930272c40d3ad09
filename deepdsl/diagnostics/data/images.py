"""Messages about images (E461 to E468, W468 and W469)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, Severity
from deepdsl.diagnostics.data.text import FileDiagnostic, names_text, shape_text


@record
class NoImages(Diagnostic):
    """A source of images contains no images.

    `images` wants a folder with one folder for each class, and the images in those. Their names
    end in .png, .jpg, .jpeg, .webp, .bmp or .gif.

    ```wrong
    data photos { train images "images/cat" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    folder: str
    problem: str
    advice: str

    code = "E461"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.folder}" {self.problem}'

    @property
    def help(self) -> str:
        return self.advice


@record
class NoImageInput(Diagnostic):
    """Images feed an input whose shape is not that of an image, or is not the size they are given.

    An input of images is [C H W], channels first: 1 channel is gray, 3 are red, green and blue, 4
    have opacity too. [H W] is gray.

    ```wrong
    data photos { train images "images" }
    model m { input image[192]; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    name: str
    shape: tuple[int, ...]
    problem: str
    advice: str

    code = "E462"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"images do not fit the input `{self.name}`"

    @property
    def label(self) -> str:
        return f"it is {shape_text(self.shape)}: {self.problem}"

    @property
    def help(self) -> str:
        return self.advice


@record
class WrongImageSize(FileDiagnostic):
    """The size of an image differs from the input, and the source has no `size=`.

    With `size=` every image is brought to that size; `resize=` says how.

    ```wrong
    data photos { train images "images" }
    model m { input image[3 4 4]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" size=4x4 }
    model m { input image[3 4 4]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    found: tuple[int, int]
    wanted: tuple[int, int]

    code = "E463"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is {shape_text(self.found)}, the input is {shape_text(self.wanted)}'

    @property
    def label(self) -> str:
        return "height × width"

    @property
    def help(self) -> str:
        height, width = self.wanted
        return f"have every image resized: `size={height}x{width}`"


@record
class BrokenImage(FileDiagnostic):
    """An image file cannot be decoded: it is damaged, truncated, or a different format.

    `corrupt=skip` leaves such files out. They are then looked for when the folder is opened, which
    decodes every image once, so that the rows are the same in each run.

    ```wrong
    data photos { train images "broken-images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    reason: str
    packed: bool = False  # in a table, whose rows are not left out

    code = "E464"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" cannot be decoded as an image: {self.reason}'

    @property
    def help(self) -> str:
        if self.packed:
            return "write the table again, without this row or with the whole image"
        if self.span is None:
            return "fetch or remove the file"
        return "fetch or remove the file, or leave such files out: `corrupt=skip`"


@record
class HugeImage(FileDiagnostic):
    """An image is too large to be decoded.

    A file of a few hundred bytes may unpack to gigabytes. The limit is 67,108,864 pixels (8192 ×
    8192). `corrupt=skip` leaves such files out too.

    ```wrong
    data photos { train images "huge-images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    width: int
    height: int

    code = "E465"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        if not self.width:
            return f'"{self.file}" has too many pixels'
        return f'"{self.file}" has {self.width:,} × {self.height:,} pixels'

    @property
    def label(self) -> str:
        return "more than 8192 × 8192 are not decoded"

    @property
    def help(self) -> str:
        return "make the image smaller, or remove the file"


@record
class LinkedImages(FileDiagnostic):
    """A symbolic link in a folder of images leads out of it, or to a folder.

    What is learned from is what is in the folder: a link to a file in it is followed, any other is
    refused. The folder that the program names may itself be a link.

    ```wrong
    data photos { train images "linked-images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    what: str

    code = "E466"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is a link {self.what}'

    @property
    def help(self) -> str:
        return "put the files themselves there, or name the folder that the link leads to"


@record
class EmptyClass(FileDiagnostic):
    """A folder beside those of the classes has no image in it.

    Each folder is a class, so that a stray one would shift the numbers of the others.

    ```wrong
    data photos { train images "half-images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    others: tuple[str, ...]

    code = "E467"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'the folder "{self.file}" has no image'

    @property
    def label(self) -> str:
        return f"each folder is a class, as {names_text(self.others, 4)}"

    @property
    def help(self) -> str:
        return "put images into it, or take the folder away"


@record
class OtherRange(Diagnostic):
    """A model is evaluated on images with a different value range than in training.

    `range=unit` gives 0 to 1, `range=bytes` 0 to 255.  A trained model notes which it was.
    """

    name: str
    given: str
    trained: str

    code = "E468"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        trained = f"the model was trained with `range={self.trained}`"
        return f"`{self.name}` is given images with `range={self.given}`; {trained}"

    @property
    def help(self) -> str:
        return f"write `range={self.trained}` into the rows of the data section"


@record
class SkippedImages(Diagnostic):
    """Files that cannot be decoded were left out, as `corrupt=skip` asks for.

    ```wrong
    data photos { train images "broken-images" corrupt=skip }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    folder: str
    files: tuple[str, ...]
    total: int

    code = "W468"
    severity = Severity.WARNING

    @property
    def message(self) -> str:
        count = len(self.files)
        return f'{count} of {self.total} images in "{self.folder}" cannot be decoded: left out'

    @property
    def label(self) -> str:
        return names_text(self.files, 3)

    @property
    def help(self) -> str:
        return "fetch or remove the files"


@record
class IgnoredFiles(Diagnostic):
    """A folder of images holds other files, which are not read.

    Hidden files are left out without a word.

    ```wrong
    data photos { train images "mixed-images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data photos { train images "images" }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    folder: str
    files: int
    example: str
    reason: str

    code = "W469"
    severity = Severity.WARNING

    @property
    def message(self) -> str:
        files = f"{self.files} {plural(self.files, 'file')}"
        return f'{files} in "{self.folder}" {"is" if self.files == 1 else "are"} not read'

    @property
    def label(self) -> str:
        return f"{self.example}: {self.reason}"

    @property
    def help(self) -> str:
        if "class" in self.reason:
            return "put them into the folder of their class, or take them away"
        return "take them out of the folder, or save them as .png"
