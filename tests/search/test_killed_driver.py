"""`kill -9` of the driver at random instants of one campaign: nothing recorded is lost, nothing is done twice."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from search.evolution import Evolution
from search.journal import Journal

KILLS, BUDGET, POPULATION = 20, 400, 8
# Runs, or goes on with, a campaign on four threads, and tells of each result once it is recorded.
DRIVER = """
import json, os, random, sys, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from search.budget import Budget
from search.campaign import Crew, run_campaign
from search.evaluation import Evaluation, Status
from search.evolution import Evolution
from search.journal import Journal

path, budget, population = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
strategy = Evolution(population, seed=4)

def evaluate(request):
    started = time.time()
    time.sleep(random.uniform(0.001, 0.006))
    fitness = sum(request.genome) / (255 * len(request.genome))
    return Evaluation(request, Status.OK, fitness=fitness, started=started, ended=time.time())

def tell(what):
    os.write(1, (json.dumps(what) + "\\n").encode())

with ThreadPoolExecutor(4) as pool, closing(Journal(path)) as journal:
    run_campaign(
        strategy, lambda request: pool.submit(evaluate, request), journal, Budget(budget), Crew(lambda: 4),
        lambda evaluation: tell([evaluation.request.index, evaluation.fitness]),
    )
rates = [strategy.crossovers.rates(), strategy.mutations.rates()]
tell({"members": [[m.fitness, m.index] for m in strategy.population.members], "rates": rates})
"""


def start(path):
    command = [sys.executable, "-c", DRIVER, str(path), str(BUDGET), str(POPULATION)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path):
    path = tmp_path / "journal.sqlite"
    chance = random.Random(12)
    told = []
    for _ in range(KILLS):
        driver = start(path)
        # Most of a driver's time is in commits: an instant a little after a result lies in one, before or after it.
        told += [json.loads(driver.stdout.readline()) for _ in range(chance.randrange(16))]
        time.sleep(chance.uniform(0, 0.02))
        driver.send_signal(signal.SIGKILL)
        rest, _ = driver.communicate()
        assert driver.returncode == -signal.SIGKILL
        told += [json.loads(line) for line in rest.splitlines() if line.endswith("]")]
    driver = start(path)
    *rest, state = (json.loads(line) for line in driver.communicate()[0].splitlines())
    told += rest
    assert driver.returncode == 0

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute(
            "SELECT evaluation, fitness, status, record FROM evaluations ORDER BY number"
        ).fetchall()
    recorded = {index: fitness for index, fitness, _, _ in rows}
    assert len(rows) == len(recorded) == BUDGET
    assert len({json.loads(record)["request"]["genome"] for *_, record in rows}) == BUDGET
    assert {status for _, _, status, _ in rows} == {"ok"}
    assert len({index for index, _ in told}) == len(told)  # no result counted in two lives
    assert dict(told).items() <= recorded.items()

    best = sorted((fitness, -index) for index, fitness in recorded.items())[-POPULATION:]
    assert state["members"] == [[fitness, -minus_index] for fitness, minus_index in best]
    uninterrupted = Evolution(POPULATION, seed=4)
    with closing(Journal(path)) as journal:
        for evaluation in journal.evaluations():
            uninterrupted.tell(evaluation)
    assert state["rates"] == [uninterrupted.crossovers.rates(), uninterrupted.mutations.rates()]
