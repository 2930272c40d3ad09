"""Messages about imported networks, weights and model zoos."""
