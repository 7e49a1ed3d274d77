"""Bench: what one meta-gradient costs, engines and other loops side by side."""
