"""An authority of our own and what it vouches for: good certificates, and those that must be refused."""

import datetime
import ssl
from pathlib import Path

import trustme


class Authority:
    """Certificates for names and addresses of the loopback, as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.file = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, expired: bool = False) -> tuple[str, str]:
        """Paths of a chain and of its key."""
        day = datetime.timedelta(days=1)
        until = datetime.datetime.now(datetime.UTC) - day if expired else None
        since = until - day if until is not None else None
        issued = self._authority.issue_cert(*names, not_before=since, not_after=until)
        stem = f"{names[0]}-{expired}".replace("@", "-at-")
        chain, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        issued.cert_chain_pems[0].write_to_path(chain)
        issued.private_key_pem.write_to_path(key)
        return str(chain), str(key)

    def context(self, *names: str, expired: bool = False, asks: bool = False) -> ssl.SSLContext:
        """A server's side; `asks` for the client's certificate, and does without if there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names, expired=expired))
        if asks:
            context.verify_mode = ssl.CERT_OPTIONAL
            self._authority.configure_trust(context)
        return context
