"""Messages about data."""
