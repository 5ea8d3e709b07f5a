"""Folds of the training actions for cross-validation; NumPy only."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kreid.config.sections import Config, Data
from kreid.data.sampling import Sampler
from kreid.errors import ConfigError
from tfrecords_tools.index import Index


def make_folds(index: Index, fraction: float, folds: int, seed: int) -> list[np.ndarray]:
    """Divide the training actions into folds of about equally many images.

    All actions of a game stand in one fold: the same players in the same shirts on both sides would make it easy.
    One game after another goes into the smallest fold, roughly the largest first: the seed says how roughly.

    Args:
        index: of the train split.
        fraction: of the actions that are used, as `data.fraction`.
        folds: how many, from 2.
        seed: of the division.

    Returns:
        The actions of each fold, sorted.

    Raises:
        ConfigError: where there are more folds than games, or a fold would hold no person with two images.

    Example:
        >>> held_out = make_folds(read_index("records/train"), 1.0, folds=5, seed=1)[0]
    """
    if folds < 2:
        raise ConfigError(f"folds: expected 2 or more, received {folds}; one fold scores what the others taught")
    rows = index.fraction_rows(fraction)
    games, images = np.unique(index.game[rows], return_counts=True)
    if folds > len(games):
        known = len(np.unique(index.action[rows]))
        raise ConfigError(
            f"folds: {folds} were asked for, but the {known} training actions come from {len(games)} game(s), and no "
            "game may be in two folds; ask for fewer, or use more of the data (data.fraction)"
        )
    order = np.argsort(-images * np.random.default_rng(seed).uniform(0.5, 1, len(games)), kind="stable")
    held: list[list[int]] = [[] for _ in range(folds)]
    sizes = np.zeros(folds, np.int64)
    for game in order:
        smallest = int(np.argmin(sizes))
        held[smallest].append(games[game])
        sizes[smallest] += images[game]
    divided = [np.unique(index.action[rows[np.isin(index.game[rows], mine)]]) for mine in held]
    for number, actions in enumerate(divided, start=1):
        mine = rows[np.isin(index.action[rows], actions)]
        if max(Counter(zip(index.action[mine].tolist(), index.person[mine].tolist(), strict=True)).values()) < 2:
            raise ConfigError(f"folds: fold {number} of {folds} has no person with two images, so nothing to score")
    return divided


def check_batches(index: Index, held_out: Sequence[np.ndarray], config: Data) -> None:
    """Complain where the actions that a fold leaves hold no batch of the `data` section.

    Raises:
        ConfigError: what `kreid.data.Sampler` says of them.
    """
    rows = index.fraction_rows(config.fraction)
    for number, actions in enumerate(held_out, start=1):
        rest = rows[~np.isin(index.action[rows], actions)]
        try:
            Sampler(index.person[rest], index.action[rest], config.persons, config.views, config.sampler)
        except ConfigError as error:
            raise ConfigError(f"training without fold {number} of {len(held_out)}: {error}") from None


def check_scores(index: Index, held_out: Sequence[np.ndarray], config: Config) -> None:
    """Complain where a fold holds nobody with two images of an action, so that nothing of it could be scored.

    Raises:
        ConfigError: naming the first such fold.
    """
    rows, most = index.fraction_rows(config.data.fraction), config.train.validate_actions
    for number, actions in enumerate(held_out, start=1):
        mine = rows[np.isin(index.action[rows], np.unique(actions)[:most])]
        seen = np.unique(np.stack([index.action[mine], index.person[mine]]), axis=1, return_counts=True)[1]
        if not (seen > 1).any():
            where = f" in its first {most} actions; raise train.validate_actions" if most else "; use fewer folds"
            raise ConfigError(f"fold {number} of {len(held_out)}: nobody has two images to be scored on{where}")


def describe_data(index: Index, fraction: float) -> dict[str, int | str]:
    """How many images, actions and games of the train split are used, and a digest of which."""
    rows = index.fraction_rows(fraction)
    digest = hashlib.sha256()
    for column in (index.bbox, index.action, index.person, index.game):
        digest.update(np.ascontiguousarray(column[rows], np.int64).tobytes())
    actions, games = (len(np.unique(column[rows])) for column in (index.action, index.game))
    return {"images": len(rows), "actions": actions, "games": games, "digest": digest.hexdigest()[:16]}
