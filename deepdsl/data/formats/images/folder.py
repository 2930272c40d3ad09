"""The image files of a folder, in an order that is the same on every machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deepdsl.core.source import Span
from deepdsl.data.image_source import SUFFIXES
from deepdsl.data.request import OpenRequest
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.files import CannotReadDataFile, FileMissing, NotAFile
from deepdsl.diagnostics.data.images import EmptyClass, IgnoredFiles, LinkedImages, NoImages

# What the systems of computers leave in folders.
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass
class ImageFolder:
    """Image files by their paths below a folder, with `/` between names, and the class of each; the
    names of the classes, none where there are no folders of classes.
    """

    name: str
    path: Path
    span: Span | None
    files: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    ignored: list[str] = field(default_factory=list)  # other files
    beside: list[str] = field(default_factory=list)  # images that are in no class

    @property
    def warnings(self) -> tuple[IgnoredFiles, ...]:
        """What was not read, and why."""
        found = []
        if self.ignored:
            reason = "its name does not end as an image's"
            found.append((self.ignored, reason))
        if self.beside:
            found.append((self.beside, "it is in no folder of a class"))
        return tuple(
            IgnoredFiles(self.span, self.name, len(files), _shown(files[0]), reason)
            for files, reason in found
        )


def find_images(folder: str, request: OpenRequest) -> ImageFolder:
    """The images of a folder: of each class where a target is wanted, else all of them."""
    found = ImageFolder(folder, request.folder / folder, request.span)
    _check_folder(found, request)
    if not request.targets:
        found.files = sorted(_walk(found, ""))
        if not found.files:
            advice = "name a folder with files that end in " + ", ".join(SUFFIXES)
            raise DnnError([NoImages(request.span, folder, "has no image", advice)])
        return found
    folders, found.beside = _top(found)
    by_class = {name: sorted(_walk(found, name + "/")) for name in folders}
    if not any(by_class.values()):
        problem, advice = "has no image in a folder of a class", "the images of a class stand in "
        if found.beside:
            problem = "has images and no folders of classes"
        advice += f'a folder with its name: "{folder}/cat/1.png"'
        raise DnnError([NoImages(request.span, folder, problem, advice)])
    full = tuple(map(_shown, (name for name in folders if by_class[name])))
    if request.split == "train" and len(full) < len(folders):
        empty = next(name for name in folders if not by_class[name])
        raise DnnError([EmptyClass(request.span, f"{folder}/{_shown(empty)}", full)])
    named = [name for name in folders if by_class[name] or request.split == "train"]
    for number, name in enumerate(named):
        found.files += by_class[name]
        found.labels += [number] * len(by_class[name])
    found.classes = tuple(map(_shown, named))
    return found


def list_images(path: Path) -> list[Path]:
    """Every image below a folder, in order; DnnError where there is none."""
    found = find_images(str(path), OpenRequest(Path(), {}))
    return [found.path / name for name in found.files]


def _check_folder(found: ImageFolder, request: OpenRequest) -> None:
    """DnnError unless it is a folder."""
    path, span = found.path, request.span
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):
        is_folder = exists = False
    if is_folder:
        return
    if exists:
        advice = f'name the folder around it, or `parquet "{found.name}"` for a table of images'
        if not found.name.endswith(".parquet"):
            advice = "name the folder around it"
        raise DnnError([NoImages(span, found.name, "is no folder", advice)])
    near: tuple[str, ...] = ()
    with suppress(OSError, ValueError):
        near = tuple(sorted(each.name for each in path.parent.iterdir() if each.is_dir()))
    prefix = found.name.replace("\\", "/").rpartition("/")[0]
    near = tuple(f"{prefix}/{each}" if prefix else each for each in near)
    raise DnnError([FileMissing(span, found.name, str(path.parent), bool(near), near)])


def _top(found: ImageFolder) -> tuple[list[str], list[str]]:
    """The folders of the classes, in order, and the images beside them."""
    folders, images = [], []
    for entry in _entries(found, ""):
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        elif _is_image(entry.name):
            images.append(entry.name)
    if all(name.isascii() and name.isdigit() for name in folders):
        return sorted(folders, key=lambda name: (int(name), name)), sorted(images)
    return sorted(folders), sorted(images)


def _walk(found: ImageFolder, start: str) -> Iterator[str]:
    """The images in a folder below, and in all those below it."""
    waiting = [start]
    while waiting:
        prefix = waiting.pop()
        for entry in _entries(found, prefix):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{prefix}{entry.name}/")
            elif _is_image(entry.name):
                _check_kind(found, entry, prefix + entry.name)
                yield prefix + entry.name
            else:
                found.ignored.append(prefix + entry.name)


def _entries(found: ImageFolder, prefix: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder and is to be seen; DnnError for links that are not followed."""
    try:
        with os.scandir(found.path / prefix) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                    continue
                if entry.is_symlink():
                    _check_link(found, prefix + entry.name)
                yield entry
    except OSError as reason:
        text = reason.strerror or str(reason)
        raise DnnError([CannotReadDataFile(found.span, f"{found.name}/{prefix}", text)]) from None


def _check_link(found: ImageFolder, name: str) -> None:
    target = os.path.realpath(found.path / name)
    root = os.path.realpath(found.path)
    what = ""
    if not (target + os.sep).startswith(root + os.sep):
        what = "that leads out of the folder"
    elif os.path.isdir(target):
        what = "to another folder in it"
    if what:
        raise DnnError([LinkedImages(found.span, f"{found.name}/{_shown(name)}", what)])


def _check_kind(found: ImageFolder, entry: os.DirEntry[str], name: str) -> None:
    """NotAFile for a pipe or a device: to open one may wait for ever."""
    try:
        mode = entry.stat().st_mode
    except OSError:
        return  # opening it will tell why
    if not stat.S_ISREG(mode):
        told = f"{found.name}/{_shown(name)}"
        advice = "take it out of the folder"
        raise DnnError([NotAFile(found.span, told, "a pipe or a device", advice)])


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _shown(name: str) -> str:
    """A name of a file that any text may hold, whatever its bytes are."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
