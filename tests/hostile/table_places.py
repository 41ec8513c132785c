"""Files that are none, and places that cannot be read."""
import os
import socket

from good import folder, golden

READERS = {'a model': (['info', '-m'], 3), 'a vocabulary': (['encode', 'x', '--vocab'], 4), 'a trace': (['trace'], 3), 'a trace of a graph': (['graph', '--trace'], 3)}


def cases(Case):
    def directory(f):
        os.mkdir(f + '/x')

    def loop(f):
        os.symlink('x', f + '/x')

    def dangling(f):
        os.symlink('nowhere', f + '/x')

    def a_socket(f):
        s = socket.socket(socket.AF_UNIX)
        at = os.getcwd()
        s.bind(os.path.relpath(f + '/x'))
        return s.close

    def fifo(f):
        os.mkfifo(f + '/x')

    def sparse(f):
        with open(f + '/x', 'wb') as to:
            to.truncate(1 << 40)

    def empty(f):
        open(f + '/x', 'wb').close()

    for what, (args, code) in READERS.items():
        for place, make in {'a directory': directory, 'a symlink loop': loop, 'a dangling link': dangling, 'a socket': a_socket, 'an empty file': empty}.items():
            yield Case('%s is %s' % (what, place), args + ['x'], code, 'x: ', make, mib=32)
        for name in ('none', 'none/x', 'x' * 5000, 'a\nb', 'a\x1b[2J', '\u202ex', 'a\udcffb', '/dev/null', '/proc/self/mem/x'):
            yield Case('%s called %s' % (what, ascii(name)[:20]), args + [name], code, '.*: ', mib=32)
        if 'trace' not in what:
            yield Case('%s is a FIFO without a writer' % what, args + ['x'], code, 'x: not a regular file', fifo)
            yield Case('%s is /dev/zero' % what, args + ['/dev/zero'], code, '/dev/zero: not a regular file')
            yield Case('%s is 1 TiB of nothing' % what, args + ['x'], code, 'x: ', sparse)
    for name in ('config.json', 'model.safetensors'):
        for place, make in {'a directory': directory, 'a FIFO': fifo, 'a symlink loop': loop, 'an empty file': empty}.items():
            def build(f, name=name, make=make):
                for path, data in folder().items():
                    os.makedirs(os.path.dirname(f + '/' + path), exist_ok=True)
                    if not path.endswith(name):
                        with open(f + '/' + path, 'wb') as to:
                            to.write(data)
                make(f)
                os.rename(f + '/x', f + '/m/' + name)
            yield Case('%s is %s' % (name, place), ['info', '-m', 'm'], 3, r'm/?')
    yield Case('a name with escapes', ['info', '-m', 'a\x1b[31m\nb\udc9b.bin'], 3, r'a\?\[31m\?b\?\.bin: cannot open: ')
