"""What every room needs and that knows nothing of images, words or models."""
