# words.py - the words of the demo's stories: who, where, what, and which word may stand for what.
# A word is known by the text that names it ("Lily", "the farmer", "ball", "park").

GIRLS = "Lily Mia Anna Sara Emma Lucy Ella Rosa Nina Zoe Clara Ruby Maya Ivy Nora Amy".split()
BOYS = "Tom Ben Sam Max Leo Jack Tim Finn Noah Oscar Hugo Adam Paul Luke Theo Omar".split()
SHE_ANIMALS = "Daisy Molly Poppy Luna Hazel Coco Bella Tilly".split()
HE_ANIMALS = "Pip Benny Rusty Bobo Toto Milo Fuzzy Bruno".split()
SPECIES = "rabbit bear mouse pig duck hedgehog lamb puppy kitten".split()
PARENTS = {"Mom": "she", "Dad": "he", "Grandma": "she", "Grandpa": "he"}

# Grown-ups outside: pronoun, and where they work.
WORKERS = {
    "the farmer": ("she", "farm market meadow"),
    "the baker": ("he", "bakery market village"),
    "the gardener": ("he", "park garden meadow"),
    "the shopkeeper": ("she", "shop market village"),
    "the teacher": ("she", "school playground library"),
    "the carpenter": ("he", "barn village bridge"),
    "the fisherman": ("he", "beach lake river"),
    "the painter": ("she", "hill beach bridge"),
    "the hunter": ("he", "forest hill"),
    "the doctor": ("she", "village school park"),
}
ANIMALS = "bird squirrel goat crow turtle owl horse dog frog fox monkey cat".split()
THIEVES = ["the " + n for n in "crow fox monkey dog goat".split()]
CLIMBERS = ["the " + n for n in "squirrel bird monkey cat owl".split()]

# Places: the preposition, and spots where a thing can lie.
PLACES = {
    "home": ("at", ["under the bed", "behind the sofa", "in a drawer", "under a pillow"]),
    "park": ("in", ["under a bench", "behind a tree", "near the fountain", "in the tall grass"]),
    "garden": ("in", ["behind the shed", "under a bush", "between the flowers", "near the gate"]),
    "forest": ("in", ["under a bush", "behind a rock", "in a hollow tree", "under some leaves"]),
    "beach": ("at", ["in the sand", "behind a boat", "under a towel", "between two rocks"]),
    "meadow": ("in", ["in the tall grass", "between the flowers", "behind a fence", "under a bush"]),
    "school": ("at", ["under a desk", "behind the door", "on a shelf", "near the stairs"]),
    "market": ("at", ["under a table", "behind a basket", "between two carts", "near a wall"]),
    "farm": ("at", ["behind the barn", "in the hay", "near the well", "under a cart"]),
    "lake": ("at", ["under a boat", "between two rocks", "in the reeds", "near the shore"]),
    "river": ("at", ["under the bridge", "in the reeds", "behind a rock", "on a log"]),
    "hill": ("on", ["behind a rock", "in the tall grass", "under a bush", "near the path"]),
    "playground": ("at", ["under the slide", "in the sandbox", "behind the swings", "near the gate"]),
    "library": ("in", ["between two books", "on a shelf", "under a chair", "behind the door"]),
    "barn": ("in", ["in the hay", "behind a ladder", "under a cart", "on a beam"]),
    "bakery": ("in", ["under a table", "behind the oven", "on a shelf", "near the door"]),
    "shop": ("in", ["on a shelf", "under a table", "behind the door", "in a corner"]),
    "zoo": ("at", ["under a bench", "near the gate", "behind a wall", "near the pond"]),
    "bridge": ("on", ["near the rail", "under a plank", "behind a post", "in a corner"]),
    "village": ("in", ["near the well", "behind a wall", "under a cart", "near the church"]),
}
OPEN_AIR = "park garden forest beach meadow farm lake river hill playground zoo".split()
TREES = "park garden forest meadow farm hill".split()
WILD = "forest meadow hill".split()

COLORS = "red blue green yellow pink purple white orange".split()
# Things: adjectives, then tags.
THINGS = {}


def _things(tags, adjectives, nouns):
    for noun in nouns.split():
        THINGS[noun] = (adjectives, tags.split())


_things("toy small flies breaks", COLORS + ["striped"], "kite")
_things("toy small flies", COLORS + ["striped", "round"], "ball balloon")
_things("toy breaks", COLORS + ["little", "wooden"], "boat train truck robot")
_things("toy small breaks", COLORS + ["little", "pretty"], "doll puppet")
_things("toy small flies", COLORS + ["little", "soft"], "hat scarf")
_things("toy small breaks", ["shiny", "silver", "golden", "little"], "whistle flute bell")
_things("toy small", ["shiny", "silver", "golden", "little"], "ring")
_things("toy breaks", COLORS + ["big", "old"], "umbrella basket wagon drum")
_things("toy small", ["old", "thick", "new"] + COLORS, "book")
_things("toy small gift", ["shiny", "round", "smooth", "white"], "shell stone")
_things("gift", ["white", "blue", "pretty", "long"], "feather")
_things("gift", ["red", "yellow", "white", "pink"], "flower")
_things("made", COLORS + ["pretty", "big"], "card necklace picture crown mask")
_things("tool", ["long", "strong", "old"], "rope stick ladder pole")
_things("tool", ["big", "old"], "net shovel")
_things("mender", ["strong", "little", "long"], "string wire")
_things("mender", ["old", "small"], "hammer needle")
_things("mender", ["little", "small"], "nail screw")
_things("comfort", ["little", "bright", "golden"], "lamp lantern candle")
_things("comfort", ["soft", "little", "brown"], "blanket teddy")
_things("food", ["big", "red", "sweet"], "apple cookie carrot pear muffin nut sandwich")
_things("indoor", ["new", "big", "old"], "puzzle game storybook tent")
TAGS = {noun: set(tags) for noun, (_, tags) in THINGS.items()}

# Phrases: {x} is the phrase, {x.ed} its past.
PHRASES = {
    "job": {
        "sweep the floor": "swept the floor", "water the plants": "watered the plants",
        "carry the boxes": "carried the boxes", "feed the hens": "fed the hens",
        "wash the windows": "washed the windows", "rake the leaves": "raked the leaves",
        "paint the fence": "painted the fence", "pick the berries": "picked the berries",
    },
    "trap": ["in a net", "in a hole", "under a branch", "between two rocks", "in the mud",
             "behind a fence"],
    "fear": ["the dark", "thunder", "deep water", "big dogs", "loud noises", "high places",
             "strange sounds"],
    "plan": ["have a picnic", "fly kites", "climb trees", "look for shells", "play tag",
             "race each other"],
    "plant": ["a tall sunflower", "a little green plant", "a pink rose", "a small apple tree",
              "a big pumpkin"],
    "dish": ["a cake", "a pie", "some soup", "a pancake", "some bread"],
    "ingredient": ["flour", "sugar", "butter", "milk", "honey", "salt"],
    "sign": ["the river", "the tall trees", "the white stones", "the evening star", "the old wall",
             "the little stream"],
}

PRONOUN = {}
for _n in GIRLS + SHE_ANIMALS:
    PRONOUN[_n] = "she"
for _n in BOYS + HE_ANIMALS:
    PRONOUN[_n] = "he"
PRONOUN.update(PARENTS)
PRONOUN.update({w: p for w, (p, _) in WORKERS.items()})
PRONOUN.update({"the " + n: "it" for n in ANIMALS})
FORMS_OF = {  # he: his, him, himself, his
    "she": ("her", "her", "herself", "hers"),
    "he": ("his", "him", "himself", "his"),
    "it": ("its", "it", "itself", "its"),
}
KIDS = GIRLS + BOYS + SHE_ANIMALS + HE_ANIMALS
CHARACTERS = list(PRONOUN)


def kinds(name):
    """What {a.kind} may say of a name."""
    if name in GIRLS:
        return ["girl"]
    if name in BOYS:
        return ["boy"]
    return SPECIES


def _tag(words, tag):
    for w in words:
        TAGS.setdefault(w, set()).add(tag)


_tag(KIDS, "kid")
_tag(PARENTS, "parent")
_tag(WORKERS, "worker")
_tag(["the " + n for n in ANIMALS], "animal")
_tag(THIEVES, "thief")
_tag(CLIMBERS, "climber")
_tag([p for p in PLACES if p != "home"], "out")
_tag(OPEN_AIR, "open")
_tag(TREES, "trees")
_tag(WILD, "wild")
_tag("ladder pole rope stick".split(), "reach")
for _d, _words in PHRASES.items():
    _tag(_words, _d)


def tagged(tag):
    return [w for w, tags in TAGS.items() if tag in tags]
