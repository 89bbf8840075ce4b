"""Measures the operations of the benchmark with MSAL Python: peer.py FOLDER

FOLDER contains cache.json and probes.jsonl. Prints one JSON object for each operation."""
import json, os, shutil, statistics, subprocess, sys, time

import msal
import msal_extensions
from msal.token_cache import SerializableTokenCache, TokenCache

FOLDER = sys.argv[1]
KIND = TokenCache.CredentialType
TEXT = open(os.path.join(FOLDER, "cache.json")).read()
PROBES = [json.loads(line) for line in open(os.path.join(FOLDER, "probes.jsonl"))]
NOW = 1700000000


def at(nth):
    return PROBES[nth % len(PROBES)]


def report(store, operation, ns):
    print(json.dumps({"store": store, "operation": operation, "ns": ns}), flush=True)


def measure(store, operation, work, undo=None, turn=0.03, most=4.0):
    started = time.perf_counter()
    took = []
    nth = 0
    while len(took) < 3 or (len(took) < 7 and time.perf_counter() - started < most):
        spent, times = 0, 0
        while spent < turn * 1e9:
            begun = time.perf_counter_ns()
            work(nth)
            spent += time.perf_counter_ns() - begun
            times += 1
            if undo:
                undo(nth)
            nth += 1
        took.append(spent / times)
    report(store, operation, statistics.median(took))


def event(sign_in):
    response = {name: sign_in[name] for name in ("access_token", "id_token", "client_info", "expires_in")}
    response.update(token_type="Bearer", scope=" ".join(sign_in["scopes"]))
    if sign_in["refresh_token"]:
        response["refresh_token"] = sign_in["refresh_token"]
    return {
        "client_id": sign_in["client_id"], "scope": sign_in["scopes"], "response": response,
        "token_endpoint": "https://%s/%s/oauth2/v2.0/token" % (sign_in["environment"], sign_in["realm"]),
        "environment": sign_in["environment"], "grant_type": "authorization_code",
        "params": {}, "data": {},
    }


def owned(probe, *names):
    return {name: probe[name] for name in ("home_account_id", "environment") + names}


def find(cache, probe, scopes):
    query = owned(probe, "client_id", "realm")
    return next(iter(cache.search(KIND.ACCESS_TOKEN, target=scopes, query=query)), None)


def sign_out(cache, probe):
    query = owned(probe)
    for kind, remove in (
        (KIND.REFRESH_TOKEN, cache.remove_rt), (KIND.ACCESS_TOKEN, cache.remove_at),
        (KIND.ID_TOKEN, cache.remove_idt), (KIND.ACCOUNT, cache.remove_account),
    ):
        for entry in list(cache.search(kind, query=query)):
            remove(entry)


def memory():
    cache = SerializableTokenCache()
    cache.deserialize(TEXT)
    for probe in PROBES:
        assert find(cache, probe, probe["scopes"]) and find(cache, probe, probe["subset"])
        assert not find(cache, probe, ["https://nope.example/scope"])
    measure("memory", "exact hit", lambda nth: find(cache, at(nth), at(nth)["scopes"]))
    measure("memory", "subset hit", lambda nth: find(cache, at(nth), at(nth)["subset"]))
    measure("memory", "miss", lambda nth: find(cache, at(nth), ["https://nope.example/scope"]))
    measure("memory", "refresh token", lambda nth: next(
        iter(cache.search(KIND.REFRESH_TOKEN, query=owned(at(nth), "client_id")))))
    measure("memory", "account of one user", lambda nth: next(
        iter(cache.search(KIND.ACCOUNT, query=owned(at(nth), "realm")))))
    measure("memory", "all accounts", lambda nth: list(
        cache.search(KIND.ACCOUNT, query={"environment": PROBES[0]["environment"]})))
    events = [event(probe["again"]) for probe in PROBES]
    measure("memory", "add one response", lambda nth: cache.add(events[nth % len(events)], now=NOW))
    restore = [[event(sign_in) for sign_in in probe["restore"]] for probe in PROBES]
    measure(
        "memory", "sign one account out", lambda nth: sign_out(cache, at(nth)),
        lambda nth: [cache.add(it, now=NOW) for it in restore[nth % len(restore)]])
    measure("memory", "whole document in", lambda nth: SerializableTokenCache().deserialize(TEXT))
    measure("memory", "whole document out", lambda nth: cache.serialize())


def opened(path):
    return msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(path))


def persisted():
    path = os.path.join(FOLDER, "persisted.json")
    shutil.copy(os.path.join(FOLDER, "cache.json"), path)
    measure("file", "open and find one", lambda nth: find(opened(path), at(nth), at(nth)["scopes"]))
    cache = opened(path)
    measure("file", "find again, unchanged", lambda nth: find(cache, at(nth), at(nth)["scopes"]))
    events = [event(probe["again"]) for probe in PROBES]
    measure("file", "add one response, durable", lambda nth: cache.add(events[nth % len(events)]), most=10)
    program = (
        "import json, sys, msal_extensions as m; c = m.PersistedTokenCache(m.FilePersistence(sys.argv[1]));"
        "p = json.loads(sys.argv[2]); assert next(iter(c.search('AccessToken', target=p['scopes'],"
        "query={n: p[n] for n in ('home_account_id', 'environment', 'client_id', 'realm')})))")
    measure("file", "whole process: open, find one", lambda nth: subprocess.run(
        [sys.executable, "-c", program, path, json.dumps(at(nth))], check=True), turn=0.1)


memory()
if len(TEXT) < 50_000_000:
    persisted()
