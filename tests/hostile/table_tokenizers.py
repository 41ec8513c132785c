"""Tokenizers: merges, tokenizer.json, vocab.json, gpt2_tokenizer.bin. The line, or the token's id, is named."""
import json

from good import byte_letters, folder, llmc_tokens, merges, tokenizer_json

ENCODE = ['encode', '--vocab', 'v', 'ab']
DECODE = ['decode', '--vocab', 'v', '1']


def cases(Case):
    def bad(label, data, pattern, args=ENCODE, code=4, **more):
        return Case(label, args, code, r'v: ' + pattern, {'v': data}, **more)

    # ---- merges ----
    for at in (2, 50, 99):
        for label, line in {'one token': b'ab', 'three tokens': b'a b c', 'two spaces': b'a  b', 'a space alone': b' ', 'blank in front': b' a',
                            'blank behind': b'a ', 'a tab': b'a\tb', 'empty': b'', 'NUL': b'a\0 b', 'no UTF-8': b'a \xff',
                            'overlong': b'\xc1\x81 a', 'a surrogate': b'\xed\xa0\x80 a', 'beyond Unicode': b'\xf4\x90\x80\x80 a',
                            'a C1 control': b'\xc2\x9b b', 'escape': b'\x1b[31m b', 'none of GPT-2\'s characters': '\u20ac a'.encode(),
                            'a token of later': b'zzzz a', 'a fullwidth letter': '\uff41 b'.encode(), 'a long line': b'x' * 100000,
                            'a long pair': b'x' * 50000 + b' ' + b'y' * 50000}.items():
            yield bad('merges: line %d: %s' % (at, label), merges(line=line, at=at), 'line %d: ' % at)
    for label, data in {'zeros': b'\0' * 100, 'PNG': b'\x89PNG\r\n\x1a\n', 'HTML': b'<html>', 'GGUF': b'GGUF\3\0\0\0', 'zip': b'PK\3\4', 'gzip': b'\x1f\x8b\x08',
                        'LFS': b'version https://git-lfs.github.com/spec/v1\n', 'empty': b'', 'a model': b'\xc6\xd7\x34\x01' + b'\0' * 1020}.items():
        yield bad('a file of ' + label, data, 'kind of file: got ')
    yield bad('merges: a header in the middle', merges(line=b'#version: 0.2', at=5), 'line 5: ')
    yield bad('merges: CR alone', b'a b\rc d\r', 'line 1: ')

    # ---- tokenizer.json ----
    def js(label, pattern, text=None, **change):
        return bad('tokenizer.json: ' + label, tokenizer_json(**change) if text is None else text, pattern)

    expected = r'line \d+, byte \d+: got .*, expected '
    good = tokenizer_json()
    # Looking for one of them at each byte takes no time that grows with their number.
    base = max(json.loads(good)['model']['vocab'].values()) + 1
    many = dict(json.loads(good), added_tokens=[{'id': base + i, 'content': '<%d>' % i, 'special': True} for i in range(60000)])
    yield Case('60,000 special tokens that a text may begin', ['encode', '--vocab', 't.json', '--special', '-f', 'text'], 0, None,
               {'t.json': json.dumps(many).encode(), 'text': b'<' * 500000}, out='[0-9 ]*\n', mib=256)
    for label, text in {'cut': good[:-1], 'trailing': good + b'{}', 'deep': b'{"a":' + b'[' * 70000, 'a key twice': good[:-1] + b',"model":{}}',
                        'no UTF-8': good.replace(b'a b', b'a \xff'), 'a lone surrogate': good.replace(b'a b', b'a \\udc00'), 'NUL': good[:30] + b'\0' + good[30:],
                        'no model': b'{}', 'a model of null': b'{"model":null}', 'an empty model': b'{"model":{}}'}.items():
        yield js(label, r'(%s|.*token)' % expected, text)
    for key, value in (('type', 'WordPiece'), ('type', 1), ('merges', {}), ('merges', [1]), ('merges', [['a']]), ('merges', [['a', 'b', 'c']]),
                       ('merges', [[1, 2]]), ('vocab', []), ('vocab', {'a': -1}), ('vocab', {'a': 1.5}), ('vocab', {'a': 'b'}), ('vocab', {'a': 2**64}),
                       ('continuing_subword_prefix', '##'), ('end_of_word_suffix', '</w>'), ('byte_fallback', True), ('ignore_merges', True)):
        yield js('%s: %s' % (key, str(value)[:20]), r'(%s|.*(merge|token))' % expected, parts={key: value})
    for label, merge in {'of one': 'ab', 'of three': 'a b c', 'empty': '', 'unknown': 'zz yy', 'that makes no token': 'a z', 'twice': 'a b'}.items():
        more = ['a b', 'c d', merge]
        if label == 'twice':
            continue
        yield js('a merge ' + label, '.*(merge|token)', parts={'merges': more})
    vocab = {c: i for i, c in enumerate(byte_letters())}
    for label, change in {'an id twice': {'ab': 256, 'cd': 256}, 'a gap': {'ab': 256, 'cd': 300}, 'a huge id': {'ab': 256, 'cd': 2**31}, 'an id too large': {'ab': 256, 'cd': 2**24},
                          'no byte for !': {'!': ..., 'ab': 256, 'cd': 257}, 'a token too few': {'ab': 256}}.items():
        v = dict(vocab, **change)
        yield js('vocab: ' + label, '.*(token|id)', parts={'vocab': {k: x for k, x in v.items() if x is not ...}})
    for key, value in (('normalizer', {'type': 'NFC'}), ('pre_tokenizer', {'type': 'Whitespace'}), ('pre_tokenizer', None), ('pre_tokenizer', {'type': 'Sequence', 'pretokenizers': []}), ('pre_tokenizer', {'type': 'ByteLevel', 'add_prefix_space': True}),
                       ('pre_tokenizer', {'type': 'ByteLevel', 'use_regex': False}), ('added_tokens', [{}]), ('added_tokens', [{'id': 1}]), ('added_tokens', [1]),
                       ('added_tokens', [{'id': -1, 'content': 'x'}]), ('added_tokens', [{'id': 258, 'content': 'x', 'lstrip': True}]), ('added_tokens', {}),
                       ('added_tokens', [{'id': 5, 'content': 'x'}]), ('model', 'BPE'), ('model', [])):
        yield js('%s: %s' % (key, str(value)[:50]), r'(%s|.*token)' % expected, **{key: value})

    # ---- gpt2_tokenizer.bin ----
    def llmc(label, pattern, **change):
        return bad('gpt2_tokenizer.bin: ' + label, llmc_tokens(**change), pattern, DECODE)

    for version in (0, 3, -1, 2**31 - 1):
        yield llmc('version %d' % version, 'version: got', version=version)
    for n in (0, 1, 256, -1, -2**31, 2**31 - 1, (1 << 24) + 1):
        yield llmc('%d tokens' % n, 'tokens: got', n=n)
    for n in (257, 258, 260, 300, 1000000):
        yield llmc('%d tokens claimed' % n, '.*(size|token)', n=n, end=256)
    for end in (259, -1, 2**31 - 1):
        yield llmc('end is %d' % end, 'id of the end of a text: got', end=end)
    for cut in (3, 4, 15, 1023, 1024, 1025, 1500, 1550):
        yield llmc('%d bytes' % cut, '(size: got|line 1: got|token id \\d+: |tokens: |kind of file)', cut=cut)
    bytes_ = [bytes([b]) for b in range(256)]
    for label, tokens in {'an empty token': bytes_ + [b'', b'x'], 'a byte twice': bytes_[:255] + [b'a', b'ab', b'x'], 'a token twice': bytes_ + [b'ab', b'ab', b'x'],
                          'a token of three': bytes_ + [b'abc', b'x'], 'no byte z': [b for b in bytes_ if b != b'z'] + [b'ab', b'cd', b'x']}.items():
        yield llmc(label, '.*(token|byte)', tokens=tokens)
    yield llmc('bytes behind', 'size: got 3 bytes behind the last token', tail=b'abc')

    # ---- vocab.json beside merges ----
    def vocab_json(label, text, pattern):
        return Case('vocab.json: ' + label, ['encode', '-m', 'm', 'x'], 4, r'm/+vocab\.json: ' + pattern,
                    folder(merges=b'a b\n', vocab=text))

    for label, text in {'empty': b'', 'an array': b'[]', 'cut': b'{"a":', 'negative': b'{"a":-1}', 'twice': b'{"a":64,"a":64}', 'other ids': b'{"a":1}', 'unknown': b'{"zz":1}',
                        'too few': b'{}', 'no UTF-8': b'{"\xff":1}', 'text': b'x', 'deep': b'{"a":' + b'[' * 40000}.items():
        yield vocab_json(label, text, '.*')
