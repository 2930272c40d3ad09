"""Program in, graphs out: forward pass, training step, initial state, manifest."""
