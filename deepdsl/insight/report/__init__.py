"""The page about a run, and the one about a search for a learning rate: one HTML file each."""
