#!/usr/bin/env python3
"""faulty_server.py FOLDER LOG - a web server of files at /FAULT/.../NAME, on a port of 127.0.0.1 that it prints.

FAULT says what goes wrong: nothing (ok), the connection is cut once in the middle (cut) or always after no byte more
(dead), ranges are not understood (whole), a byte is another (other), there is a byte more (long) or less (short), the
file is elsewhere (moved), the server says nothing of its checksum (mute), or has no such file (gone). A line in LOG for
each request: method, path, first byte asked for."""
import hashlib
import http.server
import os
import sys

folder, log = sys.argv[1:]
cut = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def facts(self, data):
        """Headers that tell a file's checksum: of a small one as of a file in git, else in a header of its own."""
        if len(data) < 1000:
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self.send_header("ETag", f'W/"{git}"')
        else:
            self.send_header("ETag", '"some-other-thing"')
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')

    def answer(self, with_body):
        fault, name = self.path.split("/")[1], os.path.basename(self.path)
        start = self.headers.get("Range", "bytes=0-")[6:].split("-")[0]
        with open(log, "a", encoding="ascii") as out:
            print(self.command, self.path, start, file=out)
        data = open(os.path.join(folder, name), "rb").read()
        if fault == "gone":
            self.send_error(404)
            return
        if fault == "moved":
            self.send_response(302)
            self.facts(data)
            self.send_header("Location", self.path.replace("/moved/", "/mute/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = {"other": data[:9] + b"!" + data[10:], "long": data + b"!", "short": data[:-1]}.get(fault, data)
        first = 0 if fault == "whole" else min(int(start), len(body))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if fault != "mute":
            self.facts(data)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        if not with_body:
            return
        body = body[first:]
        if fault == "dead":
            body = b""
        elif fault == "cut" and self.path not in cut:
            cut.add(self.path)
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.close_connection = True


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
