"""The file that leaves: it comes back the same, and strange files are refused in one line."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from data_prep.errors import InputError
from networks.build import build
from networks.detector import Detector, load_detector
from networks.genome import decode, encode
from networks.space import Limits, sample


@pytest.fixture
def detector():
    torch.manual_seed(0)
    genome = encode(sample(np.random.default_rng(1)))
    spec = decode(genome, Limits())
    model = build(spec, 3).eval()
    return Detector(model, spec, genome, ("vacancy", "dopant"), 7.4, 0.04, 0.62, {"movie": "a.dm4"})


def test_a_detector_comes_back_the_same(detector, tmp_path):
    detector.save(tmp_path / "d.safetensors")
    loaded = load_detector(tmp_path / "d.safetensors")
    image = torch.randn(1, 1, 40, 56)
    with torch.inference_mode():
        assert torch.equal(loaded.model(image), detector.model(image))
    for name in ("spec", "genome", "class_names", "period_px", "pixel_size_nm", "threshold", "provenance"):
        assert getattr(loaded, name) == getattr(detector, name)
    assert not loaded.model.training


def test_strange_files_are_refused_in_one_line(detector, tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("no detector")
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, other)
    detector.save(tmp_path / "whole.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-100])
    for path in (text, other, cut, tmp_path / "missing.safetensors"):
        with pytest.raises(InputError) as error:
            load_detector(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
