"""The report: runs as one self-contained HTML page."""

from innerloop.report.page import render

__all__ = ["render"]
