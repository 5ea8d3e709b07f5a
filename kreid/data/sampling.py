"""Which images make a batch. NumPy only: a plan of row numbers, drawn from a seed before any file is read.

The labels of SoccerNet-v3 hold only inside an action, most people have one or two views, and a triplet needs two views
of a person and another person of the same action. So `same_action` packs whole actions into batches of one size:

- each epoch takes every image once (people with more than `views` images: a new choice of `views` each time);
- people with one view are there as negatives and are not repeated;
- the largest action that fits goes in whole; only where none fits is one divided over batches, between its people;
- an epoch's batches come in random order, so that the first of them are a fair sample of all.

Because a plan depends on (seed, epoch) alone, a run can be resumed at any batch, and every worker of a distributed run
draws the same plan and takes its own part.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from kreid.errors import ConfigError

_WINDOW = 64  # actions looked at for one that fits the room left in a batch


def held_out_by(person: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return what each image is held out by in cross-validation: its action, or where all are of one, its person.

    Args:
        person: `(M,)` integers.
        action: `(M,)` integers.
    """
    return action if (action != action[:1]).any() else person


class Sampler:
    """Batches of row numbers for one epoch after another.

    Args:
        person: `(M,)` integers, the person of each image.
        action: `(M,)` integers, the action of each image.
        persons: with `views`, sets the batch size `persons * views`.
        views: most images of one person in a batch.
        sampler: `"same_action"` (see the module), `"persons"` (people out of the whole set, `views` images of each,
            drawn again where a person has fewer; people with one view once, spread evenly) or `"uniform"` (images in
            random order).
        seed: seed of every draw.

    Raises:
        ConfigError: where no batch could hold a triplet, or the set is smaller than a batch.

    Example:
        >>> batches = list(Sampler(person, action, persons=8, views=4).epoch(0))
        >>> batches[0].shape
        (32,)
    """

    def __init__(
        self,
        person: np.ndarray,
        action: np.ndarray,
        persons: int = 8,
        views: int = 4,
        sampler: str = "same_action",
        seed: int = 0,
    ) -> None:
        self.person = np.asarray(person)
        self.action = np.asarray(action)
        self.persons, self.views, self.sampler, self.seed = persons, views, sampler, seed
        self.batch_size = persons * views
        draws = {"same_action": self._same_action, "persons": self._persons, "uniform": self._uniform}
        if sampler not in draws:
            raise ConfigError(f"data.sampler: expected one of {', '.join(draws)}, received {sampler!r}")
        self._draw = draws[sampler]
        self._check()
        self._groups = _rows_of(self.action)

    def _check(self) -> None:
        people, first, count = np.unique(self.person, return_index=True, return_counts=True)
        if len(people) == 1:
            raise ConfigError("the training set has one person, so there is no negative to learn from")
        drawn, limit = {  # by an epoch
            "same_action": (np.minimum(count, self.views), f" (at most {self.views} of a person)"),
            "persons": (np.where(count > 1, self.views, 1), f" ({self.views} of a person, or 1 of who has no more)"),
            "uniform": (count, ""),
        }[self.sampler]
        if drawn.sum() < self.batch_size:
            raise ConfigError(
                f"data.persons x data.views is {self.batch_size} images a batch, but the training set has "
                f"{drawn.sum()}{limit}; use a larger data.fraction or a smaller batch"
            )
        if self.sampler == "persons" and self.persons < 2:
            raise ConfigError("data.persons: 1 person has no negatives; give 2 or more, or another data.sampler")
        if not (count > 1).any():
            raise ConfigError("no person of the training set has two images, so there is no triplet to learn from")
        in_action = np.unique(self.action[first], return_inverse=True)[1]
        if self.sampler == "same_action" and not (np.bincount(in_action)[in_action[count > 1]] > 1).any():
            raise ConfigError(
                "no action of the training set has a person with two images beside another person, so there is no "
                "triplet to learn from"
            )

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        """Yield the batches of an epoch: `(persons * views,)` row numbers each."""
        rng = np.random.default_rng([self.seed, number])
        yield from self._draw(rng)

    def _uniform(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        order = rng.permutation(len(self.person))
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            yield order[start : start + self.batch_size]

    def _persons(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        people = _rows_of(self.person)
        several = [people[i] for i in rng.permutation(len(people)) if len(people[i]) > 1]
        single = rng.permutation([rows[0] for rows in people if len(rows) == 1]).astype(int)
        batches = (len(several) * self.views + len(single)) // self.batch_size
        shares = np.linspace(0, min(len(several), batches * self.persons), batches + 1).astype(int)
        for start, end in pairwise(shares):
            drawn = [_draw_views(rng, rows, self.views) for rows in several[start:end]]
            alone, single = np.split(single, [self.batch_size - self.views * len(drawn)])
            yield np.concatenate([*drawn, alone])

    def _same_action(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        batches = list(self._packed(rng))  # those packed first hold the actions that fit best
        for number in rng.permutation(len(batches)):
            yield batches[number]

    def _packed(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        waiting = [self._people(rng, self._groups[g]) for g in rng.permutation(len(self._groups))]
        sizes = [sum(map(len, people)) for people in waiting]
        batch: list[np.ndarray] = []
        room = self.batch_size
        while waiting:
            chosen = _largest_fitting(sizes, room)
            people, size = waiting.pop(chosen), sizes.pop(chosen)
            taken, rest = _pour(people, room)
            if rest:
                waiting.append(rest)
                sizes.append(size - sum(map(len, taken)))
            batch += taken
            room -= sum(map(len, taken))
            if room == 0:
                yield np.concatenate(batch)
                batch, room = [], self.batch_size
        if batch:
            yield self._filled_up(rng, np.concatenate(batch))

    def _people(self, rng: np.random.Generator, rows: np.ndarray) -> list[np.ndarray]:
        """One action's people in random order, at most `views` images each."""
        people = [rng.permutation(rows[mine])[: self.views] for mine in _rows_of(self.person[rows])]
        return [people[i] for i in rng.permutation(len(people))]

    def _filled_up(self, rng: np.random.Generator, batch: np.ndarray) -> np.ndarray:
        """The last batch of an epoch, filled with other images drawn once more."""
        people = [self._people(rng, self._groups[g]) for g in rng.permutation(len(self._groups))]
        again = np.concatenate([rows for action in people for rows in action])
        again = again[~np.isin(again, batch)]
        return np.concatenate([batch, again[: self.batch_size - len(batch)]])


def _rows_of(labels: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each distinct label."""
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(order, bounds)


def _draw_views(rng: np.random.Generator, rows: np.ndarray, views: int) -> np.ndarray:
    """Draw `views` of a person's rows, each as often as the next."""
    rounds = -(-views // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:views]


def _largest_fitting(sizes: list[int], room: int) -> int:
    """Position, among the last `_WINDOW`, of the largest size that fits `room`; the last one where none fits."""
    window = range(len(sizes) - 1, max(-1, len(sizes) - 1 - _WINDOW), -1)
    fitting = [i for i in window if sizes[i] <= room]
    return max(fitting, key=lambda i: sizes[i]) if fitting else len(sizes) - 1


def _pour(units: list[np.ndarray], room: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Divide an action's people into those that fill `room` and the rest.

    People stay whole as long as another one fits the gap; at last one person's views are divided.
    """
    taken: list[np.ndarray] = []
    rest: list[np.ndarray] = []
    for unit in units:
        if len(unit) <= room:
            taken.append(unit)
            room -= len(unit)
        else:
            rest.append(unit)
    if room and rest:
        cut = rest[0]
        taken.append(cut[:room])
        rest[0] = cut[room:]
    return taken, rest
