"""Predictors: what learns from evaluated sets of hyperparameters and proposes better ones, one a file."""

from __future__ import annotations

from collections.abc import Mapping

from search.predictors.predictor import Chooser, Predictor
from search.predictors.svm import Svm
from search.predictors.tpe import Tpe
from search.predictors.trees import Trees

RANDOM = "random"  # sets that no predictor chose
PREDICTORS: Mapping[str, type[Predictor]] = {predictor.name: predictor for predictor in (Svm, Trees, Tpe)}
CHOOSERS: Mapping[str, type[Chooser]] = {chooser.name: chooser for chooser in (Svm, Trees)}
