from innerloop.runs import open_run


def test_the_demo_goes_from_nothing_to_a_report(installed):
    shell = installed
    said = shell("demo", "--steps=2", "--episodes=3", "--out=demo")
    folder = shell.folder / "demo"
    assert f"Report: {folder / 'report.html'}" in said
    for words in (
        "random head",
        "zero head",
        "zeroing trick",
        "typeface 1-shot",
        "digits 5-shot",
        "zeroed",
        "transductive",
    ):
        assert words in said
    runs = [open_run(folder / name) for name in ("random-head", "zero-head", "zeroing-trick")]
    for run in runs:
        assert {(each.evaluation.data_set, each.evaluation.shape.k_shot) for each in run.evaluations()} == {
            ("typeface", 1),
            ("digits", 1),
            ("digits", 5),
        }
        assert {"validation", "contrast", "cosine"} <= run.history[-1].keys()
    assert all(record["contrast"]["query_interference"] == 0 for record in runs[2].history if "contrast" in record)
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == 19
    for heading in ("The prism", "what the head memorises", "Who is to blame for its mistakes"):
        assert heading in page


def test_the_demo_overwrites_nothing(shell):
    (shell.folder / "demo").mkdir()
    (shell.folder / "demo" / "mine.txt").write_text("")
    assert "choose another with --out" in shell.refused("demo", "--out=demo")
    assert "at least 1, got 0" in shell.refused("demo", "--steps=0")
