"""The columns of a monolayer, from the ASE structure: where they are and what each holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from data_prep.errors import InputError
from data_prep.simulate.settings import (
    DOPANT,
    HOLE,
    HOSTS,
    METAL,
    PAIR,
    PAIR_VACANCY,
    VACANCY,
    MovieSettings,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
EDGE_ROUGHNESS_NM = 0.08  # a hole's columns leave in the order of a distance that is a little random


@dataclass
class Crystal:
    """The columns of a monolayer and their state in one frame.

    `positions` (n, 2) in px at the start, `site` (n,) what each column is, `identity` (n,) the number of the defect
    there, 0 without one; `neighbours` (n, 6) the chalcogen columns a vacancy may hop to, -1 past the edge.
    Dopants with three neighbouring columns `arms` (d, 3) of their own are in `state` (d,), see `dopant_transitions`.
    `hole` (n,) is the hole a column is nearest to, `hole_distance` (n,) how far in nm; `made` how many identities
    were given out, the first to the holes.
    """

    positions: FloatArray
    site: IntArray
    identity: IntArray
    neighbours: IntArray
    dopants: IntArray
    arms: IntArray
    state: IntArray
    hole: IntArray
    hole_distance: FloatArray
    made: int

    def new_identities(self, count: int) -> IntArray:
        """Numbers (count,) that no defect has had."""
        self.made += count
        return np.arange(self.made - count, self.made) + 1

    @property
    def ordinary(self) -> NDArray[np.bool_]:
        """The columns (n,) that belong to no dopant with arms."""
        free = np.ones(len(self.site), bool)
        free[self.arms] = False
        return free

    def bound_states(self) -> IntArray:
        """The state (n,) of the dopant in each column, -1 where there is none with arms."""
        states = np.full(len(self.site), -1)
        states[self.dopants] = self.state
        return states


def grow(settings: MovieSettings, margin_px: float, rng: np.random.Generator) -> Crystal:
    """The monolayer at the start, with this much more of it around the frame."""
    metal, chalcogen = _lattice(settings, margin_px, angle=float(rng.uniform(0, np.pi / 3)))
    positions = np.concatenate([metal, chalcogen])
    site = np.full(len(positions), PAIR)
    site[: len(metal)] = np.where(rng.random(len(metal)) < settings.dopant_share, DOPANT, METAL)
    draw = rng.random(len(positions))
    draw[: len(metal)] = 1.0
    site[draw < settings.vacancy_share + settings.pair_vacancy_share] = VACANCY
    site[draw < settings.pair_vacancy_share] = PAIR_VACANCY
    dopants, arms = _dopants(metal, chalcogen, site, settings.constant_px)
    hole, distance = _holes(positions, settings, rng)
    neighbours = np.full((len(positions), 6), -1)
    neighbours[len(metal) :] = _nearest(chalcogen, chalcogen, 7, 1.2 * settings.constant_px, len(metal))[:, 1:]
    state = _stationary(settings, len(dopants), rng)
    site[arms] = PAIR
    bound = state > 0
    site[arms[bound, state[bound] - 1]] = VACANCY
    crystal = Crystal(
        positions, site, np.zeros_like(site), neighbours, dopants, arms, state, hole, distance, settings.holes
    )
    defects = np.flatnonzero(site >= DOPANT)
    crystal.identity[defects] = crystal.new_identities(len(defects))
    return crystal


def open_holes(crystal: Crystal, frame: int, settings: MovieSettings) -> None:
    """Let the holes grow to their size in this frame: their area rises steadily to the last one."""
    if frame < settings.hole_from_frame or not settings.holes:
        return
    steps = settings.frames - settings.hole_from_frame
    radius = settings.hole_radius_nm * np.sqrt((frame - settings.hole_from_frame + 1) / steps)
    gone = crystal.hole_distance < radius
    crystal.site[gone] = HOLE
    crystal.identity[gone] = 1 + crystal.hole[gone]
    whole = ~(gone[crystal.dopants] | gone[crystal.arms].any(axis=1))
    crystal.dopants, crystal.arms, crystal.state = (
        kept[whole] for kept in (crystal.dopants, crystal.arms, crystal.state)
    )


def _lattice(settings: MovieSettings, margin_px: float, angle: float) -> tuple[FloatArray, FloatArray]:
    """Positions (n, 2) in px of metal and of chalcogen columns, as far as the margin on all sides."""
    from ase.build import mx2

    host = HOSTS[settings.host]
    size = np.array(settings.size_px)
    reach = np.hypot(*(size + 2 * margin_px)) * settings.pixel_size_nm
    cells = int(np.ceil(reach / (host.constant_nm * np.sqrt(3) / 2))) + 2  # a rhombus that holds the turned frame
    formula, angstrom = settings.host, 10.0
    atoms = mx2(formula, "2H", a=angstrom * host.constant_nm, thickness=angstrom * host.thickness_nm)
    atoms = atoms.repeat((cells, cells, 1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    height = atoms.positions[:, 2] - np.median(atoms.positions[:, 2])
    plane = atoms.positions[:, 1::-1] / angstrom / settings.pixel_size_nm
    plane = (plane - (plane.min(axis=0) + plane.max(axis=0)) / 2) @ turn.T + size / 2
    inside = ((plane > -margin_px) & (plane < size + margin_px)).all(axis=1)
    return plane[inside & (atoms.symbols == host.metal)], plane[inside & (height > 0.1)]


def _nearest(of: FloatArray, among: FloatArray, count: int, within: float, first: int) -> IntArray:
    """Numbers (n, count) of the nearest points, the first of which is number `first`; -1 where there are fewer."""
    number = KDTree(among).query(of, k=count, distance_upper_bound=within)[1]
    return np.where(number == len(among), -1, number + first).astype(np.int64)


def _dopants(metal: FloatArray, chalcogen: FloatArray, site: IntArray, constant: float) -> tuple[IntArray, IntArray]:
    """Dopants (d,) with no other beside them, and their three neighbouring chalcogen columns (d, 3)."""
    dopants = np.flatnonzero(site == DOPANT)
    if not len(dopants):
        return dopants, np.zeros((0, 3), np.int64)
    alone = _nearest(metal[dopants], metal[dopants], 2, 1.2 * constant, 0)[:, 1] < 0
    arms = _nearest(metal[dopants], chalcogen, 3, 0.8 * constant, len(metal))
    chosen = alone & (arms >= 0).all(axis=1)
    return dopants[chosen], arms[chosen]


def _stationary(settings: MovieSettings, count: int, rng: np.random.Generator) -> IntArray:
    """States (count,) of dopants, drawn from where their transitions lead in the long run."""
    both = settings.binding + settings.release
    share = settings.binding / both if both else 0.0
    return np.where(rng.random(count) < share, rng.integers(1, 4, count), 0)


def _holes(positions: FloatArray, settings: MovieSettings, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """The nearest hole (n,) of each column and its distance (n,) in nm."""
    nuclei: list[FloatArray] = []
    apart = 2 * settings.hole_radius_nm / settings.pixel_size_nm + 4 * settings.constant_px
    for _ in range(1000):
        if len(nuclei) == settings.holes:
            break
        place = np.array(settings.size_px) * (rng.uniform(0.15, 0.85, 2) if nuclei else rng.uniform(0.3, 0.7, 2))
        if all(np.hypot(*(place - other)) > apart for other in nuclei):
            nuclei.append(place)
    else:
        raise InputError(f"{settings.holes} holes of {settings.hole_radius_nm:g} nm do not fit; give fewer or smaller")
    if not nuclei:
        return np.zeros(len(positions), np.int64), np.full(len(positions), np.inf)
    distances = np.linalg.norm(positions[:, None] - np.array(nuclei), axis=2) * settings.pixel_size_nm
    return distances.argmin(axis=1), distances.min(axis=1) + rng.normal(0, EDGE_ROUGHNESS_NM, len(positions))
