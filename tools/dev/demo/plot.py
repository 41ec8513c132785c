#!/usr/bin/env python3
# plot.py - the loss curve as a picture. Use:
#   plot.py DEMO.log FLOOR > loss.svg        FLOOR: the generator's entropy, nats a token

import math
import sys

W, H, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 20, 30, 50
LOW, HIGH = 0.3, 8.0  # the loss axis is logarithmic


def main():
    lines = [line.split() for line in open(sys.argv[1])]
    floor = float(sys.argv[2])
    last = int(lines[-1][0])
    x = lambda step: LEFT + (W - LEFT - RIGHT) * step / last
    y = lambda v: TOP + (H - TOP - BOTTOM) * math.log(HIGH / v) / math.log(HIGH / LOW)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{W}" height="{H}" '
           f'viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="13">',
           f'<rect width="{W}" height="{H}" fill="white"/>']
    text = lambda px, py, s, anchor="middle", color="#333": out.append(
        f'<text x="{px:.1f}" y="{py:.1f}" text-anchor="{anchor}" fill="{color}">{s}</text>')
    for v in (0.3, 0.5, 1, 2, 4, 8):
        out.append(f'<path d="M{LEFT} {y(v):.1f}H{W - RIGHT}" stroke="#ddd"/>')
        text(LEFT - 8, y(v) + 4, v, "end")
    every = 10 ** int(math.log10(last))
    every = every // 2 if last / every < 3 else every
    for step in range(0, last + 1, every):
        out.append(f'<path d="M{x(step):.1f} {TOP}V{H - BOTTOM}" stroke="#eee"/>')
        text(x(step), H - BOTTOM + 18, step)
    text((LEFT + W - RIGHT) / 2, H - 12, "step (4096 tokens each)")
    text(LEFT, 18, "loss, nats a token", "start")
    out.append(f'<path d="M{LEFT} {y(floor):.1f}H{W - RIGHT}" stroke="#333" stroke-dasharray="6 4"/>')
    text(W - RIGHT - 4, y(floor) + 15, f"generator's entropy {floor:.3f}", "end")
    train = [(int(l[0]), float(l[2])) for l in lines]
    held = [(int(l[0]), float(l[3])) for l in lines if l[3] != "-"]
    out.append('<path fill="none" stroke="#1f6fb4" stroke-width="1.5" d="M' + "L".join(
        f"{x(s):.1f} {y(v):.1f}" for s, v in train) + '"/>')
    for s, v in held:
        out.append(f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="3.5" fill="#c8501e"/>')
    text(W - RIGHT - 4, TOP + 20, "training (mean of about 20 steps)", "end", "#1f6fb4")
    text(W - RIGHT - 4, TOP + 40, f"held out, whole stories (last: {held[-1][1]:.3f})", "end", "#c8501e")
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
