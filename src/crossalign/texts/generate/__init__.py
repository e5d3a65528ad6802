"""Who writes descriptions: a language model, or a dictionary of word senses.

:mod:`~crossalign.texts.generate.language_model` asks any OpenAI-compatible endpoint;
:mod:`~crossalign.texts.generate.wordnet` looks the classes up in a wordnet. Both give a
`DescriptionSet` that says where its texts came from.
"""

from __future__ import annotations
