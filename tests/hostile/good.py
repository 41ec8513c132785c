"""good.py - the good files that the tables spoil, and how: each function returns bytes, or a dict of a folder's files."""
import json
import os
import struct

GOLDEN = os.path.join(os.path.dirname(__file__), '..', 'golden')


def golden(*path):
    with open(os.path.join(GOLDEN, *path), 'rb') as f:
        return f.read()


def i32(x):
    return struct.pack('<I', x & 0xffffffff)


def u64(x):
    return struct.pack('<Q', x & (1 << 64) - 1)


def f32(x):
    return struct.pack('<f', x)


def patched(data, patches):
    """The bytes with others at some offsets: {offset: bytes}."""
    out = bytearray(data)
    for at, new in patches.items():
        out[at:at + len(new)] = new
    return bytes(out)


# ---- llm.c checkpoints ----

FIELDS = {'magic': 0, 'version': 1, 'maxT': 2, 'V': 3, 'L': 4, 'NH': 5, 'C': 6, 'Vp': 7}


def llmc(of='tiny', floats=None, size=None, add=b'', **fields):
    """tests/golden/OF.bin with other header fields, other floats ({index: value}), cut or longer."""
    patches = {4 * FIELDS[name]: i32(value) for name, value in fields.items()}
    patches.update({1024 + 4 * i: f32(x) for i, x in (floats or {}).items()})
    data = patched(golden(of + '.bin'), patches)
    return (data if size is None else data[:size]) + add


def layers(L, C=1):
    """A checkpoint of many small layers, all zeros: who makes it writes 1 KB, and the rest is a hole."""
    elements = sum(n for _, _, n in sections(2, 4, L, C))
    header = struct.pack('<8i', 20240326, 1, 4, 2, L, 1, C, 2)

    def make(folder):
        with open(os.path.join(folder, 'm.bin'), 'wb') as f:
            f.write(header)
            f.truncate(1024 + 4 * elements)
    return make


def sections(V, T, L, C):
    """Names and elements of a checkpoint's tensors, in order."""
    shapes = [('wte', V * C), ('wpe', T * C), ('ln1.gain', L * C), ('ln1.bias', L * C), ('qkv.weight', L * 3 * C * C),
              ('qkv.bias', L * 3 * C), ('proj.weight', L * C * C), ('proj.bias', L * C), ('ln2.gain', L * C),
              ('ln2.bias', L * C), ('fc.weight', L * 4 * C * C), ('fc.bias', L * 4 * C), ('fcproj.weight', L * 4 * C * C),
              ('fcproj.bias', L * C), ('lnf.gain', C), ('lnf.bias', C)]
    at = 0
    for name, n in shapes:
        yield name, at, n
        at += n


TINY = dict(V=97, T=64, L=2, C=16)

# ---- Hugging Face folders ----


def config(**changes):
    """hf-bare's config.json with other members; None: without."""
    c = json.loads(golden('hf-bare', 'config.json'))
    for key, value in changes.items():
        c[key] = value
    return json.dumps({k: v for k, v in c.items() if v is not ...}).encode()


def split_safetensors(data):
    n = struct.unpack('<Q', data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def join_safetensors(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return u64(len(text) if length is None else length) + text + data


def safetensors(tensor=None, add=None, drop=None, data=None, length=None, text=None, end=b'', **change):
    """hf-bare's weights with a tensor's dtype, shape or data_offsets changed, tensors more or fewer, other data."""
    header, good = split_safetensors(golden('hf-bare', 'model.safetensors'))
    if tensor:
        header[tensor].update(change)
        header[tensor] = {k: v for k, v in header[tensor].items() if v is not ...}
    header.update(add or {})
    if drop:
        del header[drop]
    return join_safetensors(header if text is None else text, (good if data is None else data) + end, length)


def tensor_place(name):
    """Where a tensor's data begin in hf-bare's file, and their bytes."""
    data = golden('hf-bare', 'model.safetensors')
    header, _ = split_safetensors(data)
    begin, end = header[name]['data_offsets']
    return 8 + struct.unpack('<Q', data[:8])[0] + begin, end - begin


def folder(**files):
    """hf-bare with other files: config, weights, index, merges, tokenizer, vocab; bytes or None for none."""
    names = {'config': 'config.json', 'weights': 'model.safetensors', 'index': 'model.safetensors.index.json',
             'merges': 'merges.txt', 'tokenizer': 'tokenizer.json', 'vocab': 'vocab.json', 'torch': 'pytorch_model.bin'}
    out = {'config.json': golden('hf-bare', 'config.json'), 'model.safetensors': golden('hf-bare', 'model.safetensors')}
    for key, data in files.items():
        out[names.get(key, key)] = data
    return {'m/' + name: data for name, data in out.items() if data is not None}


def shards(n=2, weight_map=None, index=None, **files):
    """hf-bare in n files and an index."""
    header, data = split_safetensors(golden('hf-bare', 'model.safetensors'))
    names = sorted((k for k in header if k != '__metadata__'), key=lambda k: header[k]['data_offsets'])
    out, where = {}, {}
    for s in range(n):
        part, bytes_ = {}, b''
        for name in names[s::n]:
            t = dict(header[name])
            begin, end = t['data_offsets']
            t['data_offsets'] = [len(bytes_), len(bytes_) + end - begin]
            bytes_ += data[begin:end]
            part[name] = t
            where[name] = 's%d.safetensors' % s
        out['s%d.safetensors' % s] = join_safetensors(part, bytes_)
    where.update(weight_map or {})
    where = {k: v for k, v in where.items() if v is not ...}
    out.update(files)
    return folder(weights=None, index=index if index is not None else json.dumps({'metadata': {}, 'weight_map': where}).encode(), **out)


# ---- GGUF ----

TYPES = {'u8': 0, 'i8': 1, 'u16': 2, 'i16': 3, 'u32': 4, 'i32': 5, 'f32': 6, 'bool': 7, 'str': 8, 'arr': 9, 'u64': 10, 'i64': 11,
         'f64': 12}
PACK = {0: '<B', 1: '<b', 2: '<H', 3: '<h', 4: '<I', 5: '<i', 6: '<f', 7: '<B', 10: '<Q', 11: '<q', 12: '<d'}


def gguf_string(s):
    s = s.encode() if isinstance(s, str) else s
    return u64(len(s)) + s


def gguf_value(type_, value):
    """The bytes of a value, its type in front; bytes are taken as they are."""
    t = TYPES.get(type_, type_)
    if isinstance(value, bytes) and t != 8:
        return struct.pack('<I', t) + value
    if t == 8:
        return struct.pack('<I', 8) + gguf_string(value)
    if t == 9:
        of, items = value
        body = [gguf_value(of, x)[4:] for x in items]
        return struct.pack('<II', 9, TYPES[of]) + u64(len(items)) + b''.join(body)
    return struct.pack('<I', t) + struct.pack(PACK[t], value)


class Gguf:
    """A GGUF file taken apart: pairs (key: raw value with its type), tensors (name: [dims, type, offset]), data."""

    def __init__(self, data):
        self.data, self.at = data, 4
        self.version = self.take('<I')
        tensors, pairs = self.take('<Q'), self.take('<Q')
        self.pairs = {}
        for _ in range(pairs):
            key = self.string()
            start = self.at
            self.skip(self.take('<I'))
            self.pairs[key] = data[start:self.at]
        self.tensors = {}
        for _ in range(tensors):
            name = self.string()
            dims = [self.take('<Q') for _ in range(self.take('<I'))]
            self.tensors[name] = [dims, self.take('<I'), self.take('<Q')]
        self.data = data[(self.at + 31) // 32 * 32:]

    def take(self, code):
        value = struct.unpack_from(code, self.data, self.at)[0]
        self.at += struct.calcsize(code)
        return value

    def string(self):
        n = self.take('<Q')
        self.at += n
        return self.data[self.at - n:self.at].decode('utf-8', 'surrogateescape')

    def skip(self, t):
        if t == 8:
            self.string()
        elif t == 9:
            of, n = self.take('<I'), self.take('<Q')
            for _ in range(n):
                self.skip(of)
        else:
            self.take(PACK[t])

    def bytes(self, counts=(None, None), tail=b'', align=32, twice=None):
        pairs = list(self.pairs.items()) + ([(twice, self.pairs[twice])] if twice else [])
        out = b'GGUF' + struct.pack('<I', self.version)
        out += u64(len(self.tensors) if counts[0] is None else counts[0])
        out += u64(len(pairs) if counts[1] is None else counts[1])
        for key, raw in pairs:
            out += gguf_string(key.encode('utf-8', 'surrogateescape')) + raw
        for name, (dims, type_, offset) in self.tensors.items():
            out += gguf_string(name) + struct.pack('<I', len(dims)) + b''.join(u64(d) for d in dims)
            out += struct.pack('<I', type_) + u64(offset)
        out += b'\0' * (-len(out) % align)
        return out + self.data + tail


_gguf = golden('gguf', 'small-f32.gguf')


def gguf(pairs=None, tensors=None, version=None, counts=(None, None), cut=None, tail=b'', patch=None, twice=None, of=None):
    """small-f32.gguf with other pairs (key: (type, value), or ... for none) and tensors (name: {dims, type, offset})."""
    g = Gguf(of or _gguf)
    for key, pair in (pairs or {}).items():
        g.pairs.pop(key, None)
        if pair is not ...:
            g.pairs[key] = gguf_value(*pair)
    for name, change in (tensors or {}).items():
        if change is ...:
            del g.tensors[name]
            continue
        t = g.tensors.setdefault(name, [[64], 0, 0])
        for i, field in enumerate(('dims', 'type', 'offset')):
            t[i] = change.get(field, t[i])
        if 'name' in change:
            g.tensors[change['name']] = g.tensors.pop(name)
    if version is not None:
        g.version = version
    data = patched(g.bytes(counts, tail, twice=twice), patch or {})
    return data if cut is None else data[:cut]


# ---- tokenizers ----

def merges(n=99, line=None, at=None, end='\n'):
    """n merges, `a b` ... that make tokens of two letters, line `at` (from 1) being another."""
    letters = [chr(c) for c in range(ord('a'), ord('z') + 1)]
    lines = ['#version: 0.2'] + ['%s %s' % (a, b) for a in letters for b in letters][:n]
    text = [s.encode() for s in lines]
    if at is not None:
        text[at - 1] = line
    return b'\n'.join(text) + end.encode()


def byte_letters():
    """GPT-2's printable characters, in the order of the ids of their bytes."""
    printable = [b for b in range(256) if 0x20 < b < 0x7f or (b > 0xa0 and b != 0xad)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def tokenizer_json(parts=None, **top):
    """A tokenizer.json of 256 bytes, two merges and <|endoftext|>, with other members, and other `parts` of its model."""
    vocab = {c: i for i, c in enumerate(byte_letters())}
    vocab.update({'ab': 256, 'cd': 257, '<|endoftext|>': 258})
    t = {'version': '1.0', 'truncation': None, 'normalizer': None,
         'added_tokens': [{'id': 258, 'content': '<|endoftext|>', 'single_word': False, 'lstrip': False, 'rstrip': False,
                           'normalized': True, 'special': True}],
         'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True},
         'model': {'type': 'BPE', 'dropout': None, 'continuing_subword_prefix': '', 'end_of_word_suffix': '',
                   'vocab': vocab, 'merges': ['a b', 'c d']}}
    t['model'].update(parts or {})
    t.update(top)
    return json.dumps(t).encode()


def llmc_tokens(tokens=None, magic=20240328, version=2, n=None, end=None, tail=b'', cut=None):
    """gpt2_tokenizer.bin: the bytes, `ab`, `abab`, and the end of a text."""
    if tokens is None:
        tokens = [bytes([b]) for b in range(256)] + [b'ab', b'abab', b'<|endoftext|>']
    head = [magic, version, len(tokens) if n is None else n, len(tokens) - 1 if end is None else end]
    data = b''.join(i32(x) for x in head) + b'\0' * (1024 - 16)
    data += b''.join(bytes([len(t)]) + t for t in tokens) + tail
    return data if cut is None else data[:cut]
