"""Counts visits in Redis and keeps each as a row in PostgreSQL, with nothing but Python's own library."""

import http.server
import os
import socket
import struct


def ask_redis(*words):
    """One command of the Redis protocol; the answers used here are one line."""
    with socket.create_connection(("cache", 6379), timeout=5) as link:
        parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
        link.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        answer = link.makefile("rb").readline().decode().strip()
    if answer.startswith("-"):
        raise RuntimeError(answer)
    return answer[1:]


class Postgres:
    """The simple query part of the PostgreSQL protocol, with password authentication."""

    def __init__(self, host, user, password, database):
        self.link = socket.create_connection((host, 5432), timeout=5)
        self.stream = self.link.makefile("rb")
        fields = f"user\0{user}\0database\0{database}\0\0".encode()
        self.link.sendall(struct.pack("!II", len(fields) + 8, 196608) + fields)
        kind, body = self.receive()
        if (kind, body[:4]) == (b"R", struct.pack("!I", 3)):
            self.send(b"p", password.encode() + b"\0")
        self.until_ready()

    def send(self, kind, body):
        self.link.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def receive(self):
        kind = self.stream.read(1)
        (length,) = struct.unpack("!I", self.stream.read(4))
        body = self.stream.read(length - 4)
        if kind == b"E":
            raise RuntimeError(body.replace(b"\0", b" ").decode())
        return kind, body

    def until_ready(self):
        rows = []
        while True:
            kind, body = self.receive()
            if kind == b"Z":
                return rows
            if kind == b"D":
                (length,) = struct.unpack("!i", body[2:6])
                rows.append(body[6 : 6 + length].decode())

    def query(self, text):
        self.send(b"Q", text.encode() + b"\0")
        return self.until_ready()


def database():
    return Postgres("db", "postgres", os.environ["DATABASE_PASSWORD"], "visits")


class Visits(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthy":
            return self.answer("yes\n")
        number = ask_redis("INCR", "visits")
        rows = database()
        rows.query(f"INSERT INTO visit (number) VALUES ({int(number)})")
        (count,) = rows.query("SELECT count(*) FROM visit")
        self.answer(f"Visit number {number}, {count} rows in the database\n")

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    database().query("CREATE TABLE IF NOT EXISTS visit (number integer, at timestamptz DEFAULT now())")
    print("counting visits on port 8080", flush=True)
    http.server.ThreadingHTTPServer(("", 8080), Visits).serve_forever()
