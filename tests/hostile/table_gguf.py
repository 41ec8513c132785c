"""GGUF files: counts, keys, types and values, tensors and their places, the tokenizer in them."""
import struct

from good import gguf

COMMANDS = [['info', '-m', 'm.gguf'], ['tokens', '-m', 'm.gguf', '1'], ['graph', '-m', 'm.gguf'], ['next', '-m', 'm.gguf', '1']]
SIZES = {'gpt2.context_length': 1 << 24, 'gpt2.embedding_length': 1 << 20, 'gpt2.block_count': 1 << 14, 'gpt2.attention.head_count': 1 << 20}


def cases(Case):
    n = [0]

    def bad(label, data, pattern, args=None, code=3, **more):
        n[0] += 1
        return Case(label, args or COMMANDS[n[0] % len(COMMANDS)], code, r'm\.gguf: ' + pattern, {'m.gguf': data}, **more)

    for key, cap in SIZES.items():
        for value in (0, cap + 1, 2**32 - 1):
            yield bad('%s = %d' % (key, value), gguf({key: ('u32', value)}), '%s: got %d, expected' % (key, value))
        for value in (-1, -2**31):
            yield bad('%s = %d' % (key, value), gguf({key: ('i32', value)}), '%s: got a negative number' % key)
        yield bad('%s = 2^64 - 1' % key, gguf({key: ('u64', 2**64 - 1)}), '%s: got 18446744073709551615, expected' % key)
        yield bad('%s is a string' % key, gguf({key: ('str', '12')}), '%s: got string, expected an integer' % key)
        yield bad('%s is a float' % key, gguf({key: ('f32', 12.0)}), '%s: got float32, expected an integer' % key)
        yield bad('no %s' % key, gguf({key: ...}), '%s: got 0, expected' % key)
        yield bad('%s twice' % key, gguf(twice=key), '%s: got the key twice' % key)
    for version in (0, 1, 4, 0x03000000, 0x02000000, 2**32 - 1):
        yield bad('version %d' % version, gguf(version=version), 'version: got %d' % version)
    for label, counts in {'a tensor more': (29, None), 'a tensor fewer': (27, None), 'no tensors': (0, None), '2^64 - 1 tensors': (2**64 - 1, None),
                          '2^32 tensors': (2**32, None), 'a pair more': (None, 24), 'no pairs': (None, 0), '2^64 - 1 pairs': (None, 2**64 - 1),
                          '2^63 pairs': (None, 2**63)}.items():
        yield bad(label, gguf(counts=counts), '.*(expected|got)')
    for key, type_, value, pattern in (
            ('general.architecture', 'str', 'llama', "general.architecture: got 'llama', expected gpt2"),
            ('general.architecture', 'str', '', "general.architecture: got '', expected gpt2"),
            ('general.architecture', 'str', 'x' * 500, 'general.architecture: got '),
            ('general.architecture', 'str', b'g\x1b[31mpt\xff2', r"general.architecture: got 'g\?\[31mpt\?2'"),
            ('general.architecture', 'u32', 1, 'general.architecture: got uint32, expected a string'),
            ('general.alignment', 'u32', 0, 'general.alignment: got 0'), ('general.alignment', 'u32', 7, 'general.alignment: got 7'),
            ('general.alignment', 'u32', 2**31, 'general.alignment: got 2147483648'), ('general.alignment', 'i8', -8, 'general.alignment: got a neg'),
            ('general.alignment', 'u64', 2**64 - 8, 'general.alignment: got '),
            ('split.count', 'u16', 2, 'split.count: got 2'),
            ('gpt2.attention.layer_norm_epsilon', 'f32', 0.0, '.*epsilon: got 0'),
            ('gpt2.attention.layer_norm_epsilon', 'f32', -1.0, '.*epsilon: got -1'),
            ('gpt2.attention.layer_norm_epsilon', 'f32', float('nan'), '.*epsilon: got -?nan'),
            ('gpt2.attention.layer_norm_epsilon', 'f64', float('inf'), '.*epsilon: got inf'),
            ('gpt2.attention.layer_norm_epsilon', 'u32', 1, '.*epsilon: got uint32, expected a number'),
            ('gpt2.feed_forward_length', 'u32', 255, 'gpt2.feed_forward_length: got 255, expected 256'),
            ('gpt2.attention.head_count_kv', 'u32', 2, 'gpt2.attention.head_count_kv: got 2, expected 4'),
            ('gpt2.attention.head_count', 'u32', 3, 'NH: got 3, expected a divisor of C = 64'),
            ('gpt2.vocab_size', 'u32', 1010, 'gpt2.vocab_size: got 1010, expected 1009'),
            ('gpt2.embedding_length', 'u32', 32, ".*(expected|got)"), ('gpt2.block_count', 'u32', 1, ".*(expected|got)"),
            ('gpt2.block_count', 'u32', 3, '.*(expected|got)'), ('gpt2.context_length', 'u32', 129, '.*(expected|got)'),
            ('tokenizer.ggml.tokens', 'u32', 1, 'tokenizer.ggml.tokens: got uint32, expected an array'),
            ('tokenizer.ggml.tokens', 'arr', ('u32', [1, 2]), 'tokenizer.ggml.tokens: got an array of uint32, expected one of string'),
            ('tokenizer.ggml.merges', 'arr', ('u8', [1]), 'tokenizer.ggml.merges: got an array of uint8'),
            ('tokenizer.ggml.token_type', 'arr', ('str', ['a']), 'tokenizer.ggml.token_type: got an array of string'),
            ('tokenizer.ggml.model', 'u8', 1, 'tokenizer.ggml.model: got uint8, expected a string'),
            ('tokenizer.ggml.bos_token_id', 'i64', -1, 'tokenizer.ggml.bos_token_id: got a negative number'),
            ('tokenizer.ggml.eos_token_id', 'str', 'x', 'tokenizer.ggml.eos_token_id: got string'),
            ('x', 13, b'', 'x: type: got 13'), ('x', 2**32 - 1, b'', 'x: type: got 4294967295'),
            ('x', 'arr', struct.pack('<IQ', 13, 1), 'x: type of elements: got 13'),
            ('x', 'arr', struct.pack('<IQ', 0, 2**64 - 1), '.*end of the file'), ('x', 'arr', struct.pack('<IQ', 10, 2**61), '.*end of the file'),
            ('x', 'arr', struct.pack('<IQ', 8, 2**60), '.*(expected|end of the file)'),
            ('x', 'arr', struct.pack('<IQ', 9, 1) * 20, '.*(expected|got)'), ('x', 'arr', struct.pack('<IQ', 12, 2**63), '.*end of the file'),
            ('x', 'arr', struct.pack('<IQ', 11, 2**60), '.*end of the file')):
        yield bad('%s: %s %s' % (key, type_, repr(value)[:30]), gguf({key: (type_, value)}), pattern)
    for label, key in {'an empty key': '', 'a key of 65,536 bytes': 'x' * 65536, 'a key of 70,000 bytes': 'k' * 70000}.items():
        yield bad(label, gguf({key: ('u8', 1)}), r'byte \d+: length of a key: got ')
    for tensor, change, pattern in (
            ('token_embd.weight', {'dims': []}, 'dimensions: got 0'), ('token_embd.weight', {'dims': [1] * 5}, 'dimensions: got 5'),
            ('token_embd.weight', {'dims': [64, 0]}, ''), ('token_embd.weight', {'dims': [0, 1009]}, ''), ('token_embd.weight', {'dims': [64, 2**63]}, ''),
            ('token_embd.weight', {'dims': [2**32, 2**32]}, ''), ('token_embd.weight', {'dims': [1009, 64]}, ''),
            ('token_embd.weight', {'dims': [64, 1008]}, ''), ('token_embd.weight', {'dims': [64576]}, ''), ('token_embd.weight', {'type': 2}, 'got Q4_0'),
            ('token_embd.weight', {'type': 99}, 'got an unknown type'), ('token_embd.weight', {'type': 2**32 - 1}, 'got an unknown'),
            ('token_embd.weight', {'type': 24}, 'got I8'), ('blk.0.attn_norm.weight', {'type': 8}, 'got Q8_0'),
            ('token_embd.weight', {'offset': 1}, ''), ('token_embd.weight', {'offset': 2**63}, ''), ('token_embd.weight', {'offset': 2**64 - 32}, ''),
            ('blk.1.ffn_up.weight', {'offset': 0}, ''), ('blk.1.ffn_up.weight', {'name': 'blk.2.ffn_up.weight'}, ''),
            ('blk.1.ffn_up.weight', {'name': 'blk.-1.ffn_up.weight'}, ''), ('blk.1.ffn_up.weight', {'name': 'blk.0.ffn_up.weight'}, ''),
            ('blk.1.ffn_up.weight', {'name': ''}, ''), ('blk.1.ffn_up.weight', {'name': 'x' * 1000}, ''), ('blk.1.ffn_up.weight', {'name': 'a\x1b]0;b\x07'}, ''),
            ('blk.1.ffn_up.bias', {'dims': [257]}, ''), ('output_norm.weight', {'dims': [8, 8]}, '')):
        yield bad('%s: %s' % (tensor, str(change)[:40]), gguf(tensors={tensor: change}), '.*' + pattern if pattern else '.*(expected|got)')
    for tensor in ('token_embd.weight', 'position_embd.weight', 'blk.0.attn_qkv.weight', 'output_norm.bias'):
        yield bad('without ' + tensor, gguf(tensors={tensor: ...}), '.*(expected|got)')
    yield bad('another tensor', gguf(tensors={'rope.freqs': {'dims': [1], 'offset': 2**40}}), '.*(expected|got)')
    whole = gguf()
    for size in (4, 7, 8, 16, 23, 24, 25, 100, 1000, 30000, len(whole) // 2, len(whole) - 4096, len(whole) - 33):
        yield bad('%d bytes' % size, whole[:size], '.*(expected|got)')
    for tail in (b'\0' * 4096, b'x', b'GGUF'):
        yield bad('%d bytes more' % len(tail), gguf(tail=tail), '.*size: got')
    yield bad('a damaged last weight', whole[:-4] + b'\0\0\xc0\xff', r'.*row \d+, column \d+: got -?nan', ['tokens', '-m', 'm.gguf', '1'], mib=256)

    # ---- the tokenizer in it ----
    texts = ['encode', '-m', 'm.gguf', 'x']

    def words(label, pairs, pattern):
        return bad('tokenizer: ' + label, gguf(pairs), pattern, texts, code=4)

    yield words('another model', {'tokenizer.ggml.model': ('str', 'llama')}, "tokenizer.ggml.model: got 'llama', expected gpt2")
    yield words('another split', {'tokenizer.ggml.pre': ('str', 'qwen2')}, "tokenizer.ggml.pre: got 'qwen2'")
    yield words('no merges', {'tokenizer.ggml.merges': ...}, 'tokenizer.ggml.merges: got none')
    yield words('too few types', {'tokenizer.ggml.token_type': ('arr', ('i32', [1]))}, 'tokenizer.ggml.token_type: got 1, expected')
    for label, merges in {'of one token': ['ab'], 'with two spaces': ['a b c'], 'of nothing': [''], 'of a space': [' '], 'of three bytes': ['\u20ac b'],
                          'with a blank in front': [' a'], 'of tokens that are not there': ['zzz yyy'], 'that makes none of the tokens': ['\u0100 \u0101']}.items():
        yield words('a merge ' + label, {'tokenizer.ggml.merges': ('arr', ('str', merges))}, '.*(merge|token)')
    for label, tokens in {'no tokens': [], 'one token': ['a'], 'twice the same': ['a'] * 1009, 'empty ones': [''] * 1009}.items():
        yield words(label, {'tokenizer.ggml.tokens': ('arr', ('str', tokens)), 'tokenizer.ggml.token_type': ...}, '.*')
    yield Case('no tokenizer', texts, 4, r'm\.gguf: no merges\.txt, ', {'m.gguf': gguf({k: ... for k in (
        'tokenizer.ggml.tokens', 'tokenizer.ggml.merges', 'tokenizer.ggml.token_type', 'tokenizer.ggml.model', 'tokenizer.ggml.pre')})})
