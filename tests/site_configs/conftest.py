"""Campaigns of evaluations that train nothing."""

import os
import sys

import pytest

import apps.evaluate
import apps.parsl_apps
from tests.site_configs.short_campaign import ShortCampaign, injected


@pytest.fixture
def short_campaign(tmp_path, monkeypatch):
    for name in ("_train", "_load", "_memory"):
        monkeypatch.setattr(apps.evaluate, name, getattr(apps.evaluate, name))  # so that it is put back
    monkeypatch.setattr(apps.parsl_apps, "evaluate", apps.parsl_apps.evaluate)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    injected(tmp_path)
    yield ShortCampaign(tmp_path)
    del sys.modules["short_evaluations"]
