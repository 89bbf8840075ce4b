"""Prints the accounts and tokens that MSAL Python finds in a cache file."""
import sys

import msal

cache = msal.SerializableTokenCache()
with open(sys.argv[1]) as file:
    cache.deserialize(file.read())
kinds = msal.TokenCache.CredentialType
# At the epoch, no token has expired, so all are found.
found = {
    kind: list(cache.search(kind, query={}, now=0))
    for kind in (kinds.ACCOUNT, kinds.ACCESS_TOKEN, kinds.REFRESH_TOKEN, kinds.ID_TOKEN)
}
print(f"MSAL Python {msal.__version__} reads {sys.argv[1]}:")
for kind, entries in found.items():
    print(f"  {len(entries):3} in {kind}")
for account in found[kinds.ACCOUNT]:
    print(f"  signed in: {account['username'] or '(no user name)'} in {account['realm']}")
for token in found[kinds.ACCESS_TOKEN]:
    print(f"  token of {token['home_account_id'] or 'the app'} for {token['target']}")
if not found[kinds.ACCOUNT]:
    sys.exit("no account found")
