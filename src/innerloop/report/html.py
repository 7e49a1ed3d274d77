"""The frame of every page: its look, its one column of cards, and what a browser lets it do.

Self-contained: no script, nothing loaded from anywhere. Text is escaped here or by whoever wrote the markup.
"""

import base64
import re
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.2rem; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b;
       background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
p.lead { font-size: 1.06rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; }
figure { margin: 0; border: 1px solid #e2e2e2; border-radius: .5rem; padding: .8rem; min-width: 0; }
figure img { width: 100%; max-width: 30rem; height: auto; display: block; margin: 0 auto .5rem; }
figcaption { font-size: .92rem; color: #333; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .95rem; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid #e2e2e2; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
td:not(:first-child) { white-space: nowrap; }
thead th { font-weight: 600; font-size: .86rem; }
td.best { font-weight: 700; }
@media (max-width: 34rem) {
  table { font-size: .8rem; } th, td { padding: .25rem .2rem; } thead th { font-size: .75rem; }
}
.small { font-size: .88rem; color: #444; }
pre { background: #f6f6f6; padding: .8rem; border-radius: .5rem; font-size: .8rem; white-space: pre-wrap; }
"""
# What no text needs: control characters, marks that turn the rest of a line round, halves of letters.
ODD = re.compile(
    "[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# The page may show what it carries and nothing else: a browser refuses any request it would make.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Sequence[str]) -> str:
    """Return a whole page of parts that are markup already; empty ones are left out."""
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )
    return _visible(page)


def _visible(text: str) -> str:
    return ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def section(title: str, cards: Sequence[str], note: str = "") -> str:
    """Return a headed grid of cards and a note below; nothing where there is no card."""
    return f'<h2>{escape(title)}</h2><div class="grid">{"".join(cards)}</div>{note}' if cards else ""


def card(svg: str, caption: str, alternative: str) -> str:
    """Return a figure with its caption, the drawing inside the page."""
    data = base64.b64encode(_visible(svg).encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(alternative)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
