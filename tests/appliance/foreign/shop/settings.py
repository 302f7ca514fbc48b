import os
from pathlib import Path

BASE_DIR = Path(__file__).parents[1]


def read_secret(name: str) -> str:
    """The content of the file that the variable names; while the image is built there is none."""
    path = Path(os.environ.get(name, ""))
    return path.read_text().strip() if path.is_file() else "no secret while the image is built"


SECRET_KEY = read_secret("COOKIE_SECRET_FILE")
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "shop.stock"]
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
ROOT_URLCONF = "shop.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": os.environ.get("DB_NAME"),
        "USER": os.environ.get("DB_USER"),
        "PASSWORD": read_secret("DB_PASSWORD_FILE"),
        "HOST": os.environ.get("DB_HOST") or os.environ.get("DB_SOCKET"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
