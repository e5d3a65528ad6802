"""Pictures, pages and charts: as SVG and Pillow images with nothing but the package, or matplotlib.

``overlays`` makes Pillow images (heat maps over photos, the similarity matrix), ``svg`` and
``charts`` drawings in which nothing runs and nothing is fetched, ``explanation_page``, ``page`` and
``reliability`` whole pages, all from the templates in ``templates`` by ``html``, and ``figures``
matplotlib figures (extra ``plots``). ``templates/theme.css`` has the colours of all of them.
Regions have numbers beside their colours, so that nothing depends on telling colours apart.
"""

from crossalign.reports.overlays import contrast_overlay as contrast_overlay
from crossalign.reports.overlays import heat_overlay as heat_overlay
from crossalign.reports.overlays import thumbnail as thumbnail
from crossalign.reports.svg import bars_svg as bars_svg
from crossalign.reports.svg import card_svg as card_svg
from crossalign.reports.svg import matrix_svg as matrix_svg
from crossalign.reports.svg import regions_svg as regions_svg
