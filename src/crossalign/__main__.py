"""``python -m crossalign``."""

from __future__ import annotations

from crossalign.cli import main

if __name__ == "__main__":
    main()
