"""Uses an entry of the key store as Python apps do: keyring.py HOME KIND [SIGNAL [SCHEMA [NAME=VALUE]]]

KIND is "azure-identity", whose entry is in HOME, or "extensions", with the arguments of
LibsecretPersistence. Reads lines of JSON, and answers each with one:

    {"add": "user"}     signs a user in
    {"users": null}     the accounts, by home_account_id
    {"token": "name"}   the access token that azure-identity returns to an app, without the network
    {"many": [name, count, pause]}   signs many users in, with pauses of about this many milliseconds, and
                        tries again where the lock is not free in time; answers how often that was
"""
import base64
import json
import os
import random
import sys
import time

# The Azure SDK signs its users in by the app of Azure CLI.
CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def encoded(value):
    text = json.dumps(value).encode("ascii")
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def sign_in(user):
    claims = {"oid": user, "sub": user, "preferred_username": user + "@example", "tid": "tenant"}
    return {
        "client_id": CLIENT,
        "scope": ["https://graph.microsoft.com/.default"],
        "token_endpoint": "https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
        "grant_type": "authorization_code",
        "response": {
            "token_type": "Bearer",
            "expires_in": 3600,
            "foci": "1",
            "access_token": "AT-" + user,
            "refresh_token": "RT-" + user,
            "id_token": "e30.{}.signature".format(encoded(claims)),
            "client_info": encoded({"uid": user, "utid": "tenant"}),
        },
    }


def opened(kind, signal=None, schema=None, *attributes):
    if kind == "azure-identity":
        from azure.identity._persistent_cache import (
            TokenCachePersistenceOptions,
            _load_persistent_cache,
        )

        return _load_persistent_cache(TokenCachePersistenceOptions())
    from msal_extensions import LibsecretPersistence, PersistedTokenCache

    attributes = dict(pair.split("=", 1) for pair in attributes)
    return PersistedTokenCache(LibsecretPersistence(signal, schema or None, attributes))


def token(user):
    from azure.identity import SharedTokenCacheCredential

    credential = SharedTokenCacheCredential(username=user)
    return credential.get_token("https://graph.microsoft.com/.default").token


def main(home, *place):
    os.environ["HOME"] = home
    from msal_extensions import LockError

    cache = opened(*place)
    assert cache.is_encrypted
    for line in sys.stdin:
        (command, argument), = json.loads(line).items()
        answer = None
        if command == "add":
            cache.add(sign_in(argument))
        elif command == "users":
            found = cache.search(cache.CredentialType.ACCOUNT)
            answer = sorted(account["home_account_id"] for account in found)
        elif command == "token":
            answer = token(argument)
        elif command == "many":
            name, count, pause = argument
            for number in range(count):
                time.sleep(pause / 1000 * random.uniform(0.5, 1.5))
                event = sign_in("{}-{}".format(name, number))
                while True:
                    try:
                        cache.add(event)
                        break
                    except LockError:  # After 5 seconds, in which it has tried 20 times.
                        answer = (answer or 0) + 1
        print(json.dumps({"ok": answer}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
