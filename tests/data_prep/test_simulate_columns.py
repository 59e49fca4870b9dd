"""The table of column images against what electrons do, and against a full multislice scan."""

from pathlib import Path

import numpy as np
import pytest

import data_prep.simulate
from data_prep.simulate.image import column_profiles

WAVELENGTH_NM = 0.004176  # of electrons at 80 kV
CONVERGENCE_RAD = 0.03


def test_the_table_says_how_it_was_made() -> None:
    table = Path(data_prep.simulate.__file__).with_name("column_images.csv").read_text()
    header = " ".join(line for line in table.splitlines() if line.startswith("#"))
    for said in ("python -m data_prep.simulate.columns", "abTEM 1.", "80 kV", "30 mrad", "50-180 mrad"):
        assert said in header


@pytest.mark.parametrize(
    ("heavy", "light", "ratio"), [("W", "Mo", 74 / 42), ("Mo", "Se", 42 / 34), ("Se", "S", 34 / 16)]
)
def test_brightness_grows_faster_than_the_atomic_number_and_slower_than_its_square(
    heavy: str, light: str, ratio: float
) -> None:
    profiles = column_profiles()
    assert ratio < profiles[heavy][0] / profiles[light][0] < ratio**2


@pytest.mark.parametrize("chalcogen", ["S", "Se"])
def test_a_pair_is_brighter_than_two_atoms_since_they_scatter_partly_in_phase(chalcogen: str) -> None:
    """Four times one atom's would be wholly in phase."""
    profiles = column_profiles()
    assert 2 < profiles[f"{chalcogen}2"][0] / profiles[chalcogen][0] < 4


@pytest.mark.parametrize("kind", ["W", "Mo", "S2", "S", "Se2", "Se"])
def test_a_column_is_as_wide_as_the_diffraction_limited_probe(kind: str) -> None:
    radius, profile = column_profiles()["radius_nm"], column_profiles()[kind]
    width = 2 * np.interp(-profile[0] / 2, -profile[:20], radius[:20])
    assert width == pytest.approx(0.51 * WAVELENGTH_NM / CONVERGENCE_RAD, rel=0.12)
    assert (profile >= 0).all()
    assert profile[-1] < 0.001 * profile[0]
    assert radius[-1] >= 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_summed_columns_agree_with_a_full_multislice_scan() -> None:
    """A patch of WS2 with a dopant, a vacancy and a missing pair: within 0.5 % of the peak rms, 1.5 % anywhere."""
    pytest.importorskip("abtem", reason="needs abTEM: pip install .[simulate]")
    from data_prep.simulate.columns import multislice

    atoms, held = patch_with_defects()
    box = atoms.cell.lengths()[:2]
    offset = np.arange(-13, 14) * 0.45
    probe = box / 2 + np.stack(np.meshgrid(offset, offset, indexing="ij"), axis=-1).reshape(-1, 2)
    full = multislice(atoms, probe, (6 * 78, 4 * 138))  # all atoms on points, 0.04 angstrom apart
    profiles, summed = column_profiles(), np.zeros(len(probe))
    for place, kind in held.items():
        away = probe - np.array(place)
        away -= box * np.round(away / box)
        summed += np.interp(np.hypot(*away.T) / 10, profiles["radius_nm"], profiles[kind], right=0.0)
    difference = (summed - full) / full.max()
    assert np.sqrt(np.mean(difference**2)) < 0.005
    assert np.abs(difference).max() < 0.015


def patch_with_defects():
    """An ASE structure 19 x 22 angstrom wide, one slice per plane of atoms, and what its columns hold by their x, y."""
    from ase.build import mx2

    atoms = mx2("WS2", "2H", a=3.153, thickness=3.142)
    cell = atoms.cell.array.copy()
    square = atoms.repeat((1, 2, 1))
    square.set_cell([cell[0], cell[0] + 2 * cell[1], [0, 0, 1.5 * 3.142]])
    square.wrap(pbc=[True, True, False])
    atoms = square.repeat((6, 4, 1))
    atoms.pbc = True
    heights = atoms.positions[:, 2]
    heights += 0.75 * 3.142 - heights[atoms.symbols == "W"].mean()
    away = np.hypot(*(atoms.positions[:, :2] - atoms.cell.lengths()[:2] / 2).T)
    metal = np.flatnonzero(atoms.symbols == "W")
    top, bottom = (np.flatnonzero((atoms.symbols == "S") & side) for side in (heights > 3, heights < 1))
    atoms.symbols[metal[np.argsort(away[metal])[0]]] = "Mo"
    order = np.argsort(away[top])
    gone = top[order[[1, 6]]]
    below = [i for i in bottom if np.allclose(atoms.positions[i, :2], atoms.positions[gone[1], :2])]
    del atoms[[*gone, *below]]
    held: dict[tuple[float, float], str] = {}
    for (x, y, _), symbol in zip(atoms.positions, atoms.symbols, strict=True):
        place = (round(float(x), 3), round(float(y), 3))
        held[place] = f"{symbol}2" if place in held else str(symbol)
    return atoms, held
