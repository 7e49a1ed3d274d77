#!/usr/bin/env bash
# How the runs in this folder were made; a format's is made once, by the last version that writes it, and then kept.
#     bash tests/golden/make.sh tests/golden/format-2
set -euo pipefail
run=$1
innerloop train --data.name=gaussians --model.name=mlp --model.hidden=6 --episode.n_way=3 --episode.k_shot=2 \
  --episode.n_queries=4 --inner.lr=0.1 --training.tasks=2 --training.steps=3 --record.validation=2 \
  --record.validation_episodes=4 --record.heads=true --record.checkpoint=2 --out "$run"
innerloop evaluate "$run" --episodes=6 --checkpoint=last
innerloop explain "$run" memorization --episodes=3 --checkpoint=last
find "$run" \( -name '*.png' -o -name '*.pdf' -o -name '*.svg' \) -delete
