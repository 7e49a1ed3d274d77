"""Every example runs as its first lines say."""

import runpy
import sys

import pytest


@pytest.fixture
def examples(request):
    return request.config.rootpath / "examples"


def test_the_sinusoid_example_draws_a_run(examples, commands_in, tmp_path, monkeypatch):
    recipe = examples.parent / "recipes" / "sinusoid-10s-maml.yaml"
    commands_in(tmp_path)("train", "--config", recipe, "--training.steps=1", "--record.validation=0", "--out=run")
    monkeypatch.setattr(sys, "argv", ["sinusoid.py", str(tmp_path / "run"), "--out", str(tmp_path / "waves.svg")])
    runpy.run_path(str(examples / "sinusoid.py"), run_name="__main__")
    drawn = (tmp_path / "waves.svg").read_text()
    assert drawn.startswith("<?xml")
    assert drawn.count("mean squared error") == 3
