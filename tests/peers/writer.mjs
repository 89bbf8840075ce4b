// A writer with MSAL Node and the file persistence of @azure/msal-node-extensions:
// writer.mjs PATH NAME COUNT PAUSE
//
// Prints "ready", waits for a line, and signs in COUNT users, NAME-0 and so on, after a pause of
// about PAUSE milliseconds each. For each user, it prints "ok <number> <milliseconds>" or
// "err <number> <milliseconds> <error>".
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.MSAL_CACHE_NODE, "package.json"));
const { PublicClientApplication } = require("@azure/msal-node");
const { FilePersistence, PersistenceCachePlugin } = require("@azure/msal-node-extensions");

const [path, name, count, pause] = process.argv.slice(2);
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
    cache: { cachePlugin: new PersistenceCachePlugin(await FilePersistence.create(path)) },
    system: { networkClient, loggerOptions: { loggerCallback() {}, logLevel: 0 } },
});

const lines = createInterface({ input: process.stdin });
console.log("ready");
await new Promise((go) => lines.once("line", go));
lines.close();
for (let number = 0; number < Number(count); number++) {
    await new Promise((done) => setTimeout(done, Number(pause) * (0.5 + Math.random())));
    user = `${name}-${number}`;
    const started = performance.now();
    const took = () => Math.round(performance.now() - started);
    try {
        await app.acquireTokenByCode({
            code: "code",
            scopes: ["User.Read"],
            redirectUri: "http://localhost",
        });
        console.log(`ok ${number} ${took()}`);
    } catch (error) {
        console.log(`err ${number} ${took()} ${error.name}: ${error.message}`.replaceAll("\n", " "));
    }
}
