"""How a search draws its trials' values and which trials it stops: Optuna's ways, with what ours need besides."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from kreid.tuning.space import Choice, Range, Space, WholeRange

_BEFORE_PRUNING = 5  # trials to complete first: a median of fewer says little
_ATTEMPTS = 20  # draws of a combination that was not tried yet


Distribution = CategoricalDistribution | IntDistribution | FloatDistribution


class FreshDraws(optuna.samplers.BaseSampler):
    """Optuna's TPE, seeded anew for every trial, that draws no combination twice.

    A trial's draw depends on the seed, its number and the trials before it: processes that start together differ, and a
    study that was stopped goes on as one that was not. Training is deterministic, so a combination tried again would
    only cost its time.

    Args:
        seed: of all draws.
        space: what is tried.
        distributions: the same for Optuna.
    """

    def __init__(self, seed: int, space: Space, distributions: Mapping[str, Distribution]) -> None:
        self.seed, self.space = seed, space
        self.drawn: dict[str, BaseDistribution] = {name: one for name, one in distributions.items() if not one.single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every key is drawn together with the others."""
        return self.drawn

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw one combination."""
        others = [one.params for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        tried = [self._identity(params) for params in others]
        for attempt in range(_ATTEMPTS):
            tpe = optuna.samplers.TPESampler(seed=self._seed(trial.number, attempt))
            together = tpe.infer_relative_search_space(study, trial)
            params = tpe.sample_relative(study, trial, together)
            params |= {
                name: tpe.sample_independent(study, trial, name, one)
                for name, one in self.drawn.items()
                if name not in params
            }
            if self._identity(params) not in tried:
                return params
        return self._left_over(tried, trial.number) or params

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """Never asked: `sample_relative` draws every key."""
        raise NotImplementedError(name)

    def _left_over(self, tried: list[dict], number: int) -> dict[str, Any] | None:
        """One of the combinations that were never drawn, where they can be counted."""
        if self.space.combinations() is None:
            return None
        entries = self.space.entries
        every = ({name: _stored(entries[name], values[name]) for name in self.drawn} for values in self.space.every())
        left = [params for params in every if self._identity(params) not in tried]
        return left[self._seed(number, _ATTEMPTS) % len(left)] if left else None

    def _identity(self, params: dict[str, Any]) -> dict[str, Any]:
        """What tells two combinations apart; steps of a range come with different last digits."""
        known = {name: params[name] for name in self.drawn if name in params}
        return {name: round(value, 12) if isinstance(value, float) else value for name, value in known.items()}

    def _seed(self, *parts: int) -> int:
        return int(np.random.SeedSequence([self.seed % 2**32, *parts]).generate_state(1)[0])


class BehindTheMedian(optuna.pruners.BasePruner):
    """Prunes where a trial's newest value is below the median of the completed trials' at the same step.

    Optuna's `MedianPruner` takes a trial's best value so far instead, which for means over folds is the easiest fold's.
    """

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether to stop the trial."""
        step = trial.last_step
        if step is None:
            return False
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [one.intermediate_values[step] for one in complete if step in one.intermediate_values]
        return len(values) >= _BEFORE_PRUNING and trial.intermediate_values[step] < float(np.median(values))


def distribution_of(entry: Choice | Range) -> Distribution:
    """Optuna's form of a key's values."""
    if isinstance(entry, Choice):
        return CategoricalDistribution([json.dumps(value) for value in entry.choice])  # a store knows no lists
    if isinstance(entry, WholeRange):
        return IntDistribution(entry.low, entry.high, log=entry.log, step=entry.step or 1)
    return FloatDistribution(entry.low, entry.high, log=entry.log, step=entry.step)


def suggest(trial: optuna.trial.Trial, name: str, distribution: Distribution) -> None:
    """Let a trial draw a key's value, unless it has one."""
    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    else:
        trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def _stored(entry: Choice | Range, value: Any) -> Any:
    return json.dumps(value) if isinstance(entry, Choice) else value
