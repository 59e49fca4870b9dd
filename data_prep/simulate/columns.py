"""Make the table of column images: `python -m data_prep.simulate.columns` (needs abTEM: `pip install .[simulate]`).

Each kind of column stands alone in vacuum and is imaged by abTEM's multislice (Madsen and Susi, Open Research Europe
1, 24, 2021) with independent-atom potentials (Lobato and Van Dyck, Acta Cryst. A 70, 636, 2014).
"""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.files import whole_file
from data_prep.simulate.image import TABLE
from data_prep.simulate.settings import HOSTS

ENERGY_KEV = 80
CONVERGENCE_MRAD = 30
DETECTOR_MRAD = (50, 180)
BOX_ANGSTROM, BOX_POINTS = 24.0, 600  # points twice as near change the images by 1 to 2 %
STEP_NM, REACH_NM = 0.005, 0.6


def multislice(atoms: Any, positions: NDArray[np.float64], points: tuple[int, int]) -> NDArray[np.float64]:
    """Share (n,) of the beam that reaches the detector with the probe at each of these x, y (n, 2) in angstrom.

    `atoms` is an ASE structure, periodic in x and y, whose box is three slices high: one for each plane of atoms,
    in its middle, so that the planes keep their distance. `points` are those of the grid along x and y; the atoms
    should lie on them, as the potential of an atom between them is off by some percent. No aberrations, no source
    size, atoms at rest.
    """
    import abtem

    potential = abtem.Potential(atoms, gpts=points, slice_thickness=atoms.cell[2, 2] / 3)
    probe = abtem.Probe(energy=ENERGY_KEV * 1e3, semiangle_cutoff=CONVERGENCE_MRAD)
    probe.grid.match(potential)
    detector = abtem.AnnularDetector(*DETECTOR_MRAD)
    measured = probe.scan(potential, scan=abtem.CustomScan(positions), detectors=detector)
    return np.asarray(measured.compute(progress_bar=False).array, float).ravel()


def column(species: str, thickness_nm: float) -> Any:
    """One column, alone in the middle of its box: an atom, or for `S2` and `Se2` two of them, this far apart."""
    from ase import Atoms

    middle, apart = BOX_ANGSTROM / 2, 10 * thickness_nm
    heights = (apart / 4, 5 * apart / 4) if species.endswith("2") else (3 * apart / 4,)
    places = [(middle, middle, height) for height in heights]
    return Atoms(species, positions=places, cell=[BOX_ANGSTROM, BOX_ANGSTROM, 1.5 * apart], pbc=True)


def make_table() -> None:
    """Compute the profiles and write them beside this module."""
    import abtem
    import ase

    radius_nm = np.arange(0, REACH_NM + STEP_NM / 2, STEP_NM)
    positions = BOX_ANGSTROM / 2 + np.stack([10 * radius_nm, np.zeros_like(radius_nm)], axis=1)
    sulphide, selenide = HOSTS["WS2"].thickness_nm, HOSTS["WSe2"].thickness_nm
    kinds = {"W": sulphide, "Mo": sulphide, "S2": sulphide, "S": sulphide, "Se2": selenide, "Se": selenide}
    profiles = [multislice(column(kind, apart), positions, (BOX_POINTS, BOX_POINTS)) for kind, apart in kinds.items()]
    inner, outer = DETECTOR_MRAD
    header = f"""\
# Share of the beam that reaches the detector, by the distance of the probe from an isolated column.
# Made by `python -m data_prep.simulate.columns` with abTEM {abtem.__version__} and ASE {ase.__version__}.
# {ENERGY_KEV} kV, {CONVERGENCE_MRAD} mrad convergence, annular detector {inner}-{outer} mrad, no aberrations.
# No source size, atoms at rest. A box of {BOX_ANGSTROM:g} A and {BOX_POINTS} points, a slice for each plane of atoms.
# Pairs are {10 * sulphide:g} A (S2) and {10 * selenide:g} A (Se2) apart.
"""
    with whole_file(TABLE) as path, path.open("w", newline="") as out:
        out.write(header)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("radius_nm", *kinds))
        for radius, values in zip(radius_nm, np.transpose(profiles), strict=True):
            writer.writerow([f"{radius:.3f}", *(f"{value:.4e}" for value in values)])


if __name__ == "__main__":
    make_table()
