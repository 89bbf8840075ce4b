// Runs commands with MSAL Node.
//
// Reads requests as lines of JSON, {"command": ..., and its parameters}, and writes a line of JSON
// for each: {"ok": <value>} or {"raised": <type of the error>, "message": ...}.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.MSAL_CACHE_NODE, "package.json"));
const msal = require("@azure/msal-node");
const version = require("@azure/msal-node/package.json").version;

// A command can set the clock.
const SystemDate = Date;
let now = null;
globalThis.Date = class extends SystemDate {
    constructor(...parts) {
        if (parts.length === 0 && now !== null) super(now);
        else super(...parts);
    }
    static now() {
        return now ?? SystemDate.now();
    }
};

// Responds to OpenID discovery, and to each token request with the next of the given responses.
class Canned {
    requests = [];
    responses = [];

    async sendGetRequestAsync(url) {
        const found = url.match(/^(https:\/\/[^/]+\/.*?)(\/v2\.0)?\/\.well-known\/openid-configuration/);
        if (!found) throw new Error(`unexpected request: ${url}`);
        const base = found[1];
        const body = {
            issuer: `${base}/v2.0`,
            authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
            token_endpoint: `${base}/oauth2/v2.0/token`,
            jwks_uri: `${base}/discovery/v2.0/keys`,
        };
        return { status: 200, headers: {}, body };
    }

    async sendPostRequestAsync(url, options) {
        this.requests.push(Object.fromEntries(new URLSearchParams(options.body)));
        const body = this.responses.shift() ?? { error: "invalid_grant", error_description: "canned" };
        return { status: body.error ? 400 : 200, headers: {}, body };
    }
}

// Reads and writes the file as the documentation of MSAL Node describes.
const plugin = (path) => ({
    async beforeCacheAccess(context) {
        context.tokenCache.deserialize(await readFile(path, "utf8"));
    },
    async afterCacheAccess(context) {
        if (context.cacheHasChanged) await writeFile(path, context.tokenCache.serialize());
    },
});

function app(kind, path, client_id, authority, client_secret) {
    const network = new Canned();
    const host = new URL(authority).host;
    const it = new msal[kind]({
        auth: { clientId: client_id, authority, clientSecret: client_secret, knownAuthorities: [host] },
        cache: { cachePlugin: plugin(path) },
        system: { networkClient: network },
    });
    return { it, network };
}

// A result without the account's claims, and the token requests.
const summary = (result, network) => ({
    access_token: result?.accessToken ?? null,
    from_cache: result?.fromCache ?? null,
    id_token: result?.idToken ?? null,
    requests: network.requests,
});

const commands = {
    about: () => ({ "msal-node": version, node: process.version }),

    // getAllAccounts.
    async accounts({ path, client_id, authority }) {
        const { it } = app("PublicClientApplication", path, client_id, authority);
        const accounts = await it.getTokenCache().getAllAccounts();
        return accounts.map(({ homeAccountId, environment, username, localAccountId }) => ({
            homeAccountId, environment, username, localAccountId,
        }));
    },

    // acquireTokenSilent; `responses` are those of the token endpoint.
    async silent({ path, client_id, authority, scopes, home_account_id, refresh, responses }) {
        const { it, network } = app("PublicClientApplication", path, client_id, authority);
        network.responses = responses ?? [];
        const accounts = await it.getTokenCache().getAllAccounts();
        const account = accounts.find((it) => it.homeAccountId === home_account_id);
        if (!account) throw new Error("no account has this id");
        const request = { account, scopes, forceRefresh: refresh ?? false };
        return summary(await it.acquireTokenSilent(request), network);
    },

    // acquireTokenByClientCredential.
    async for_client({ path, client_id, authority, scopes, fmi_path, responses }) {
        const { it, network } =
            app("ConfidentialClientApplication", path, client_id, authority, "not a secret");
        network.responses = responses ?? [];
        const result = await it.acquireTokenByClientCredential({ scopes, fmiPath: fmi_path });
        return summary(result, network);
    },

    // The sign-in of a user: acquireTokenByCode.
    async sign_in({ path, client_id, authority, scopes, responses }) {
        const { it, network } = app("PublicClientApplication", path, client_id, authority);
        network.responses = responses;
        const redirectUri = "http://localhost";
        return summary(await it.acquireTokenByCode({ code: "code", scopes, redirectUri }), network);
    },

    // removeAccount.
    async sign_out({ path, client_id, authority, home_account_id }) {
        const { it } = app("PublicClientApplication", path, client_id, authority);
        const accounts = await it.getTokenCache().getAllAccounts();
        const account = accounts.find((it) => it.homeAccountId === home_account_id);
        if (!account) throw new Error("no account has this id");
        await it.getTokenCache().removeAccount(account);
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const { command, now: seconds, ...parameters } = JSON.parse(line);
    now = seconds === undefined ? null : seconds * 1000;
    let response;
    try {
        response = { ok: (await commands[command](parameters)) ?? null };
    } catch (error) {
        response = { raised: error.errorCode ?? error.name, message: error.message };
    }
    process.stdout.write(`${JSON.stringify(response)}\n`);
}
