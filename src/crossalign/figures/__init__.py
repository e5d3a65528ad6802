"""Pictures of an explanation: as SVG and Pillow images with nothing but the package, or matplotlib.

``pictures`` makes Pillow images (heat map overlays, the similarity matrix), ``svg`` drawings in
which nothing runs and nothing is fetched, and ``plots`` matplotlib figures (extra ``plots``).
Regions have numbers beside their colours, so that nothing depends on telling colours apart.
"""

from crossalign.figures.pictures import contrast_overlay as contrast_overlay
from crossalign.figures.pictures import heat_overlay as heat_overlay
from crossalign.figures.pictures import thumbnail as thumbnail
from crossalign.figures.svg import bars_svg as bars_svg
from crossalign.figures.svg import card_svg as card_svg
from crossalign.figures.svg import matrix_svg as matrix_svg
from crossalign.figures.svg import regions_svg as regions_svg
