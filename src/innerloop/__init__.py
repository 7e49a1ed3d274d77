"""innerloop: train gradient-based meta-learners, and explain them."""

__version__ = "0.1.0"
