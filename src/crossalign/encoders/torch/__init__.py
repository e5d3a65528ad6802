"""Encoders that run on PyTorch."""
