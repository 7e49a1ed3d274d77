"""Real runs on real data of every kind, from the supplied archives and from what scikit-learn ships."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from innerloop.runs import open_run

pytestmark = pytest.mark.slow

BRIEF = ("--training.steps=2", "--training.tasks=2", "--record.validation_episodes=2", "--episode.n_queries=3")


def trained_and_tested(shell, *settings):
    shell("train", *BRIEF, *settings, "--out=run")
    said = shell("evaluate", "run", "--episodes=2")
    assert "± " in said
    return open_run(shell.folder / "run").evaluations()[0].evaluation


@pytest.mark.parametrize("split", ["alphabets", "characters"])
def test_omniglot(shell, omniglot_root, split):
    result = trained_and_tested(
        shell,
        "--data.name=omniglot",
        f"--data.root={omniglot_root}",
        f"--data.split={split}",
        "--model.name=strided_conv4",
        "--model.filters=8",
        "--data.rotations=true",
    )
    assert result.data_set == f"omniglot-{split}-rotations"


def test_classes_the_run_was_trained_on_are_not_tested_on(shell, omniglot_root):
    settings = (
        "--data.name=omniglot",
        f"--data.root={omniglot_root}",
        "--model.name=strided_conv4",
        "--model.filters=8",
    )
    shell("train", *BRIEF, *settings, "--data.split=characters", "--out=run")
    said = shell.refused("evaluate", "run", "--data.split=alphabets", "--episodes=2")
    assert "expected classes the run has never seen" in said


def test_tiny_imagenet_in_colour_with_augmentation(shell, tiny_imagenet_root):
    said = shell("data", "show", "tiny_imagenet", f"--data.root={tiny_imagenet_root}", "--out=sheet.png")
    assert "tiny_imagenet train: 64 classes, 399 to 400 examples each, 3x64x64" in said
    assert "left out: 2" in said
    assert "n02823428_224.JPEG: same content in n02823428 and n03983396" in said
    result = trained_and_tested(
        shell,
        "--data.name=tiny_imagenet",
        f"--data.root={tiny_imagenet_root}",
        "--model.filters=4",
        "--augmentation.crop=4",
        "--augmentation.flip=true",
        "--augmentation.jitter=0.4",
    )
    assert result.data_set == "tiny_imagenet"


def test_a_folder_of_pictures(shell):
    digits = load_digits()
    for side, labels in (("train", (0, 1, 2, 3)), ("validation", (4, 5, 6)), ("test", (7, 8, 9))):
        for label in labels:
            place = shell.folder / "mine" / side / f"digit {label}"
            place.mkdir(parents=True)
            for number, image in enumerate(digits.images[digits.target == label][:10]):
                Image.fromarray((image * 15).astype(np.uint8)).save(place / f"{number}.png")
    result = trained_and_tested(
        shell,
        "--data.name=folder",
        "--data.root=mine",
        "--data.size=28",
        "--data.channels=1",
        "--model.filters=4",
        "--episode.n_way=3",
    )
    assert result.shape.n_way == 3


def test_arrays_of_vectors_with_fixed_slots_and_ranges(shell):
    digits = load_digits()
    splits = np.select([digits.target < 4, digits.target < 7], ["train", "validation"], "test")
    np.savez(shell.folder / "digits.npz", inputs=digits.data, labels=digits.target, splits=splits)
    result = trained_and_tested(
        shell,
        "--data.name=arrays",
        "--data.root=digits.npz",
        "--model.name=mlp",
        "--inner.lr=0.01",
        "--episode.n_way=[2,3]",
        "--episode.k_shot=[1,4]",
        "--episode.is_balanced=false",
        "--episode.labels=fixed",
    )
    assert (result.shape.n_way, result.shape.k_shot, result.transductive) == ((2, 3), (1, 4), False)


def test_what_a_data_set_needs_is_said_in_one_line(shell):
    assert "expected --data.root for 'mini_imagenet'" in shell.refused("train", "--data.name=mini_imagenet")
    assert "got nothing there" in shell.refused("train", "--data.name=folder", "--data.root=nowhere")
    assert "use --model.name=mlp" in shell.refused(
        "train", "--data.name=arrays", f"--data.root={made(shell)}", "--episode.n_way=2"
    )


def made(shell):
    digits = load_digits()
    splits = np.select([digits.target < 4, digits.target < 7], ["train", "validation"], "test")
    np.savez(shell.folder / "d.npz", inputs=digits.data, labels=digits.target, splits=splits)
    return "d.npz"


def test_sinusoids_are_trained_and_tested_by_their_loss(shell):
    settings = ("--data.name=sinusoid", "--model.name=mlp", "--inner.lr=0.01", "--episode.k_shot=10")
    assert "expected --inner.loss=mse for the real targets" in shell.refused("train", *BRIEF, *settings)
    result = trained_and_tested(shell, *settings, "--inner.loss=mse")
    assert (result.measure, result.data_set) == ("loss", "sinusoid")
    run = open_run(shell.folder / "run")
    assert "accuracy" not in run.history[-1]
    assert run.history[-1]["validation"]["loss"] > 0
    assert "query loss" in shell("evaluate", "run", "--episodes=2")
    shell("report", "run")
    assert "Query loss, mean and 95% interval" in (shell.folder / "run" / "report.html").read_text()
    assert "One learner (FOMAML, 10-shot, on sinusoid)" in (shell.folder / "run" / "report.html").read_text()
