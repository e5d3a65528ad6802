"""The service: REST and a web page in front of one encoder.

Needs the extra ``server``. :func:`crossalign.server.app.create_app` makes an ASGI application,
:func:`crossalign.server.run.serve` runs it; ``crossalign serve`` is the same in the terminal.
"""

from __future__ import annotations
