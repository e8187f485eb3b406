import numpy as np
from hepimg_fisher import FisherOnObservables

from hepimg.testing import check_component, check_task, datasets, make_run, toy_jets

JETS = {"one": toy_jets(300, prongs=1, seed=1), "two": toy_jets(300, prongs=2, seed=2)}


def test_keeps_the_contract():
    check_component(FisherOnObservables)
    check_task(FisherOnObservables(signal="two"), JETS)


def test_separates_the_classes(tmp_path):
    task, run = FisherOnObservables(signal="two", observables=("mass",)), make_run(tmp_path)
    train, valid, test = datasets(JETS, tmp_path)
    state, jets = task.fit(train, valid, run), test.load()
    score = task.predict(state, jets, run)["score"]
    assert np.mean((score > 0) == jets.is_from("two")) > 0.75
