"""Credentials of azure-identity, with a cache and an authentication record in JSON.

Standard input is an object: `authority`, `tenant`, `client_id`, `certificate` and `scope`, and the `cache` and
the `record` of an earlier sign-in, if there is one. Without a record, the user `login` signs in by device code.
Prints the record, the token and the cache.
"""

import json
import sys

import msal
import requests
from azure.identity import AuthenticationRecord, DeviceCodeCredential

asked = json.load(sys.stdin)
cache = msal.SerializableTokenCache()
if asked.get("cache"):
    cache.deserialize(asked["cache"])


def approve(_address, user_code, _expires):
    approved = requests.post(
        f"https://{asked['authority']}/approve",
        params={"user_code": user_code, "login": asked["login"]},
        verify=asked["certificate"],
        timeout=60,
    )
    assert approved.json()["approved"], approved.text


record = asked.get("record") and AuthenticationRecord.deserialize(asked["record"])
options = {
    "tenant_id": asked["tenant"],
    "disable_instance_discovery": True,
    "disable_automatic_authentication": True,
    "connection_verify": asked["certificate"],
    "prompt_callback": approve,
    "_cache": cache,
}
if record:
    credential = DeviceCodeCredential(authentication_record=record, **options)
else:
    client = {"authority": asked["authority"], "client_id": asked["client_id"]}
    credential = DeviceCodeCredential(**client, **options)
    record = credential.authenticate(scopes=[asked["scope"]])
token = credential.get_token(asked["scope"])
print(json.dumps({"record": record.serialize(), "token": token.token, "cache": cache.serialize()}))
