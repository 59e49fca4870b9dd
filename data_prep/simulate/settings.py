"""What is simulated: the monolayer, the rates of its events, the microscope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError


@dataclass(frozen=True)
class Host:
    """A 2H monolayer MX2: its elements, lattice constant and distance between the chalcogen planes in nm."""

    metal: str
    dopant: str
    chalcogen: str
    constant_nm: float
    thickness_nm: float


# W: Schutte, De Boer and Jellinek, J. Solid State Chem. 70, 207 (1987);
# Mo: Bronsema, De Boer and Jellinek, Z. Anorg. Allg. Chem. 540/541, 15 (1986).
HOSTS = {
    "WS2": Host("W", "Mo", "S", 0.3153, 0.3142),
    "WSe2": Host("W", "Mo", "Se", 0.3282, 0.3341),
    "MoS2": Host("Mo", "W", "S", 0.3160, 0.3172),
    "MoSe2": Host("Mo", "W", "Se", 0.3289, 0.3338),
}
NAMES = {"W": "tungsten", "Mo": "molybdenum", "S": "sulphur", "Se": "selenium"}

# What a column may be. From DOPANT on, PAIR aside, these are the defects.
METAL, PAIR, DOPANT, VACANCY, PAIR_VACANCY, HOLE = range(6)


@dataclass(frozen=True)
class MovieSettings:
    """What is simulated. Shares are of the columns of that sublattice at the start; rates are probabilities per frame.

    `size_px` is (rows, columns), `field_nm` the width of the frame, `dose` the beam's electrons per pixel,
    `source_size_nm` the full width at half maximum by which source and thermal motion blur the image.
    `knock_on` is per chalcogen atom, `filling` per missing atom, `hopping` per single vacancy; `binding`,
    `release` and `switching` are those of dopants (see `dopant_transitions`). `contamination` is the
    background at the last frame beside a host metal column; `drift_px` the standard deviation of the step in y and
    in x from frame to frame, `jitter_px` that of scan lines along x.
    Raises InputError for what cannot be simulated.
    """

    frames: int = 12
    size_px: tuple[int, int] = (512, 512)
    field_nm: float = 15.0
    frame_interval_s: float = 1.0
    host: str = "WS2"
    dose: float = 2000.0
    source_size_nm: float = 0.11
    dopant_share: float = 0.02
    vacancy_share: float = 0.02
    pair_vacancy_share: float = 0.01
    knock_on: float = 0.0006
    filling: float = 0.01
    hopping: float = 0.03
    binding: float = 0.03
    release: float = 0.1
    switching: float = 0.2
    holes: int = 1
    hole_from_frame: int = 4
    hole_radius_nm: float = 1.6
    contamination: float = 0.5
    drift_px: float = 0.6
    jitter_px: float = 0.35
    seed: int = 0

    def __post_init__(self) -> None:
        if self.host not in HOSTS:
            raise InputError(f"host '{self.host}' is not known; choose one of {', '.join(HOSTS)}")
        for name in ("frames", "field_nm", "dose", "frame_interval_s"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} = {getattr(self, name)} is not positive; give more than 0")
        if min(self.size_px) < 1:
            raise InputError(f"size_px = {self.size_px} holds no pixel; give at least 1 row and 1 column")
        for name in ("source_size_nm", "holes", "hole_radius_nm", "contamination", "drift_px", "jitter_px"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} = {getattr(self, name)} is negative; give 0 or more")
        if self.drift_px > self.size_px[0] / 10:
            raise InputError(
                f"drift_px = {self.drift_px} is more than a tenth of the {self.size_px[0]} rows; give less"
            )
        for sum_of in (
            ("dopant_share",),
            ("vacancy_share", "pair_vacancy_share"),
            ("knock_on", "knock_on"),
            ("filling", "filling"),
            ("knock_on", "filling", "hopping"),
            ("binding",),
            ("release", "switching"),
        ):
            values = [float(getattr(self, name)) for name in sum_of]
            if not (min(values) >= 0 and sum(values) <= 1):
                raise InputError(f"{' + '.join(sum_of)} = {sum(values):g} is no probability; give 0 to 1")

    @property
    def pixel_size_nm(self) -> float:
        """Size of a pixel in nm, the same along y and x."""
        return self.field_nm / self.size_px[1]

    @property
    def constant_px(self) -> float:
        """The lattice constant in px."""
        return HOSTS[self.host].constant_nm / self.pixel_size_nm

    @property
    def sites(self) -> tuple[str, ...]:
        """The name of each kind of column, in the order METAL, PAIR, DOPANT, VACANCY, PAIR_VACANCY, HOLE."""
        host = HOSTS[self.host]
        chalcogen = NAMES[host.chalcogen]
        vacancies = (f"{chalcogen}_vacancy", f"{chalcogen}_pair_vacancy")
        return (NAMES[host.metal], f"{chalcogen}_pair", NAMES[host.dopant], *vacancies, "hole")

    @property
    def species(self) -> tuple[str, ...]:
        """The atoms in each kind of column, in the same order."""
        host = HOSTS[self.host]
        return (host.metal, f"{host.chalcogen}2", host.dopant, host.chalcogen, "none", "none")


def vacancy_transitions(settings: MovieSettings) -> NDArray[np.float64]:
    """Probability (3, 3) per frame that a chalcogen column with i missing atoms has j in the next frame.

    At most one event happens to a column from one frame to the next. Hops are apart from this: a single vacancy also
    hops with probability `hopping`, to one of its six neighbouring chalcogen columns, and stays where it is if that
    one is no full pair or belongs to a dopant. Columns of dopants follow `dopant_transitions` instead.
    """
    knock, fill = settings.knock_on, settings.filling
    return np.array([[1 - 2 * knock, 2 * knock, 0], [fill, 1 - fill - knock, knock], [0, 2 * fill, 1 - 2 * fill]])


def dopant_transitions(settings: MovieSettings) -> NDArray[np.float64]:
    """Probability (4, 4) per frame that a dopant goes from state i to state j.

    State 0: its three neighbouring chalcogen columns are full; k = 1, 2, 3: one atom of the k-th is missing. The beam
    makes that vacancy (`binding`), it is filled (`release`), or moves to another of the three (`switching`).
    """
    bind, leave, switch = settings.binding, settings.release, settings.switching
    matrix = np.full((4, 4), switch / 2)
    matrix[0] = bind / 3
    matrix[1:, 0] = leave
    np.fill_diagonal(matrix, 1 - leave - switch)
    matrix[0, 0] = 1 - bind
    return matrix
