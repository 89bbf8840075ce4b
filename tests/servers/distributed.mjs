// One process of the comparison in tests/servers/compare: MSAL Node's DistributedCachePlugin over Redis
// stores tokens of one user, each for another scope. Arguments: port, name of the process, number of
// tokens, longest time of the token endpoint in milliseconds.
import { createConnection } from "node:net";
import { createRequire } from "node:module";
const require = createRequire(process.env.MSAL_CACHE_NODE + "/package.json");
const { ConfidentialClientApplication, DistributedCachePlugin } = require("@azure/msal-node");

const [, , port, who, count, delay] = process.argv;
const uid = "11111111-1111-1111-1111-111111111111";
const tid = "22222222-2222-2222-2222-222222222222";
const home = `${uid}.${tid}`;
const login = `https://login.microsoftonline.com/${tid}`;

// GET and SET over RESP2, one after the other: all that the plugin needs.
const socket = createConnection(Number(port), "127.0.0.1");
let buffer = Buffer.alloc(0);
const waiting = [];
socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
        const line = buffer.indexOf("\r\n");
        if (line < 0) return;
        const size = buffer[0] === 0x24 ? Number(buffer.subarray(1, line)) : -1;
        const end = size < 0 ? line + 2 : line + 2 + size + 2;
        if (buffer.length < end) return;
        const value = size < 0 ? "" : buffer.subarray(line + 2, line + 2 + size).toString();
        buffer = buffer.subarray(end);
        waiting.shift()(value);
    }
});
const redis = (...words) => new Promise((resolve) => {
    waiting.push(resolve);
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join("")}`);
});

const b64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);
const answer = (scope) => ({
    token_type: "Bearer",
    scope,
    expires_in: 3600,
    access_token: `at-${scope}-` + "x".repeat(1500),
    refresh_token: `rt-${scope}`,
    id_token: [
        b64({ alg: "none", typ: "JWT" }),
        b64({ aud: "client", iss: `${login}/v2.0`, oid: uid, tid, sub: "sub", preferred_username: "a@x.example",
            iat: now(), exp: now() + 3600, ver: "2.0" }),
        "",
    ].join("."),
    client_info: b64({ uid, utid: tid }),
});
const networkClient = {
    async sendGetRequestAsync() {
        return { status: 200, headers: {}, body: {} };
    },
    async sendPostRequestAsync(_url, options) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * Number(delay)));
        const scopes = new URLSearchParams(options.body).get("scope").split(" ");
        return { status: 200, headers: {}, body: answer(scopes.find((scope) => scope.startsWith("api"))) };
    },
};
const partition = {
    async getKey() {
        return home;
    },
    async extractKey(account) {
        return account.homeAccountId;
    },
};
const client = {
    get: (key) => redis("GET", key),
    set: async (key, value) => {
        await redis("SET", key, value);
        return value;
    },
};
const aliases = ["login.microsoftonline.com", "login.windows.net"];
const auth = {
    clientId: "client",
    authority: login,
    clientSecret: "s",
    cloudDiscoveryMetadata: JSON.stringify({
        tenant_discovery_endpoint: "x",
        "api-version": "1.1",
        metadata: [{ preferred_network: aliases[0], preferred_cache: aliases[1], aliases }],
    }),
    authorityMetadata: JSON.stringify({
        token_endpoint: `${login}/oauth2/v2.0/token`,
        authorization_endpoint: `${login}/oauth2/v2.0/authorize`,
        issuer: `${login}/v2.0`,
        jwks_uri: "https://x/",
    }),
};
for (let n = 0; n < Number(count); n++) {
    const app = new ConfidentialClientApplication({
        auth,
        cache: { cachePlugin: new DistributedCachePlugin(client, partition) },
        system: { networkClient },
    });
    const request = { refreshToken: "rt", forceCache: true, scopes: [`api-${who}-${n}`] };
    await app.acquireTokenByRefreshToken(request);
}
// The process that is asked to count does so at the end.
if (who === "count") {
    const stored = JSON.parse((await redis("GET", home)) || "{}");
    console.log(Object.keys(stored.AccessToken ?? {}).length);
}
socket.end();
