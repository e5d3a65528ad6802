"""Vision-language encoders: pixels and texts to unit vectors in one space."""

from __future__ import annotations

from crossalign.encoders.base import Encoder as Encoder
from crossalign.encoders.base import ModelCard as ModelCard
from crossalign.encoders.base import Preprocess as Preprocess
from crossalign.encoders.base import fingerprint as fingerprint
from crossalign.encoders.registry import check_options as check_options
from crossalign.encoders.registry import list_encoders as list_encoders
from crossalign.encoders.registry import load_encoder as load_encoder
from crossalign.encoders.registry import register_encoder as register_encoder
