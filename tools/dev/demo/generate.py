#!/usr/bin/env python3
# generate.py - writes stories. Use:
#   generate.py --seed 1 --stories 100000 > corpus.txt      stories, each ended by <|endoftext|>
#   generate.py --seed 1 --stories 5 --show                 readable, with each story's bits
#   generate.py --seed 1 --stories 100000 --stats           entropy, length, equal stories; no text
#
# A story is a plot (a function below) that says events of forms.txt one after another. Each event's
# conditions are asserted in the state of the story before its sentence is made from that state.
# Every random choice adds -log2 p to the story's bits.

import argparse
import math
import random
import sys

import words as W
import world

E = world.EVENTS
END = "<|endoftext|>"


class Story:
    def __init__(self, rng):
        self.rng, self.bits, self.text = rng, 0.0, []
        self.state = world.State()
        self.spots = set()

    # ------------------------------------------------------------ choices
    def pick(self, words):
        words = [w for w in words if w not in self.state.known]
        self.bits += math.log2(len(words))
        return self.rng.choice(words)

    def tagged(self, *tags):
        return self.pick([w for w in W.tagged(tags[0]) if all(t in W.TAGS[w] for t in tags)])

    def maybe(self, p):
        yes = self.rng.random() < p
        self.bits -= math.log2(p if yes else 1 - p)
        return yes

    def either(self, a, b):
        return a if self.maybe(0.5) else b

    def weighted(self, options):
        total = sum(w for _, w in options)
        x = self.rng.random() * total
        for text, w in options:
            x -= w
            if x < 0:
                break
        self.bits -= math.log2(w / total)
        return text

    def spot(self, p):
        s = self.pick([s for s in W.PLACES[p][1] if s not in self.spots])
        self.spots.add(s)
        return s

    # ------------------------------------------------------------ sentences
    def say(self, name, **bound):
        event = E[name]
        ways = sorted(self.state.solve(event.before, bound), key=lambda d: sorted(d.items()))
        assert ways, (name, bound, sorted(self.state.facts), self.text)
        bound = ways[0]
        form = event.forms[self.rng.randrange(len(event.forms))]
        self.bits += math.log2(len(event.forms))
        out, said = "", []
        for part in form.parts:
            if isinstance(part, str):
                out += part
            elif isinstance(part, list):
                out += self.weighted([(w, 1) for w in part])
            else:
                text = self.weighted(self.state.options(part, bound, form))
                said.append(text)
                out += text
        self.text.append(out)
        self.state.after(event, form, bound, said)

    def some(self, p, name, **bound):
        if self.maybe(p):
            self.say(name, **bound)


# ---------------------------------------------------------------- pieces that plots share
def own(S, a, *tags):
    o = S.tagged("toy", *tags)
    S.say("own", a=a, o=o)
    return o


def go(S, a, o=None, p="open"):
    r = S.tagged(p)
    S.say("go_with" if o else "go", a=a, r=r, **({"o": o} if o else {}))
    S.some(0.3, "weather")
    return r


def meet(S, a, p, worker=True, animal=True, kid=True):
    """Somebody who can help, at p."""
    ways = ["friend"] * kid + ["animal"] * animal + ["worker"] * (worker and bool(workers(p)))
    if p == "home":
        c = S.tagged("parent")
        S.say("meet_parent", a=a, c=c)
        return c
    way = S.pick(ways)
    if way == "friend":
        c = S.tagged("kid")
        S.say("meet_friend", a=a, b=c)
    elif way == "animal":
        c = S.tagged("animal")
        S.say("meet_animal", a=a, c=c)
    else:
        c = S.pick(workers(p))
        S.say("meet_worker", a=a, c=c)
    return c


def workers(p):
    return [w for w, (_, places) in W.WORKERS.items() if p in places.split()]


def cry_for_help(S, a, c, tell, **bound):
    S.say("ask_why", a=a, b=c)
    S.say(tell, a=a, b=c, **bound)


def thanks(S, a, b):
    if S.maybe(0.7):
        S.say("thank", a=a, b=b)
        S.some(0.4, "welcome", a=a, b=b)


def finish(S, a, moral, **bound):
    S.some(0.5, "glad", a=a)
    S.say("moral_" + moral, a=a, **bound)
    S.some(0.3, "the_end")


# ---------------------------------------------------------------- plots
def plot_lost(S, a):
    small = S.maybe(0.4)
    o = own(S, a, *["small"] * small)
    p = go(S, a, o)
    S.some(0.5, "play_with", a=a, o=o)
    S.say("lose_small" if small else "lose", a=a, o=o)
    S.some(0.5, "sad", a=a)
    for _ in range(2):
        if S.maybe(0.5):
            S.say("search", a=a, o=o, s=S.spot(p))
    if S.maybe(0.25):
        S.say("find_self", a=a, o=o, s=S.spot(p))
        S.some(0.3, "go_home", a=a)
        finish(S, a, "look", o=o)
        return
    c = meet(S, a, p)
    cry_for_help(S, a, c, "tell_lost", o=o)
    S.say("offer", a=a, b=c)
    S.say("find_helper", a=a, b=c, o=o, s=S.spot(p))
    S.say("give_back", a=a, b=c, o=o)
    thanks(S, a, c)
    finish(S, a, "help", b=c)


def plot_break(S, a):
    o = own(S, a, "breaks")
    p = "home"
    if S.maybe(0.7):
        p = go(S, a, o)
    S.some(0.4, "play_with", a=a, o=o)
    S.say("break", a=a, o=o)
    S.some(0.5, "sad", a=a)
    S.some(0.5, "try_mend", a=a, o=o)
    if p != "home" and S.maybe(0.4):
        S.say("go_home", a=a)
        p = "home"
    c = meet(S, a, p, animal=False)
    cry_for_help(S, a, c, "tell_broken", o=o)
    S.say("offer", a=a, b=c)
    S.say("hand_over", a=a, b=c, o=o)
    S.say("mend", a=a, b=c, o=o, t=S.tagged("mender"))
    S.say("mended_back", a=a, b=c, o=o)
    thanks(S, a, c)
    finish(S, a, "mend", b=c, o=o)


def plot_share(S, a):
    o = own(S, a)
    go(S, a, o, "out")
    S.some(0.5, "play_with", a=a, o=o)
    b = S.tagged("kid")
    S.say("meet_friend" if S.maybe(0.5) else "meet_other", a=a, b=b)
    S.say("want_play", a=a, b=b, o=o)
    S.say("refuse", a=a, b=b, o=o)
    S.some(0.5, "sad", a=b)
    S.say("think_again", a=a, b=b)
    S.some(0.5, "say_sorry", a=a, b=b)
    S.say("share", a=a, b=b, o=o)
    S.say("play_shared", a=a, b=b, o=o)
    finish(S, a, "share", b=b, o=o)


def plot_work(S, a):
    o = S.tagged("toy")
    S.say("wish", a=a, o=o)
    S.some(0.8, "no_money", a=a, o=o)
    if S.maybe(0.4):
        c = meet(S, a, "home")
    else:
        p = S.pick([p for p in W.OPEN_AIR if workers(p)])
        S.say("go", a=a, r=p)
        c = S.pick(workers(p))
        S.say("meet_worker", a=a, c=c)
    x = S.tagged("job")
    S.say("ask_work", a=a, c=c, o=o)
    S.say("job_offer", a=a, c=c, o=o, x=x)
    S.say("work", a=a, c=c, x=x)
    S.say("pay", a=a, c=c)
    S.some(0.5, "thank", a=a, b=c)
    S.say("buy", a=a, o=o)
    finish(S, a, "work", o=o)


def plot_gift(S, a):
    b = S.tagged("kid")
    S.say("friend", a=a, b=b)
    S.say("birthday", a=a, b=b)
    S.some(0.7, "no_gift", a=a, b=b)
    if S.maybe(0.5):
        p = go(S, a)
        o = S.tagged("gift")
        S.say("find_gift", a=a, b=b, o=o, s=S.spot(p))
    else:
        o = S.tagged("made")
        S.say("make_gift", a=a, b=b, o=o)
    S.some(0.5, "wrap", a=a, b=b, o=o)
    S.say("visit", a=a, b=b, o=o)
    S.say("give_gift", a=a, b=b, o=o)
    S.say("love_gift", a=a, b=b, o=o)
    finish(S, a, "give", b=b, o=o)


def plot_rescue(S, a):
    p = go(S, a)
    c, x = S.tagged("animal"), S.tagged("trap")
    S.say("stuck", a=a, c=c, x=x)
    S.say("try_free", a=a, c=c, x=x)
    o = S.tagged("tool")
    if S.maybe(0.5):
        S.say("fetch_tool", a=a, c=c, x=x, o=o, s=S.spot(p))
    else:
        b = meet(S, a, p, animal=False)
        S.say("borrow_tool", a=a, b=b, c=c, x=x, o=o)
        S.say("lend_tool", a=a, b=b, c=c, x=x, o=o)
    S.say("free", a=a, c=c, x=x, o=o)
    S.some(0.8, "animal_thanks", a=a, c=c)
    finish(S, a, "kind", c=c)


def plot_fear(S, a):
    x = S.tagged("fear")
    S.say("fear", a=a, x=x)
    S.say("fear_bites", a=a, x=x)
    S.some(0.4, "sad", a=a)
    p = go(S, a) if S.maybe(0.5) else "home"
    c = meet(S, a, p)
    cry_for_help(S, a, c, "tell_fear", x=x)
    o = S.tagged("comfort")
    S.say("give_courage", a=a, b=c, x=x, o=o)
    S.some(0.5, "thank", a=a, b=c)
    S.say("be_brave", a=a, x=x, o=o)
    finish(S, a, "brave")


def plot_trade(S, a):
    o = own(S, a)
    go(S, a, o, "out")
    b = S.tagged("kid")
    S.say("meet_friend" if S.maybe(0.5) else "meet_other", a=a, b=b)
    q = S.tagged("toy")
    S.say("other_has", a=a, b=b, o=q)
    S.say("propose", a=a, b=b, o=o, q=q)
    S.say("swap", a=a, b=b, o=o, q=q)
    S.say("regret", a=a, b=b, o=o, q=q)
    S.say("swap_back", a=a, b=b, o=o, q=q)
    S.some(0.4, "thank", a=a, b=b)
    finish(S, a, "own", o=o)


def plot_thief(S, a):
    o = own(S, a)
    go(S, a, o)
    S.some(0.5, "play_with", a=a, o=o)
    c = S.tagged("thief")
    S.say("steal", a=a, o=o, c=c)
    S.some(0.4, "sad", a=a)
    S.say("chase", a=a, o=o, c=c, r=S.pick([p for p in W.OPEN_AIR if p not in places(S)]))
    S.some(0.6, "shout", a=a, o=o, c=c)
    S.say("hungry", a=a, o=o, c=c)
    q = S.tagged("food")
    S.say("feed", a=a, o=o, c=c, q=q)
    S.say("return_stolen", a=a, o=o, c=c, q=q)
    finish(S, a, "kind", c=c)


def places(S):
    return {f[2] for f in S.state.facts if f[0] == "at"}


def plot_found(S, a):
    p = go(S, a)
    o = S.tagged("toy")
    S.say("find_thing", a=a, o=o, s=S.spot(p))
    S.say("whose", a=a, o=o)
    if S.maybe(0.6):
        c = meet(S, a, p, kid=False)
        S.say("ask_owner", a=a, b=c, o=o)
        S.say("not_mine", a=a, b=c, o=o)
    b = S.tagged("kid")
    S.say("owner_cries", a=a, b=b, o=o)
    S.some(0.3, "ask_why", a=b, b=a)
    S.say("owner_says", a=a, b=b, o=o)
    S.say("return_thing", a=a, b=b, o=o)
    S.say("owner_thanks", a=a, b=b)
    finish(S, a, "honest", b=b)


def plot_truth(S, a):
    b = S.tagged("kid")
    S.say("friend", a=a, b=b)
    p = S.tagged("open")
    S.say("go_both", a=a, b=b, r=p)
    S.some(0.3, "weather")
    o = S.tagged("toy", "breaks")
    S.say("other_has", a=a, b=b, o=o)
    S.say("lend_hero", a=a, b=b, o=o)
    S.say("break_lent", a=a, b=b, o=o)
    S.say("hide_broken", a=a, b=b, o=o, s=S.spot(p))
    S.say("owner_asks", a=a, b=b, o=o)
    S.some(0.7, "bad_feeling", a=a, o=o)
    S.say("confess", a=a, b=b, o=o)
    S.say("forgive", a=a, b=b, o=o)
    S.say("mend_both", a=a, b=b, o=o, t=S.tagged("mender"))
    finish(S, a, "truth", b=b)


def plot_rain(S, a):
    b = S.tagged("kid")
    S.say("friend", a=a, b=b)
    x = S.tagged("plan")
    S.say("plan", a=a, b=b, x=x)
    S.say("go_both", a=a, b=b, r=S.tagged("open"))
    S.say("rain", a=a, b=b, x=x)
    if S.maybe(0.5):
        S.say("no_plan", a=S.either(a, b), x=x)
    o = S.tagged("indoor")
    S.say("idea", b=S.either(a, b), o=o)
    S.say("play_inside", a=a, b=b, o=o)
    S.some(0.6, "sun_again")
    finish(S, a, "rain")


def plot_seed(S, a):
    c = S.tagged("parent")
    S.say("get_seed", a=a, c=c)
    S.say("plant", a=a)
    S.say("wait", a=a)
    S.say("no_growth", a=a)
    S.some(0.5, "sad", a=a)
    S.some(0.7, "patience", a=a, c=c)
    S.say("keep_on", a=a)
    S.say("grow", a=a, x=S.tagged("plant"))
    finish(S, a, "wait")


def plot_bake(S, a):
    x, y = S.tagged("dish"), S.tagged("ingredient")
    S.say("bake_wish", a=a, x=x)
    S.say("lack", a=a, x=x, y=y)
    p = S.pick("market shop farm village bakery".split())
    S.say("go_ask", a=a, y=y, r=p)
    c = meet(S, a, p, animal=False)
    S.say("ask_food", a=a, b=c, y=y)
    S.say("get_food", a=a, b=c, y=y)
    S.some(0.6, "thank", a=a, b=c)
    S.say("go_home", a=a)
    S.say("bake", a=a, x=x, y=y)
    S.some(0.5, "bake_share", a=a, b=c, x=x, y=y)
    finish(S, a, "thanks", b=c)


def plot_astray(S, a):
    p = go(S, a, p="wild")
    S.say("lose_way", a=a)
    S.some(0.6, "sad", a=a)
    c = meet(S, a, p, kid=False)
    cry_for_help(S, a, c, "tell_astray")
    S.say("offer", a=a, b=c)
    S.say("sign", a=a, b=c, x=S.tagged("sign"))
    S.say("way_home", a=a, b=c)
    finish(S, a, "trust", b=c)


def plot_friend(S, a):
    S.say("lonely", a=a)
    S.some(0.4, "sad", a=a)
    go(S, a, p="out")
    b = S.tagged("kid")
    S.say("meet_other", a=a, b=b)
    toy = S.maybe(0.6)
    if toy:
        o = S.tagged("toy")
        S.say("other_has", a=a, b=b, o=o)
    S.say("shy", a=a, b=b)
    S.say("hello", a=a, b=b)
    S.say("befriend_with" if toy else "befriend", a=a, b=b, **({"o": o} if toy else {}))
    finish(S, a, "friend", b=b)


def plot_tree(S, a):
    o = own(S, a, "flies")
    p = go(S, a, o, "trees")
    S.some(0.5, "play_with", a=a, o=o)
    S.say("fly_up", a=a, o=o)
    S.some(0.4, "sad", a=a)
    S.say("jump_for", a=a, o=o)
    if S.maybe(0.5):
        c = S.tagged("climber")
        S.say("meet_animal", a=a, c=c)
    else:
        c = meet(S, a, p, animal=False)
    cry_for_help(S, a, c, "tell_high", o=o)
    S.say("offer", a=a, b=c)
    if "climber" in W.TAGS[c]:
        S.say("fetch_down", a=a, b=c, o=o)
    else:
        S.say("get_down", a=a, b=c, o=o, t=S.tagged("reach"))
    S.say("give_back", a=a, b=c, o=o)
    thanks(S, a, c)
    finish(S, a, "help", b=c)


def plot_lend(S, a):
    o = own(S, a)
    go(S, a, o, "out")
    b = S.tagged("kid")
    S.say("meet_friend", a=a, b=b)
    S.say("ask_lend", a=a, b=b, o=o)
    S.say("lend", a=a, b=b, o=o)
    S.say("not_back", a=a, b=b, o=o)
    S.some(0.6, "doubt", a=a, b=b, o=o)
    S.say("bring_back", a=a, b=b, o=o)
    finish(S, a, "promise", b=b)


PLOTS = [f for n, f in sorted(globals().items()) if n.startswith("plot_")]


def story(rng):
    """(text, bits) of one story."""
    S = Story(rng)
    a = S.tagged("kid")
    S.say("open", a=a)
    S.some(0.4, "trait", a=a)
    S.pick(PLOTS)(S, a)
    return " ".join(S.text), S.bits


def stories(seed, n):
    rng = random.Random(seed)
    for _ in range(n):
        yield story(rng)


def main():
    ap = argparse.ArgumentParser(description="writes stories")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--stories", type=int, default=10)
    ap.add_argument("--show", action="store_true", help="readable, with bits")
    ap.add_argument("--stats", action="store_true", help="figures instead of text")
    args = ap.parse_args()
    bits = chars = 0
    seen = set()
    for text, b in stories(args.seed, args.stories):
        bits, chars = bits + b, chars + len(text)
        if args.stats:
            seen.add(text)
        elif args.show:
            print(f"[{b:.1f} bits] {text}\n")
        else:
            sys.stdout.write(text + END)
    if args.stats:
        n = args.stories
        print(f"{n} stories, {n - len(seen)} equal to an earlier one, "
              f"{bits / n:.2f} bits and {chars / n:.1f} characters a story")


if __name__ == "__main__":
    main()
