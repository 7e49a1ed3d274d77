"""Slow truths: the plainest code that could be right, to hold the real code against."""
