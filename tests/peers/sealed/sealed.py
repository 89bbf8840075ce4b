"""The format of docs::sealed, over PyNaCl: written from the documentation, and not from the Rust code.

    sealed.py vectors      prints the test vectors
    sealed.py check        reads jobs from standard input, as a JSON array, and prints their results
"""

import base64
import hashlib
import hmac
import json
import sys

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt,
)

MAGIC = b"msal-cache sealed\n"


def field(data):
    data = data.encode() if isinstance(data, str) else data
    return len(data).to_bytes(4, "big") + data


SEGMENT = 1 << 18


def segments(header, nonce, size, fields):
    """The range, the nonce and the authenticated data of each segment of a text of `size` bytes."""
    aad = header + size.to_bytes(8, "big") + b"".join(map(field, fields))
    last = int.from_bytes(nonce[20:], "big")
    for index, start in enumerate(range(0, max(size, 1), SEGMENT)):
        one = nonce[:20] + ((last + index) % (1 << 32)).to_bytes(4, "big")
        yield start, min(start + SEGMENT, size), one, aad


def envelope(number, key, nonce, fields, plaintext):
    header = b"\x01" + number.to_bytes(4, "big")
    texts, tags = [], []
    for start, end, one, aad in segments(header, nonce, len(plaintext), fields):
        sealed = encrypt(plaintext[start:end], aad, one, key)
        texts.append(sealed[:-16])
        tags.append(sealed[-16:])
    return header + nonce + b"".join(texts + tags)


def opened(sealed, keys, fields):
    header, nonce, rest = sealed[:5], sealed[5:29], sealed[29:]
    assert header[0] == 1
    key = keys[int.from_bytes(header[1:], "big")]
    # Each segment has a tag, and all but the last one are whole.
    size = len(rest) - 16 * -(-len(rest) // (SEGMENT + 16))
    tags = [rest[at : at + 16] for at in range(size, len(rest), 16)]
    parts = list(segments(header, nonce, size, fields))
    assert len(parts) == len(tags)
    pairs = zip(parts, tags)
    return b"".join(decrypt(rest[a:b] + tag, aad, one, key) for (a, b, one, aad), tag in pairs)


def hidden(names, cache, *fields):
    text = b"".join(map(field, (cache, *fields)))
    return hmac.new(names, text, hashlib.sha256).digest()[:16].hex()


def place(job):
    """The partition and the key under which a record is stored, and the kind of the record."""
    if not job["hidden"]:
        return job["partition"], job["key"], "msal-cache record"
    names = bytes.fromhex(job["names"])
    partition = "user/" + hidden(names, job["cache"], "partition", job["partition"], "")
    key = hidden(names, job["cache"], "key", job["section"], job["key"])
    return partition, key, "msal-cache hidden record"


HEADER = ["app/msal-cache/sealed", "MsalCacheSealed", "names", ""]


def seal_header(job):
    """The header of the store, whose names are hidden by the key `names`."""
    key, nonce = bytes.fromhex(job["secret"]), bytes.fromhex(job["nonce"])
    plaintext = b"hidden" + bytes.fromhex(job["names"]) if job["hidden"] else b"legible"
    fields = ["msal-cache header", job["cache"], *HEADER]
    sealed = base64.b64encode(envelope(job["number"], key, nonce, fields, plaintext))
    stored = {"partition": HEADER[0], "sealed": sealed.decode().rstrip("=")}
    return json.dumps(stored, separators=(",", ":"))


def open_header(job):
    """The key by which names are hidden, in hexadecimal digits; that of legible names is None."""
    stored = json.loads(job["header"])
    assert stored["partition"] == HEADER[0] and len(stored) == 2
    sealed = base64.b64decode(stored["sealed"] + "=" * (-len(stored["sealed"]) % 4))
    keys = {job["number"]: bytes.fromhex(job["secret"])}
    plaintext = opened(sealed, keys, ["msal-cache header", job["cache"], *HEADER])
    if plaintext == b"legible":
        return None
    assert plaintext.startswith(b"hidden") and len(plaintext) == 6 + 32
    return plaintext[6:].hex()


def seal(job):
    key, nonce = bytes.fromhex(job["secret"]), bytes.fromhex(job["nonce"])
    if "document" in job:
        fields = ["msal-cache document", job["cache"]]
        plaintext = job["document"].encode() * job.get("times", 1)
        stored = MAGIC + envelope(job["number"], key, nonce, fields, plaintext)
        if "times" in job:
            return {"sha256": hashlib.sha256(stored).hexdigest()}
        return {"stored": base64.b64encode(stored).decode()}
    partition, stored_key, kind = place(job)
    fields = [kind, job["cache"], partition, job["section"], stored_key, job["expires_on"] or ""]
    plaintext = job["value"].encode()
    if job["hidden"]:
        plaintext = field(job["key"]) + plaintext
    sealed = base64.b64encode(envelope(job["number"], key, nonce, fields, plaintext))
    stored = {"expires_on": job["expires_on"]} if job["expires_on"] else {}
    stored |= {"partition": partition, "sealed": sealed.decode().rstrip("=")}
    text = json.dumps(stored, separators=(",", ":"), ensure_ascii=False)
    header = seal_header(job)
    return {"partition": partition, "key": stored_key, "stored": text, "header": header}


def unseal(job):
    keys = {job["number"]: bytes.fromhex(job["secret"])}
    if "document" in job:
        sealed = base64.b64decode(job["stored"])
        assert sealed.startswith(MAGIC)
        fields = ["msal-cache document", job["cache"]]
        return opened(sealed[len(MAGIC) :], keys, fields).decode()
    stored = json.loads(job["stored"])
    job["names"] = open_header(job)
    assert (job["names"] is not None) == job["hidden"]
    partition, stored_key, kind = place(job)
    assert stored["partition"] == partition and job["stored_key"] == stored_key
    sealed = base64.b64decode(stored["sealed"] + "=" * (-len(stored["sealed"]) % 4))
    expires_on = stored.get("expires_on", "")
    fields = [kind, job["cache"], partition, job["section"], stored_key, expires_on]
    plaintext = opened(sealed, keys, fields)
    if job["hidden"]:
        name = field(job["key"])
        assert plaintext.startswith(name)
        plaintext = plaintext[len(name) :]
    return plaintext.decode()


def vectors():
    common = {
        "cache": "web",
        "number": 7,
        "secret": bytes(range(32)).hex(),
        "names": bytes(range(32, 64)).hex(),
        "nonce": bytes(range(64, 88)).hex(),
    }
    value = '{"home_account_id":"uid.utid","expires_on":"1700000000","secret":"s\u00e9cret"}'
    record = common | {
        "partition": "user/uid.utid",
        "section": "AccessToken",
        "key": "uid.utid-login.example-accesstoken-c-t-s",
        "expires_on": "1700000000",
        "value": value,
        "hidden": False,
    }
    metadata = record | {
        "partition": "metadata",
        "section": "AppMetadata",
        "key": "appmetadata-login.example-c",
        "expires_on": None,
        "value": '{"client_id":"c","environment":"login.example"}',
    }
    jobs = [record, record | {"hidden": True}, metadata, metadata | {"hidden": True}]
    jobs.append(common | {"document": '{"AccessToken":{}}'})
    # Of five segments, whose nonces reach the end of the numbers of four bytes.
    nonce = (bytes(range(64, 84)) + b"\xff\xff\xff\xfe").hex()
    jobs.append(common | {"document": "0123456789abcdef\n", "times": 70_000, "nonce": nonce})
    return [job | seal(job) | {"plain_key": job.get("key")} for job in jobs]


if __name__ == "__main__":
    if sys.argv[1:] == ["vectors"]:
        json.dump(vectors(), sys.stdout, indent=1)
        print()
    elif sys.argv[1:] == ["check"]:
        jobs = json.load(sys.stdin)
        verbs = {"seal": seal, "open": unseal}
        json.dump([verbs[job["verb"]](job) for job in jobs], sys.stdout)
    else:
        sys.exit(__doc__)
