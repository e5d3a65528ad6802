"""Who writes descriptions: a language model, or a dictionary of word senses.

`crossalign.writers.llm` asks any OpenAI-compatible endpoint; `crossalign.writers.wordnet` looks the
classes up in a wordnet. Both give a `DescriptionSet` that says where its texts came from.
"""

from __future__ import annotations
