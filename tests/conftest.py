"""Settings for all tests: where CI is set, property tests try the same examples every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# What lands must not depend on luck, nor on how busy a machine is; elsewhere examples are new.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if os.environ.get("CI"):
    settings.load_profile("ci")
