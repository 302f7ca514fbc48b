"""A FastAPI application in one file: `APP=notes:application`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pymysql
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel


class Note(BaseModel):
    """What a client sends."""

    text: str


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    application.state.is_warm = True
    yield


application = FastAPI(lifespan=lifespan)


def connect() -> "pymysql.Connection[pymysql.cursors.Cursor]":
    with open(os.environ["DB_PASSWORD_FILE"]) as file:
        password = file.read().strip()
    return pymysql.connect(
        unix_socket=os.environ["DB_SOCKET"],
        user=os.environ["DB_USER"],
        password=password,
        database=os.environ["DB_NAME"],
        autocommit=True,
    )


@application.post("/notes")
def add_note(note: Note) -> dict[str, int]:
    """A plain `def`: FastAPI runs it on a thread."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS notes (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(200))")
        cursor.execute("INSERT INTO notes (text) VALUES (%s)", (note.text,))
        return {"id": cursor.lastrowid}


@application.get("/notes/{number}")
def read_note(number: int) -> dict[str, str]:
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM notes WHERE id = %s", (number,))
        (text,) = cursor.fetchone() or ("",)
        return {"text": text}


@application.get("/warm")
async def is_warm() -> dict[str, bool]:
    return {"warm": application.state.is_warm}


@application.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())
