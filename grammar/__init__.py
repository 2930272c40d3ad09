"""The grammar of `.dnn` files, as data: read it with importlib.resources."""
