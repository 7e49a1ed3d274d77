from innerloop.bench.race import Contender, Measured
from innerloop.bench.table import Cell
from innerloop.figures import costs, style


def test_a_race_is_a_panel_with_a_bar_a_contender():
    took = {"plain": [4.0, 4.0], "peer": [2.0, 2.0], "ours": [1.0, 1.0], "product": [1.0, 1.0]}
    everyone = [Measured(Contender(kind, kind, ()), seconds=seconds) for kind, seconds in took.items()]
    everyone.append(Measured(Contender("broken", "peer", ()), failed="TypeError: no"))
    figure = costs.draw([Cell(name, 1, everyone) for name in ("omni/first", "omni/second")])
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["omni/first", "omni/second"]
    names = [label.get_text() for label in panels[0].get_yticklabels()]
    assert names == ["plain", "peer", "ours", "broken"]
    assert [bar.get_width() for bar in panels[0].patches] == [0.5, 1.0, 2.0, 0.0]
    assert "fails" in [text.get_text() for text in panels[0].texts]
    assert style.to_svg(figure).startswith("<?xml")
