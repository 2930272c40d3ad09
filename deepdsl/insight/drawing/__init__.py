"""Pictures of networks: parts and blocks as nested boxes, what flows between them as arrows.

A picture is one SVG without references to anything outside: it can be in a page or alone.
"""

from deepdsl.insight.drawing.picture import picture
from deepdsl.insight.drawing.tree import Box, BoxGroup, BoxRow, tree

__all__ = ["Box", "BoxGroup", "BoxRow", "picture", "tree"]
