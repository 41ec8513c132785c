"""Hugging Face folders: config.json, the header and the data of safetensors, the index of several files."""
import json

from good import config, folder, golden, join_safetensors, patched, safetensors, shards, tensor_place, u64

COMMANDS = [['info', '-m', 'm'], ['tokens', '-m', 'm', '1'], ['graph', '-m', 'm'], ['next', '-m', 'm/', '1']]
WTE = 'wte.weight'


def cases(Case):
    n = [0]

    def bad(label, files, pattern, args=None, code=3, **more):
        n[0] += 1
        return Case(label, args or COMMANDS[n[0] % len(COMMANDS)], code, pattern, files, **more)

    def in_config(label, pattern, text=None, **changes):
        return bad('config: ' + label, folder(config=config(**changes) if text is None else text), r'm/+config\.json: ' + pattern)

    # ---- config.json ----
    caps = {'n_positions': 1 << 24, 'vocab_size': 1 << 26, 'n_layer': 1 << 14, 'n_head': 1 << 20, 'n_embd': 1 << 20}
    for key, cap in caps.items():
        for value in (0, -1, -2**31, cap + 1, 2**31, 2**32, 2**64, 1e3 + .5, '12', None, True, [1], {}):
            yield in_config('%s = %r' % (key, value), r'line \d+, byte \d+: got .*, expected ', **{key: value})
        yield in_config('no ' + key, key + ': got none, expected a size', **{key: ...})
    for key, value in (('model_type', 'llama'), ('model_type', 1), ('model_type', ''), ('architectures', ['LlamaForCausalLM']),
                       ('architectures', 'GPT2Model'), ('activation_function', 'swish'), ('activation_function', 0),
                       ('layer_norm_epsilon', 0), ('layer_norm_epsilon', -1e-5), ('layer_norm_epsilon', 2),
                       ('layer_norm_epsilon', '1e-5'), ('layer_norm_epsilon', 1e-60), ('n_inner', 0), ('n_inner', -1), ('n_inner', '128'),
                       ('tie_word_embeddings', 0), ('bos_token_id', -1), ('bos_token_id', 'x'), ('eos_token_id', [-2]),
                       ('scale_attn_weights', False), ('scale_attn_by_inverse_layer_idx', True), ('reorder_and_upcast_attn', True),
                       ('add_cross_attention', True), ('quantization_config', {'bits': 4})):
        yield in_config('%s = %r' % (key, value), r'line \d+, byte \d+: got .*, expected ', **{key: value})
    yield in_config('n_inner = 129', r'n_inner: got 129, expected 128', n_inner=129)
    yield in_config('no model_type', 'model_type: got none', model_type=...)
    yield in_config('heads that do not divide', 'NH: got 3, expected a divisor of C = 32', n_head=3)
    good = config()
    for label, text in {'empty': b'', 'null': b'null', 'an array': b'[]', 'a number': b'1', 'cut': good[:-1], 'cut in a name': good[:9],
                        'trailing text': good + b'x', 'two objects': good + good, 'a comma too many': good[:-1] + b',}',
                        'no quotes': b'{n_layer: 2}', 'single quotes': good.replace(b'"', b"'"), 'a comment': b'//x\n' + good,
                        'NUL': good[:20] + b'\0' + good[20:], 'no UTF-8': good.replace(b'gpt2', b'gpt\xff'),
                        'a surrogate': good.replace(b'gpt2', b'\\ud800'), 'an overlong form': good.replace(b'gpt2', b'\xc0\xaf'),
                        'UTF-16': good.decode().encode('utf-16'), 'a byte-order mark': b'\xef\xbb\xbf' + good,
                        'deep': b'{"x":' + b'[' * 100000 + b']' * 100000 + b'}', 'a key twice': good[:-1] + b', "n_layer": 2}',
                        'a control character': good.replace(b'gpt2', b'gp\nt2'), 'NaN': good[:-1] + b', "x": NaN}',
                        'a number that ends nowhere': good[:-1] + b', "x": 1.}', 'zeros in front': good[:-1] + b', "x": 012}'}.items():
        if label == 'a byte-order mark':
            continue
        yield in_config(label, r'(line \d+, byte \d+: got .*, expected |model_type: got none)', text)
    yield bad('config: 17 MiB', folder(config=b'{' + b' ' * (17 << 20) + good[1:]), r'm/+config\.json: size: got \d+ bytes, expected at most')
    yield bad('no config', folder(config=None), r'm/?: got a folder without config\.json')
    yield bad('an empty folder', {'m/x': b''}, r'm/?: got a folder without config\.json')

    # ---- the header of safetensors ----
    def in_weights(label, pattern, data, **more):
        return bad('weights: ' + label, folder(weights=data), r'm/+model\.safetensors: ' + pattern, **more)

    whole = golden('hf-bare', 'model.safetensors')
    for size in (0, 1, 7, 8, 9, 10, 1000):
        yield in_weights('%d bytes' % size, '.*(expected|size)', whole[:size])
    for length in (0, 1, len(whole), 2**31, 2**32, 2**63, 2**64 - 1, 100000001):
        yield in_weights('length of the header = %d' % length, '.*(expected|header)', safetensors(length=length))
    for label, text in {'no object': b'[]', 'blank in front': b' {}', 'nothing in it': b'{}', 'cut': b'{"wte.weight"', 'NUL': b'{\0}',
                        'deep': b'{"a":' + b'[' * 50000, 'no UTF-8': b'{"\xff":{}}', 'a number': b'{"a":1}',
                        'metadata of numbers': b'{"__metadata__":{"a":1}}', 'metadata twice': b'{"__metadata__":{},"__metadata__":{}}'}.items():
        yield in_weights(label, '.*(expected|got)', safetensors(text=text)) if label != 'nothing in it' else \
            bad('weights: ' + label, folder(weights=safetensors(text=text, data=b'')), 'm/*: wte: got no tensor for it')
    tensor = {'dtype': ['F64', 'I32', 'f32', '', 'F32' * 30, 'Q4', 1, None, ...],
              'shape': [[], [150], [32, 150], [150, 33], [150, 32, 1], [1] * 9, [-1, 32], [2**32, 2**32], [2**63, 2], [150.5, 32], 'x', ...],
              'data_offsets': [[0], [0, 1, 2], [1, 0], [-1, 4], [0, 2**64], [2**63, 2**63 + 4], [0, 19199], [0, 19201], [4, 19204], [], ...]}
    for key, values in tensor.items():
        for value in values:
            yield in_weights('%s = %s' % (key, 'none' if value is ... else repr(value)[:40]), ".*(expected|got)", safetensors(WTE, **{key: value}))
    yield in_weights('another member', '.*expected', safetensors(WTE, stride=[1, 2]))
    yield in_weights('another tensor', r"tensor 'x': got one that a GPT-2 of 2 layers does not have",
                     safetensors(add={'x': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}}))
    for name in ('h.2.ln_1.weight', 'h.-1.ln_1.weight', 'h.01.ln_1.weight', 'h.99999999999999999999.ln_1.weight', 'h.1e0.ln_1.weight',
                 'transformer.transformer.wte.weight', 'h..ln_1.weight', 'a\x1b[2Jb', 'x' * 300):
        yield in_weights('tensor %s' % ascii(name)[:30], '(tensor |header: )', safetensors(add={name: {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}}))
    for name in ('wte.weight', 'h.0.attn.c_attn.weight', 'h.1.mlp.c_proj.bias', 'ln_f.weight'):
        yield in_weights('without ' + name, '.*(data: got|got no tensor|got \\d+ bytes)', safetensors(drop=name))
    yield in_weights('trailing bytes', '.*(data|bytes|size)', safetensors(end=b'\0'))
    yield in_weights('a byte short', '.*(data|bytes|size)', whole[:-1])
    for name in ('wte.weight', 'wpe.weight', 'h.0.ln_1.weight', 'h.1.attn.c_attn.weight', 'ln_f.bias'):
        at, size = tensor_place(name)
        for off in (-1, 0, 1):
            yield in_weights('cut at %s %+d' % (name, off), '.*(data|bytes|size)', whole[:at + off])
    yield bad('weights: both names', folder(weights=safetensors(add={'transformer.ln_f.bias': {'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]}})),
              r'm/+model\.safetensors: .*')
    for name, row, col in (('wte.weight', 7, 3), ('h.1.mlp.c_fc.weight', 2, 100)):
        at, _ = tensor_place(name)
        cols = 32 if name.startswith('wte') else 128
        spoilt = patched(whole, {at + 4 * (cols * row + col): b'\0\0\xc0\x7f'})
        got = ('wte', row, col) if name.startswith('wte') else ('h1.fc.weight', col, row)
        yield bad('weights: NaN in ' + name, folder(weights=spoilt), 'm/*: %s: row %d, column %d: got nan' % got, ['tokens', '-m', 'm', '1'], mib=256)

    for changed in (None, 0, 63, 64, 149):  # rows are compared in parts; None: a head that is the embedding
        begin, size = tensor_place(WTE)
        rows = bytearray(whole[begin:begin + size])
        if changed is not None:
            rows[4 * 32 * changed] ^= 1
        end = len(whole) - 8 - int.from_bytes(whole[:8], 'little')
        head = {'lm_head.weight': {'dtype': 'F32', 'shape': [150, 32], 'data_offsets': [end, end + size]}}
        other = safetensors(add=head, end=bytes(rows))
        if changed is None:
            yield Case('huggingface: a tied head that is the embedding', ['tokens', '-m', 'm', '--total', '2', '1'], 0, None, folder(weights=other),
                       out=r'\d+\n', mib=256)
        else:
            yield bad('weights: a tied head, other in row %d' % changed, folder(weights=other), r'm/?: lm_head\.weight: got other weights than wte', mib=256)

    # ---- generation_config.json ----
    for label, text in {'cut': b'{', 'a list': b'[]', 'an id of text': b'{"eos_token_id":"x"}', 'an id below': b'{"bos_token_id":-1}', 'a key twice': b'{"a":1,"a":1}',
                        'deep': b'{"a":' + b'[' * 50000, 'no UTF-8': b'{"\xff":1}', 'trailing': b'{}{}', 'empty': b''}.items():
        yield bad('generation_config: ' + label, folder(**{'generation_config.json': text}), r'm/+generation_config\.json: line \d+, byte \d+: ')

    # ---- numbers and characters of JSON ----
    for number in ('2.', '02', '-', '.5', '2e', '2.x', '+2', '0x2', '2.5.1'):
        yield in_config('n_layer: %s' % number, r'line \d+, byte \d+: ', config().replace(b'"n_layer": 2', b'"n_layer": ' + number.encode()))
    for name, value in {'alone': '\\ud83d', 'and x': '\\ud83dx', 'and a newline': '\\ud83d\\n', 'and U+0041': '\\ud83d\\u0041', 'and U+FFFF': '\\ud83d\\uffff',
                        'and half a unit': '\\ud83d\\ude', 'and no digits': '\\ud83d\\uzzzz', 'a low one': '\\ude00'}.items():
        yield in_config('model_type: a high surrogate ' + name, '.*', config().replace(b'"model_type": "gpt2"', b'"model_type": "%s"' % value.encode()))
    for change in ({'n_inner': None}, {'scale_attn_weights': None}, {'bos_token_id': 2**40}, {'eos_token_id': [149, 3]}, {'eos_token_id': None},
                   {'quantization_config': None}, {'tie_word_embeddings': True}):
        yield Case('config: %s' % change, ['info', '-m', 'm'], 0, None, folder(config=config(**change)), out='.*', mib=64)
    yield Case('config: blanks before a list', ['info', '-m', 'm'], 0, None, folder(config=config().replace(b'"eos_token_id": ', b'"eos_token_id": \t\n [') .replace(b'}', b']}')), out='.*', mib=64)

    # ---- other files, and none ----
    yield bad('no weights', folder(weights=None), r'm/?: got neither model\.safetensors nor ')
    yield bad('weights of PyTorch', folder(weights=None, torch=b'PK\3\4'), r'm/?: got pytorch_model\.bin, expected model\.safetensors')
    for label, data in {'GGUF': b'GGUF' + b'\0' * 100, 'zip': b'PK\3\4' + b'\0' * 100, 'LFS': b'version https://git-lfs.github.com/spec/v1\n',
                        'HTML': b'<!DOCTYPE html><html>', 'zeros': b'\0' * 4096, 'text': b'hello\n'}.items():
        yield in_weights('are ' + label, '.*(expected|got)', data)

    # ---- the index ----
    def in_index(label, pattern, **changes):
        return bad('index: ' + label, shards(**changes), pattern)

    for label, text in {'empty': b'', 'no map': b'{}', 'map of numbers': b'{"weight_map":{"wte.weight":1}}', 'an array': b'{"weight_map":[]}',
                        'map twice': b'{"weight_map":{},"weight_map":{}}', 'cut': b'{"weight_map":{', 'NUL': b'{"weight_map":{"\0":"x"}}'}.items():
        yield in_index(label, r'm/+model\.safetensors\.index\.json: line \d+, byte \d+: got .*, expected ', index=text)
    for name in ('../s0.safetensors', '/etc/passwd', '', '.', '..', '.hidden', 'a/b', 'x' * 300, 's0\u0000'):
        yield in_index('file %s' % ascii(name)[:24], r'm/+model\.safetensors\.index\.json: line \d+, byte \d+: got .*, expected ', weight_map={'wte.weight': name})
    yield in_index('a file that is not there', r'm/+s9\.safetensors: cannot open: ', weight_map={'a': 's9.safetensors'})
    yield in_index('an empty map', 'm/*: .*', index=b'{"weight_map":{}}')
    yield in_index('a tensor in the other file', r"m/+s\d\.safetensors: tensor '.*': got it here", weight_map={'wte.weight': 's0.safetensors'})
    yield in_index('a tensor that no file has', 'm/*: .*index.*: got \\d+ tensors, expected', weight_map={'x': 's0.safetensors'})
    yield in_index('a tensor that it does not know', r"m/+s\d\.safetensors: tensor ", weight_map={'ln_f.bias': ...})
    yield in_index('300 files', r'm/+model\.safetensors\.index\.json: .*expected at most 256 files',
                   index=json.dumps({'weight_map': {'t%d' % i: 'f%d' % i for i in range(300)}}).encode())
