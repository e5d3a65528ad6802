"""Evaluation that can say how each of its numbers came to be."""
