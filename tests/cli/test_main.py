import subprocess
import sys

from innerloop import __version__


def test_version_help_and_the_module_are_the_same_command(shell):
    assert shell("--version") == f"innerloop {__version__}\n"
    as_module = subprocess.run(
        [sys.executable, "-m", "innerloop", "--help"], capture_output=True, text=True, check=True
    )
    assert as_module.stdout == shell("--help") == shell()
    for verb in ("demo", "train", "evaluate", "report", "data"):
        assert f"  {verb} " in as_module.stdout
        assert f"usage: innerloop {verb}" in shell(verb, "--help")


def test_every_setting_of_a_recipe_is_explained(shell):
    said = shell("train", "--help")
    for words in ("--inner.lr LR", "of any sign", "--training.head_reset", "the zeroing trick", "--print_config"):
        assert words in said


def test_unknown_commands_are_one_line(shell):
    assert "Did you mean 'train'?" in shell.refused("trian")
    assert "known: list" in shell.refused("data", "lst")


def test_data_list_names_every_data_set_with_its_source(shell):
    said = shell("data", "list")
    for name in ("typeface", "digits", "omniglot", "MIT licence", "mini_imagenet", "--data.skip_corrupt"):
        assert name in said


def test_data_prepare_and_show_say_what_is_in_a_data_set_and_draw_a_sheet(shell):
    said = shell("data", "prepare", "typeface")
    assert "typeface train: 609 classes, 20 examples each, 1x28x28" in said
    said = shell("data", "show", "digits", "--episode=7", "--out=sheet.png", "--k_shot=2")
    assert "episode 7 of seed 0, 5-way 2-shot" in said
    assert (shell.folder / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "expected a data set after 'show'" in shell.refused("data", "show")
    assert "Did you mean 'digits'?" in shell.refused("data", "show", "digit")
    assert "has no split 'train'" in shell.refused("data", "show", "digits", "--split=train")
