"""Folds of the training actions for cross-validation, or of the people of a single one; NumPy only."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kreid.config.sections import Config, Data
from kreid.data.cameras import learned_cameras, numbers_of
from kreid.data.sampling import Sampler, held_out_by
from kreid.errors import ConfigError
from tfrecords_tools.index import Index


def make_folds(index: Index, fraction: float, folds: int, seed: int) -> list[np.ndarray]:
    """Divide the training actions into folds of about equally many images.

    All actions of a game stand in one fold: the same players in the same shirts on both sides would make it easy.
    One game after another goes into the smallest fold, roughly the largest first: the seed says how roughly. Where the
    set is a single action, as Market-1501 is, its people are divided in that way.

    Args:
        index: of the train split.
        fraction: of the actions that are used, as `data.fraction`.
        folds: how many, from 2.
        seed: of the division.

    Returns:
        The actions of each fold, or its people, sorted.

    Raises:
        ConfigError: where there are more folds than games, or people, or a fold would hold no person with two images.

    Example:
        >>> held_out = make_folds(read_index("records/train"), 1.0, folds=5, seed=1)[0]
    """
    if folds < 2:
        raise ConfigError(f"folds: expected 2 or more, received {folds}; one fold scores what the others taught")
    rows = index.fraction_rows(fraction)
    units, alone = _units(index, rows)
    game = units if alone else index.game[rows]
    games, images = np.unique(game, return_counts=True)
    if folds > len(games):
        raise ConfigError(f"folds: {folds} were asked for, but {_too_few(index, rows, len(games), fraction)}")
    order = np.argsort(-images * np.random.default_rng(seed).uniform(0.5, 1, len(games)), kind="stable")
    held: list[list[int]] = [[] for _ in range(folds)]
    sizes = np.zeros(folds, np.int64)
    for place in order:
        smallest = int(np.argmin(sizes))
        held[smallest].append(games[place])
        sizes[smallest] += images[place]
    divided = [np.unique(units[np.isin(game, mine)]) for mine in held]
    for number, chosen in enumerate(divided, start=1):
        mine = rows[np.isin(units, chosen)]
        if max(Counter(zip(index.action[mine].tolist(), index.person[mine].tolist(), strict=True)).values()) < 2:
            raise ConfigError(f"folds: fold {number} of {folds} has no person with two images, so nothing to score")
    return divided


def _units(index: Index, rows: np.ndarray) -> tuple[np.ndarray, bool]:
    """What the training images are divided by, and whether that is people."""
    action = index.action[rows]
    return held_out_by(index.person[rows], action), len(np.unique(action)) == 1


def _too_few(index: Index, rows: np.ndarray, games: int, fraction: float) -> str:
    """Say what there are fewer of than folds, and what helps."""
    actions = len(np.unique(index.action[rows]))
    if actions == 1:
        return f"the training set is one action of {games} people, and nobody may be in two folds; ask for fewer"
    more = "use more of the data (data.fraction)" if fraction < 1 else "take records of more games"
    advice = f"ask for fewer, or {more}" if games > 1 else more
    return f"the {actions} training actions come from {games} game(s), and no game may be in two folds; {advice}"


def check_batches(index: Index, held_out: Sequence[np.ndarray], config: Data) -> None:
    """Complain where the actions that a fold leaves hold no batch of the `data` section.

    Raises:
        ConfigError: what `kreid.data.Sampler` says of them.
    """
    rows = index.fraction_rows(config.fraction)
    units, _ = _units(index, rows)
    for number, chosen in enumerate(held_out, start=1):
        rest = rows[~np.isin(units, chosen)]
        try:
            Sampler(index.person[rest], index.action[rest], config.persons, config.views, config.sampler)
        except ConfigError as error:
            raise ConfigError(f"training without fold {number} of {len(held_out)}: {error}") from None


def check_cameras(index: Index, held_out: Sequence[np.ndarray], config: Config) -> None:
    """Complain where a network that learns cameras would miss one in a fold.

    Raises:
        ConfigError: what `kreid.data.cameras` says of the first such fold.
    """
    stream = config.model.appearance
    if not stream.cameras:
        return
    rows = index.fraction_rows(config.data.fraction)
    units, _ = _units(index, rows)
    for number, chosen in enumerate(held_out, start=1):
        mine = np.isin(units, chosen)
        try:
            names = learned_cameras(index, rows[~mine], stream.cameras, stream.camera_names)
            numbers_of(index, names, rows[mine])
        except ValueError as error:
            raise ConfigError(f"training without fold {number} of {len(held_out)}: {error}") from None


def check_scores(index: Index, held_out: Sequence[np.ndarray], config: Config) -> None:
    """Complain where a fold holds nobody with two images of an action, so that nothing of it could be scored.

    Raises:
        ConfigError: naming the first such fold.
    """
    rows, most = index.fraction_rows(config.data.fraction), config.train.validate_actions
    units, _ = _units(index, rows)
    for number, chosen in enumerate(held_out, start=1):
        mine = rows[np.isin(units, chosen)]
        mine = mine[np.isin(index.action[mine], np.unique(index.action[mine])[:most])]
        seen = np.unique(np.stack([index.action[mine], index.person[mine]]), axis=1, return_counts=True)[1]
        if not (seen > 1).any():
            where = f" in its first {most} actions; raise train.validate_actions" if most else "; use fewer folds"
            raise ConfigError(f"fold {number} of {len(held_out)}: nobody has two images to be scored on{where}")


def describe_data(index: Index, fraction: float, protocol: str = "action") -> dict[str, int | str]:
    """What of the train split is used, and how folds of it are scored: what tells one study's scores from another's.

    Args:
        index: of the train split.
        fraction: of the actions that are used.
        protocol: what folds are scored by.

    Returns:
        How many "images", "actions" and "games" there are, and "people" of a single action; "records", see
        `Index.digest`, and "protocol". "digest" is what earlier versions knew in place of these two, and studies of
        theirs are told by.
    """
    rows = index.fraction_rows(fraction)
    digest = hashlib.sha256()
    for column in (index.bbox, index.action, index.person, index.game):
        digest.update(np.ascontiguousarray(column[rows], np.int64).tobytes())
    actions, games = (len(np.unique(column[rows])) for column in (index.action, index.game))
    people = {"people": len(np.unique(index.person[rows]))} if actions == 1 else {}
    told = {"digest": digest.hexdigest()[:16], "records": index.digest(rows)[:16], "protocol": protocol}
    return {"images": len(rows), "actions": actions, "games": games, **told, **people}
