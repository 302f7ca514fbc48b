"""PyMySQL, without the 19 MB that it seldom needs. Import this before anything of PyMySQL: the package does.

`import pymysql` brings cryptography and OpenSSL's bindings, half of a frontend's memory, for one case only: a password
that crosses a TCP connection without TLS and must be hidden by the server's public key (caching_sha2_password,
sha256_password). A unix socket and TLS never need it. So it is withheld here until a server asks for it.

What lost: encrypting with Python's pow(), forty lines of cryptography of our own; an entry in PyMySQL's
auth_plugin_map, which would have to do the whole exchange to see whether it comes to that.
"""

import importlib
import sys
import threading
from types import ModuleType

_WITHHELD = "cryptography.hazmat.backends"  # the first of it that PyMySQL imports
_lock = threading.Lock()


def _import_without_cryptography() -> ModuleType:
    """PyMySQL's module for passwords; if nobody has imported it before, cryptography is not loaded with it."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    is_withheld = _WITHHELD not in modules and "pymysql" not in modules
    if is_withheld:
        modules[_WITHHELD] = None  # how Python says that a module is not to be had: PyMySQL goes on without
    try:
        return importlib.import_module("pymysql._auth")
    finally:
        if is_withheld:
            del modules[_WITHHELD]


_auth = _import_without_cryptography()


def load_cryptography() -> bool:
    """Whether PyMySQL can do now what it could not do before: hide a password by the server's public key."""
    with _lock:
        had = bool(_auth._have_cryptography)
        if not had:
            importlib.reload(_auth)
        return not had and bool(_auth._have_cryptography)
