// Measures the operations of the benchmark with MSAL Node: peer.mjs FOLDER
//
// FOLDER contains cache.json and probes.jsonl; the packages are in $NODE_ROOT/node_modules. Prints
// one JSON object for each operation.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.join(process.env.NODE_ROOT, "node_modules/@azure");
const load = (file) => import(pathToFileURL(path.join(modules, file)));
const { NodeStorage } = await load("msal-node/dist/cache/NodeStorage.mjs");
const { TokenCache } = await load("msal-node/dist/cache/TokenCache.mjs");
const { CryptoProvider } = await load("msal-node/dist/index.mjs");
const common = createRequire(path.join(modules, "msal-node/package.json")).resolve("@azure/msal-common/node");
const { AuthToken, Logger } = await import(pathToFileURL(common));

const folder = process.argv[2];
const text = fs.readFileSync(path.join(folder, "cache.json"), "utf8");
const probes = fs.readFileSync(path.join(folder, "probes.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
const at = (nth) => probes[nth % probes.length];
const [{ environment, client_id: client }] = probes;
const crypto = new CryptoProvider();
const logger = new Logger({ loggerCallback() {}, logLevel: 0 }, "bench", "1");
const correlation = "11111111-1111-4111-8111-111111111111";

async function measure(operation, work, undo, { turn = 30e6, most = 4000 } = {}) {
  const begun = Date.now(), took = [];
  let nth = 0;
  while (took.length < 3 || (took.length < 7 && Date.now() - begun < most)) {
    let spent = 0, times = 0;
    while (spent < turn) {
      const started = process.hrtime.bigint();
      const pending = work(nth);
      if (pending?.then) await pending;
      spent += Number(process.hrtime.bigint() - started);
      times += 1;
      if (undo) await undo(nth);
      nth += 1;
    }
    took.push(spent / times);
    if (spent > 5e9) break;
  }
  took.sort((a, b) => a - b);
  console.log(JSON.stringify({ store: "memory", operation, ns: took[took.length >> 1] }));
}

function opened() {
  const storage = new NodeStorage(logger, client, crypto, { canonicalAuthority: `https://${environment}/common/` });
  const cache = new TokenCache(storage, logger);
  cache.deserialize(text);
  return { storage, cache };
}

const account = (probe) => ({
  homeAccountId: probe.home_account_id, environment, tenantId: probe.realm, username: probe.username,
  localAccountId: probe.home_account_id.split(".")[0],
});
const request = (scopes) => ({ scopes, correlationId: correlation, authenticationScheme: "Bearer", authority: "" });

// The records that its ResponseHandler creates from a token response.
function records(it) {
  const claims = AuthToken.extractTokenClaims(it.id_token, crypto.base64Decode, correlation);
  const info = JSON.parse(crypto.base64Decode(it.client_info));
  const homeAccountId = `${info.uid}.${info.utid}`, lastUpdatedAt = String(Date.now());
  const expires = String(1700000000 + it.expires_in);
  const shared = { homeAccountId, environment, clientId: it.client_id, realm: it.realm, lastUpdatedAt };
  const made = {
    account: {
      homeAccountId, environment, realm: it.realm, localAccountId: claims.oid, username: claims.preferred_username,
      authorityType: "MSSTS", name: claims.name, clientInfo: it.client_info, lastUpdatedAt,
      tenantProfiles: [{ tenantId: it.realm, localAccountId: claims.oid, name: claims.name, isHomeTenant: true }],
    },
    idToken: { ...shared, credentialType: "IdToken", secret: it.id_token },
    accessToken: {
      ...shared, credentialType: "AccessToken", secret: it.access_token, cachedAt: "1700000000",
      expiresOn: expires, extendedExpiresOn: expires, target: it.scopes.join(" "), tokenType: "Bearer",
    },
    appMetadata: { clientId: it.client_id, environment },
  };
  if (it.refresh_token) made.refreshToken = { ...shared, credentialType: "RefreshToken", secret: it.refresh_token };
  return made;
}

const { storage, cache } = opened();
const find = (probe, scopes) => storage.getAccessToken(account(probe), request(scopes), undefined, probe.realm);
if (!find(at(0), at(0).scopes) || !find(at(0), at(0).subset)) throw new Error("not found");
await measure("exact hit", (nth) => find(at(nth), at(nth).scopes));
await measure("subset hit", (nth) => find(at(nth), at(nth).subset));
await measure("miss", (nth) => find(at(nth), ["https://nope.example/scope"]));
await measure("refresh token", (nth) => storage.getRefreshToken(account(at(nth)), false, correlation));
// It takes 25 s with 10,000 tokens.
if (text.length < 10e6) await measure("all accounts", () => cache.getAllAccounts(correlation));
await measure("add one response", (nth) => storage.saveCacheRecord(records(at(nth).again), correlation));
await measure(
  "sign one account out",
  (nth) => storage.removeAccount(account(at(nth)), correlation),
  async (nth) => { for (const it of at(nth).restore) await storage.saveCacheRecord(records(it), correlation); },
);
await measure("whole document in", () => opened());
await measure("whole document out", () => cache.serialize());
