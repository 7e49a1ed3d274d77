import pytest
import torch

from innerloop.analysis import cosines
from worlds import algorithm_of, conv_learner, image_episode

EPISODES = [image_episode(seed=seed) for seed in range(3)]


def test_cosines_tell_same_class_pairs_from_the_others():
    learner, params = conv_learner()
    algorithm = algorithm_of("fomaml", learner)
    same, different = [], []
    for episode in EPISODES:
        support, query = (learner.features(params, part.inputs) for part in episode)
        for q, of_q in zip(query, episode.query.targets, strict=True):
            for s, of_s in zip(support, episode.support.targets, strict=True):
                (same if of_q == of_s else different).append(torch.cosine_similarity(q, s, dim=0).item())
    found = cosines(algorithm, params, EPISODES)
    assert found.same_class == pytest.approx(sum(same) / len(same))
    assert found.different_class == pytest.approx(sum(different) / len(different))
