"""What every room builds on: records, registries, places in a text, files written whole."""
