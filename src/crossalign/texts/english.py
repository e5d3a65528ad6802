"""Just enough English to put descriptors into sentences: small word tables, questions about words.

All words are lower case. Kinds, parts and verbs are singular; a plural of a kind is not a kind
("which is a wheel", "which has wheels").
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


ARTICLES = _set("a an")
DETERMINERS = _set("a an another her his its that the their these this those")
PRONOUNS = _set("and it that they which who")
# Words that open a clause of their own.
RELATIVES = _set("because but how if that to what when where which while who whose")
PREPOSITIONS = _set(
    """
    about above across against along among around as at before behind below beneath beside
    between beyond by down during for from in inside into like near of off on onto opposite
    out outside over past per than through throughout to toward towards under underneath
    until up upon via with within without
    """
)
CONJUNCTIONS = _set("& and and/or nor or yet")

# How often: these move behind "is" and stay before other verbs.
FREQUENCY = _set(
    """
    also always commonly frequently generally mainly maybe mostly never normally
    occasionally often oftentimes perhaps primarily rarely seldom sometimes traditionally
    typically usually
    """
)
# How much: these stay in front of what they measure.
DEGREES = _set(
    """
    about almost approximately around exactly just nearly only over roughly under very
    """
)
DEGREE_PAIRS = frozenset(
    {
        ("at", "least"),
        ("at", "most"),
        ("fewer", "than"),
        ("less", "than"),
        ("more", "than"),
        ("up", "to"),
    }
)
NUMBERS = _set(
    """
    all both dozens eight eleven few five four hundred hundreds lots many most multiple nine
    no numerous one plenty seven several six some ten thousands three twelve two various
    """
)
UNITS = _set(
    """
    centimeter centimeters centimetre centimetres cm degrees feet foot ft g gallon gallons
    gram grams in inch inches kg kilogram kilograms kilometer kilometers kilometre
    kilometres km lb lbs liter liters litre litres m meter meters metre metres mile miles
    millimeter millimeters millimetre millimetres mm ounce ounces oz percent pound pounds
    ton tonne tonnes tons yard yards year years
    """
)
EXTENTS = _set(
    """
    across and apart around at deep heavy high in long old or tall thick to wide
    """
)

COPULAS = _set("are be been being is was were")
HAVES = _set("had has have having")
MODALS = _set(
    """
    can can't cannot could did does doesn't may might must should will would
    """
)
VERBS = _set(
    """
    allow appear attach become begin belong bite breathe bury carry climb close come connect
    consist contain depict eat emit fasten feed fit float fly give grow hang have help hide
    include inhabit keep lay lie live look make move need occur open prefer produce provide
    remain represent require resemble run seem serve show sit sleep smell spin stand stretch
    swim taper tend turn use vary walk wear
    """
)
# Forms that are just as often nouns: verbs only where a determiner or an adverb says so.
AMBIGUOUS_VERBS = _set(
    """
    burrow control cover display fasten feature feed float fly fold hang help hold hunt lay
    lock look move need range ring roll run show smell span spin stand support turn use walk
    """
)
_QUALITIES = _set(
    """
    able active adhesive adjustable aerodynamic aggressive agile alert alike alive
    alternating ancient angular aquatic arched armored asleep athletic automatic available
    bald bare barrel-shaped big bigger bitter blind blunt bold bright brittle broad broader
    bulbous bulky bumpy bushy busy calm camouflage capable casual central ceramic cheap
    checkered chewy circular clawed clean clear close coarse cold coloured comfortable
    common compact complex concave conical convex cool cordless creamy crisp crispy
    crisscross crunchy curly curvy custom cylindrical damp dangerous dangling dark darker
    deadly decorative deep delicate delicious dense diagonal different digital dim dirty
    disposable distinct distinctive docile domestic domesticated dormant double dressy
    droopy dry dull durable electric electrical electronic elegant elliptical elongated
    empty energetic enormous equal erect even exotic expensive expressive external extinct
    fancy fast fat feathery female fibrous fierce fine firm flat flexible floor-length
    floppy floral flowing fluffy formal fragile fragrant free freestanding fresh friendly
    front full full-size furry fuzzy gentle geometric giant glossy good gooey grainy grassy
    greasy great gritty hairy hard harmless heavy herbivorous hexagonal high higher hollow
    hooded horizontal hot huge human humid identical immobile imposing indoor intelligent
    interchangeable internal intricate irregular jointed juicy knee-length lacy large larger
    lean leathery legless lengthy lighter lightweight lithe little live lively long longer
    loose loud low lower loyal lush lustrous main male manual massive matte mature
    mechanical medicinal medium medium-length metallic mid-size miniature modern moist
    motorised motorized multicolor multicolour muscular musical narrow narrower native
    natural neat new nocturnal noisy northern numerous oblong odd oily old opaque open
    optional ornamental ornate outdoor oval overlapping own painful pale parallel perennial
    playful plump pointy poisonous polar pop-up portable powerful precious predatory pretty
    prickly prominent protective proud pull-on quick quiet raised random rare raw ready rear
    rectangular redundant reflective regular repetitive resistant retractable rich right
    rigid ripe robust rough round rounded rubbery rural rustic rusty safe salty same sandy
    scaleless scaly screw-on seasonal secure see-through semi-transparent semicircular
    shaggy shallow sharp sheer shiny short shorter shy silent silky similar simple single
    sitting skinny sleek slender slim slimmer slimy slip-on slippery slow small smaller
    smart smelly smooth snap-on snug social soft solid solitary soulful sour southern
    special spherical spicy spiky spiny spongy square squat stable stackable stationary
    steep sticky stiff stocky stout straight streamlined stretchy strong stubby stumpy
    sturdy stylish submerged subtle sunny supportive surgical sweet swift swollen
    symmetrical synthetic tall taller tame tapered tart tasty temporary tender tense
    terrestrial thick thicker thin thinner tight tiny toothed tough toxic traditional
    translucent transparent triangular trilateral tropical tubular typical ugly underground
    underwater uneven unique unusual upper upright urban useful vast venomous versatile
    vertical vibrant visible vivid warm waterproof watertight wavy weak weatherproof webbed
    wet whole wide wider wild wiry wispy wooden woody woolen woolly wrinkly young
    """
)
COLOURS = _set(
    """
    amber apricot aqua auburn beige black blond blonde blue brindle bronze brown buff
    burgundy chestnut chocolate colorful colorless colourful colourless copper coral-red
    cream creamy-white crimson cyan dusky fawn ginger gold golden gray green grey grizzle
    indigo ivory khaki lavender lilac liver magenta mahogany maroon mauve monochrome navy
    off-white olive orange piebald pink purple red reddish rose ruddy rufous russet rust
    sable salmon-pink salt-and-pepper scarlet silver silvery slate sorrel tabby tan taupe
    tawny teal tricolor tricolour turquoise violet wheaten white yellow
    """
)
# Materials that stand alone as adjectives: "metal or plastic" -> "which is metal or plastic".
MATERIALS = _set("brass denim leather metal nylon plastic rubber silk steel wood")
PARTICIPLES = _set(
    """
    bent born bound bred broken built caught cut done drawn driven eaten fed felt filled
    flown found frozen given grown held hidden hung kept known laid left lined lit made
    meant mown overgrown put ridden seen sewn shaven shown shut sold spread spun struck
    stuck taken thrown tied torn used woollen worn wound woven written
    """
)
ADJECTIVES = _QUALITIES | COLOURS | MATERIALS | PARTICIPLES
# Nouns that only seem to have an adjective's ending.
NOT_ADJECTIVES = _set(
    """
    armful bed bedspread blowfish bobsled bread breed british cable catfish clownfish
    constable crayfish crossbreed deed dish dogsled english feed fetish finish fish flatbed
    flowerbed goldfish handful hotbed hundred jellyfish lead linseed lionfish mouthful
    mucous parish polish pufferfish radish reed relish riverbed rubbish seabed seaweed seed
    shed shellfish sled spanish speed spoonful stable-door starfish steed swordfish table
    timetable toolshed turntable varnish vegetable waterbed watershed weed
    """
)
# "-ing" words that are nouns; other ones before a preposition or determiner are participles.
ING_NOUNS = _set(
    """
    awning backing batting bearing bedding binding building carving casing ceiling clothing
    coating coloring colouring covering crossing cushioning decking drawing dressing earring
    edging fastening feeling fencing filling finding fitting flooding flooring frosting
    handwriting heading housing icing king lacing landing lettering lighting lightning
    lining marking meaning molding morning moulding netting nothing offering opening
    packaging padding painting paneling panelling parking paving piping plumbing rigging
    ring roofing seating setting shelving siding something spring stitching stocking string
    stuffing swing thing topping tubing webbing wing wiring
    """
)
# "-ing" words that take an object without a determiner: "wearing protective gear".
ING_VERBS = _set(
    """
    carrying drinking eating holding making playing producing riding selling serving showing
    storing using wearing
    """
)

# Words for what a thing is. A descriptor headed by one of these says "which is a ...".
KINDS = _set(
    """
    accessory aircraft airplane airship alga alligator amphibian ancestor anemone animal
    annelid ant antelope ape appliance arachnid armadillo arthropod artifact artwork
    automobile baboon bag bear beast beetle bench beverage bicycle bike bird bivalve boat
    boot bottle bovine bread breed bridge building bulldog bus bush butterfly cabin cactus
    cake calf camel camper canid canine car carnivore cart castle cat cattle cephalopod
    cereal cetacean chair chicken church clam clock cloth clothing cnidarian cocktail
    computer condiment conifer container cooker cookware coral cow crab craft creature
    crocodile crop crustacean cutlery dagger deer dessert device dinosaur dish dog dolphin
    dragonfly dress drink duck dwelling eagle echidna echinoderm edifice elephant enclosure
    equid equine equipment establishment facility falcon feline ferret finch firearm
    fish flowering-plant fly food footwear fowl fox frog fruit fungus furniture game garment
    gastropod gazelle genus goat goose gourd grasshopper grouse gull gun hamster handgun
    hare hat hawk hedgehog helicopter herb herbivore heron hog home hominid horse hound
    house household hunter hybrid insect institution instrument invention invertebrate item
    jacket jellyfish jewel jewellery jewelry kind knife lamp landform landmark lemur
    livestock lizard lobster locomotive machine mammal marsupial meal meat medicine member
    mineral missile mollusc mollusk monkey monotreme monument moth motorboat motorcycle
    mushroom mustelid musteline nightbird object omnivore organism ornament owl ox pachyderm
    parasite parrot pasta pastry percussion pest pet phone piece pig pinniped place plane
    plant plover pooch poultry predator primate product pugilist puppy rabbit raptor rat ray
    reef relative reptile restaurant retriever rifle robot rodent ruminant salad salamander
    sandwich sauce scavenger scooter scorpion seabird seafood seal sedan serpent shark sheep
    shelter ship shoe shop shorebird shrew shrub skunk snack snail snake songbird sort soup
    spacecraft spaniel species spider spitz sport squash squirrel statue stew store
    structure substance sweater swimsuit swimwear sword taxon terrier textile thing tool
    tortoise toy train transport treat tree trilobite truck turtle type undergarment
    underwear ungulate utensil van vegetable vehicle vertebrate vessel wader warship wasp
    waterbird watercraft waterfowl weapon weasel whale wine wolf workplace workstation worm
    zebra
    """
)
MASS_KINDS = _set(
    """
    bread cattle clothing cookware cutlery equipment food footwear furniture jewellery
    jewelry livestock meat pasta percussion poultry seafood swimwear transport underwear
    """
)

# Countable parts: without an article of their own they are given one ("a large head").
PARTS = _set(
    """
    abdomen antenna arm atmosphere back ball band bar barrel base bay beak beam beard bell
    belly belt bill blade body bottom bow breast brim build button cab cage call canopy cap
    carapace chain chest chin circle clasp claw coat collar compartment cord crest crown cup
    deck design diaphragm disc disk display door drawer ear end engine entrance exoskeleton
    expression exterior eye face fin finish flag flap flower forehead frame grille grip
    handle head headboard headlight heart hood hook horn hull interior jaw keel keyboard
    keypad ladder leg lens lever lid lip logo mane mask mast mechanism motor mouth
    mouthpiece muzzle neck neckline nose nostril opening outline panel pattern paw pedal
    plate platform pocket point pole pouch propeller pump receiver ridge rim roof ruff rump
    runway screen seat seedpod shaft shape sheen shell siren skeleton skull slot smell
    smokestack snout sole speaker spine spire spot spout stalk stem strap stripe
    superstructure surface switch tail taillight tank taste texture throat tip tongue top
    torso tower trigger trunk tub tube tuft tusk underbelly underside valve waist waistband
    wheel windshield wing wingspan
    """
)
MEASURES = _set("age diameter height length size weight width")
MASS = _set(
    """
    bark cloth coloration coloring colouration fabric flesh foliage food fur glass hair
    leather lettering light meat metal paper plastic plumage skin text upholstery water
    webbing wood wool
    """
)
PLURALS = _set(
    """
    antennae children feet geese leaves males men mice people scissors teeth women
    """
)

# Sounds, for "a" and "an".
_CONSONANT_SOUNDS = tuple(_set("eu ewe once one ubiq ufo uk uni ura uri usa use usu ute uto"))
_VOWEL_SOUNDS = ("unim", "unin", "uniden", "hour", "honest", "honor", "honour", "heir")
_VOWEL_LETTERS = _set("a e f h i l m n o r s x")

_NUMERAL = re.compile(r"\d[\d.,]*(?:[-\u2013/x]\d[\d.,]*)?")
_ADJECTIVE_ENDING = re.compile(r".{3,}ed|.{3,}(?:ish|ous|ful|ly)|.{2,}less|.{3,}[ai]ble|.{2,}esque")


def is_adjective(word: str) -> bool:
    """Tell whether a word is an adjective or participle, by table and then by ending."""
    if word in ADJECTIVES:
        return True
    if word in NOT_ADJECTIVES or word in KINDS or word in PARTS:
        return False
    *front, last = re.split(r"[-/]", word)
    if front:
        return last in {"fitting", "length", "like", "resistant", "size"} or is_adjective(last)
    return bool(_ADJECTIVE_ENDING.fullmatch(word))


def is_number(word: str) -> bool:
    """Tell whether a word is a count: "two", "4", "10-20", "several", "no"."""
    return word in NUMBERS or bool(_NUMERAL.fullmatch(word))


def is_plural(noun: str) -> bool:
    """Guess whether a noun is a plural."""
    return noun in PLURALS or (noun.endswith("s") and not noun.endswith(("ss", "us", "is")))


def third_person(word: str, following: str = "", *, after_adverb: bool = False) -> str:
    """Give the third person singular of a verb, or "" if the word is not used as a verb here."""
    stems = [word, word.removesuffix("s"), word.removesuffix("es")]
    if word.endswith("ies"):
        stems.append(f"{word[:-3]}y")
    stem = next((s for s in stems if s in VERBS or s in AMBIGUOUS_VERBS), "")
    if not stem:
        return ""
    if stem in AMBIGUOUS_VERBS:  # "controls the heat", but "controls for the oven"
        verb = following in DETERMINERS | {"like", "underground"}
    else:  # "live in water", but "live plants"
        verb = stem != word or following in DETERMINERS | PREPOSITIONS | CONJUNCTIONS
    if not verb and not after_adverb:
        return ""
    if stem != word:
        return word
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "sh", "ch", "x")) else f"{word}s"


def indefinite_article(phrase: str) -> str:
    """Choose "a" or "an" by the sound that a phrase starts with.

    Args:
        phrase: What will follow the article.

    Returns:
        ``"a"`` or ``"an"``.

    Example:
        >>> [indefinite_article(x) for x in ("hourglass", "unicorn", "one-eyed cat", "X-ray")]
        ['an', 'a', 'a', 'an']
    """
    word = re.split(r"[\s\-/]", phrase.strip(" \"'("), maxsplit=1)[0].strip(",.;:)'\"")
    lower = word.lower()
    if word[:1].isdigit():
        return "an" if re.match(r"8|(?:11|18)(?!\d)", word) else "a"
    if len(word) == 1 or (word.isupper() and len(word) <= 4):  # read letter by letter
        return "an" if lower[:1] in _VOWEL_LETTERS else "a"
    if lower.startswith(_VOWEL_SOUNDS):
        return "an"
    if lower.startswith(_CONSONANT_SOUNDS):
        return "a"
    return "an" if lower.startswith(("a", "e", "i", "o", "u", "\u00e9", "\u00f6")) else "a"
