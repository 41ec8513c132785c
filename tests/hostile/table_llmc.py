"""llm.c checkpoints: each field of the header, the size of the file, and weights that are no numbers."""
from good import TINY, f32, golden, i32, layers, llmc, patched, sections

INT_MIN, INT_MAX = -2**31, 2**31 - 1
CAPS = {'maxT': 1 << 24, 'V': 1 << 26, 'L': 1 << 14, 'NH': 1 << 20, 'C': 1 << 20}
COMMANDS = [['info', '-m', 'm.bin'], ['tokens', '-m', 'm.bin', '1'], ['next', '-m', 'm.bin', '1'],
            ['graph', '-m', 'm.bin'], ['bench', '--quick', '-m', 'm.bin'], ['complete', '-m', 'm.bin', 'x'],
            ['score', '-m', 'm.bin', 'x'], ['encode', '-m', 'm.bin', 'x']]


def cases(Case):
    n = [0]

    def bad(label, data, pattern, args=None, code=3, **more):
        n[0] += 1
        return Case(label, args or COMMANDS[n[0] % len(COMMANDS)], code, r'm\.bin: ' + pattern, {'m.bin': data}, **more)

    # ---- the header ----
    for field, cap in CAPS.items():
        for value in (0, -1, INT_MIN, INT_MAX, cap + 1):
            yield bad('%s = %d' % (field, value), llmc(**{field: value}), '%s: got %d, expected 1 to %d' % (field, value, cap))
    for value in (0, 2, 4, 6, -1, INT_MIN, INT_MAX):
        yield bad('version = %d' % value, llmc(version=value), 'version: got %d, expected ' % value)
    for value in (0, 96, -1, INT_MIN, INT_MAX, 1 << 27):
        yield bad('Vp = %d' % value, llmc('padded', Vp=value), 'Vp: got %d, expected ' % value)
    for value in (0, -1, 20240325, 20240329, INT_MIN):
        yield bad('magic = %d' % value, llmc(magic=value), '(magic number: got %d|kind of file: got )' % value)
    yield bad('swapped bytes', patched(llmc(), {0: b'\x01\x34\xd7\xc6'}), 'kind of file: got an llm.c checkpoint with its bytes swapped')
    yield bad('NH does not divide C', llmc(NH=3), 'NH: got 3, expected a divisor of C = 16')
    for field in ('maxT', 'V', 'L', 'C'):
        yield bad('%s one more' % field, llmc(**{field: {'maxT': 65, 'V': 98, 'L': 3, 'C': 18}[field]}), 'size: got 37696 bytes, expected ')
    # products that overflow 31, 32 and 64 bits
    for label, fields in {
            '31 bits: V * C': dict(V=1 << 16, C=1 << 15), '32 bits: V * C': dict(V=1 << 16, C=1 << 16),
            '33 bits: maxT * C': dict(maxT=1 << 17, C=1 << 16), '64 bits: L * 4C * C': dict(L=1 << 14, C=1 << 20, NH=1),
            'all caps': CAPS, '32 bits: a tensor of 4 GiB': dict(V=1 << 26, C=16),
            '31 bits: 4C * C floats': dict(C=1 << 14, NH=1)}.items():
        yield bad(label, llmc(**fields), '(size: got 37696 bytes, expected |sizes: got more weights than)')
    yield bad('16,384 layers', llmc(L=1 << 14), 'size: got 37696 bytes, expected ')

    # ---- the size of the file ----
    for size in (0, 1, 3, 4, 31, 1020, 1023, 1024):
        yield bad('%d bytes' % size, llmc(size=size), '(size: got %d bytes, expected |kind of file: got )' % size)
    for name, at, count in sections(**TINY):
        for off in (-1, 0, 1) if at else (1,):
            yield bad('cut at %s %+d' % (name, off), llmc(size=1024 + 4 * at + off),
                      'size: got %d bytes, expected 37696' % (1024 + 4 * at + off))
    for label, add in {'a byte more': b'\0', 'a float more': f32(1), 'a file behind': golden('tiny.bin')}.items():
        yield bad(label, llmc(add=add), 'size: got %d bytes, expected 37696' % (37696 + len(add)))
    yield bad('version 1 is 3', llmc(version=3, Vp=97 + 31), 'size: got 37696 bytes, expected .*')
    yield bad('version 3 is 1', llmc('padded', version=1), 'size: got 173248 bytes, expected .*version 3')
    yield bad('version 5 is 3', llmc('bf16', version=3), 'size: got 87136 bytes, expected .*version 5')

    # ---- weights ----
    # The last element of each tensor, of the first layer and the last, as the model calls it.
    used = {'wte': 'wte', 'wpe': 'wpe'}
    for name, at, count in sections(**TINY):
        for word, value in (('nan', float('nan')), ('inf', float('inf')), ('-inf', float('-inf'))):
            for where, index in (('first', at), ('last', at + count - 1)):
                if (word == '-inf') != (where == 'last'):
                    continue
                tensor = r'(h\d\.)?[a-z0-9.]+' if name not in used else used[name]
                yield bad('%s %s of %s' % (word, where, name), llmc(floats={index: value}),
                          r'%s: row \d+, column \d+: got -?%s, expected a finite number' % (tensor, word.lstrip('-')),
                          ['tokens', '-m', 'm.bin', '1', '2'], mib=256)
    for version, of, raw in ((5, 'bf16', b'\xc0\x7f'), (5, 'bf16', b'\x80\xff')):
        yield bad('bf16 %s' % raw.hex(), patched(golden(of + '.bin'), {1024: raw}),
                  r'wte: row 0, column 0: got -?(nan|inf), expected a finite number', ['next', '-m', 'm.bin', '0'], mib=256)
    yield bad('the third column of the fifth row of wte', llmc(floats={4 * 16 + 2: float('nan')}),
              'wte: row 4, column 2: got nan, expected a finite number', ['tokens', '-m', 'm.bin', '1'], mib=256)
    yield bad('v of the second layer',
              llmc(floats={97 * 16 + 64 * 16 + 2 * 32 + 3 * 256 + 2 * 256 + 16 * 3 + 5: float('inf')}),
              r'h1\.v\.weight: row 3, column 5: got inf, expected a finite number', ['tokens', '-m', 'm.bin', '1'], mib=256)
    yield bad('a row that the prompt does not use', llmc(floats={97 * 16 + 63 * 16: float('nan')}),
              'wpe: row 63, column 0: got nan, expected a finite number', ['tokens', '-m', 'm.bin', '1'], mib=256)
    for name, at, count in sections(**TINY):
        if name in ('lnf.gain', 'lnf.bias', 'wte', 'fcproj.weight'):
            yield bad('%s overflows' % name, llmc(floats={i: 3e38 * (1 if i % 3 else -1) for i in range(at, at + count)}),
                      r"op '?[a-z0-9.]+'?: ", ['tokens', '-m', 'm.bin', '1', '2'], mib=256)

    # ---- as many layers as there may be: each command is done in seconds ----
    many = layers(1 << 14)
    for args, out in ((['info'], '.*16384.*'), (['graph'], 'digraph.*'), (['graph', '--check'], '147459 tiles.*'),
                      (['graph', '--tiles', '--all', '-o', '/dev/null'], ''),
                      (['next', '-j', '1', '0'], '.*'), (['tokens', '-j', '1', '--total', '3', '0'], '.*')):
        yield Case('16,384 layers: %s' % ' '.join(args), args[:1] + ['-m', 'm.bin'] + args[1:], 0, None, many, out=out, mib=2048)
    for name, says in (('x.bin', None), ('x.gguf', '.*'), ('x', '.*')):
        yield Case('16,384 layers to %s' % name, ['convert', 'm.bin', name], 0, says, many, mib=64)
    yield Case('16,384 layers to x.dagpt', ['convert', 'm.bin', 'x.dagpt'], 3, r'm\.bin: ' 'sizes: got weights of [0-9]+ bytes, packed in pages [0-9]+, expected at most 16 times as many', many, mib=64)

    # ---- places ----
    yield Case('a name with escapes', ['info', '-m', 'a\x1b[31m\nb\udc9b.bin'], 3, r'a\?\[31m\?b\?\.bin: cannot open: ')
