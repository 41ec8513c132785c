#!/usr/bin/env python3
"""Derive the float32 constants and polynomials used for exp, tanh and erf.

Run:  python3 tools/dev/derive_poly.py > src/ops/kernels/poly.h     (or: make poly)

Python 3 and its standard library; deterministic; about a second.  It prints
poly.h: C float constants, hexadecimal, with the decimal value in a comment,
and for each polynomial the approximation error that is left after the
coefficients were rounded to float.  Rounding errors of the float evaluation
come on top of that: tests/guard/ulp.c measures the sum.

What is derived, in Decimal arithmetic of 60 digits (only the places of the
grid points come from double math.cos):

exp   n = round(x / ln 2), r = x - n ln 2, exp(x) = 2^n exp(r), |r| <= ln2/2:
          exp(r) ~= 1 + (r + r^2 Q(r))
      so Q approximates (exp(r) - 1 - r) / r^2, with error weight r^2 / u(r).
      u(r) is the ulp of a float result in r's binade: 2^-24 for r < 0, where
      exp(r) < 1, and 2^-23 for r > 0.  ln 2 is split as LN2_HI + LN2_LO, both
      float; LN2_HI is ln 2 rounded to float, and with fma the first reduction
      step x - n LN2_HI is exact.

tanh  0 <= a < TANH_SMALL:
          tanh(a) ~= a + a^3 P(a^2)
      so P approximates (tanh(a) - a) / a^3 in s = a^2, with error weight
      a^3 / ulp(tanh(a)).
      a >= TANH_SMALL: 1 - 2 / (exp(2a) + 1), a clamped to TANH_MAX.  The clamp
      must satisfy 2 / (exp(2 TANH_MAX) + 1) < 2^-25, half an ulp below 1, so
      that the float result is exactly 1 there; this is checked.

erf   0 <= a < ERF_SMALL:
          erf(a) ~= a + a P(a^2)
      so P approximates erf(a) / a - 1 in s = a^2, with error weight
      a / ulp(erf(a)).
      a >= ERF_SMALL: 1 - exp(-a + a R(a)), a clamped to ERF_MAX, so R
      approximates ln(erfc(a)) / a + 1, with error weight a erfc(a) / 2^-24.
      The clamp must satisfy erfc(ERF_MAX) < 2^-25; this is checked.

Method: weighted minimax on a dense Chebyshev grid by the exchange algorithm
(Remez): solve for the coefficients and the levelled error on m + 1 reference
points, swap in the grid point of the largest error, repeat until the levelled
error equals the largest.  Rounding is sequential: fit all coefficients, round
the lowest-order one (the one that matters most) to float and freeze it, refit
the others against what remains, and so on.  A last pass tries the neighbouring
floats of every coefficient and keeps any change that lowers the error on the
grid.
"""

import math
import struct
from decimal import Decimal, getcontext

getcontext().prec = 60  # about 199 bits

EXP_Q_DEGREE = 4        # exp: 5 coefficients, total degree 6
TANH_P_DEGREE = 4       # tanh: 5 coefficients, total degree 11
TANH_SMALL = 0.7        # branch point
TANH_MAX = 9.02         # clamp
ERF_P_DEGREE = 5        # erf: 6 coefficients, total degree 11
ERF_R_DEGREE = 6        # erfc: 7 coefficients, total degree 7
ERF_SMALL = 0.92        # branch point
ERF_MAX = 3.95          # clamp
GRID = 400

D0 = Decimal(0)
D1 = Decimal(1)
D2 = Decimal(2)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")


def to_f32(d):
    """Decimal -> nearest float32, as a Python float (round half to even)."""
    d = Decimal(d)
    if d == 0:
        return 0.0
    sign = -1 if d < 0 else 1
    m = abs(d)
    e = 0
    while m >= (1 << 24):
        m /= 2
        e += 1
    while m < (1 << 23):
        m *= 2
        e -= 1
    k = int(m.to_integral_value(rounding="ROUND_HALF_EVEN"))
    return math.ldexp(sign * k, e)      # exact: k has at most 24 bits + carry


def next_f32(f, step):
    """The float32 `step` places away from f in magnitude (f != 0)."""
    bits = struct.unpack("<I", struct.pack("<f", f))[0] + step
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def ulp_f32(y):
    """Spacing of float32 in the binade of y (normal, nonzero)."""
    return Decimal(math.ldexp(1.0, math.frexp(float(y))[1] - 24))


def c_float(f):
    """C hexadecimal float literal of a float32 value."""
    if f == 0:
        return "0x0p+0f"
    m, e = math.frexp(abs(f))           # m in [0.5, 1)
    k = int(math.ldexp(m, 24))          # 24-bit integer, top bit set
    frac = (k & 0x7FFFFF) << 1          # 23 fraction bits -> 6 hex digits
    s = "%06x" % frac
    return "%s0x1.%sp%+df" % ("-" if f < 0 else "", s, e - 1)


def shortest(f):
    """Shortest decimal that reads back as the float32 f."""
    for digits in range(1, 10):
        s = "%.*g" % (digits, f)
        if struct.pack("<f", float(s)) == struct.pack("<f", f):
            return s
    return "%.9g" % f


def cheb_grid(lo, hi, n):
    """n Chebyshev points of [lo, hi], both ends included, increasing."""
    out = []
    for i in range(n):
        c = Decimal(-math.cos(math.pi * i / (n - 1)))
        out.append((lo + hi) / 2 + (hi - lo) / 2 * c)
    out[0], out[-1] = lo, hi
    return out


def solve(a, b):
    """Solve a x = b, Gaussian elimination with partial pivoting."""
    n = len(b)
    a = [row[:] + [b[i]] for i, row in enumerate(a)]
    for i in range(n):
        p = max(range(i, n), key=lambda k: abs(a[k][i]))
        a[i], a[p] = a[p], a[i]
        for k in range(i + 1, n):
            f = a[k][i] / a[i][i]
            if f:
                for j in range(i, n + 1):
                    a[k][j] -= f * a[i][j]
    x = [D0] * n
    for i in range(n - 1, -1, -1):
        s = a[i][n]
        for j in range(i + 1, n):
            s -= a[i][j] * x[j]
        x[i] = s / a[i][i]
    return x


def poly(c, x):
    s = D0
    for k in reversed(c):
        s = s * x + k
    return s


def remez(xs, fs, ws, m):
    """Minimax fit of m coefficients to (xs, fs) with weights ws > 0."""
    n = len(xs)
    ref = [(n - 1) * i // m for i in range(m + 1)]
    for _ in range(200):
        rows, rhs = [], []
        for k, i in enumerate(ref):
            row = [D1]
            for _j in range(m - 1):
                row.append(row[-1] * xs[i])
            row.append((-1 if k & 1 else 1) / ws[i])
            rows.append(row)
            rhs.append(fs[i])
        sol = solve(rows, rhs)
        c, level = sol[:m], abs(sol[m])
        err = [(fs[i] - poly(c, xs[i])) * ws[i] for i in range(n)]
        z = max(range(n), key=lambda i: abs(err[i]))
        if abs(err[z]) <= level * Decimal("1.0001"):
            return c
        ref = exchange(ref, err, z)
    return c


def exchange(ref, err, z):
    """Put z into the reference so that the error keeps alternating."""
    def same(i, j):
        return (err[i] > 0) == (err[j] > 0)

    if z < ref[0]:
        return [z] + (ref[1:] if same(z, ref[0]) else ref[:-1])
    if z > ref[-1]:
        return (ref[:-1] if same(z, ref[-1]) else ref[1:]) + [z]
    k = max(i for i in range(len(ref)) if ref[i] <= z)
    if same(z, ref[k]):
        return ref[:k] + [z] + ref[k + 1:]
    return ref[:k + 1] + [z] + ref[k + 2:]


def max_err(c, xs, fs, ws):
    d = [Decimal(k) for k in c]
    return max(abs((f - poly(d, x)) * w) for x, f, w in zip(xs, fs, ws))


def fit_f32(xs, fs, ws, m):
    """m float32 coefficients, lowest order first; returns (coefs, error)."""
    done = []
    rest, weights = fs[:], ws[:]
    for k in range(m):
        c = remez(xs, rest, weights, m - k)
        f = to_f32(c[0])
        done.append(f)
        # (rest - f) = x * (remaining polynomial): divide, and move x to weight
        rest = [(r - Decimal(f)) / x for r, x in zip(rest, xs)]
        weights = [w * abs(x) for w, x in zip(weights, xs)]
    best = max_err(done, xs, fs, ws)
    improved = True
    while improved:
        improved = False
        for k in range(m):
            for step in (-1, 1):
                trial = done[:]
                trial[k] = next_f32(trial[k], step)
                e = max_err(trial, xs, fs, ws)
                if e < best:
                    done, best, improved = trial, e, True
    return done, best


def derive_exp(degree=EXP_Q_DEGREE):
    ln2 = D2.ln()
    # half of ln 2, plus slack for n * LOG2E rounding at |x| near 88
    half = ln2 / 2 * (1 + Decimal(2) ** -16)
    xs = cheb_grid(-half, half, GRID)    # even count: 0 is not a grid point
    fs = [(x.exp() - 1 - x) / (x * x) for x in xs]
    ws = [x * x / ulp_f32(x.exp()) for x in xs]
    return fit_f32(xs, fs, ws, degree + 1)


def tanh_d(a):
    e = (2 * a).exp()
    return (e - 1) / (e + 1)


def derive_tanh(degree=TANH_P_DEGREE, small=TANH_SMALL):
    top = Decimal(to_f32(Decimal(repr(small))))
    grid = cheb_grid(D0, top * top, GRID + 1)[1:]   # in s = a^2, without 0
    fs, ws = [], []
    for s in grid:
        a = s.sqrt()
        y = tanh_d(a)
        fs.append((y - a) / (a * s))
        ws.append(a * s / ulp_f32(y))
    return fit_f32(grid, fs, ws, degree + 1)


def erf_d(a):
    """The series of erf; for a <= 4 its terms stay below 10^7."""
    term, total, n = a, a, 0
    while abs(term) > Decimal(10) ** -50:
        n += 1
        term = -term * a * a / n
        total += term / (2 * n + 1)
    return total * 2 / PI.sqrt()


def derive_erf(degree=ERF_P_DEGREE, small=ERF_SMALL):
    top = Decimal(to_f32(Decimal(repr(small))))
    grid = cheb_grid(D0, top * top, GRID + 1)[1:]   # in s = a^2, without 0
    fs, ws = [], []
    for s in grid:
        a = s.sqrt()
        y = erf_d(a)
        fs.append(y / a - 1)
        ws.append(a / ulp_f32(y))
    return fit_f32(grid, fs, ws, degree + 1)


def derive_erfc(degree=ERF_R_DEGREE):
    low = Decimal(to_f32(Decimal(repr(ERF_SMALL))))
    grid = cheb_grid(low, Decimal(to_f32(Decimal(repr(ERF_MAX)))), GRID)
    fs, ws = [], []
    for a in grid:
        c = 1 - erf_d(a)
        fs.append(c.ln() / a + 1)
        ws.append(a * c * Decimal(2) ** 24)
    return fit_f32(grid, fs, ws, degree + 1)


HEAD = """\
/* poly.h - the constants of exp, tanh, erf and gelu, shared by all kernels.
 * Written by tools/dev/derive_poly.py (make poly); do not edit.
 *
 * Largest errors over every float of the domain, by tests/guard/ulp.c (make ulp):
 *   exp   1.009 ulp, -87.33654 <= x <= 88; below that, where the result would be subnormal, +0
 *   tanh  1.068 ulp, all x
 *   erf   1.038 ulp, all x */
#ifndef DG_OPS_POLY_H
#define DG_OPS_POLY_H

/* clang-format off */
"""

TAIL = """
/* GPT-2's gelu: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
#define GELU_SCALE %s
#define GELU_CUBIC 0.044715f

/* gelu by erf: x / 2 (1 + erf(x / sqrt(2))) */
#define GELU_ERF_SCALE %s

#endif"""


def emit(name, f, note):
    print("#define %-15s %s /* %s */" % (name, c_float(f), note))


def emit_poly(name, coefficients):
    """Highest order first, as Horner's rule takes them."""
    print("#define POLY_%s_TERMS %d" % (name.upper(), len(coefficients)))
    print("static const float poly_%s[POLY_%s_TERMS] = {" % (name, name.upper()))
    for f in reversed(coefficients):
        print("    %s, /* %s */" % (c_float(f), shortest(f)))
    print("};")


def main():
    ln2 = D2.ln()
    hi = to_f32(ln2)
    # the smallest x whose result 2^-126 <= exp(x) is still a normal float
    lo = to_f32(-126 * ln2)
    if Decimal(lo) < -126 * ln2:
        lo = next_f32(lo, -1)
    top = to_f32(Decimal(repr(TANH_MAX)))
    assert 2 / ((2 * Decimal(top)).exp() + 1) < Decimal(2) ** -25

    print(HEAD)
    print("/* n = round(x / ln 2), by adding and taking off 1.5 * 2^23; r = x - n ln 2, in two parts */")
    emit("POLY_ROUND", 12582912.0, "1.5 * 2^23")
    emit("POLY_LOG2E", to_f32(1 / ln2), "1 / ln 2")
    emit("POLY_LN2_HI", hi, "ln 2 rounded")
    emit("POLY_LN2_LO", to_f32(ln2 - Decimal(hi)), "ln 2 - POLY_LN2_HI")
    emit("POLY_EXP_MIN", lo, shortest(lo))
    c, e = derive_exp()
    print()
    print("/* exp(r) = 1 + (r + r^2 Q(r)), |r| <= ln 2 / 2; %.3f ulp before rounding */" % e)
    emit_poly("exp", c)
    c, e = derive_tanh()
    print()
    print("/* a < POLY_TANH_SMALL: tanh(a) = a + a^3 P(a^2), %.3f ulp before rounding;" % e)
    print(" * else 1 - 2 / (exp(2 a) + 1), which is 1 from POLY_TANH_MAX on */")
    emit("POLY_TANH_SMALL", to_f32(Decimal(repr(TANH_SMALL))), "0.7")
    emit("POLY_TANH_MAX", top, "9.02")
    emit_poly("tanh", c)
    top = to_f32(Decimal(repr(ERF_MAX)))
    assert 1 - erf_d(Decimal(top)) < Decimal(2) ** -25
    c, e = derive_erf()
    print()
    print("/* a < POLY_ERF_SMALL: erf(a) = a + a P(a^2), %.3f ulp before rounding;" % e)
    c2, e = derive_erfc()
    print(" * else 1 - exp(-a + a R(a)), %.3f ulp before rounding, which is 1 from POLY_ERF_MAX on */" % e)
    emit("POLY_ERF_SMALL", to_f32(Decimal(repr(ERF_SMALL))), repr(ERF_SMALL))
    emit("POLY_ERF_MAX", top, repr(ERF_MAX))
    emit_poly("erf", c)
    emit_poly("erfc", c2)
    print(TAIL % (c_float(to_f32((2 / PI).sqrt())), c_float(to_f32((1 / D2).sqrt()))))


if __name__ == "__main__":
    main()
