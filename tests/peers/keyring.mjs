// Uses an entry of the key store as Node apps do, with the LibSecretPersistence of
// @azure/msal-node-extensions: keyring.mjs PATH SERVICE ACCOUNT
//
// Reads lines of JSON, and answers each with one:
//
//     {"add": "user"}    signs a user in
//     {"users": null}    the accounts, by home_account_id
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.MSAL_CACHE_KEYRING_NODE, "package.json"));
const { PublicClientApplication } = require("@azure/msal-node");
const { LibSecretPersistence, PersistenceCachePlugin } = require("@azure/msal-node-extensions");

const [path, service, account] = process.argv.slice(2);
const host = "login.microsoftonline.com";
const authority = `https://${host}/tenant`;

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const response = (user) => ({
    token_type: "Bearer",
    scope: "User.Read",
    expires_in: 3600,
    ext_expires_in: 3600,
    access_token: `AT-${user}`,
    refresh_token: `RT-${user}`,
    id_token: `${base64({ alg: "none" })}.${base64({
        iss: `${authority}/v2.0`,
        oid: user,
        sub: user,
        tid: "tenant",
        preferred_username: `${user}@example`,
    })}.signature`,
    client_info: base64({ uid: user, utid: "tenant" }),
});

// Responds to each token request with tokens of the current user.
let user;
const networkClient = {
    async sendGetRequestAsync(url) {
        throw new Error(`unexpected request: ${url}`);
    },
    async sendPostRequestAsync() {
        return { status: 200, headers: {}, body: response(user) };
    },
};

const endpoint = `${authority}/oauth2/v2.0`;
const app = new PublicClientApplication({
    auth: {
        clientId: "client",
        authority,
        cloudDiscoveryMetadata: JSON.stringify({
            tenant_discovery_endpoint: `${authority}/v2.0/.well-known/openid-configuration`,
            "api-version": "1.1",
            metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
        }),
        authorityMetadata: JSON.stringify({
            authorization_endpoint: `${endpoint}/authorize`,
            token_endpoint: `${endpoint}/token`,
            end_session_endpoint: `${endpoint}/logout`,
            issuer: `${authority}/v2.0`,
            jwks_uri: `https://${host}/tenant/discovery/v2.0/keys`,
        }),
    },
    cache: {
        cachePlugin: new PersistenceCachePlugin(
            await LibSecretPersistence.create(path, service, account),
        ),
    },
    system: { networkClient, loggerOptions: { loggerCallback() {}, logLevel: 0 } },
});

for await (const line of createInterface({ input: process.stdin })) {
    const [[command, argument]] = Object.entries(JSON.parse(line));
    let answer = null;
    if (command === "add") {
        user = argument;
        await app.acquireTokenByCode({
            code: "code",
            scopes: ["User.Read"],
            redirectUri: "http://localhost",
        });
    } else if (command === "users") {
        const accounts = await app.getTokenCache().getAllAccounts();
        answer = accounts.map((it) => it.homeAccountId).sort();
    }
    console.log(JSON.stringify({ ok: answer }));
}
