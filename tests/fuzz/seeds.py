#!/usr/bin/env python3
"""seeds.py FOLDER - what tests/fuzz/fuzz.c begins with, in a folder for each target: the bad inputs of tests/hostile, which are
all crashes that were ever found, and good ones that `dagpt convert` makes of a small model. $BUILD: where dagpt is."""
import hashlib
import importlib
import os
import struct
import subprocess
import sys
import tempfile

HOSTILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'hostile')
sys.path.insert(0, HOSTILE)
from hostile import Case  # noqa: E402

MOST = {'model': 1 << 17, 'hf': 1 << 16, 'tokenizer': 1 << 15, 'trace': 1 << 17}  # bytes of a seed
MOST_OTHERS = 1 << 13
TARGETS = ('model', 'hf', 'tokenizer', 'text', 'escapes', 'prompts', 'json', 'trace', 'complete', 'request')


REQUESTS = ('{"model": "small", "prompt": "One day", "max_tokens": 5}', '{"prompt": ["a", "b"], "n": 2, "stream": true, "stop": "x"}',
            '{"prompt": [1, 2, 3], "temperature": 0.5, "top_p": 0.9, "seed": 7, "logprobs": 2, "echo": true}',
            '{"prompt": [[1], [2, 3]], "stop": ["a", "b"], "stream": true, "stream_options": {"include_usage": true}}',
            '{"prompt": "\\u0000\\ud83d\\ude00", "best_of": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "user": "u"}',
            '{"prompt": "x", "top_k": 3, "min_p": 0.1, "repeat_penalty": 1.1, "suffix": null, "max_tokens": 0}')


PROMPTS = ('Once upon a time', '{"prompt": "Once"}', '{"prompt": "\\ud83d\\ude00\\n", "tokens": 5, "temp": 0.5, "seed": 18446744073709551615}',
           '{"stop": ["a", "b"], "prompt": "x", "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.1}',
           '{"prompt": "x", "stop": "y", "greedy": true}', '{"prompt": "x", "prompt": "y"}')


def hash_of(data):
    return hashlib.sha256(data).hexdigest()[:16]


def put(folder, target, data):
    if len(data) <= MOST.get(target, MOST_OTHERS):
        with open(os.path.join(folder, target, hash_of(data)), 'wb') as f:
            f.write(data)


def of_folder(files):
    """As fuzz.c's target hf takes it, or None."""
    config = next((d for n, d in files.items() if n.endswith('config.json')), b'')
    weights = next((d for n, d in files.items() if n.endswith('.safetensors')), b'')
    length = struct.unpack('<Q', weights[:8])[0] if len(weights) >= 8 else len(weights)
    if length > len(weights) - 8:
        return None
    return config + b'\0' + weights[8:8 + length] + b'\0' + weights[8 + length:]


def small_models(folder):
    """A model of one layer in each format."""
    V, T, C = 5, 3, 4
    floats = V * C + T * C + 12 * C * C + 13 * C + 2 * C
    with tempfile.TemporaryDirectory() as work:
        with open(work + '/m.bin', 'wb') as f:
            f.write(struct.pack('<8i', 20240326, 1, T, V, 1, 2, C, 0) + b'\0' * 992)
            f.write(b''.join(struct.pack('<f', i % 7 / 8 - .25) for i in range(floats)))
        for to in ('m.gguf', 'm.dagpt', 'm16.gguf', 'hf'):
            subprocess.run([os.environ['BUILD'] + '/dagpt', 'convert', work + '/m.bin', work + '/' + to] +
                           (['--dtype', 'f16'] if '16' in to else []), check=True, stderr=subprocess.DEVNULL)
        for name in ('m.bin', 'm.gguf', 'm.dagpt', 'm16.gguf'):
            with open(os.path.join(work, name), 'rb') as f:
                put(folder, 'model', f.read())
        files = {}
        for name in os.listdir(work + '/hf'):
            with open(os.path.join(work, 'hf', name), 'rb') as f:
                files[name] = f.read()
        put(folder, 'hf', of_folder(files))
        return files


def main(folder):
    for target in TARGETS:
        os.makedirs(os.path.join(folder, target), exist_ok=True)
    small = small_models(folder)
    for table in ('llmc', 'gguf', 'huggingface', 'tokenizers', 'traces', 'texts'):
        for case in importlib.import_module('table_' + table).cases(Case):
            files = case.files if isinstance(case.files, dict) else {}
            if table == 'huggingface' and of_folder(files):
                put(folder, 'hf', of_folder(files))
                put(folder, 'hf', of_folder({**small, **{n[2:]: d for n, d in files.items() if len(d) < 4096}}))
            for name, data in files.items():
                if table in ('llmc', 'gguf'):
                    put(folder, 'model', data)
                if table == 'tokenizers':
                    put(folder, 'tokenizer', data)
                if table == 'traces' and hash_of(data)[0] in '08':  # all of them take a minute to begin with
                    put(folder, 'trace', data)
                if data[:1] == b'{':
                    put(folder, 'json', data)
            if table == 'texts':
                put(folder, 'text', b'\x07' + (case.stdin or b'x'))
                put(folder, 'escapes', '\\n'.join(a for a in case.args if isinstance(a, str)).encode('utf-8', 'surrogateescape'))
    for line in PROMPTS:
        put(folder, 'prompts', line.encode())
    for body in REQUESTS:
        put(folder, 'request', body.encode())
    for temp in (0, 50, 250):
        put(folder, 'complete', bytes([temp, 0, 0, 0, 25, 1, 3]) + bytes(range(0, 96, 2)))


if __name__ == '__main__':
    main(sys.argv[1])
