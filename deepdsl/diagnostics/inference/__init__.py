"""Messages about exports."""
