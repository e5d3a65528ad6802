"""Embeddings on disk, so that no picture and no text is ever encoded twice."""
