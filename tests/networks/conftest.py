"""What several test modules of networks share."""

import numpy as np
import pytest
import torch

from data_prep.tiles import TileSet, save_tiles


@pytest.fixture(scope="session")
def blob_tiles(tmp_path_factory):
    """Tiles of noise with bright blobs; the blobs are the defects."""
    rng = np.random.default_rng(0)

    def draw(count):
        images = rng.normal(0, 0.5, (count, 32, 32)).astype(np.float32)
        labels = np.zeros((count, 32, 32), np.uint8)
        y, x = np.mgrid[:32, :32]
        for image, label in zip(images, labels, strict=True):
            for cy, cx in rng.uniform(4, 28, (3, 2)):
                squared = (y - cy) ** 2 + (x - cx) ** 2
                image += 3 * np.exp(-squared / 8)
                label[squared <= 6] = 1
        return images, labels

    path = tmp_path_factory.mktemp("tiles") / "tiles.h5"
    origins = np.array([[0, 0, 32 * i] for i in range(4)])
    save_tiles(TileSet(*draw(20), *draw(4), origins, ("blob", "hole"), 8.0, None, -1.5, {}), {}, path)
    torch.set_num_threads(1)
    return path
