"""Messages about the text of a `.dnn` file."""
