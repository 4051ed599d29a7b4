"""Lota from Python. `lota.sim.run("first-market", seeds=20)` simulates, and gives a data frame."""

from . import sim

__all__ = ["sim"]
