"""Django under gunicorn, DEBUG off, no middleware but what the page needs; PyMySQL, persistent connections."""

from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.benchmarks.peers import content


def configure() -> None:
    databases = {}
    if content.DATABASE_SOCKET:
        import pymysql

        pymysql.install_as_MySQLdb()
        databases["default"] = {
            "ENGINE": "django.db.backends.mysql",
            "NAME": content.DATABASE_NAME,
            "USER": content.DATABASE_USER,
            "PASSWORD": content.DATABASE_PASSWORD,
            "HOST": content.DATABASE_SOCKET,
            "CONN_MAX_AGE": None,
            # By itself PyMySQL takes the TLS that MariaDB offers, on a unix socket too.
            "OPTIONS": {"ssl_disabled": True},
        }
    settings.configure(
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=content.SECRET,
        DATABASES=databases,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [str(content.TEMPLATES / "django")],
            }
        ],
    )
    django.setup()


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(content.HELLO)


def fetch(query: str, *parameters: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return [dict(zip(content.COLUMNS, row, strict=True)) for row in cursor.fetchall()]


def row(request: HttpRequest) -> JsonResponse:
    return JsonResponse(fetch(content.ROW_QUERY, content.ROW_ID)[0])


def rows(request: HttpRequest) -> HttpResponse:
    from django.shortcuts import render

    return render(request, "rows.html", {"rows": fetch(content.ROWS_QUERY)})


def post(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


urlpatterns = [path("", hello), path("row", row), path("rows", rows), path("post", post)]
configure()
application = WSGIHandler()
