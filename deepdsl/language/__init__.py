"""Text in, checked program out: syntax, analysis, lints, fixes."""
