"""The private doors of other packages that the project goes through, in one list: a release that closes one fails here.

Whatever is used of Keras, TensorFlow and Optuna under a name that begins with an underscore, or from their inner
modules, may go without notice. For each there is no public way (see the comment where it is used).
"""

import ast
import inspect

import pytest
import rooms
from paths import ROOT

# Door -> the modules that go through it.
DOORS = {
    "_all_reduce_sum_gradients": {"kreid.training.updater"},
    "_flatten_layers": {"kreid.models.hub", "kreid.training.step", "kreid.weights.assignment"},
    "_inbound_nodes": {"kreid.look.viewer", "kreid.models.cost"},
    "_keras_history": {"kreid.models.embedders", "kreid.serving.folding"},
    "_nodes_by_depth": {"kreid.serving.folding"},
    "_trial_id": {"kreid.tuning.study"},
    "tensorflow.python.eager.context": {"kreid.training.worker_start"},
}
PUBLIC = {"_replace", "_exit", "_asdict", "_fields"}  # of named tuples and `os`, documented as they are
INNER = (".python.", ".src.")


def doors(text):
    """Private names that a module uses of anything but itself, and inner modules that it imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            found |= set() if own else {node.attr}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if any(inner in f"{name}." for inner in INNER)}
    return found - PUBLIC


def test_the_list_is_whole():
    used = {}
    for name, text in rooms.sources(ROOT).items():
        for door in doors(text):
            used.setdefault(door, set()).add(name)
    assert used == DOORS


def test_the_search_for_doors_finds_what_it_should():
    text = "from keras.src import ops\nself._own\nx._a()\nx._b = 1\ny.__class__\nnamed._replace(a=1)"
    assert doors(text) == {"keras.src.ops", "_a", "_b"}


def closed(door, what):
    return f"{door} is closed by this release: {what}; find another way, or bound the version in pyproject.toml"


def test_keras_still_tells_an_operation_behind_a_tensor_and_the_calls_of_a_layer():
    import keras

    image = keras.Input((4,), name="image")
    layer = keras.layers.Dense(2, name="dense")
    out = layer(image)
    assert out._keras_history.operation is layer, closed("KerasTensor._keras_history", "models are cut by it")
    assert layer._inbound_nodes[-1].output_tensors[0] is out, closed("Layer._inbound_nodes", "costs are counted by it")
    inner = keras.Model(image, out, name="inner")
    model = keras.Model(image, inner(image))
    calls = [node for nodes in model._nodes_by_depth.values() for node in nodes if not node.is_input]
    assert [node.operation for node in calls] == [inner], closed("Functional._nodes_by_depth", "norms are folded by it")
    assert calls[0].input_tensors == [image]
    names = [one.name for one in model._flatten_layers(include_self=False, recursive=False)]
    assert "inner" in names, closed("Layer._flatten_layers", "weights are assigned by it")
    assert "dense" not in names
    assert "dense" in [one.name for one in model._flatten_layers()]


def test_keras_still_sums_gradients_where_they_can_be_left_alone():
    import keras

    method = getattr(keras.optimizers.Adam(), "_all_reduce_sum_gradients", None)
    assert callable(method), closed("Optimizer._all_reduce_sum_gradients", "gradients would be summed twice")
    source = inspect.getsource(keras.optimizers.Adam)
    bases = "".join(inspect.getsource(one) for one in keras.optimizers.Adam.__mro__ if one is not object)
    assert "_all_reduce_sum_gradients(" in source + bases, closed("_all_reduce_sum_gradients", "nothing calls it")


def test_tensorflow_still_lets_its_start_be_bounded():
    eager = pytest.importorskip("tensorflow.python.eager.context")
    bound = getattr(eager.Context, "configure_coordination_service", None)
    names = inspect.signature(bound).parameters if bound else {}
    wanted = {"service_type", "service_leader", "cluster_register_timeout_in_ms"}
    assert wanted <= set(names), closed("Context.configure_coordination_service", "no other way bounds the wait")


def test_optuna_still_knows_a_trial_by_its_id():
    optuna = pytest.importorskip("optuna")

    study = optuna.create_study()
    study.ask()
    (trial,) = study.get_trials(deepcopy=False)
    again = optuna.trial.Trial(study, trial._trial_id)
    assert again.number == trial.number, closed("FrozenTrial._trial_id", "a stopped trial could not be gone on with")
