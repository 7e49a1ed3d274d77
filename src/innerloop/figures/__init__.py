"""Figures: results as pictures; the one room that knows matplotlib."""
