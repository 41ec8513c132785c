#!/usr/bin/python3
# train.py - trains the demo model: GPT-2's graph in PyTorch, on the CPU. Use:
#   train.py CORPUS HELDOUT MERGES OUT --steps 9000 [--lr 3e-3] [--rows 16] [--bf16] [--start PT] [--resume]
# writes OUT.pt (to resume), OUT.log (step, tokens, loss, held-out loss, seconds) and, whenever
# held-out loss is measured, OUT.bin: a checkpoint of version 1 that dagpt reads.

import argparse
import math
import os
import struct
import time

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F

import bpe
import words


class Block(nn.Module):
    def __init__(self, C, NH):
        super().__init__()
        self.NH = NH
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.attproj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.fcproj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x, mask, cache=None):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, self.NH, C // self.NH).permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:  # sampling, a token at a time
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        att = (q * (C // self.NH) ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            att = att + mask[:T, :T].to(att.dtype)
        y = (F.softmax(att, -1) @ v).transpose(1, 2).reshape(B, T, C)
        x = x + self.attproj(y)
        return x + self.fcproj(F.gelu(self.fc(self.ln2(x)).float(), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, V, maxT=256, L=6, NH=4, C=128):
        super().__init__()
        self.sizes, self.bf16 = (maxT, V, L, NH, C), False
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(maxT, C)
        self.blocks = nn.ModuleList(Block(C, NH) for _ in range(L))
        self.lnf = nn.LayerNorm(C)
        self.register_buffer("mask", torch.full((maxT, maxT), -1e9).triu(1), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                scale = (2 * L) ** -0.5 if "proj" in name else 1
                nn.init.normal_(p, 0, 0.02 * scale)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def hidden(self, ids, caches=None, start=0):
        x = self.wte(ids) + self.wpe.weight[start:start + ids.shape[1]]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            for i, b in enumerate(self.blocks):
                x = b(x, self.mask if caches is None else None, caches and caches[i])
        return self.lnf(x)

    def forward(self, ids, caches=None, start=0):
        return self.hidden(ids, caches, start) @ self.wte.weight.T


class Loss(torch.autograd.Function):
    """(weighted mean of the losses of the logits x @ wte.T against y, their plain mean). Some rows at
    a time, so that their logits stay in cache; the gradients are made on the way."""

    @staticmethod
    def forward(ctx, x, wte, y, weight, rows=128):
        weight = weight / weight.sum()
        dx, dwte, losses = torch.empty_like(x), torch.zeros_like(wte), []
        for i in range(0, len(x), rows):
            part, to, w = x[i:i + rows], y[i:i + rows, None], weight[i:i + rows, None]
            p = part @ wte.T
            p -= p.max(1, keepdim=True)[0]
            right = p.gather(1, to)
            total = p.exp_().sum(1, keepdim=True)
            losses.append(total.log() - right)
            p *= w / total
            p.scatter_add_(1, to, -w)
            torch.mm(p, wte, out=dx[i:i + rows])
            dwte.addmm_(p.T, part)
        ctx.save_for_backward(dx, dwte)
        losses = torch.cat(losses)[:, 0]
        return (losses * weight).sum(), losses.mean()

    @staticmethod
    def backward(ctx, d, _):
        dx, dwte = ctx.saved_tensors
        return dx * d, dwte * d, None, None, None


# ---------------------------------------------------------------- the checkpoint file
def tensors(model):
    yield model.wte.weight
    yield model.wpe.weight
    for part in "ln1 qkv attproj ln2 fc fcproj".split():
        for what in "weight bias".split():
            for b in model.blocks:
                yield getattr(getattr(b, part), what)
    yield model.lnf.weight
    yield model.lnf.bias


def save_bin(model, path):
    maxT, V, L, NH, C = model.sizes
    with open(path + ".tmp", "wb") as f:
        f.write(struct.pack("<256i", 20240326, 1, maxT, V, L, NH, C, V, *[0] * 248))
        for t in tensors(model):
            f.write(t.detach().numpy().astype("<f4").tobytes())
    os.replace(path + ".tmp", path)


def load_bin(path):
    data = open(path, "rb").read()
    magic, version, maxT, V, L, NH, C = struct.unpack("<7i", data[:28])
    assert (magic, version) == (20240326, 1)
    model, at = GPT2(V, maxT, L, NH, C), 1024
    with torch.no_grad():
        for t in tensors(model):
            t.copy_(torch.from_numpy(np.frombuffer(data, "<f4", t.numel(), at).reshape(t.shape).copy()))
            at += 4 * t.numel()
    assert at == len(data)
    return model


# ---------------------------------------------------------------- the blocks' matrices
class Muon:
    """Momentum, made orthogonal: every direction of a matrix learns at the same speed, the rare ones
    too (Jordan 2024, kellerjordan.github.io/posts/muon). The steps of matrices of one shape are made
    together; those of q, k and v apart. Scaled by 0.2 sqrt(greater side), as large as AdamW's
    (arXiv:2502.16982), so that one learning rate serves both."""

    def __init__(self, model, decay, momentum=0.95):
        self.groups, self.decay, self.momentum = {}, decay, momentum
        self.dtype = torch.bfloat16 if model.bf16 else torch.float32
        for b in model.blocks:
            for w in (*b.qkv.weight.chunk(3), b.attproj.weight, b.fc.weight, b.fcproj.weight):
                self.groups.setdefault(w.shape, []).append(w)
        self.state = [torch.zeros(len(ws), *shape) for shape, ws in self.groups.items()]

    @staticmethod
    def grads(model):
        for b in model.blocks:
            yield from (*b.qkv.weight.grad.chunk(3), b.attproj.weight.grad, b.fc.weight.grad,
                        b.fcproj.weight.grad)

    @torch.no_grad()
    def step(self, model, lr):
        grads = {}
        for g in self.grads(model):
            grads.setdefault(g.shape, []).append(g)
        for (shape, ws), m in zip(self.groups.items(), self.state):
            g = torch.stack(grads[shape])
            m.lerp_(g, 1 - self.momentum)
            x = g.lerp(m, self.momentum)
            if shape[0] > shape[1]:
                x = x.mT
            x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(self.dtype)
            for _ in range(5):  # Newton-Schulz; the coefficients are Jordan's
                a = x @ x.mT
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            if shape[0] > shape[1]:
                x = x.mT
            for w, d in zip(ws, x):
                w.mul_(1 - lr * self.decay).sub_(d, alpha=lr * 0.2 * max(shape) ** 0.5)


# ---------------------------------------------------------------- rows
def read(path, tokenizer):
    return [np.array(tokenizer.encode(s), np.int16)
            for s in open(path).read().split(bpe.END) if s]


def content_tokens(tok):
    """Which ids name somebody, something, a place, or a spot: what a story must keep straight."""
    lists = [words.CHARACTERS, words.SPECIES, words.PLACES, words.COLORS, words.THINGS]
    lists += [spots for _, spots in words.PLACES.values()]
    lists += [adjectives for adjectives, _ in words.THINGS.values()]
    lists += list(words.PHRASES.values())
    content = {w for some in lists for text in some for w in text.split()} - set("a the some in on at".split())
    ids = {i for w in content for i in tok.encode(" " + w)}
    return torch.tensor([i in ids for i in range(tok.end + 1)])


def weights(ids, end, content, weight):
    """A weight for each next id of the rows ids: `weight` where it is of content and its story has it
    already, else 1."""
    y = ids[:, 1:]
    story = (ids == end).cumsum(1)
    same = (y[:, :, None] == ids[:, None, :-1]) & (story[:, 1:, None] == story[:, None, :-1])
    return 1 + (weight - 1) * (same.tril().any(2) & content[y]).float()


def rows(stories, end, T, rng):
    """Rows of T + 1 ids. A row begins where a story begins, every other row with <|endoftext|>."""
    out, row = [], None
    for i in rng.permutation(len(stories)):
        if row is None:
            row = [end] if len(out) % 2 else []
        row.extend(stories[i])
        row.append(end)
        if len(row) > T:
            out.append(row[:T + 1])
            row = None
    out = np.array(out, np.int16)
    return out[rng.permutation(len(out))]


def held_out_loss(model, stories, end, batch=32):
    """Nats a token of stories, each alone after <|endoftext|>, its own end included."""
    total = n = 0
    stories = sorted(stories, key=len)
    bf16, model.bf16 = model.bf16, False  # the file will be float32, too
    with torch.no_grad():
        for i in range(0, len(stories), batch):
            some = stories[i:i + batch]
            T = max(map(len, some)) + 1
            x = torch.full((len(some), T), end)
            y = torch.full((len(some), T), -100)
            for j, s in enumerate(some):
                s = torch.from_numpy(s.astype(np.int64))
                x[j, 1:len(s) + 1], y[j, :len(s)], y[j, len(s)] = s, s, end
            total += F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
            n += (y >= 0).sum().item()
    model.bf16 = bf16
    return total / n


def main():
    ap = argparse.ArgumentParser(description="trains the demo model")
    ap.add_argument("corpus")
    ap.add_argument("heldout")
    ap.add_argument("merges")
    ap.add_argument("out")
    ap.add_argument("--steps", type=int, default=5000)
    ap.add_argument("--stop", type=int, help="stop after this step; the rate is still that of --steps")
    ap.add_argument("--rows", type=int, default=32)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--warmup", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--processes", type=int, default=2)
    ap.add_argument("--every", type=int, default=250, help="steps between held-out losses")
    ap.add_argument("--layers", type=int, default=6)
    ap.add_argument("--heads", type=int, default=4)
    ap.add_argument("--channels", type=int, default=128)
    ap.add_argument("--again", type=float, default=3, help="weight of content that a story has already")
    ap.add_argument("--bf16", action="store_true", help="blocks in bfloat16 while training")
    ap.add_argument("--start", help="begin with the weights of another run, its .pt file")
    ap.add_argument("--resume", action="store_true")
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    tok = bpe.Tokenizer(args.merges)
    data = [read(args.corpus, tok), read(args.heldout, tok)]
    model = GPT2(tok.end + 1, 256, args.layers, args.heads, args.channels)
    model.bf16 = args.bf16
    n = sum(p.numel() for p in model.parameters())
    print(f"{len(data[0])} stories, {sum(map(len, data[0]))} tokens, {n} parameters", flush=True)
    shared = torch.zeros(args.processes, n + 1).share_memory_()  # gradients and loss of each
    barrier = mp.Barrier(args.processes)
    others = [mp.Process(target=train, args=(args, tok, model, data, r, shared, barrier))
              for r in range(1, args.processes)]
    for p in others:
        p.daemon = True
        p.start()
    train(args, tok, model, data, 0, shared, barrier)


def train(args, tok, model, data, rank, shared, barrier):
    """One of the processes, a thread each: every process takes its share of a batch's rows, and
    all add up the gradients in the same order, so that their models stay equal."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    (stories, heldout), end = data, tok.end
    content = content_tokens(tok)
    params = list(model.parameters())
    muon = Muon(model, 0.1)
    opt = torch.optim.AdamW([{"params": [model.wte.weight, model.wpe.weight], "weight_decay": 0.1},
                             {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0}],
                            betas=(0.9, 0.98))
    step, seconds = 0, 0.0
    if args.resume and os.path.exists(args.out + ".pt"):
        saved = torch.load(args.out + ".pt")
        model.load_state_dict(saved["model"])
        opt.load_state_dict(saved["opt"])
        muon.state = saved["muon"]
        step, seconds = saved["step"], saved["seconds"]
    elif args.start:
        model.load_state_dict(torch.load(args.start)["model"])
    log = open(args.out + ".log", "a" if step else "w") if rank == 0 else None
    began, running, epoch, packed, first = time.time() - seconds, None, 0, None, 0
    share = args.rows // args.processes
    while step < (args.stop or args.steps):
        if packed is None or (step - first + 1) * args.rows > len(packed):
            packed = rows(stories, end, 256, np.random.default_rng([args.seed, epoch, step]))
            epoch, first = epoch + 1, step
        at = (step - first) * args.rows + rank * share
        batch = torch.from_numpy(packed[at:at + share].astype(np.int64))
        lr = args.lr * min((step + 1) / args.warmup,
                           0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for g in opt.param_groups:
            g["lr"] = lr
        loss, mean = Loss.apply(model.hidden(batch[:, :-1]).flatten(0, 1), model.wte.weight,
                                batch[:, 1:].flatten(), weights(batch, end, content, args.again).flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.cat([p.grad.flatten() for p in params] + [mean.detach()[None]], out=shared[rank])
        barrier.wait()
        total = shared.mean(0)
        barrier.wait()
        i = 0
        for p in params:
            p.grad.copy_(total[i:i + p.numel()].view_as(p))
            i += p.numel()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        muon.step(model, lr)
        step += 1
        if rank:
            continue
        mean = total[-1].item()
        running = mean if running is None else 0.95 * running + 0.05 * mean
        if step % 25 == 0 or step == args.steps:
            measured = "-"
            if step % args.every == 0 or step == args.steps:
                measured = f"{held_out_loss(model, heldout, end):.4f}"
                save_bin(model, args.out + ".bin")
                torch.save({"model": model.state_dict(), "opt": opt.state_dict(), "muon": muon.state,
                            "step": step, "seconds": time.time() - began}, args.out + ".pt.tmp")
                os.replace(args.out + ".pt.tmp", args.out + ".pt")
            print(step, step * args.rows * 256, f"{running:.4f}", measured,
                  f"{time.time() - began:.0f}", file=log, flush=True)


if __name__ == "__main__":
    main()
