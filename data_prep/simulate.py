"""Movies of a doped WS2 monolayer in which the truth about every defect is known.

Columns are drawn as a probe with a sharp core and a broad tail; their intensities follow
the atomic number to a power, as in annular dark-field images (Pennycook and Jesson,
Ultramicroscopy 37, 14, 1991; the exponent of a medium-angle detector).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_prep.files import whole_file

FloatArray = NDArray[np.float64]

LATTICE_CONSTANT_NM = 0.3153  # WS2: Schutte, De Boer and Jellinek, J. Solid State Chem. 70, 207 (1987)
ATOMIC_NUMBER = {"W": 74, "Mo": 42, "S": 16}
Z_EXPONENT = 1.1
PROBE_SIGMA_NM = 0.045
TAIL_SIGMA_NM = 0.11
TAIL_WEIGHT = 0.35

# What a column may hold, and how bright it is beside a tungsten column.
SITES = ("tungsten", "molybdenum", "sulphur_pair", "sulphur_vacancy", "sulphur_pair_vacancy", "hole")
DEFECTS = ("molybdenum", "sulphur_vacancy", "sulphur_pair_vacancy", "hole")


def _intensity(symbol: str, count: int = 1) -> float:
    return float(count * (ATOMIC_NUMBER[symbol] / ATOMIC_NUMBER["W"]) ** Z_EXPONENT)


INTENSITY = {
    "tungsten": 1.0,
    "molybdenum": _intensity("Mo"),
    "sulphur_pair": _intensity("S", 2),
    "sulphur_vacancy": _intensity("S"),
    "sulphur_pair_vacancy": 0.0,
    "hole": 0.0,
}


@dataclass(frozen=True)
class MovieSettings:
    """What is simulated.

    `size_px` is (rows, columns), `field_nm` the width of the frame, `dose` the counts per unit of
    brightness (a lone tungsten column peaks at 0.71 of it), shares are of the columns of that
    sublattice at the start, `vacancies_per_frame` how many sulphur atoms the beam removes between two
    frames, in the frame and a little around it, `contamination` the background at the last frame
    beside a tungsten column.
    """

    frames: int = 12
    size_px: tuple[int, int] = (512, 512)
    field_nm: float = 15.0
    frame_interval_s: float = 1.0
    dose: float = 120.0
    molybdenum_share: float = 0.02
    vacancy_share: float = 0.02
    pair_vacancy_share: float = 0.01
    vacancies_per_frame: float = 3.0
    hole_from_frame: int = 4
    hole_radius_nm: float = 1.6
    contamination: float = 0.5
    drift_px: float = 0.6
    jitter_px: float = 0.35
    seed: int = 0

    @property
    def pixel_size_nm(self) -> float:
        """Size of a pixel in nm, the same along y and x."""
        return self.field_nm / self.size_px[1]


def simulate_movie(movie_path: Path, truth_path: Path, settings: MovieSettings) -> None:
    """Write a movie (uint16 ImageJ TIFF with its scale) and its exact truth (CSV).

    The truth has a row per defect column and frame: `frame, y_px, x_px, site, object`.
    Columns that went into one hole share one `object`. Positions carry drift and scan
    distortion, as the image does.
    """
    import tifffile

    rng = np.random.default_rng(settings.seed)
    crystal = _Crystal.grow(settings, rng)
    background = _contamination(settings, rng)
    drift = np.cumsum(rng.normal(0, settings.drift_px, (settings.frames, 2)), axis=0)
    drift -= drift[0]
    movie = np.empty((settings.frames, *settings.size_px), np.uint16)
    rows: list[dict[str, object]] = []
    for frame in range(settings.frames):
        crystal.age(frame, settings, rng)
        positions = crystal.positions + drift[frame]
        jitter = ndimage.gaussian_filter1d(rng.normal(0, 1, settings.size_px[0]), 1.0)
        jitter *= settings.jitter_px / jitter.std()
        image = _draw(positions, crystal.brightness(), settings)
        hole = _draw(positions, (crystal.site == SITES.index("hole")).astype(float), settings)
        vacuum = np.clip(ndimage.gaussian_filter(hole, 0.1 / settings.pixel_size_nm) * 6.0, 0.0, 1.0)
        clean = image + background[frame] * (1.0 - vacuum)
        movie[frame] = rng.poisson(_shift_rows(clean, jitter) * settings.dose)
        rows += crystal.truth(frame, positions, jitter, settings)
    with whole_file(truth_path) as path, path.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["frame", "y_px", "x_px", "site", "object"])
        writer.writeheader()
        writer.writerows(rows)
    with whole_file(movie_path) as path:
        tifffile.imwrite(
            path,
            movie,
            imagej=True,
            resolution=(1.0 / settings.pixel_size_nm, 1.0 / settings.pixel_size_nm),
            metadata={"axes": "TYX", "unit": "nm", "finterval": settings.frame_interval_s},
        )


@dataclass
class _Crystal:
    """The columns of the monolayer: positions (n, 2) in px and what each holds."""

    positions: FloatArray
    site: NDArray[np.int64]
    hole_order: NDArray[np.int64]
    hole_distance: FloatArray

    @classmethod
    def grow(cls, settings: MovieSettings, rng: np.random.Generator) -> _Crystal:
        metal, sulphur = _lattice(settings, angle=float(rng.uniform(0, np.pi / 3)))
        metal_site = np.where(rng.random(len(metal)) < settings.molybdenum_share, 1, 0)
        draw = rng.random(len(sulphur))
        sulphur_site = np.full(len(sulphur), SITES.index("sulphur_pair"))
        sulphur_site[draw < settings.vacancy_share + settings.pair_vacancy_share] = SITES.index("sulphur_vacancy")
        sulphur_site[draw < settings.pair_vacancy_share] = SITES.index("sulphur_pair_vacancy")
        positions = np.concatenate([metal, sulphur])
        size = np.array(settings.size_px, float)
        nucleus = size * rng.uniform(0.3, 0.7, 2)
        # A ragged edge: columns leave in the order of a distance that is a little random.
        distance = np.linalg.norm(positions - nucleus, axis=1) * settings.pixel_size_nm
        distance += rng.normal(0, 0.08, len(distance))
        return cls(positions, np.concatenate([metal_site, sulphur_site]), np.argsort(distance), distance)

    def age(self, frame: int, settings: MovieSettings, rng: np.random.Generator) -> None:
        """Let the beam remove sulphur, and let the hole grow, between the last frame and this."""
        if frame > 0:
            for _ in range(rng.poisson(settings.vacancies_per_frame)):
                sulphur = np.flatnonzero((self.site == 2) | (self.site == 3))
                self.site[rng.choice(sulphur)] += 1  # pair -> one missing -> both missing
        if frame >= settings.hole_from_frame:
            steps = settings.frames - settings.hole_from_frame
            radius = settings.hole_radius_nm * np.sqrt((frame - settings.hole_from_frame + 1) / steps)
            self.site[self.hole_distance < radius] = SITES.index("hole")

    def brightness(self) -> FloatArray:
        return np.array([INTENSITY[name] for name in SITES])[self.site]

    def truth(
        self, frame: int, positions: FloatArray, jitter: FloatArray, settings: MovieSettings
    ) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        height, width = settings.size_px
        for index in np.flatnonzero(np.isin(self.site, [SITES.index(name) for name in DEFECTS])):
            y, x = positions[index]
            x += jitter[int(np.clip(round(y), 0, height - 1))]
            if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                name = SITES[self.site[index]]
                rows.append(
                    {
                        "frame": frame,
                        "y_px": f"{y:.3f}",
                        "x_px": f"{x:.3f}",
                        "site": name,
                        "object": "hole" if name == "hole" else f"column{index}",
                    }
                )
        return rows


def _lattice(settings: MovieSettings, angle: float) -> tuple[FloatArray, FloatArray]:
    """Positions (n, 2) in px of metal and of sulphur columns, well past the frame on all sides."""
    constant = LATTICE_CONSTANT_NM / settings.pixel_size_nm
    reach = int(np.ceil(1.2 * max(settings.size_px) / constant))
    i, j = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    first, second = constant * np.array([0.0, 1.0]), constant * np.array([np.sqrt(3) / 2, 0.5])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    cells = i.reshape(-1, 1) * first + j.reshape(-1, 1) * second
    margin = 3 * constant
    centre = np.array(settings.size_px) / 2
    sublattices = []
    for shift in (np.zeros(2), (first + second) / 3):
        points = (cells + shift) @ turn.T + centre
        inside = ((points > -margin) & (points < np.array(settings.size_px) + margin)).all(axis=1)
        sublattices.append(points[inside])
    return sublattices[0], sublattices[1]


def _draw(positions: FloatArray, brightness: FloatArray, settings: MovieSettings) -> FloatArray:
    """Image (y, x) of columns of the given brightness under the probe."""
    core = PROBE_SIGMA_NM / settings.pixel_size_nm
    tail = TAIL_SIGMA_NM / settings.pixel_size_nm
    half = int(np.ceil(3.5 * tail))
    size = np.array(settings.size_px)
    nearest = np.round(positions).astype(int)
    # Columns outside reach into the frame with their tails, so the canvas has a margin.
    seen = (brightness > 0) & (nearest >= -half).all(axis=1) & (nearest < size + half).all(axis=1)
    nearest, weight = nearest[seen], brightness[seen]
    offset = np.arange(-half, half + 1)
    y, x = (offset - (positions[seen, k] - nearest[:, k])[:, None] for k in (0, 1))
    patches = np.zeros((len(nearest), len(offset), len(offset)))
    for sigma, height in ((core, 1 - TAIL_WEIGHT), (tail, TAIL_WEIGHT * (core / tail) ** 2)):
        across_y, across_x = np.exp(-(y**2) / (2 * sigma**2)), np.exp(-(x**2) / (2 * sigma**2))
        patches += height * across_y[:, :, None] * across_x[:, None, :]
    canvas = np.zeros(size + 4 * half)
    rows = nearest[:, 0, None, None] + offset[None, :, None] + 2 * half
    columns = nearest[:, 1, None, None] + offset[None, None, :] + 2 * half
    np.add.at(canvas, (rows, columns), weight[:, None, None] * patches)
    return canvas[2 * half : -2 * half, 2 * half : -2 * half]


def _contamination(settings: MovieSettings, rng: np.random.Generator) -> FloatArray:
    """Background (frame, y, x): patches as wide as a fifth of the frame that build up slowly."""
    height, width = settings.size_px
    noise = ndimage.gaussian_filter(rng.normal(size=(height, width)), 0.18 * max(height, width), mode="wrap")
    noise = (noise - noise.min()) / np.ptp(noise)
    growth = np.linspace(0.4, 1.0, settings.frames) * settings.contamination
    return np.asarray(0.05 + growth[:, None, None] * noise[None])


def _shift_rows(image: FloatArray, shift: FloatArray) -> FloatArray:
    """Move each row of image (y, x) along x by its own shift in px."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(float)
    return np.asarray(ndimage.map_coordinates(image, [y, x - shift[:, None]], order=1, mode="nearest"))
