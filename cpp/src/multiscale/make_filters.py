"""Computes the wavelet filters in 100 digits and writes filters.cpp. Run it by hand: python make_filters.py

Daubechies, symlets: spectral factors of the half-band polynomial (I. Daubechies, "Ten Lectures on Wavelets",
1992). Coiflets: solved for (same book, chapter 8). Biorthogonal: spline and factored banks (A. Cohen,
I. Daubechies, J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992). Needs mpmath.
"""

from __future__ import annotations

from pathlib import Path

from mpmath import mp, mpc, mpf

mp.dps = 100
ROOT2 = mp.sqrt(2)

#: Which pairs of roots of a symlet lie outside the unit circle, in the order of the real parts of those
#: inside: one of many choices of a nearly linear phase; this one is customary.
SYMLETS = """2:0 3:0 4:10 5:01 6:101 7:001 8:1010 9:0110 10:10101 11:00110 12:010101 13:011100 14:0101100
15:0011100 16:01011001 17:10001110 18:101001101 19:001110100 20:0101100101"""

#: Where the search for the coiflets starts.
COIFLETS = {
    1: [-0.0727, 0.3379, 0.8526, 0.3849, -0.0727, -0.0157],
    2: [0.0164, -0.0415, -0.0674, 0.3861, 0.8127, 0.417, -0.0765, -0.0594, 0.0237, 0.0056, -0.0018, -0.0007],
    3: [-0.0038, 0.0078, 0.0235, -0.0658, -0.0611, 0.4052, 0.7938, 0.4285, -0.0718, -0.0823, 0.0346, 0.0159,
        -0.009, -0.0026, 0.0011, 0.0005, -0.0001, 0],
    4: [0.0009, -0.0016, -0.0073, 0.0161, 0.0267, -0.0813, -0.0561, 0.4153, 0.7822, 0.4344, -0.0666, -0.0962,
        0.0393, 0.0251, -0.0152, -0.0057, 0.0038, 0.0013, -0.0006, -0.0003, 0.0001, 0, 0, 0],
    5: [-0.000212, 0.000359, 0.002178, -0.004159, -0.010132, 0.023408, 0.02817, -0.091922,
        -0.052047, 0.421571, 0.774294, 0.437982, -0.062038, -0.105563, 0.041288, 0.032675,
        -0.019758, -0.00916, 0.006762, 0.002432, -0.001662, -0.000638, 0.000302, 0.00014,
        -4.1e-05, -2.1e-05, 4e-06, 2e-06, 0, 0],
}  # fmt: skip

SPLINES = [(1, 1), (1, 3), (1, 5), (2, 2), (2, 4), (2, 6), (2, 8), (3, 1), (3, 3), (3, 5), (3, 7), (3, 9)]

Poly = list  # coefficients, highest power first


def multiply(p: Poly, q: Poly) -> Poly:
    out = [mpf(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return out


def power(p: Poly, n: int) -> Poly:
    out: Poly = [mpf(1)]
    for _ in range(n):
        out = multiply(out, p)
    return out


def normalised(p: Poly) -> Poly:
    real = [mp.re(x) for x in p]
    total = sum(real)
    return [x * ROOT2 / total for x in real]


def half_band_roots(n: int) -> list:
    """Roots of sum_k C(n - 1 + k, k) y^k, k < n."""
    if n == 1:
        return []
    coefficients = [mp.binomial(n - 1 + k, k) for k in range(n)]
    return mp.polyroots(coefficients[::-1], maxsteps=2000, extraprec=3000)


def inside(y: mpc) -> mpc:
    """The z within the unit circle with z + 1/z = 2 (1 - 2 y)."""
    b = 1 - 2 * y
    root = mp.sqrt(b * b - 1)
    return min((b + root, b - root), key=abs)


def from_roots(n: int, roots: list) -> Poly:
    p = power([mpf(1), mpf(1)], n)
    for z in roots:
        p = multiply(p, [mpf(1), -z])
    return normalised(p)


def daubechies(n: int) -> Poly:
    return from_roots(n, [inside(y) for y in half_band_roots(n)])


def symlet(n: int, bits: str) -> Poly:
    groups: list[list] = []
    for z in (inside(y) for y in half_band_roots(n)):
        if abs(mp.im(z)) < mpf(10) ** -40:
            groups.append([mp.re(z)])
        elif mp.im(z) > 0:
            groups.append([z, mp.conj(z)])
    groups.sort(key=lambda g: mp.re(g[0]))
    assert len(groups) == len(bits)
    return from_roots(n, [1 / z if bit == "1" else z for g, bit in zip(groups, bits, strict=True) for z in g])


def coiflet(k: int) -> Poly:
    size, centre = 6 * k, 2 * k
    h = mp.matrix([mpf(x) for x in COIFLETS[k]])
    for _ in range(60):
        rows, values = [], []
        for m in range(3 * k):
            rows.append([
                (h[i + 2 * m] if i + 2 * m < size else 0) + (h[i - 2 * m] if i - 2 * m >= 0 else 0)
                for i in range(size)
            ])  # fmt: skip
            values.append(sum(h[i] * h[i + 2 * m] for i in range(size - 2 * m)) - (m == 0))
        for sign, first in ((-1, 0), (1, 1)):
            for j in range(first, 2 * k):
                row = [mpf(sign) ** i * mpf(i - centre) ** j for i in range(size)]
                rows.append(row)
                values.append(sum(a * b for a, b in zip(row, h, strict=True)))
        rows.append([mpf(1)] * size)
        values.append(sum(h) - ROOT2)
        jacobian = mp.matrix(rows)
        normal = jacobian.T * jacobian
        for i in range(size):  # some of the equations follow from the others
            normal[i, i] += mpf(10) ** -50
        step = mp.lu_solve(normal, jacobian.T * mp.matrix(values))
        h -= step
        if max(abs(x) for x in step) < mpf(10) ** -45:
            return list(h)
    raise ArithmeticError(f"coif{k} did not converge")


def spline(nr: int, nd: int) -> tuple[Poly, Poly]:
    """dec_lo and rec_lo."""
    half = [mpf(1) / 2, mpf(1) / 2]
    rec = [ROOT2 * x for x in power(half, nr)]
    k = (nr + nd) // 2
    # sum over j < k of C(k - 1 + j, j) ((2 - z - 1/z) / 4)^j, times z^(k - 1)
    tail: Poly = [mpf(0)] * (2 * k - 1)
    for j in range(k):
        term = [mp.binomial(k - 1 + j, j) * x for x in power([mpf(-1) / 4, mpf(1) / 2, mpf(-1) / 4], j)]
        for i, x in enumerate(term):
            tail[k - 1 - j + i] += x
    dec = [ROOT2 * x for x in multiply(power(half, nd), tail)]
    size = max(len(dec), len(rec))
    size += size % 2
    at_rec, at_dec = ((size - nr - 1) // 2, 0) if nr % 2 else (size // 2 - 2, 1)
    return padded(dec, at_dec, size), padded(rec, at_rec, size)


def padded(p: Poly, first: int, size: int) -> Poly:
    return [mpf(0)] * first + list(p) + [mpf(0)] * (size - first - len(p))


def factored(n: int, zeros: tuple[int, int], of_dec) -> tuple[Poly, Poly]:
    """Roots of the half-band polynomial given to dec where of_dec(y), else to rec."""
    dec, rec = (power([mpf(1), mpf(1)], z) for z in zeros)
    for y in half_band_roots(n):
        pair = [mpf(1), -2 * (1 - 2 * y), mpf(1)]
        if of_dec(y):
            dec = multiply(dec, pair)
        else:
            rec = multiply(rec, pair)
    return normalised(dec), normalised(rec)


def near(y: mpc, real: float, imaginary: float) -> bool:
    return abs(mp.re(y) - real) < 0.02 and abs(abs(mp.im(y)) - imaginary) < 0.02


def centred(dec: Poly, rec: Poly, shift: tuple[int, int]) -> tuple[Poly, Poly]:
    size = max(len(dec), len(rec))
    size += size % 2
    return padded(dec, shift[0], size), padded(rec, shift[1], size)


def banks() -> dict[str, tuple[Poly, Poly]]:
    """dec_lo and rec_lo by name; the high-pass filters follow from them."""
    out: dict[str, tuple[Poly, Poly]] = {}

    def orthogonal(name: str, rec: Poly) -> None:
        out[name] = rec[::-1], rec

    for n in range(1, 39):
        orthogonal(f"db{n}", daubechies(n))
    for item in SYMLETS.split():
        n, bits = item.split(":")
        orthogonal(f"sym{n}", symlet(int(n), bits))
    for k in COIFLETS:
        orthogonal(f"coif{k}", coiflet(k))
    for nr, nd in SPLINES:
        out[f"bior{nr}.{nd}"] = spline(nr, nd)
    real = lambda y: abs(mp.im(y)) < mpf(10) ** -40  # noqa: E731
    out["bior4.4"] = centred(*factored(4, (4, 4), lambda y: not real(y)), (1, 1))
    out["bior5.5"] = centred(*factored(5, (4, 6), lambda y: near(y, 0.025, 0.372)), (2, 0))
    out["bior6.8"] = centred(
        *factored(7, (8, 6), lambda y: near(y, -0.267, 0.107) or near(y, 0.141, 0.342)), (1, 3)
    )
    return out


def main() -> None:
    lines = [
        "// Written by make_filters.py: do not edit.",
        '#include "filters.hpp"',
        "",
        "namespace lapwing::multiscale {",
        "namespace {",
        "// clang-format off",
        "constexpr double numbers[] = {",
    ]
    entries, at = [], 0
    for name, (dec, rec) in banks().items():
        lines += ["  " + ", ".join(float(x).hex() if x else "0" for x in p) + "," for p in (dec, rec)]
        entries.append(f'  {{"{name}", {len(dec)}, numbers + {at}, numbers + {at + len(dec)}}},')
        at += 2 * len(dec)
    lines += [
        "};",
        "constexpr stored_bank banks[] = {",
        *entries,
        "};",
        "// clang-format on",
        "}  // namespace",
    ]
    lines += ["", "std::span<const stored_bank> stored_banks() { return banks; }", ""]
    lines += ["}  // namespace lapwing::multiscale", ""]
    (Path(__file__).parent / "filters.cpp").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
