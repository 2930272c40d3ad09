"""The packages of the wheel: all below deepdsl/, and the two that lie beside it in the tree."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["deepdsl*"]), "deepdsl.backends", "deepdsl.grammar"])
