"""Movies of doped MX2 monolayers in which the truth about every column is known: see docs/simulation.md."""

from data_prep.simulate.make import simulate_movie
from data_prep.simulate.settings import MovieSettings

__all__ = ["MovieSettings", "simulate_movie"]
