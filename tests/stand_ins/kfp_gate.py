"""What stands in front of a KFP server and logs callers in: its own tokens, Dex with oauth2-proxy, or Google's IAP.

It is an HTTP server that knows each flow from the outside, as a client meets it.
"""

import base64
import datetime
import functools
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from google.auth import crypt, jwt

from tests.stand_ins.server import Answer, ApiError, Request

AUDIENCE = "pipelines.kubeflow.org"
CLIENT_ID = "123-abc.apps.googleusercontent.com"
LOGIN_FORM = b"<html><form method=post><input name=login><input name=password type=password></form></html>"


@dataclass(frozen=True)
class Identity:
    """Who calls.

    Attributes:
        user: The name.
        namespaces: The namespaces where the user may do everything.
    """

    user: str = ""
    namespaces: tuple[str, ...] = ()


@functools.cache
def _keys() -> tuple[str, str]:
    """A private key and its public one, as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def signed(audience: str, seconds: int = 3600, **claims: Any) -> str:
    """A token of this issuer.

    Args:
        audience: Its audience.
        seconds: Time until it expires; negative for an expired one.
        claims: Further claims.
    """
    now = int(datetime.datetime.now(datetime.timezone.utc).timestamp())
    content = {"iat": now - 7200, "exp": now + seconds, "aud": audience, **claims}
    return jwt.encode(crypt.RSASigner.from_string(_keys()[0]), content).decode()


def key_file(folder: Path, url: str) -> Path:
    """Writes the key of a service account, whose tokens this server issues.

    Args:
        folder: The folder.
        url: The server's address.
    """
    content = {
        "type": "service_account",
        "client_email": "ci@project.iam.gserviceaccount.com",
        "private_key": _keys()[0],
        "private_key_id": "1",
        "token_uri": f"{url}/token",
    }
    path = folder / "key.json"
    path.write_text(json.dumps(content))
    return path


@dataclass
class Gate:
    """A gate.

    Attributes:
        kind: token: the API server itself reviews bearer tokens (backend/src/apiserver/auth); dex: oauth2-proxy
            redirects to Dex; dex-403: it shows a page with a button first; iap: the Identity-Aware Proxy.
        tokens: Callers by opaque token.
        passwords: Passwords of Dex by user.
        connectors: Connectors of Dex; with one, Dex does not ask.
        approval: Whether Dex asks for approval (skipApprovalScreen: false).
        members: Callers by user, for the namespaces of users of Dex and of Google.
        seen: The Authorization header or cookie of each request, by path.
    """

    kind: Literal["token", "dex", "dex-403", "iap"] = "token"
    tokens: dict[str, Identity] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    connectors: tuple[str, ...] = ("local",)
    approval: bool = False
    members: dict[str, Identity] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    logins: int = 0
    seen: list[str] = field(default_factory=list)

    def check(self, request: Request, url: str) -> Identity | Answer:
        """Returns who calls, or else the answer that the caller gets.

        Args:
            request: The request.
            url: This server's address.
        """
        path = request.path
        if path == "/token":
            return self._issue(request)
        if path.startswith(("/dex/", "/oauth2/")):
            return self._log_in(request)
        if not path.startswith("/pipeline"):
            # The dashboard answers every address with its one page.
            return Answer(b"<!doctype html><html>Kubeflow Central Dashboard</html>", content_type="text/html")
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        cookies = dict(one.partition("=")[::2] for one in request.headers.get("cookie", "").split("; ") if one)
        self.seen.append(bearer or request.headers.get("cookie", ""))
        if bearer:
            return self._reviewed(bearer)
        user = self.sessions.get(cookies.get("oauth2_proxy_kubeflow", ""))
        if user:
            return self.members.get(user, Identity(user))
        return self._unknown(path)

    def _unknown(self, path: str) -> Answer:
        if self.kind == "dex":
            return _redirect(
                f"/dex/auth?client_id=kubeflow-oidc-authservice&redirect_uri=/oauth2/callback&state={path}"
            )
        if self.kind == "dex-403":
            # oauth2-proxy without --skip-provider-button.
            return Answer(b"<html><a href=/oauth2/start>Sign in</a></html>", 403, "text/html")
        if self.kind == "iap":
            # https://cloud.google.com/iap/docs/identity-howto: a browser is sent to Google.
            return _redirect(f"https://accounts.google.com/o/oauth2/v2/auth?client_id={CLIENT_ID}")
        # singlePrefixedHeaderFromMetadata in backend/src/apiserver/auth/authenticator.go.
        raise ApiError(401, "Request header error: there is no user identity header", "UNAUTHENTICATED")

    def _reviewed(self, token: str) -> Identity | Answer:
        if token in self.tokens:
            return self.tokens[token]
        try:
            claims = jwt.decode(token, certs=_keys()[1])
            problem = ""
        except Exception as error:
            claims, problem = {}, str(error)
        wanted = CLIENT_ID if self.kind == "iap" else AUDIENCE
        if not problem and wanted != claims["aud"]:
            problem = f"Failed to find all of '[{wanted}]' in audience: [{claims['aud']}]"
        if problem and self.kind == "iap":
            return Answer(f"Invalid IAP credentials: {problem}".encode(), 401, "text/html")
        if problem:
            # doTokenReview in authenticator_token_review.go.
            raise ApiError(401, f"Failed to authenticate token review: {problem}", "UNAUTHENTICATED")
        user = str(claims.get("email") or claims.get("sub", ""))
        return self.members.get(user, Identity(user))

    def _issue(self, request: Request) -> Answer:
        """Google's token endpoint: https://developers.google.com/identity/protocols/oauth2/service-account."""
        form = dict(parse_qsl(request.body.decode()))
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            raise ApiError(400, "unsupported_grant_type")
        claims = jwt.decode(form["assertion"], certs=_keys()[1], audience=None)
        token = signed(claims["target_audience"], email=claims["iss"])
        return Answer(json.dumps({"id_token": token}).encode())

    def _log_in(self, request: Request) -> Answer:
        """Dex, server/handlers.go of dexidp/dex, and the proxy's own paths."""
        path = request.path
        query = dict(request.query)
        if path == "/oauth2/start":
            return _redirect("/dex/auth?client_id=kubeflow-oidc-authservice")
        if path == "/oauth2/callback":
            user = base64.urlsafe_b64decode(query["code"]).decode()
            session = secrets.token_hex(8)
            self.sessions[session] = user
            self.logins += 1
            return _redirect("/pipeline/", ("Set-Cookie", f"oauth2_proxy_kubeflow={session}; Path=/; HttpOnly"))
        if path == "/dex/auth":
            if len(self.connectors) > 1:
                return Answer(b"<html>Log in with ...</html>", content_type="text/html")
            return _redirect(f"/dex/auth/{self.connectors[0]}")
        if path == "/dex/approval":
            if request.verb == "GET":
                return Answer(b"<html>Grant access?</html>", content_type="text/html")
            return _redirect(f"/oauth2/callback?code={query['req']}")
        connector = path.split("/")[3]
        if connector not in self.connectors:
            return Answer(b"<html>Bad Request: Requested resource does not exist</html>", 400, "text/html")
        if not path.endswith("/login"):
            return _redirect(f"/dex/auth/{connector}/login?state=xyz")
        if request.verb == "GET":
            return Answer(LOGIN_FORM, content_type="text/html")
        form = dict(parse_qsl(request.body.decode()))
        if self.passwords.get(form.get("login", "")) != form.get("password"):
            return Answer(LOGIN_FORM, 401, "text/html")
        code = base64.urlsafe_b64encode(form["login"].encode()).decode()
        return _redirect(f"/dex/approval?req={code}" if self.approval else f"/oauth2/callback?code={code}")


def _redirect(to: str, *headers: tuple[str, str]) -> Answer:
    return Answer(b"<html>Found</html>", 302, "text/html", (("Location", to), *headers))
