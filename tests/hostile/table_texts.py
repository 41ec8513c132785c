"""Prompts, texts and token ids."""
from good import golden

DEEP = 'x' * 70000


def cases(Case):
    # ---- ids ----
    bad_ids = ['-1', '2147483648', '4294967296', '18446744073709551616', '99999999999999999999999', '1e3', '0x10', '1.0', '+1', ' 1', '1 ', '', 'a', '１２',
               '1,2', '1\n2x', '\x1b[31m1', '1\u0660', '--', 'NaN', 'inf', '0b1', '1_0', '-0', "1'"]
    for i, word in enumerate(bad_ids):
        yield Case('id %s' % ascii(word), ['tokens', '-m', 'm.bin', '--', '5', word], (2, 4), '.*', {'m.bin': golden('tiny.bin')})
        yield Case('id %s from a pipe' % ascii(word), ['decode'], 4, 'token id [23]: got ', stdin=('5 ' + word + 'z').encode(), out='&"?')
    for word in ('97', '2147483647'):
        for command in ('tokens', 'next'):
            yield Case('%s %s of a model of 97' % (command, word), [command, '-m', 'm.bin', '1', word], 4, 'token id 2: got %s, expected 0 to 96' % word, {'m.bin': golden('tiny.bin')})
    yield Case('65 ids of 64 positions', ['tokens', '-m', 'm.bin', '--total', '70'] + ['1'] * 65, 4, r'm\.bin: got 70 ids', {'m.bin': golden('tiny.bin')})
    yield Case('65 ids for the next', ['next', '-m', 'm.bin'] + ['1'] * 65, 4, r'm\.bin: got 65 ids', {'m.bin': golden('tiny.bin')})
    yield Case('a total beyond the positions', ['tokens', '-m', 'm.bin', '--total', '65', '1'], 4, r'm\.bin: got 65 ids', {'m.bin': golden('tiny.bin')})
    yield Case('no ids', ['next', '-m', 'm.bin'], (2, 4), '.*', {'m.bin': golden('tiny.bin')})
    yield Case('no ids from a pipe', ['next', '-m', 'm.bin', '-'], 4, '.*', {'m.bin': golden('tiny.bin')}, stdin=b'\n \n')
    yield Case('a million ids', ['decode'], 0, None, stdin=b'1 ' * 1000000, out='.*', mib=64)
    yield Case('ids with NUL', ['decode'], 4, r'token id 2: got ', stdin=b'1 2\x003', out='"')
    yield Case('an id too large to decode', ['decode', '1000000'], 4, '.*')
    yield Case('ids of 70,000 digits', ['decode'], 4, '.*', stdin=b'1' * 70000)

    # ---- texts ----
    for label, text in {'NUL': b'a\0b', 'invalid UTF-8': b'a\xff\xfeb', 'overlong': b'\xc0\xaf\xe0\x80\xaf', 'surrogates': b'\xed\xa0\x80\xed\xb0\x80', 'cut': b'\xf0\x9f\x98',
                        'a C1 control': b'\xc2\x9b31m', 'a byte-order mark': b'\xef\xbb\xbfx', 'one byte': b'x', 'all bytes': bytes(range(256))}.items():
        yield Case('encode: ' + label, ['encode'], 0, None, stdin=text, out=r'[0-9 ]+\n')
        yield Case('complete: ' + label, ['complete', '--greedy', '-n', '1'], 0, None, stdin=text, out='.*', mib=512)
    yield Case('encode: nothing', ['encode'], 0, None, stdin=b'', out=r'\n?')
    yield Case('score: nothing', ['score'], 4, '.*', stdin=b'', mib=512)
    big = ['complete', '-f', 'big']

    def sparse(size):
        def make(folder):
            with open(folder + '/big', 'wb') as f:
                f.truncate(size)
        return make

    for size, word in ((1 << 30, '1 GiB'), (1 << 40, '1 TiB')):
        yield Case('complete: a prompt of ' + word, big, 4, r'big: got more than \d+ bytes, expected at most maxT = ', sparse(size), mib=512)
        yield Case('score: a text of ' + word, ['score', '-f', 'big'], 4, r'big: got more than \d+ bytes', sparse(size), mib=512)
        yield Case('encode: a text of ' + word, ['encode', '-f', 'big'], 4, r'big: got a word of more than \d+ bytes', sparse(size), mib=512)
    yield Case('complete: too many tokens', ['complete'], 4, '.*', stdin=b'x y ' * 2000, mib=512)
    yield Case('complete: /dev/zero', ['complete', '-f', '/dev/zero'], 4, '/dev/zero: got more than', mib=512)
    yield Case('encode: a directory', ['encode', '-f', '.'], 5, r'\.: ')
    yield Case('complete: no file', ['complete', '-f', 'none'], 5, 'none: ')
    yield Case('complete: a symlink loop', ['complete', '-f', 'loop'], 5, 'loop: ', lambda folder: __import__('os').symlink('loop', folder + '/loop'))
    for word in ('\\x', '\\xZZ', '\\q', '\\', 'a\\'):
        yield Case('escape %s' % word, ['encode', '--escapes', word], (2, 4), '.*')
    yield Case('an argument without UTF-8', ['encode', b'\xff\xfe'], 0, None, out=r'[0-9 ]+\n')
    yield Case('an argument of 70,000 bytes', ['encode', DEEP], 0, None, out=r'[0-9 ]+\n')
