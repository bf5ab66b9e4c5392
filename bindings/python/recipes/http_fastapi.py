"""Two phones over HTTP with nothing but two routes.

GET /vector tells a phone what the server has seen. POST /changes takes the phone's vector in the
first line and what the server lacks after it, and answers with what the phone lacks; the header
crsql-new says whether the server learned anything. Put your own authentication before both routes,
since crsql takes what an admitted peer writes as data.

    pip install crsql fastapi uvicorn
    python http_fastapi.py
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Iterator

import crsql
import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

BYTES_MAX = 4 << 20
SCHEMA = "CREATE TABLE IF NOT EXISTS note(id TEXT PRIMARY KEY NOT NULL, body TEXT)"


@contextmanager
def open_replica(file: Path) -> Iterator[crsql.Replica]:
    """The same schema on the server and on the phones."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        replica = crsql.Replica(conn)
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute(SCHEMA)
        replica.enable("note")
        yield replica


async def raw_body(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


def server(file: Path) -> FastAPI:
    """The server: a connection for each request, since FastAPI runs them in threads."""
    app = FastAPI()

    @app.get("/vector", response_class=PlainTextResponse)
    def vector() -> str:
        with open_replica(file) as replica:
            return replica.vector()

    @app.post("/changes")
    def changes(body: Annotated[bytes, Depends(raw_body)]) -> Response:
        theirs, _, blob = body.partition(b"\n")
        with open_replica(file) as replica:
            new = bool(blob) and replica.apply(blob)["new"]
            answer = replica.pull(theirs.decode(), BYTES_MAX)
        return Response(
            answer or b"",
            media_type="application/octet-stream",
            headers={"crsql-new": str(int(new))},
        )

    return app


def exchange(phone: crsql.Replica, url: str) -> None:
    """What a phone does whenever it is online, until nothing was new on either side."""
    while True:
        with urllib.request.urlopen(f"{url}/vector") as answer:
            theirs = answer.read().decode()
        ours = phone.pull(theirs, BYTES_MAX) or b""
        body = phone.vector().encode() + b"\n" + ours
        with urllib.request.urlopen(f"{url}/changes", body) as answer:
            sent = answer.headers["crsql-new"] == "1"
            blob = answer.read()
        taken = bool(blob) and phone.apply(blob)["new"]
        if not (sent or taken):
            return


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The server in a thread, on a port that is free; gives its address."""
    worker = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        while not worker.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        port = worker.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        worker.should_exit = True
        thread.join()


def main() -> None:
    """Two phones that never meet, and the server between them."""
    insert = "INSERT INTO note VALUES (crsql_uuid7(), ?)"
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        with (
            running(server(files / "server.db")) as url,
            open_replica(files / "one.db") as one,
            open_replica(files / "two.db") as two,
        ):
            one.conn.cursor().execute(insert, ("from phone one",))
            two.conn.cursor().execute(insert, ("from phone two",))
            for phone in (one, two, one):
                exchange(phone, url)
            digests = set()
            for phone in (one, two):
                notes = phone.conn.cursor().execute("SELECT body FROM note ORDER BY 1").fetchall()
                assert notes == [("from phone one",), ("from phone two",)], notes
                digests |= set(phone.conn.cursor().execute("SELECT crsql_digest()"))
            assert len(digests) == 1
            print("both phones have", [body for (body,) in notes])


if __name__ == "__main__":
    main()
