from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from headrace.backends.models.sklearn.clusters import assign
from headrace.core.step import ModelSpec

SPEC = ModelSpec(("x", "y"))


def rows(centres, *, seed=0, each=30):
    random = np.random.default_rng(seed)
    points = np.concatenate([random.normal(centre, 0.2, size=(each, 2)) for centre in centres])
    return {"x": points[:, 0], "y": points[:, 1]}


def model(backend, write, data, clusters, seed):
    return backend.train(KMeans(clusters), SPEC, {"rows": [write("data", data)]}, seed=seed, is_fitted=False).model


def test_the_same_groups_keep_their_numbers_whatever_the_seed(backend, write):
    data = rows([(0, 0), (5, 5), (0, 9)])
    champion = model(backend, write, data, 3, seed=1)
    for seed in range(2, 6):
        challenger = model(backend, write, data, 3, seed=seed)
        relabel = backend.match_clusters(champion, challenger, [write("data", data)], relabel=None)
        shown = [relabel[str(number)] for number in challenger.estimator.labels_]
        assert shown == champion.estimator.labels_.tolist()


def test_the_champions_own_mapping_is_what_is_kept(backend, write):
    data = rows([(0, 0), (5, 5)])
    champion = model(backend, write, data, 2, seed=1)

    assert backend.match_clusters(champion, champion, [write("data", data)], relabel={"0": 4, "1": 2}) == {"0": 4, "1": 2}


def test_a_new_group_gets_a_number_that_no_group_has(backend, write):
    old, new = rows([(0, 0), (5, 5)]), rows([(0, 0), (5, 5), (0, 90)])
    champion, challenger = model(backend, write, old, 2, seed=1), model(backend, write, new, 3, seed=2)

    relabel = backend.match_clusters(champion, challenger, [write("new", old)], relabel=None)

    assert sorted(relabel.values()) == [0, 1, 2]
    assert relabel[str(challenger.estimator.labels_[-1])] == 2


@given(st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 6)), st.integers(0, 50)), st.integers(1, 7), st.sets(st.integers(0, 9)))
def test_a_mapping_is_always_one_to_one_and_whole(shared, clusters, taken):
    found = assign(shared, range(clusters), taken)

    assert set(found) >= {str(number) for number in range(clusters)}
    assert len(set(found.values())) == len(found)


@given(st.permutations(range(6)))
def test_renumbered_groups_are_always_found_again(places):
    shared = {(place, number): 10 for number, place in enumerate(places)}

    assert assign(shared, range(6), set(range(6))) == {str(place): number for number, place in enumerate(places)}
