#!/usr/bin/env python3
# check.py - do stories keep names, pronouns and things straight? Use:
#   check.py [FILE]            stories, separated by <|endoftext|> or NUL; else standard input
#   check.py --self 20000      stories of the generator itself: all must pass
#   check.py --perturb 2000    stories of the generator with one word changed: they must fail
#
# Reads a story form by form with the table that wrote it (forms.txt). A form counts if its text
# fits, its conditions hold in the state so far, and each slot says what that state allows: who is
# known, he or she, whose thing it is and who has it, who is where. A story passes if its forms cover
# the whole text and it ends with an ending. Where a text can be read in several ways, all are tried.

import argparse
import collections
import random
import re
import sys

import generate
import words as W
import world


def alternation(words):
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


def one_of(words):
    return "(" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


NAMES = sorted(W.CHARACTERS) + [world.cap(c) for c in W.CHARACTERS if c.startswith("the ")]
ADJECTIVES = sorted({a for adjectives, _ in W.THINGS.values() for a in adjectives})
NOUNS = alternation(W.THINGS)
WHOSE = alternation("the The his her its His Her Its".split() + [n + "'s" for n in NAMES])
ADJECTIVE = "(?:" + alternation(ADJECTIVES) + " )?"


def pattern(event, slot):
    """A group that holds whatever the slot could say."""
    v, k = slot.var, slot.kind
    if v in "abcd":
        words = {
            "subj": NAMES + "he she it He She It".split(), "s": NAMES + "he she it".split(),
            "o": NAMES + "him her it".split(), "ref": NAMES, "star": NAMES, "n": NAMES,
            "pos": [n + "'s" for n in NAMES] + "his her its His Her Its".split(),
            "kind": ["girl", "boy"] + W.SPECIES,
            "call": NAMES + ["dear " + c[4:] for c in W.CHARACTERS if c.startswith("the ")],
            "he": "he she it".split(), "He": "He She It".split(), "his": "his her its".split(),
            "him": "him her it".split(), "self": "himself herself itself".split(),
            "hers": "his hers its".split(),
        }
        if k == "new":
            return "([Aa]n? (?:kind |friendly |old |little |big )?" + alternation(
                c[4:] for c in W.CHARACTERS if c.startswith("the ")) + ")"
        return one_of(words[k])
    if v in "oqt":
        if k in ("new", "new2"):
            return "([Aa]n? " + ADJECTIVE + NOUNS + ")"
        if k == "n":
            return "(" + ADJECTIVE + NOUNS + ")"
        if k == "my":
            return "([Mm]y " + ADJECTIVE + NOUNS + ")"
        return "(" + WHOSE + " " + ADJECTIVE + NOUNS + ("|it)" if k == "p" else ")")
    if v in "pr":
        if k == "in":
            return "((?:in|at|on) (?:the )?" + alternation(W.PLACES) + ")"
        if k == "to":
            return "(home|to the " + alternation(W.PLACES) + ")"
        return "(the " + alternation(list(W.PLACES) + ["house"]) + ")"
    if v == "s":
        return one_of({s for _, spots in W.PLACES.values() for s in spots})
    phrases = W.PHRASES[event.domain[v]] if v in event.domain else \
        [w for d in W.PHRASES.values() for w in d]
    if k == "ed":
        phrases = W.PHRASES["job"]
    return one_of(phrases.values() if k == "ed" else phrases)


def compiled(events):
    out = []
    for event in events.values():
        for form in event.forms:
            text = ""
            for part in form.parts:
                if isinstance(part, str):
                    text += re.escape(part)
                elif isinstance(part, list):
                    text += alternation(part)
                else:
                    text += pattern(event, part)
            out.append((event, form, re.compile(text + r"(?= |$)")))
    return out


FORMS = compiled(world.EVENTS)


def meanings(state, event, slot, text):
    """Who or what a slot's text may name; the state decides later."""
    v, k = slot.var, slot.kind
    if v in "abcd":
        if k == "new":
            return ["the " + text.split()[-1]]
        if k == "kind":
            return None  # says nothing about who
        base = text[:-2] if text.endswith("'s") else text
        if base.startswith("The "):
            base = "the " + base[4:]
        if base.startswith("dear "):
            base = "the " + base[5:]
        if base in W.PRONOUN:
            return [base]
        return None  # a pronoun: whoever fits
    if v in "oqt":
        return [state.thing] if text == "it" else [text.split()[-1]]
    if v in "pr":
        place = text.split()[-1]
        return ["home" if place == "house" else place]
    if v == "s":
        return [text]
    if k == "ed":
        return [w for w, past in W.PHRASES["job"].items() if past == text]
    return [text]


def apply(state, event, form, said):
    """States after the form, one for each way in which its text is right."""
    bound, open_vars = {}, []
    for slot, text in zip(form.slots, said):
        what = meanings(state, event, slot, text)
        if what is None:
            continue
        if what[0] is None or bound.setdefault(slot.var, what[0]) != what[0]:
            return "reference"
    known = [c for c in state.known if c in W.PRONOUN]
    ways = [bound]
    for slot in form.slots:  # pronouns alone
        if slot.var in "abcd" and slot.var not in bound and slot.var not in open_vars:
            open_vars.append(slot.var)
            ways = [dict(w, **{slot.var: c}) for w in ways for c in known]
    out, seen, why = [], set(), "condition"
    for way in ways:
        for full in state.solve(event.before, way):
            marks = tuple(sorted(full.items()))
            if marks in seen:
                continue
            seen.add(marks)
            why = "words"
            used = {c: full[c] for c in form.chars}
            if len(set(used.values())) < len(used):
                continue
            for v in event.new:
                if v in full and full[v] in state.known:
                    break
            else:
                if all(text in [t for t, _ in state.options(slot, full, form)]
                       for slot, text in zip(form.slots, said)):
                    after = state.copy()
                    after.after(event, form, full, said)
                    out.append(after)
    return out or why


def check(text):
    """(passes, reason): the reason names the sentence that no reading could get past."""
    text = text.strip()
    agenda, seen = [(0, world.State())], set()
    furthest, reasons = 0, set()
    while agenda:
        at, state = agenda.pop()
        if at >= len(text):
            if ("end",) in state.facts:
                return True, ""
            furthest, reasons = at, {"no ending"}
            continue
        for event, form, regex in FORMS:
            m = regex.match(text, at)
            if not m:
                continue
            result = apply(state, event, form, m.groups())
            if isinstance(result, str):
                if at > furthest:
                    furthest, reasons = at, set()
                if at == furthest:
                    reasons.add(f"{event.name}: {result}")
                continue
            for after in result:
                key = (m.end(), after.key())
                if key not in seen:
                    seen.add(key)
                    agenda.append((min(m.end() + 1, len(text)), after))
        if at > furthest:
            furthest, reasons = at, set()
    sentence = re.match(r".*?[.!?]\"?(?= |$)|.*", text[furthest:]).group()
    return False, (", ".join(sorted(reasons)) or "no such form") + f": {sentence}"


# ---------------------------------------------------------------- testing the checker
def perturb(rng, text, kind):
    """The story with one word changed so that it no longer fits, or None where no word serves.
    A thing or a place counts only if the story names it again, and a spot only if it is not one of
    the place: else the story would just be another right one."""
    candidates = []  # (old, new, at)
    if kind == "pronoun":
        opposite = {"he": "she", "she": "he", "him": "her", "his": "her"}
        for m in re.finditer(r"\b(?:[Hh]e|[Ss]he|[Hh]im|[Hh]is)\b", text):
            new = opposite[m.group().lower()]
            candidates.append((m.group(), world.cap(new) if m.group()[0].isupper() else new, m.start()))
    elif kind == "spot":
        for m in re.finditer(one_of(SPOT_PLACES), text):
            wrong = [s for s in SPOT_PLACES if not SPOT_PLACES[s] &
                     {p for p in W.PLACES if re.search(r"\b%s\b" % p, text)}]
            candidates.append((m.group(), rng.choice(wrong), m.start()))
    else:
        words = {"name": W.KIDS + list(W.PARENTS), "thing": list(W.THINGS),
                 "place": [p for p in W.PLACES if p != "home"]}[kind]
        before = "the " if kind == "place" else ""
        for old in words:
            found = [m.end() - len(old) for m in re.finditer(r"\b%s%s\b" % (before, old), text)]
            if len(found) < (1 if kind == "name" else 2):
                continue
            alike = [w for w in words if w != old and
                     (kind != "thing" or W.THINGS[w][1] == W.THINGS[old][1])]
            inside = [w for w in alike if re.search(r"\b%s\b" % w, text)]
            candidates += [(old, rng.choice(inside or alike or ["ball"]), at) for at in found]
    if not candidates:
        return None
    old, new, at = rng.choice(candidates)
    return text[:at] + new + text[at + len(old):], old, new, at


SPOT_PLACES = {}
for _place, (_, _spots) in W.PLACES.items():
    for _spot in _spots:
        SPOT_PLACES.setdefault(_spot, set()).add(_place)


def report_perturbed(n, seed):
    rng = random.Random(seed)
    caught, total, passed = collections.Counter(), collections.Counter(), []
    for text, _ in generate.stories(seed, n):
        for kind in ("name", "pronoun", "thing", "place", "spot"):
            changed = perturb(rng, text, kind)
            if changed is None:
                continue
            total[kind] += 1
            if check(changed[0])[0]:
                passed.append((kind, changed))
            else:
                caught[kind] += 1
    for kind in total:
        print(f"{kind}: {caught[kind]} of {total[kind]} caught "
              f"({100 * caught[kind] / total[kind]:.1f} %)")
    print(f"all: {sum(caught.values())} of {sum(total.values())} caught "
          f"({100 * sum(caught.values()) / sum(total.values()):.1f} %)")
    return passed


def main():
    ap = argparse.ArgumentParser(description="checks stories against the generator's rules")
    ap.add_argument("file", nargs="?")
    ap.add_argument("--self", type=int, metavar="N")
    ap.add_argument("--perturb", type=int, metavar="N")
    ap.add_argument("--seed", type=int, default=3)
    ap.add_argument("--passed", action="store_true", help="with --perturb: show what passed")
    args = ap.parse_args()
    if args.perturb:
        for kind, (text, old, new, at) in report_perturbed(args.perturb, args.seed):
            if args.passed:
                print(f"{kind}: {old} -> {new}: ...{text[max(0, at - 60):at + 60]}...")
        return
    if args.self:
        texts = (t for t, _ in generate.stories(args.seed, args.self))
    else:
        data = (open(args.file) if args.file else sys.stdin).read()
        texts = (t for t in re.split(r"<\|endoftext\|>|\0", data) if t.strip())
    n = good = 0
    for text in texts:
        n += 1
        ok, why = check(text)
        good += ok
        if not ok:
            print(f"story {n}: {why}")
    print(f"{good} of {n} stories pass")
    sys.exit(good != n and bool(args.self))


if __name__ == "__main__":
    main()
