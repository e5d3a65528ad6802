"""Images and classes in, embeddings out."""
