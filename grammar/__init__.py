"""The grammar of the language, for lark.

It is read with importlib.resources.
"""
