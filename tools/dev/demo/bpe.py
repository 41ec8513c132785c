#!/usr/bin/env python3
# bpe.py - the byte pairs of GPT-2: learns merges, turns text into ids. Use:
#   bpe.py learn 1000 < corpus.txt > merges.txt
#   bpe.py count merges.txt < corpus.txt        stories, tokens, tokens a story
#
# Ids: 0-255 are the bytes in GPT-2's printable order, 256 + i is merge i, the last is <|endoftext|>.

import collections
import re
import sys

END = "<|endoftext|>"
# GPT-2's pattern; in ASCII text, which the corpus is, re says the same as GPT-2's regex classes.
SPLIT = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def printable():
    """byte -> character, in GPT-2's order of ids."""
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {b: chr(b) for b in bs}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(bs))
    return table


PRINTABLE = printable()


def words_of(text):
    return ["".join(PRINTABLE[b] for b in w.encode()) for w in SPLIT.findall(text)]


def merge(word, a, b):
    out, i = [], 0
    while i < len(word):
        if word[i] == a and i + 1 < len(word) and word[i + 1] == b:
            out.append(a + b)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def learn(text, n):
    """The n merges of the most frequent pairs; of equal ones, the first in the alphabet."""
    counts = collections.Counter()
    for story in text.split(END):
        counts.update(words_of(story))
    words = [(list(w), c) for w, c in sorted(counts.items())]
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for w, c in words:
            for p in zip(w, w[1:]):
                pairs[p] += c
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        words = [(merge(w, *best) if best[0] in w else w, c) for w, c in words]
    return merges


class Tokenizer:
    def __init__(self, path):
        lines = open(path, encoding="utf-8").read().split("\n")[1:]
        self.merges = [tuple(x.split(" ")) for x in lines if x]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        tokens = list(PRINTABLE.values()) + [a + b for a, b in self.merges] + [END]
        self.tokens, self.id = tokens, {t: i for i, t in enumerate(tokens)}
        self.end = len(tokens) - 1
        self.byte = {c: b for b, c in PRINTABLE.items()}
        self.cache = {}

    def word(self, w):
        if w not in self.cache:
            parts = list(w)
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                parts = merge(parts, *best)
            self.cache[w] = [self.id[p] for p in parts]
        return self.cache[w]

    def encode(self, text):
        return [i for w in words_of(text) for i in self.word(w)]

    def decode(self, ids):
        return bytes(self.byte[c] for i in ids if i != self.end for c in self.tokens[i]).decode(
            "utf-8", "replace")


def main():
    if sys.argv[1] == "learn":
        print("#version: 0.2")
        for a, b in learn(sys.stdin.read(), int(sys.argv[2])):
            print(a, b)
    elif sys.argv[1] == "count":
        t = Tokenizer(sys.argv[2])
        stories = [s for s in sys.stdin.read().split(END) if s]
        lengths = [len(t.encode(s)) for s in stories]
        print(f"{len(stories)} stories, {sum(lengths)} tokens, {sum(lengths) / len(stories):.1f} a "
              f"story (shortest {min(lengths)}, longest {max(lengths)})")


if __name__ == "__main__":
    main()
