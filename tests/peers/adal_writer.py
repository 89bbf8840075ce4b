"""Signs users in with ADAL Python, by device code, and prints its cache.

The arguments are the authority, the client id, the resource, and the names of the users. The server is
that of `oauth.mjs`, whose `/approve` acts as the user.
"""

import sys
import urllib.parse

import adal
import requests

authority, client_id, resource, *users = sys.argv[1:]
cache = adal.TokenCache()
context = adal.AuthenticationContext(authority, validate_authority=False, cache=cache)
server = urllib.parse.urljoin(authority, "/")
for user in users:
    code = context.acquire_user_code(resource, client_id)
    approved = requests.post(
        f"{server}approve", params={"user_code": code["user_code"], "login": user}, timeout=60
    )
    assert approved.json()["approved"], approved.text
    token = context.acquire_token_with_device_code(resource, code, client_id)
    assert token["userId"] == user and token["refreshToken"], token.keys()
print(cache.serialize())
