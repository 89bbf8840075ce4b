"""A writer with msal_extensions: writer.py PATH NAME COUNT PAUSE

Prints "ready", waits for a line, and signs in COUNT users, NAME-0 and so on, after a pause of about
PAUSE milliseconds each. For each user, it prints "ok <number> <milliseconds>" or
"err <number> <milliseconds> <exception>". If portalocker is installed, msal_extensions uses it.
"""
import base64
import json
import random
import sys
import time

from msal_extensions import FilePersistence, PersistedTokenCache


def encoded(value):
    text = json.dumps(value).encode("ascii")
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def sign_in(user):
    claims = {"oid": user, "sub": user, "preferred_username": user + "@example"}
    return {
        "client_id": "client",
        "scope": ["User.Read"],
        "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        "grant_type": "authorization_code",
        "response": {
            "token_type": "Bearer",
            "expires_in": 3600,
            "access_token": "AT-" + user,
            "refresh_token": "RT-" + user,
            "id_token": "e30.{}.signature".format(encoded(claims)),
            "client_info": encoded({"uid": user, "utid": "tenant"}),
        },
    }


def main(path, name, count, pause):
    cache = PersistedTokenCache(FilePersistence(path))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        time.sleep(int(pause) / 1000 * random.uniform(0.5, 1.5))
        started = time.monotonic()
        try:
            cache.add(sign_in("{}-{}".format(name, number)))
            outcome, why = "ok", ""
        except Exception as error:  # The stress test counts it.
            outcome, why = "err", " {}: {}".format(type(error).__name__, error).replace("\n", " ")
        took = round((time.monotonic() - started) * 1000)
        print("{} {} {}{}".format(outcome, number, took, why), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
