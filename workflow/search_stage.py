"""The search of a run: evolve, then tune the best topology."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from apps.evaluate import STAGING_S, EvaluationSettings
from apps.finish import Finalist
from apps.parsl_apps import Engine
from apps.weights import WeightsFolder, kept_weights
from data_prep.errors import InputError
from networks.genome import decode
from networks.hyperparameters import Hyperparameters
from networks.network_file import read_network
from networks.space import Limits
from search.budget import Budget
from search.campaign import CampaignError, Crew, Strategy, run_campaign
from search.evaluation import Evaluation, Request, Status
from search.evolution import Evolution
from search.halving import Halving
from search.journal import Journal
from search.payoff import Payoff
from search.predictors import CHOOSERS, PREDICTORS, RANDOM
from search.screening import Screening
from search.tuning import Build, Plan, Tuning
from search.tuning_folder import TuningFolder
from workflow.config import RunConfig, SearchConfig, TuningConfig
from workflow.progress import Progress, log
from workflow.run_folder import RunFolder
from workflow.stopping import first_ctrl_c

# An evaluation is given up when it takes this many times its cap on training, and a bit to begin.
LIMIT_FACTOR, START_S = 4.0, 60.0
TOGETHER_ON_GPU = 8
PATIENCE = 3.0  # times that limit: so long may nothing be heard of a network, which may have to wait for its worker


class SearchStage:
    """What the two campaigns of a run share."""

    def __init__(self, config: RunConfig, folder: RunFolder, engine: Engine, progress: Progress, digest: str) -> None:
        """`digest` is that of the staged tiles."""
        self.config, self.folder, self.progress = config, folder, progress
        self.weights = folder.weights if config.search.inherit else None
        self.settings = EvaluationSettings(
            tiles=folder.tiles,
            digest=digest,
            node_local=config.site.node_local,
            iterations=config.search.iterations,
            seconds=config.search.seconds,
            fitness=config.search.fitness,
            limit_s=_limit_s(config),
            weights=self.weights,
            tuning=folder.tuning,
        )
        self.engine = engine

    def finalists(self) -> list[Finalist]:
        """Evolve and tune the best topology, or tune the one that the user gave; returns the best networks, best first.

        Goes on from what the journal holds. Raises KeyboardInterrupt when it was stopped, CampaignError when nothing
        could be evaluated.
        """
        config = self.config
        with closing(Journal(self.folder.journal, self.progress.say)) as journal:
            if config.network is None:
                evolution = evolution_of(config)
                self._campaign("evolution", evolution, budget_of(config.search), journal)
                best = _best(1, journal.evaluations(evolution.stage))[0]
                self._tune(Hyperparameters.around_genome(best.request.genome), (best.request.index,), journal)
            else:
                self._tune(read_network(config.network), (), journal)
            repeat_warnings(journal, self.progress.say)
            ranked = finalists_of(journal.evaluations, config.training.finalists)
        self.progress.say(f"best network: {decode(ranked[0].request.genome, Limits())}")
        return [self._finalist(evaluation.request) for evaluation in ranked]

    def _finalist(self, request: Request) -> Finalist:
        weights = None if self.weights is None else kept_weights(self.weights, request.index)
        return Finalist(request.genome, request.seed, request.index, weights)

    def _tune(self, space: Hyperparameters, parents: tuple[int, ...], journal: Journal) -> None:
        """Tune the hyperparameters of a topology; `parents` are the evaluations whose weights sets begin with."""
        config = self.config.tuning
        folder = TuningFolder(self.folder.tuning)
        folder.write_space(space)

        def publish(build: Build) -> bool:
            reason = build.reason
            if build.predictor is not None:
                try:
                    folder.write_predictor(build.name, build.predictor)
                except InputError:
                    reason = "it could not be written, the disk is full"
                except OSError as error:
                    reason = f"it could not be written ({error.strerror})"
            journal.note_predictor(replace(build, reason=reason), tuning.payoff.payoff(config.good_share))
            # The first is waited for, and what is wrong shall be known; of the others there are too many.
            (self.progress.say if reason or build.waited_s else log.info)(told_of(build, reason))
            return not reason

        with ThreadPoolExecutor(1) as background:
            tuning = Tuning(space, plan_of(config), self.config.seed, background, publish, parents)
            together = together_of(config, space, gpus=bool(self.config.site.gpus_per_node))
            warning = too_many_workers(config, self.engine.workers(), together)
            if warning:
                self.progress.say(warning)
            self._campaign("tuning", tuning, Budget(config.most_evaluations), journal, together)
        paid = paid_off(tuning.payoff.payoff(config.good_share))
        if paid:
            self.progress.say(paid)

    def _campaign(self, name: str, strategy: Strategy, budget: Budget, journal: Journal, together: int = 1) -> None:
        """One campaign, in which a worker is given so many networks `together`."""
        crew = Crew(self.engine.workers, PATIENCE * (together * self.settings.limit_s + STAGING_S), together)
        best = self.config.training.finalists
        weights = WeightsFolder(self.folder.weights, best, journal.evaluations())
        with (
            self.progress.campaign(name, strategy.stage, budget.evaluations, journal) as view,
            first_ctrl_c(self.progress.say) as stopping,
            self.engine.all_blocks(),
        ):

            def take(evaluation: Evaluation) -> None:
                weights.told(evaluation, strategy.parents())
                view.result(evaluation)

            evaluator = stopping.watching(self.engine.evaluator(self.settings, together))
            ended = run_campaign(strategy, evaluator, journal, budget, crew, take, stopping)
        if stopping.asked:
            raise KeyboardInterrupt  # what was running is done: the run ends as if interrupted now
        if journal.count(strategy.stage) < budget.evaluations:
            self.progress.say(f"{name} ended: {ended}")


def repeat_warnings(journal: Journal, say: Callable[[str], None]) -> None:
    """Say what workers warned of, each warning once."""
    hosts: dict[str, set[str]] = {}
    for evaluation in journal.evaluations():
        if evaluation.warning:
            hosts.setdefault(evaluation.warning, set()).add(evaluation.host)
    for warning, names in hosts.items():
        say(f"warning from {min(names) if len(names) == 1 else f'{len(names)} nodes'}: {warning}")


def evolution_of(config: RunConfig) -> Evolution:
    """The evolution with the options that are switched on."""
    search = config.search
    chooser = CHOOSERS.get(search.screening)
    return Evolution(
        search.population,
        config.seed,
        lifetime=search.lifetime,
        inherit=search.inherit,
        screening=Screening(chooser, config.tuning.good_share) if chooser else None,
        halving=Halving() if search.halving else None,
    )


def plan_of(tuning: TuningConfig) -> Plan:
    """How the tuning chooses sets."""
    seconds = math.inf if tuning.random_minutes is None else 60 * tuning.random_minutes
    return Plan(tuning.random_sets, tuning.predictor, tuning.good_share, seconds)


def longest_of(config: RunConfig) -> float:
    """For how many seconds an evaluation, or the full training of a network, may keep a worker."""
    together = config.tuning.together or (TOGETHER_ON_GPU if config.site.gpus_per_node else 1)
    return max(together * _limit_s(config), config.training.seconds + START_S)


def training_limit_s(config: RunConfig) -> float:
    """For how many seconds the full training of a network may keep a worker, with all that belongs to it."""
    return LIMIT_FACTOR * config.training.seconds + START_S


def _limit_s(config: RunConfig) -> float:
    """When an evaluation is given up."""
    return LIMIT_FACTOR * config.search.seconds + START_S


def together_of(tuning: TuningConfig, space: Hyperparameters, *, gpus: bool) -> int:
    """How many sets are trained as one model: more than one on a GPU, if there is what they can differ in."""
    if not any(hyperparameter.shapes_nothing for hyperparameter in space.vary):
        return 1
    return tuning.together or (TOGETHER_ON_GPU if gpus else 1)


def told_of(build: Build, reason: str) -> str:
    """A line on a predictor that was built, or why there is none."""
    kind = build.name.split("_")[0]
    if reason:
        return f"tuning: no {kind} from {build.learnt_on} results, sets stay as they were: {reason}"
    waited = f", waited for {build.waited_s:.1f} s" if build.waited_s else ""
    return f"tuning: {kind} learnt from {build.learnt_on} results in {build.seconds:.1f} s{waited}"


def too_many_workers(tuning: TuningConfig, workers: int, together: int) -> str:
    """A warning where most sets would be under way before there is anything to learn from; "" otherwise."""
    if tuning.predictor == RANDOM or not tuning.chosen_sets:
        return ""
    under_way = together * (workers + 1)
    wanted = PREDICTORS[tuning.predictor].fewest(tuning.good_share)
    random = max(tuning.random_sets, under_way + max(0, wanted - together))
    if tuning.most_evaluations - random >= tuning.chosen_sets / 2:
        return ""
    return (
        f"warning: {under_way} sets are under way at once, so of {tuning.most_evaluations} most or all will be random; "
        f"with tuning.chosen_sets = {max(100, 3 * under_way)} the predictor would have its say"
    )


def paid_off(payoff: Payoff) -> str:
    """A line on whether the predictor paid; "" where there is nothing to compare."""
    if payoff.precision is None or payoff.base_rate is None:
        return ""
    text = (
        f"tuning: {payoff.precision:.0%} of the {payoff.chosen_sets} chosen sets did well, of the {payoff.random_sets} "
        f"random ones {payoff.base_rate:.0%}"
    )
    if payoff.acceptance is not None:
        text += f"; the SVM accepted {payoff.acceptance:.1%} of the sets that it looked at"
    if payoff.rejected:
        text += f", and none when {payoff.rejected} of the sets were chosen, which were the nearest to that"
    return text


def finalists_of(evaluations: Callable[[], Iterable[Evaluation]], count: int) -> list[Evaluation]:
    """The fittest networks, the fittest first.

    The fittest of the evolution is among them, unless there is but one: full training may still tell that the tuning
    has made nothing better.
    """
    ranked = _best(count, evaluations())
    evolved = (e for e in evaluations() if e.request.stage == Evolution.stage and e.status is Status.OK)
    winner = max(evolved, key=lambda e: e.fitness, default=None)  # of equals the older, which comes first
    if winner is not None and count > 1 and winner not in ranked:
        ranked[-1] = winner
    return ranked


def budget_of(search: SearchConfig) -> Budget:
    """When the evolution ends."""
    return Budget(
        search.most_evaluations,
        seconds=math.inf if search.minutes is None else 60 * search.minutes,
        plateau=search.plateau,
        target=math.inf if search.target_error is None else 1 - search.target_error,
    )


def _best(count: int, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The fittest networks, the fittest first and of equals the older."""
    best = heapq.nlargest(count, (e for e in evaluations if e.status is Status.OK), lambda e: e.fitness)
    if not best:
        raise CampaignError("no network could be trained; `evostem history` tells why")
    return best
