"""Runs commands with MSAL Python.

Reads requests as lines of JSON, {"command": ..., and its parameters}, and writes a line of JSON for
each: {"ok": <value>} or {"raised": <type of the exception>, "message": ...}.
"""
import base64
import contextlib
import importlib.metadata
import json
import locale
import logging
import sys
import time
import types
import unicodedata

import msal
import msal.application
import msal.token_cache
import msal_extensions
import requests
from msal.authority import canonicalize
from msal.exceptions import MsalServiceError
from msal.token_cache import SerializableTokenCache, _compute_ext_cache_key

caches = {}
commands = {}


def command(function):
    commands[function.__name__] = function
    return function


@contextlib.contextmanager
def clock_at(now):
    """Sets the clock of the modules of MSAL. msal_extensions keeps the real one."""
    if now is None:
        yield
        return
    frozen = types.SimpleNamespace(time=lambda: now)
    modules = (msal.application, msal.token_cache)
    for module in modules:
        module.time = frozen
    try:
        yield
    finally:
        for module in modules:
            module.time = time


def attempt(function, *args, **kwargs):
    try:
        return {"ok": function(*args, **kwargs)}
    except Exception as error:  # The test judges it.
        return {"raised": type(error).__name__, "message": str(error)}


@command
def about():
    return {
        "msal": msal.__version__,
        "msal_extensions": importlib.metadata.version("msal_extensions"),
        "unicode": unicodedata.unidata_version,
        "encoding": locale.getpreferredencoding(False),
    }


# Functions without a cache.

@command
def ext_cache_keys(data):
    return [_compute_ext_cache_key(it) for it in data]


@command
def keys(credential_type, fields):
    make = SerializableTokenCache().key_makers[credential_type]
    return [make(**it) for it in fields]


@command
def canonicalized(addresses):
    """[host, tenant] of each address; None where it raises ValueError."""
    def one(address):
        try:
            return list(canonicalize(address)[1:])
        except ValueError:
            return None
    return [one(it) for it in addresses]


@command
def lower(texts):
    return [it.lower() for it in texts]


@command
def assigned():
    """All characters of Python's Unicode version, as ranges [first, last]."""
    ranges = []
    for point in range(0x110000):
        if unicodedata.category(chr(point)) in ("Cn", "Cs"):
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return ranges


# A cache in memory or in a file.

@command
def new(cache, state=None):
    caches[cache] = SerializableTokenCache()
    if state is not None:
        caches[cache].deserialize(state)


@command
def open_file(cache, path):
    persistence = msal_extensions.FilePersistence(path)
    caches[cache] = msal_extensions.PersistedTokenCache(persistence)


@command
def save_file(path, state):
    msal_extensions.FilePersistence(path).save(state)


@command
def read_file(cache, path):
    """Opens a file as the documentation of SerializableTokenCache describes."""
    caches[cache] = SerializableTokenCache()
    with open(path, "r") as file:
        caches[cache].deserialize(file.read())


@command
def add(cache, event, now=None):
    caches[cache].add(event, now=now)


@command
def search(cache, credential_type, target=None, query=None, now=None):
    return list(caches[cache].search(credential_type, target=target, query=query, now=now))


@command
def count(cache, credential_type, target=None, query=None, now=None):
    """The number of entries that a search finds, which may hold text that can't be a response."""
    return len(search(cache, credential_type, target=target, query=query, now=now))


@command
def change(cache, how, entry, credential_type=None, fields=None, secret=None, now=None):
    it = caches[cache]
    with clock_at(now):
        if how == "modify":
            it.modify(credential_type, entry, fields)
        elif how == "update_rt":
            it.update_rt(entry, secret)
        else:
            getattr(it, how)(entry)


@command
def serialize(cache):
    return caches[cache].serialize()


# Commands for many inputs.

@command
def added(events, now):
    """For each event, the document of a new cache after it."""
    def one(event):
        cache = SerializableTokenCache()
        cache.add(event, now=now)
        return json.loads(cache.serialize())
    return [attempt(one, it) for it in events]


@command
def queried(state, queries, now):
    """For each query, its result in a new cache. If a query raises, also its results in each entry
    alone, without the entries on which it raises."""
    def find(state, credential_type, target, query):
        cache = SerializableTokenCache()
        cache.deserialize(state)
        return list(cache.search(credential_type, target=target, query=query, now=now))

    def alone(state, credential_type, target, query):
        found = []
        for key, entry in json.loads(state)[credential_type].items():
            one = json.dumps({credential_type: {key: entry}})
            found.extend(attempt(find, one, credential_type, target, query).get("ok", []))
        return found

    def one(query):
        parts = query["credential_type"], query["target"], query["query"]
        response = attempt(find, state, *parts)
        if "raised" in response:
            response["alone"] = attempt(alone, state, *parts)
        return response

    return [one(it) for it in queries]


@command
def changed(state, changes):
    """For each change, the document of a new cache after it."""
    def one(how):
        cache = SerializableTokenCache()
        cache.deserialize(state)
        caches["changed"] = cache
        change("changed", **how)
        return json.loads(cache.serialize())
    return [attempt(one, it) for it in changes]


# An app with a cache.

# The public cloud in the response of instance discovery.
PUBLIC_CLOUD = {
    "preferred_network": "login.microsoftonline.com",
    "preferred_cache": "login.windows.net",
    "aliases": [
        "login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net",
    ],
}


class NoNetwork:
    """Responds to OpenID and instance discovery, and refuses token requests."""

    class Response:
        def __init__(self, status_code, body):
            self.status_code, self.text, self.headers = status_code, json.dumps(body), {}

        def raise_for_status(self):
            if self.status_code >= 400:
                raise RuntimeError("status {}".format(self.status_code))

    def __init__(self):
        self.token_requests = 0

    def get(self, url, **_):
        if url.endswith("/common/discovery/instance"):
            return self.Response(200, {"metadata": [PUBLIC_CLOUD]})
        base, found, _ = url.partition("/.well-known/openid-configuration")
        assert found, "unexpected request: {}".format(url)
        base = base[:-len("/v2.0")] if base.endswith("/v2.0") else base
        return self.Response(200, {
            "issuer": base,
            "authorization_endpoint": base + "/oauth2/v2.0/authorize",
            "token_endpoint": base + "/oauth2/v2.0/token",
        })

    def post(self, url, **_):
        self.token_requests += 1
        return self.Response(400, {"error": "invalid_grant"})

    def close(self):
        pass


def app(kind, cache, client_id, authority, http_client, instance_discovery=False, **kwargs):
    make = getattr(msal, kind)
    return make(
        client_id, authority=authority, token_cache=caches[cache], http_client=http_client,
        instance_discovery=instance_discovery, **kwargs)


@command
def accounts(cache, client_id, authority):
    return app("PublicClientApplication", cache, client_id, authority, NoNetwork()).get_accounts()


@command
def silent(
        cache, client_id, authority, scopes, home_account_id, data=None, now=None, discover=False):
    """The result of acquire_token_silent_with_error, and the number of token requests."""
    http = NoNetwork()
    public = app(
        "PublicClientApplication", cache, client_id, authority, http, instance_discovery=discover)
    account = [it for it in public.get_accounts() if it["home_account_id"] == home_account_id]
    assert len(account) == 1, "{} accounts have this id".format(len(account))
    with clock_at(now):
        result = public.acquire_token_silent_with_error(scopes, account[0], data=data or {})
    return {"result": result, "requests": http.token_requests}


@command
def sign_out(cache, client_id, authority, home_account_id):
    public = app("PublicClientApplication", cache, client_id, authority, NoNetwork())
    account = [it for it in public.get_accounts() if it["home_account_id"] == home_account_id]
    assert len(account) == 1, "{} accounts have this id".format(len(account))
    public.remove_account(account[0])


@command
def for_client(cache, client_id, authority, scopes, fmi_path=None, now=None):
    """The result of acquire_token_for_client, and the number of token requests."""
    http = NoNetwork()
    confidential = app(
        "ConfidentialClientApplication", cache, client_id, authority, http,
        client_credential="not a secret")
    with clock_at(now):
        more = {"fmi_path": fmi_path} if fmi_path else {}
        result = confidential.acquire_token_for_client(scopes, **more)
    return {"result": result, "requests": http.token_requests}


class MetadataService:
    """The service of a virtual machine that gives tokens to its managed identity."""

    def __init__(self, secrets):
        self.secrets, self.requests = list(secrets), 0

    def get(self, url, **_):
        assert "/metadata/identity/oauth2/token" in url, "unexpected request: {}".format(url)
        self.requests += 1
        return NoNetwork.Response(200, {
            "access_token": self.secrets.pop(0), "expires_in": "7199", "token_type": "Bearer",
            "resource": "https://vault.azure.net",
        })

    def close(self):
        pass


@command
def managed_identity(cache, resource, secrets, now, client_id=None):
    """The result of ManagedIdentityClient.acquire_token_for_client, and the number of requests."""
    identity = (
        msal.SystemAssignedManagedIdentity() if client_id is None
        else msal.UserAssignedManagedIdentity(client_id=client_id))
    http = MetadataService(secrets)
    client = msal.ManagedIdentityClient(identity, http_client=http, token_cache=caches[cache])
    with clock_at(now):
        # This module has a name for the time of its own.
        module, kept = msal.managed_identity, msal.managed_identity.time
        module.time = types.SimpleNamespace(time=lambda: now)
        try:
            result = client.acquire_token_for_client(resource=resource)
        finally:
            module.time = kept
    return {"result": result, "requests": http.requests}


# A scenario: one call of an app with a cache file and the given responses of the server.

CLOUDS = [
    ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    ["login.microsoftonline.us", "login.usgovcloudapi.net"],
]


class Scripted:
    """Responds to discovery, and to token requests with the responses of the scenario."""

    class Response:
        def __init__(self, status=200, body=None, text=None):
            self.status_code, self.headers = status, {}
            self.text = json.dumps(body) if text is None else text

        def raise_for_status(self):
            if self.status_code >= 400:
                raise requests.HTTPError("status {}".format(self.status_code))

    def __init__(self, responses):
        self.responses, self.requests = list(responses), []

    def get(self, url, **_):
        if "/common/discovery/instance" in url:
            return self.Response(body={"metadata": [{"aliases": it} for it in CLOUDS]})
        base, found, _ = url.partition("/.well-known/openid-configuration")
        assert found, "unexpected request: {}".format(url)
        base = base[:-len("/v2.0")] if base.endswith("/v2.0") else base
        version = "" if base.endswith("/adfs") else "/v2.0"
        return self.Response(body={
            "issuer": base,
            "authorization_endpoint": base + "/oauth2" + version + "/authorize",
            "token_endpoint": base + "/oauth2" + version + "/token",
        })

    def post(self, url, data=None, headers=None, **_):
        # In this crate, the endpoint adds the client's credential.
        form = {name: str(value) for name, value in data.items() if name != "client_secret"}
        anchor = (headers or {}).get("X-AnchorMailbox")
        self.requests.append({"url": url, "form": form, "anchor": anchor})
        response = self.responses.pop(0)
        if response.get("unreachable"):
            raise requests.ConnectionError("unreachable")
        return self.Response(**response)

    def close(self):
        pass


def result_of(result):
    if not result or ("error" not in result and "access_token" not in result):
        return {"none": True}
    if "error" in result:
        names = "error", "suberror", "claims", "correlation_id", "classification"
        return {name: result[name] for name in names if result.get(name)}
    return {"token": result["access_token"], "source": result["token_source"]}


@command
def scenario(
        path, now, call, client_id, authority, scopes, home_account_id, responses, username=None,
        force_refresh=False, claims_challenge=None, capabilities=None, data=None):
    """The result of the call, the requests, and the number of unused responses."""
    http = Scripted(responses)
    host = authority.split("/")[2].lower()
    account = {
        "home_account_id": home_account_id, "environment": host, "username": "alice@example",
        "authority_type": "MSSTS", "local_account_id": "uid",
    }

    def run():
        cache = msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(path))
        common = dict(
            authority=authority, token_cache=cache, http_client=http,
            validate_authority=any(host in cloud for cloud in CLOUDS),
            client_capabilities=capabilities)
        more = {} if data is None else {"data": dict(data)}
        if call in ("for_client", "remove_tokens_for_client"):
            it = msal.ConfidentialClientApplication(
                client_id, client_credential="not a secret", **common)
        else:
            it = msal.PublicClientApplication(client_id, **common)
            # As every app does. This also reads the file, which reading metadata doesn't.
            it.get_accounts()
        if call == "accounts":
            return sorted([it["home_account_id"], it["username"]] for it in it.get_accounts(username))
        if call == "remove_account":
            return it.remove_account(account)
        if call == "remove_tokens_for_client":
            return it.remove_tokens_for_client()
        if call == "for_client":
            return result_of(it.acquire_token_for_client(
                scopes, claims_challenge=claims_challenge, **more))
        return result_of(it.acquire_token_silent_with_error(
            scopes, account, force_refresh=force_refresh, claims_challenge=claims_challenge,
            **more))

    with clock_at(now):
        try:
            result = run()
        except (requests.RequestException, MsalServiceError):
            result = {"outage": True}
        except ValueError:
            result = {"invalid": True}
    return {"result": result, "requests": http.requests, "left": len(http.responses)}


def main():
    # MSAL logs exceptions, too.
    logging.getLogger("msal").addHandler(logging.NullHandler())
    for line in sys.stdin.buffer:
        request = json.loads(line.decode("utf-8"))
        name = request.pop("command")
        response = json.dumps(attempt(commands[name], **request), ensure_ascii=True)
        sys.stdout.buffer.write(response.encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
