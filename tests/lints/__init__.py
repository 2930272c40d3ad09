"""Tests of the lints: where they speak, and what their fixes leave."""
