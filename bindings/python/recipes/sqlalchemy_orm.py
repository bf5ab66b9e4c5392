"""crsql under SQLAlchemy: loaded on each pooled connection, replicated ORM classes, sync.

    pip install crsql sqlalchemy
    python sqlalchemy_orm.py
"""

from __future__ import annotations

import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import crsql
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """What is replicated: every table of this base."""


class Note(Base):
    """A key that no other device makes; elsewhere NOT NULL needs a default in the schema."""

    __tablename__ = "note"
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: uuid.uuid4().hex)
    title: Mapped[str] = mapped_column(server_default="")
    body: Mapped[str | None]


def open_engine(file: Path) -> Engine:
    """An engine whose connections all have crsql, over tables that are replicated."""
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def load_crsql(connection: Any, _: Any) -> None:
        crsql.load(connection)

    Base.metadata.create_all(engine)
    with closing(engine.raw_connection()) as pooled:
        replica = replica_on(pooled)
        for table in Base.metadata.tables:
            replica.enable(table)
    return engine


def replica_on(pooled: Any) -> crsql.Replica:
    """A replica over a raw connection of the pool."""
    return crsql.Replica(pooled.driver_connection)


def bring_together(here: Engine, there: Engine) -> None:
    """Both ways, each over one connection of its pool."""
    with closing(here.raw_connection()) as a, closing(there.raw_connection()) as b:
        crsql.sync(replica_on(a), replica_on(b))


def main() -> None:
    """Two devices write the same note apart, then meet."""
    with tempfile.TemporaryDirectory() as folder:
        laptop = open_engine(Path(folder, "laptop.db"))
        phone = open_engine(Path(folder, "phone.db"))
        with Session(laptop) as session:
            session.add(Note(title="groceries", body="milk"))
            session.commit()
        bring_together(laptop, phone)

        with Session(phone) as on_phone, Session(laptop) as on_laptop:
            on_phone.scalars(select(Note)).one().body = "milk, bread"
            on_laptop.scalars(select(Note)).one().title = "shopping"
            on_phone.commit()
            on_laptop.commit()
        bring_together(laptop, phone)

        for name, engine in (("laptop", laptop), ("phone", phone)):
            with Session(engine) as session:
                note = session.scalars(select(Note)).one()
                print(f"{name}: {note.title}: {note.body}")
                assert (note.title, note.body) == ("shopping", "milk, bread")
            engine.dispose()


if __name__ == "__main__":
    main()
