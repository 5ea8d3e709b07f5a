"""What Hypothesis makes for tests: the same inputs in every run, a few; EXAMPLES=20000 tries more, by hand."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

few = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("EXAMPLES", "60")),
    suppress_health_check=list(HealthCheck),
)
# Names as file systems have them: any letters, some that mean something elsewhere, bytes that are no UTF-8; never "/".
names = st.text(
    st.one_of(
        st.sampled_from("ab01 .-_'\"%[]*?,;\n\\~#é\ud800\udce9"),
        st.characters(exclude_characters="/\0", codec="utf-8"),
    ),
    min_size=1,
    max_size=8,
)


def damaged(text, letters):
    """Bytes with one to three of them changed into some of these."""
    places = st.tuples(st.integers(0, len(text) - 1), st.sampled_from(sorted(letters)))
    return st.lists(places, min_size=1, max_size=3).map(lambda changes: _changed(text, changes))


def _changed(text, changes):
    data = bytearray(text)
    for place, letter in changes:
        data[place] = letter
    return bytes(data)


numbers = st.one_of(st.integers(-3, 99), st.floats(), st.integers(), st.text(max_size=4), st.none(), st.booleans())
json_values = st.recursive(
    st.one_of(numbers, st.sampled_from(["player", "left", "x", "1060000001"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def refused(work, known):
    """Whether `work` is done, or refused in one line that names one of these; any other error is passed on."""
    try:
        work()
    except ValueError as error:
        return "\n" not in str(error) and any(word in str(error) for word in known)
    return True
