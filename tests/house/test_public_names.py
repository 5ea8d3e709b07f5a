"""A misspelt public name of `kreid` is told with the one that was meant, once, wherever the error is read."""

import sys

import pytest

import kreid


@pytest.mark.parametrize(
    ("name", "meant"),
    [("evalute", "evaluate"), ("load_modle", "load_model"), ("Embedings", "Embeddings"), ("lossess", "losses")],
)
def test_a_misspelt_name_is_told_with_the_one_meant(name, meant):
    with pytest.raises(AttributeError) as raised:
        getattr(kreid, name)
    assert str(raised.value) == f"module 'kreid' has no attribute {name!r}; did you mean {meant}?"
    assert raised.value.name == name


def test_a_name_like_none_is_told_alone():
    with pytest.raises(AttributeError, match=r"^module 'kreid' has no attribute '__wrapped__'$"):
        _ = kreid.__wrapped__
    assert not hasattr(kreid, "zzz")


def test_python_does_not_say_it_twice(capsys):
    with pytest.raises(AttributeError) as raised:
        _ = kreid.evalute
    sys.__excepthook__(AttributeError, raised.value, None)
    assert capsys.readouterr().err.endswith("; did you mean evaluate?\n")
