"""Login with a user of Dex: its form, as a browser fills it in.

The flow is that of the page on connecting to the API (kubeflow.org, connect-api, "Kubeflow Platform - Outside the
Cluster"): the address redirects to Dex, oauth2-proxy answers 403 with its own page before, Dex asks for a connector,
then for the password, and perhaps for approval. It ends at the address with the cookies of a session.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from seqline.configuration.kubeflow import DexLogin, KubeflowTarget
from seqline.errors import UserError
from seqline.paths import expanded
from seqline.targets.kubeflow.login import Credentials, LoginError, require_safe

TIMEOUT = 30.0
MOST_REDIRECTS = 20
REDIRECTS = {301, 302, 303, 307, 308}
UNAVAILABLE = {429, 502, 503, 504}


@dataclass
class DexWay:
    """A user of Dex.

    Attributes:
        settings: The configuration's `targets.kubeflow`.
        user: Its `login.dex`.
        environment: Environment variables.
        name: What it is, for messages.
    """

    settings: KubeflowTarget
    user: DexLogin
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    name: str = "dex"
    _cookie: str = field(default="", init=False)
    _fresh: bool = field(default=False, init=False)

    def credentials(self) -> Credentials:
        """Returns the session's cookies; logs in if there is none."""
        if not self._cookie:
            self._cookie, self._fresh = self._log_in(self._password()), True
        return Credentials(cookie=self._cookie)

    def renew(self) -> bool:
        """Forgets a session that has ended; a session that was refused at once would be refused again."""
        ended = not self._fresh
        self._cookie = ""
        return ended

    def hint(self, credentials: Credentials) -> str:
        """Returns whose session it was."""
        return f"{self.user.username} is logged in, but may not use this server"

    def accepted(self) -> None:
        """Notes that the server accepted the session: when it is refused later, it has ended."""
        self._fresh = False

    def _password(self) -> str:
        kind, _, name = self.user.password.partition(":")
        if kind == "env":
            found = self.environment.get(name, "")
            if not found:
                raise LoginError(f"the environment variable {name}, which has the password, is not set")
            return found
        try:
            return expanded(name).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise LoginError(f"the file {name}, which has the password, cannot be read ({error})") from None

    def _log_in(self, password: str) -> str:
        import requests
        from urllib3.exceptions import HTTPError

        session = requests.Session()
        # kfp's client knows no proxies from the environment either; one would see the password on this machine.
        session.trust_env = False
        session.verify = str(expanded(self.settings.ca_file)) if self.settings.ca_file else True
        try:
            return self._fill_in(session, password)
        except requests.exceptions.SSLError as error:
            raise LoginError(f"the certificate is not trusted ({error}); set targets.kubeflow.ca_file") from None
        except requests.RequestException as error:
            # May pass, unlike a refusal.
            inner = error.args[0] if error.args else error
            raise HTTPError(str(getattr(inner, "reason", inner))) from None

    def _fill_in(self, session: Any, password: str) -> str:
        start = self.settings.host.rstrip("/") + "/"
        page, hops = self._follow(session, "GET", start)
        if page.status_code == 403:
            parts = urlsplit(page.url)
            sign_in = parts._replace(path="/oauth2/start", query=urlencode({"rd": parts.path})).geturl()
            page, hops = self._follow(session, "GET", sign_in)
        if page.status_code != 200:
            raise LoginError(f"{page.url} returned {page.status_code} instead of a login form")
        if not hops:
            raise LoginError(f"{start} requires no login, so it does not use Dex; leave out login.dex")
        path = urlsplit(page.url).path
        if path.endswith("/auth"):
            chosen = urlsplit(page.url)._replace(path=f"{path}/{self.user.connector}").geturl()
            page, _ = self._follow(session, "GET", chosen)
            if page.status_code != 200:
                raise LoginError(f"Dex has no connector {self.user.connector!r} ({page.status_code})")
            path = urlsplit(page.url).path
        if not path.endswith("/login"):
            raise LoginError(f"{page.url} is not a login form of Dex; use login.token_file or login.cookie_file")
        filled, hops = self._follow(session, "POST", page.url, {"login": self.user.username, "password": password})
        # Dex shows the form again, with 200 or 401, when the password is wrong (handlePasswordLogin in
        # server/handlers.go of dexidp/dex).
        if not hops:
            raise LoginError(f"Dex rejected the password of {self.user.username} ({filled.status_code})")
        if urlsplit(filled.url).path.endswith("/approval"):
            filled, _ = self._follow(session, "POST", filled.url, {"approval": "approve"})
        cookies = "; ".join(f"{one.name}={one.value}" for one in session.cookies if self._ours(one))
        if not cookies:
            raise LoginError(f"{filled.url} returned {filled.status_code} without a session")
        return cookies

    def _ours(self, cookie: Any) -> bool:
        """Whether a cookie belongs to the server's own host; Dex may run on another one."""
        host, domain = urlsplit(self.settings.host).hostname or "", str(cookie.domain).lstrip(".")
        # http.cookiejar calls a host without a dot, such as localhost, localhost.local.
        return domain in {host, f"{host}.local"} or host.endswith(f".{domain}")

    def _follow(self, session: Any, verb: str, address: str, form: dict[str, str] | None = None) -> tuple[Any, int]:
        """Sends a request and follows its redirects, none of which may leave encryption; returns their number too."""
        from urllib3.exceptions import HTTPError

        for hop in range(MOST_REDIRECTS):
            try:
                require_safe(self.settings, address)
            except UserError as error:
                raise LoginError(str(error)) from None
            answer = session.request(verb, address, data=form, allow_redirects=False, timeout=TIMEOUT)
            if answer.status_code in UNAVAILABLE:
                raise HTTPError(f"{address} returned {answer.status_code}")
            if answer.status_code not in REDIRECTS or "location" not in answer.headers:
                return answer, hop
            address = urljoin(address, answer.headers["location"])
            verb, form = "GET", None
        raise LoginError(f"{address} redirects endlessly")
