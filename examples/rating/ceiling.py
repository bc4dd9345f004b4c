"""The ceiling: gradient boosting with every feature held monotone, in the environment of requirements.txt.

It reads features, outcomes and which rows to learn from (an .npz file, named by its argument) and writes each row's score as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier


def main() -> None:
    """Learns and scores."""
    with np.load(sys.argv[1]) as given:
        features, defaulted, chosen = given["features"], given["defaulted"], given["chosen"]
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=300,
        max_leaf_nodes=15,
        min_samples_leaf=100,
        monotonic_cst=[1] * features.shape[1],
        random_state=0,
    )
    model.fit(features[chosen], defaulted[chosen])
    json.dump([round(-1000 * each) for each in model.decision_function(features)], sys.stdout)


if __name__ == "__main__":
    main()
