"""Denormal numbers are flushed to zero while a graph runs, and nowhere else.

Gradients that become denormal make kernels 5 to 20 times slower.  onnxruntime's own option sets the
mode on its pool's threads, but on the calling thread only with the first session of a process, and
then for good: the caller's NumPy would flush too, and results would depend on which session came
first.  So the calling thread's mode is set and put back around each run.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

# Flush to zero, and denormals are zero: bits 15 and 6 of MXCSR (Intel SDM, volume 1, 10.2.3).
_FLUSH = 0x8040


class _Environment(ctypes.Structure):
    """glibc's fenv_t on x86-64: the x87 state, then MXCSR."""

    _fields_ = (("x87", ctypes.c_ubyte * 28), ("mxcsr", ctypes.c_uint32))


def _functions() -> tuple[Any, Any] | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    if platform.libc_ver()[0] != "glibc":
        return None
    try:
        library = ctypes.CDLL("libm.so.6")
        return library.fegetenv, library.fesetenv
    except (OSError, AttributeError):
        return None


_FUNCTIONS = _functions()


class Restored:
    """Inside, the thread's floating-point environment may change; afterwards it is as it was."""

    flush = False

    def __init__(self) -> None:
        self._before, self._inside = _Environment(), _Environment()
        self._to_before = ctypes.byref(self._before)
        self._to_inside = ctypes.byref(self._inside)

    def __enter__(self) -> None:
        if _FUNCTIONS is None:
            return
        get, put = _FUNCTIONS
        get(self._to_before)
        if self.flush:
            get(self._to_inside)
            self._inside.mxcsr |= _FLUSH
            put(self._to_inside)

    def __exit__(self, *error: object) -> None:
        if _FUNCTIONS is not None:
            _FUNCTIONS[1](self._to_before)


class Flushed(Restored):
    """The same, with denormals flushed inside.  One is not to be entered twice at a time."""

    flush = True
