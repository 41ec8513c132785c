#!/usr/bin/python3
# sample.py - stories from the model, with PyTorch, many at a time. Use:
#   sample.py MODEL.bin MERGES [--stories 200] [--temp 0.8] [--top-k 0] [--top-p 1] [--seed 1] [PROMPT]
# Without a prompt a story begins after <|endoftext|>; a prompt stands at position 0.
# Writes stories, each ended by <|endoftext|>; a story that does not end within the model's 256
# positions is written as far as it came.
#   sample.py MODEL.bin MERGES --logits ID...     all logits after these ids, one a line

import argparse
import sys

import torch

import bpe
import train


def sample(model, prompt, n, end, temp, top_k, top_p, rng):
    ids = torch.tensor([prompt] * n)
    caches = [[] for _ in model.blocks]
    done = torch.zeros(n, dtype=torch.bool)
    for i in range(len(prompt) - 1):
        model(ids[:, i:i + 1], caches, i)
    while ids.shape[1] < model.sizes[0] and not done.all():
        at = ids.shape[1] - 1
        logits = model(ids[:, at:], caches, at)[:, 0] / temp
        if top_k:
            least = logits.topk(top_k).values[:, -1:]
            logits[logits < least] = -float("inf")
        p = torch.softmax(logits, -1)
        if top_p < 1:
            sorted_p, order = p.sort(-1, descending=True)
            sorted_p[sorted_p.cumsum(-1) - sorted_p >= top_p] = 0
            p = torch.zeros_like(p).scatter(1, order, sorted_p)
        next_ = torch.multinomial(p, 1, generator=rng)
        next_[done] = end
        done |= next_[:, 0] == end
        ids = torch.cat((ids, next_), 1)
    return ids.tolist()


def main():
    ap = argparse.ArgumentParser(description="stories from the model")
    ap.add_argument("model")
    ap.add_argument("merges")
    ap.add_argument("prompt", nargs="?", default="")
    ap.add_argument("--stories", type=int, default=200)
    ap.add_argument("--temp", type=float, default=0.8)
    ap.add_argument("--top-k", type=int, default=0)
    ap.add_argument("--top-p", type=float, default=1.0)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--logits", type=int, nargs="+", metavar="ID")
    args = ap.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    model, tok = train.load_bin(args.model), bpe.Tokenizer(args.merges)
    if args.logits:
        for x in model(torch.tensor([args.logits]))[0, -1].tolist():
            print(f"{x:.6f}")
        return
    prompt = tok.encode(args.prompt) or [tok.end]
    rng = torch.Generator().manual_seed(args.seed)
    for ids in sample(model, prompt, args.stories, tok.end, args.temp, args.top_k, args.top_p, rng):
        ids = ids[1:] if ids[0] == tok.end else ids
        if tok.end in ids:
            ids = ids[:ids.index(tok.end)]
        sys.stdout.write(tok.decode(ids) + bpe.END)
    print()


if __name__ == "__main__":
    main()
