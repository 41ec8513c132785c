# world.py - reads forms.txt, and keeps the state of a story: facts, who was named last, and what a
# slot of a form may say in that state. The generator picks from those sayings; the checker asks
# whether what it read is one of them.

import os
import re

import words as W

HERE = os.path.dirname(os.path.abspath(__file__))


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def cap(s):
    return s[0].upper() + s[1:]


class Slot:
    """{A.pos} -> var a, kind pos, first True (starts a sentence)."""

    def __init__(self, text):
        name, _, kind = text.partition(".")
        if name.endswith("*"):
            name, kind = name[:-1], "star"
        self.var = name.lower()
        self.first = name.isupper()
        self.kind = kind or ("subj" if self.first and self.var in "abcd" else "ref")
        self.cap = self.first or self.kind == "He"
        self.subject = self.kind in ("subj", "s", "star", "He", "n") and self.var in "abcd" or \
            (self.kind == "new" and self.first and self.var in "abcd")


class Form:
    def __init__(self, text):
        self.text = text
        self.parts = []  # str, list of str (choice), or Slot
        for piece in re.split(r"(\{[^}]*\}|\[[^]]*\])", text):
            if piece.startswith("{"):
                self.parts.append(Slot(piece[1:-1]))
            elif piece.startswith("["):
                self.parts.append(piece[1:-1].split("|"))
            elif piece:
                self.parts.append(piece)
        self.slots = [p for p in self.parts if isinstance(p, Slot)]
        for i, p in enumerate(self.parts):  # {O}, {A.pos} ... at the start of a sentence
            if isinstance(p, Slot) and p.kind in ("star", "ref", "s") and not p.cap:
                before = self.parts[i - 1] if i else ""
                p.cap = i == 0 or isinstance(before, str) and before.endswith((". ", "! ", "? "))
        self.chars = {s.var for s in self.slots if s.var in "abcd"}
        self.things = {s.var for s in self.slots if s.var in "oqt"}
        subjects = [s.var for s in self.slots if s.subject]
        self.focus = subjects[-1] if subjects else None
        last = None
        for s in self.slots:  # whose "her" would be
            s.owner_var = last
            if s.subject:
                last = s.var


class Event:
    def __init__(self, name, before, after):
        self.name = name
        self.before = [c.split() for c in before if c]
        self.before.sort(key=self.order)
        self.after = [(c[0], c[1:].split()) for c in after if c]
        self.forms = []
        self.domain = {}  # variable -> tag
        self.new = set()
        for c in self.before:
            if len(c) == 1 and ":" in c[0]:
                self.domain.setdefault(*c[0].split(":"))
            if c[0] == "new":
                self.new.add(c[1])


    @staticmethod
    def order(c):
        """Facts first: they bind variables, the other conditions only test them."""
        return len(c) == 1 and (":" in c[0] or "!=" in c[0]) or c[0].startswith("!") or \
            c[0] in ("new", "spot", "worker_at")


def load(path=os.path.join(HERE, "forms.txt")):
    events = {}
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("@"):
            head, _, after = line[1:].partition("=>")
            name, _, before = head.strip().partition(" ")
            event = Event(name, [c.strip() for c in before.split(",")],
                          [c.strip() for c in after.split(",")])
            assert name not in events, name
            events[name] = event
        else:
            event.forms.append(Form(line))
    return events


class State:
    def __init__(self):
        self.facts = set()
        self.focus = None     # subject of the last sentence
        self.named = set()    # characters of the last form
        self.thing = None     # the one thing of the last form
        self.kind = {}        # character -> girl, rabbit ...
        self.adjective = {}   # thing -> red ...
        self.known = set()    # everybody and everything so far

    def copy(self):
        s = State.__new__(State)
        s.facts, s.named, s.known = set(self.facts), set(self.named), set(self.known)
        s.kind, s.adjective = dict(self.kind), dict(self.adjective)
        s.focus, s.thing = self.focus, self.thing
        return s

    def key(self):
        return (frozenset(self.facts), self.focus, frozenset(self.named), self.thing,
                tuple(sorted(self.kind.items())), tuple(sorted(self.adjective.items())),
                frozenset(self.known))

    # ------------------------------------------------------------ conditions
    def solve(self, conditions, bound):
        """All ways to bind the variables so that the conditions hold."""
        if not conditions:
            yield bound
            return
        c, rest = conditions[0], conditions[1:]
        if len(c) == 1 and "!=" in c[0]:
            x, y = c[0].split("!=")
            if bound.get(x) != bound.get(y, y):
                yield from self.solve(rest, bound)
        elif len(c) == 1 and ":" in c[0]:
            v, tag = c[0].split(":")
            if v not in bound or tag in W.TAGS.get(bound[v], ()):
                yield from self.solve(rest, bound)
        elif c[0] == "new":
            if c[1] not in bound or bound[c[1]] not in self.known:
                yield from self.solve(rest, bound)
        elif c[0] in ("spot", "worker_at"):
            x, p = bound.get(c[1]), bound[c[2]]
            if x is None or (x in W.PLACES[p][1] if c[0] == "spot"
                             else p in W.WORKERS.get(x, ("", ""))[1].split()):
                yield from self.solve(rest, bound)
        elif c[0].startswith("!"):
            pattern = (c[0][1:],) + tuple(bound.get(v, "*" if v == "*" else v) for v in c[1:])
            if not any(self.match(pattern, f) for f in self.facts):
                yield from self.solve(rest, bound)
        else:
            for f in self.facts:
                if f[0] != c[0] or len(f) != len(c):
                    continue
                more = dict(bound)
                for v, value in zip(c[1:], f[1:]):
                    if len(v) > 1:
                        if v != value:
                            break
                    elif more.setdefault(v, value) != value:
                        break
                else:
                    yield from self.solve(rest, more)

    @staticmethod
    def match(pattern, fact):
        return len(pattern) == len(fact) and all(p in ("*", f) for p, f in zip(pattern, fact))

    # ------------------------------------------------------------ what a slot may say
    def pronoun_ok(self, who, present):
        """May he/she stand for `who`, the last subject? Not if another one of them was named."""
        me = W.PRONOUN[who]
        return self.focus == who and all(W.PRONOUN[c] != me for c in self.named if c != who) and \
            not (me == "it" and self.thing)

    def owner(self, thing):
        for f in self.facts:
            if f[0] == "owner" and f[1] == thing:
                return f[2]
        return None

    def options(self, slot, bound, form):
        """[(text, weight)] that the slot may say."""
        out = self._options(slot, bound, form)
        return [(cap(t), w) for t, w in out] if slot.cap else out

    def _options(self, slot, bound, form):
        v, k = bound[slot.var], slot.kind
        if slot.var in "abcd":
            return self._character(slot, v, k, bound, form)
        if slot.var in "oqt":
            return self._thing(slot, v, k, bound, form)
        if slot.var in "pr":
            if k == "in":
                return [(W.PLACES[v][0] + (" home" if v == "home" else " the " + v), 1)]
            if k == "to":
                return [("home" if v == "home" else "to the " + v, 1)]
            return [("the house" if v == "home" else "the " + v, 1)]
        if k == "ed":
            return [(W.PHRASES["job"][v], 1)]
        return [(v, 1)]

    def _character(self, slot, v, k, bound, form):
        me = W.PRONOUN[v]
        his, him, self_, hers = W.FORMS_OF[me]
        present = [bound[c] for c in form.chars]
        clear = self.pronoun_ok(v, present)
        if k == "subj":
            return [(v, 1), (me, 2)] if clear else [(v, 1)]
        if k == "s":
            return [(v, 1), (me, 2)] if clear and me != "it" else [(v, 1)]
        if k in ("ref", "star", "n"):
            return [(v, 1)]
        if k == "o":
            clear = me != "it" and v in self.named and \
                all(W.PRONOUN[c] != me for c in self.named | set(present) if c != v)
            return [(v, 1), (him, 2)] if clear else [(v, 1)]
        if k == "pos":
            if slot.first and clear and me != "it":
                return [(v + "'s", 1), (his, 2)]
            return [(v + "'s", 1)]
        if k == "kind":
            return [(self.kind[v], 1)] if v in self.kind else [(x, 1) for x in W.kinds(v)]
        if k == "call":
            return [("dear " + v[4:] if v.startswith("the ") else v, 1)]
        if k == "new":
            noun = v[4:]
            if v in W.WORKERS:
                return [(article(a + " " + noun), 1) for a in ("kind", "friendly", "old")]
            return [(article(a + noun), 1) for a in ("", "little ", "big ", "friendly ")]
        return [({"he": me, "He": me, "his": his, "him": him, "self": self_, "hers": hers}[k], 1)]

    def _thing(self, slot, v, k, bound, form):
        adj = self.adjective.get(v)
        full = adj + " " + v if adj else v
        if k == "new":
            return [(article(a + " " + v), 1) for a in W.THINGS[v][0]] + [(article(v), 1)]
        if k == "new2":
            return [(article(full), 1)]
        names = [(v, 2)] + ([(full, 1)] if adj else [])
        if k == "n":
            return names
        if k == "my":
            return [("my " + n, w) for n, w in names]
        out = [("the " + n, 2 * w) for n, w in names]
        owner = self.owner(v)
        subject = bound.get(slot.owner_var) if slot.owner_var else None
        if owner and owner == subject:
            me = W.PRONOUN[owner]
            if all(W.PRONOUN[bound[c]] != me for c in form.chars if bound[c] != owner):
                out += [(W.FORMS_OF[me][0] + " " + n, w) for n, w in names]
        elif owner and owner not in [bound[c] for c in form.chars]:
            out += [(owner + "'s " + v, 1)]
        if k == "p" and self.thing == v and \
                not any(W.PRONOUN[c] == "it" for c in self.named | {bound[c] for c in form.chars}):
            out += [("it", 4)]
        return out

    # ------------------------------------------------------------ what a form leaves behind
    def after(self, event, form, bound, said):
        """State after the form was said; `said` is the text of each slot."""
        for slot, text in zip(form.slots, said):
            v = bound[slot.var]
            if slot.kind == "kind":
                self.kind[v] = text
            elif slot.kind == "new" and slot.var in "oqt":
                middle = text.split(" ", 1)[1][:-len(v)].strip()
                if middle:
                    self.adjective[v] = middle
        for sign, fact in event.after:
            values = tuple(bound.get(v, v) if len(v) == 1 else v for v in fact[1:])
            if sign == "+":
                assert all(len(v) > 1 for v in values), (event.name, fact, bound)
                self.facts.add((fact[0],) + values)
            else:
                self.facts = {f for f in self.facts if not self.match((fact[0],) + values, f)}
        self.known |= {bound[v] for v in bound if v in "abcdoqt"}
        self.focus = bound[form.focus] if form.focus else None
        self.named = {bound[c] for c in form.chars}
        things = {bound[o] for o in form.things}
        self.thing = things.pop() if len(things) == 1 else None


EVENTS = load()
