"""Every column of atoms of a frame: where the lattice has its place, how bright it is, how far it is off."""

from analysis.columns.cell import UnitCell, fitted_cell
from analysis.columns.measure import Columns, measure_columns

__all__ = ["Columns", "UnitCell", "fitted_cell", "measure_columns"]
