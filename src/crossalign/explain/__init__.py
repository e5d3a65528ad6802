"""See why: what a score rests on, where in the picture it lies, why A and not B, and how sure.

Everything starts from a :class:`~crossalign.Prediction` or its
:class:`~crossalign.Explanation`, whose terms add up to the score exactly; everything here is a way
of adding them up.

    from crossalign import Classifier, explain

    prediction = Classifier(["tabby cat", "golden retriever"])("photo.jpg")
    explanation = prediction.explain()
    explain.top_regions(explanation, 3)        # which regions, and their words
    explain.top_words(explanation, 3)          # which descriptions
    explain.top_pairs(explanation, 3)          # which region met which description
    explain.heat_map(explanation)              # where in the picture, (H, W)
    explain.why(prediction)                    # why this class and not the runner-up
    explain.stability(prediction)              # how sure, and which crops would flip it
"""

from crossalign.explain.contrast import Contrast as Contrast
from crossalign.explain.contrast import contrast as contrast
from crossalign.explain.contrast import why as why
from crossalign.explain.heat import CropsShown as CropsShown
from crossalign.explain.heat import heat_map as heat_map
from crossalign.explain.heat import signed_heat_map as signed_heat_map
from crossalign.explain.heat import spread as spread
from crossalign.explain.local import CHANCE as CHANCE
from crossalign.explain.local import Place as Place
from crossalign.explain.local import PlacedWords as PlacedWords
from crossalign.explain.local import place_words as place_words
from crossalign.explain.local import places as places
from crossalign.explain.ranking import LEAST_LIFT as LEAST_LIFT
from crossalign.explain.ranking import LIKE_THE_PHOTO as LIKE_THE_PHOTO
from crossalign.explain.ranking import WHOLE_PHOTO as WHOLE_PHOTO
from crossalign.explain.ranking import Pair as Pair
from crossalign.explain.ranking import Region as Region
from crossalign.explain.ranking import Standout as Standout
from crossalign.explain.ranking import Words as Words
from crossalign.explain.ranking import standout as standout
from crossalign.explain.ranking import top_pairs as top_pairs
from crossalign.explain.ranking import top_regions as top_regions
from crossalign.explain.ranking import top_words as top_words
from crossalign.explain.stability import Flip as Flip
from crossalign.explain.stability import Stability as Stability
from crossalign.explain.stability import stability as stability
