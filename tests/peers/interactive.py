"""What the receiver of MSAL Python's acquire_token_interactive does: each line of the comparison in the
guide to sign-in, observed with the real library. Exits with 1 if one has changed.

    source tests/peers/python; "$MSAL_CACHE_PYTHON" tests/peers/interactive.py
"""

import base64
import inspect
import json
import socket
import threading
import time
import urllib.parse

import msal
from msal.oauth2cli import authcode

AUTHORITY = "https://login.microsoftonline.com/contoso"
failed = []


class Response:
    status_code = 200
    headers = {}

    def __init__(self, body):
        self.text = json.dumps(body)

    def raise_for_status(self):
        pass


class Server:
    """An HTTP client with a server in it."""

    nonce = None

    def get(self, url, **_):
        base = AUTHORITY + "/oauth2/v2.0"
        return Response({
            "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
            "device_authorization_endpoint": base + "/devicecode",
            "issuer": AUTHORITY + "/v2.0",
        })

    def post(self, url, **_):
        encode = lambda it: base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=")
        claims = {"aud": "app", "iss": AUTHORITY + "/v2.0", "sub": "s", "oid": "alice",
                  "nonce": self.nonce, "exp": time.time() + 3600, "iat": time.time()}
        return Response({
            "access_token": "at", "expires_in": 3600, "token_type": "Bearer",
            "id_token": ".".join([encode({"alg": "none"}), encode(claims), ""]),
            "client_info": encode({"uid": "alice", "utid": "contoso"}),
        })

    def close(self):
        pass


class SignIn:
    """A sign-in in a thread."""

    def __init__(self, **options):
        self.result, self.ended = None, None
        asked = threading.Event()

        def show(address):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
            self.query = {name: values[0] for name, values in query.items()}
            self.port = urllib.parse.urlsplit(self.query["redirect_uri"]).port
            server.nonce = self.query["nonce"]
            asked.set()

        server = Server()
        app = msal.PublicClientApplication(
            "app", authority=AUTHORITY, http_client=server, instance_discovery=False)

        def run():
            try:
                self.result = app.acquire_token_interactive(
                    ["User.Read"], auth_uri_callback=show, **options)
            except Exception as error:  # It is what is observed.
                self.result = error
            self.ended = time.monotonic()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert asked.wait(20), "no address"
        # The library listens before it waits.
        time.sleep(0.3)

    def send(self, text, host="127.0.0.1", wait=5):
        with socket.create_connection((host, self.port), wait) as connection:
            connection.settimeout(wait)
            connection.sendall(text.encode())
            try:
                return connection.recv(65536).decode()
            except socket.timeout:
                return None

    def post(self, wait=5, **fields):
        body = urllib.parse.urlencode(fields)
        head = f"POST / HTTP/1.1\r\nHost: localhost:{self.port}\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
        return self.send(f"{head}\r\n{body}", wait=wait)

    def answer(self, wait=5):
        return self.post(wait, code="c", state=self.query["state"])


def point(what, holds):
    print(("    " if holds else "NOT ") + what)
    if not holds:
        failed.append(what)


# No browser is here, so the library calls back with the address.
authcode._browse = lambda *_, **__: False

interactive = inspect.signature(msal.PublicClientApplication.acquire_token_interactive)
point("the default timeout is none", interactive.parameters["timeout"].default is None)

it = SignIn(timeout=30)
point("the answer comes by form_post", it.query["response_mode"] == "form_post")
try:
    socket.create_connection(("::1", it.port), 2).close()
    listens_on_ipv6 = True
except OSError:
    listens_on_ipv6 = False
point("it listens on no IPv6 address, though the name is localhost",
      not listens_on_ipv6 and it.query["redirect_uri"].startswith("http://localhost:"))
refused = it.send(f"GET /?code=c&state={it.query['state']} HTTP/1.1\r\nHost: localhost\r\n\r\n")
point("an answer in the query is refused with status 400", " 400 " in (refused or ""))
began = time.monotonic()
it.answer()
it.thread.join(10)
point("the result is a dictionary", isinstance(it.result, dict) and "access_token" in it.result)
print(f"    noticed after {it.ended - began:.1f} s")

delays = []
for phase in (0.1, 0.35, 0.6, 0.85):
    it = SignIn(timeout=30)
    time.sleep(phase)
    began = time.monotonic()
    it.answer()
    it.thread.join(10)
    delays.append(it.ended - began)
print("    an answer is noticed after " + ", ".join(f"{delay:.2f}" for delay in delays) + " s")
point("an answer is noticed within a second, and not at once", 0.3 < max(delays) < 1.5)

it = SignIn(timeout=6)
idle = socket.create_connection(("127.0.0.1", it.port))
time.sleep(0.2)
point("an idle connection blocks the answer", it.answer(wait=3) is None and it.result is None)
it.thread.join(10)
print(f"    the sign-in ended with {type(it.result).__name__} {str(it.result)[:60]}")
idle.close()

it = SignIn(timeout=5)
it.post(error="access_denied")
it.thread.join(3)
point("an error without a state is waited on", it.result is None)

it = SignIn()
it.thread.join(5)
point("without a timeout, a closed page is waited for", it.result is None)

raise SystemExit(1 if failed else 0)
