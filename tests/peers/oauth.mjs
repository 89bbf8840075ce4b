// An OAuth 2.0 and OpenID Connect server on the loopback interface: oidc-provider, a certified
// implementation, with the clients and scopes of the tests and examples of msal-cache.
//
// It adds `client_info` and version 1 of the endpoints, as Microsoft's servers do, and what a test controls: `POST /approve` acts as
// the user of a device code, `POST /hang` holds all token requests back, `POST /lifetime` sets the
// lifetime of the next access tokens. A user with a browser opens the address of the device flow and
// enters any name and password.
//
// It prints its address when it listens, and ends when its standard input is closed, so that it
// never outlives its parent. With a certificate and a key as arguments, it uses TLS.

import http from "node:http";
import https from "node:https";
import { readFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.MSAL_CACHE_NODE}/package.json`);
// oidc-provider warns that this configuration is not fit for production, which is true.
console.info = console.warn = () => {};
const { Provider } = await import(require.resolve("oidc-provider"));
const memory = await import(require.resolve("oidc-provider/lib/adapters/memory_adapter.js"));
// The provider's own store forgets all but a thousand items.
const store = new Map();

const DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code";
const [certificate, key] = process.argv.slice(2);
const scheme = certificate ? "https" : "http";

const app = (client_id, more) => ({
  client_id,
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: "none",
  application_type: "native",
  ...more,
});
const daemon = (client_id, token_endpoint_auth_method, client_secret) =>
  app(client_id, {
    grant_types: ["client_credentials"],
    token_endpoint_auth_method,
    client_secret,
  });
const secret = "the secret of the daemon: it has + and % in it";

const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer();
await new Promise((resolve, reject) => {
  server.once("error", reject);
  server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve);
});
const issuer = `${scheme}://127.0.0.1:${server.address().port}`;

const signing = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const provider = new Provider(issuer, {
  clients: [
    app("command-line-app", { grant_types: [DEVICE_CODE, "refresh_token"] }),
    app("desktop-app", {
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: ["http://localhost"],
    }),
    app("web-app", {
      grant_types: [DEVICE_CODE, "refresh_token"],
      token_endpoint_auth_method: "client_secret_post",
      client_secret: "the secret of the web app",
    }),
    app("axum-app", {
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      // The port of a native app's loopback address is any (RFC 8252, section 7.3).
      redirect_uris: ["http://127.0.0.1/sign-in/finish"],
      token_endpoint_auth_method: "client_secret_post",
      client_secret: secret,
    }),
    daemon("daemon", "client_secret_post", secret),
    daemon("daemon: basic", "client_secret_basic", secret),
    daemon("daemon-assertion", "client_secret_jwt", secret),
  ],
  scopes: ["openid", "offline_access", "profile", "User.Read", "Mail.Read", "api://things/.default"],
  claims: { openid: ["sub"], profile: ["preferred_username", "oid"] },
  // Claims are in the ID token, as with Microsoft's servers, and not only at the userinfo endpoint.
  conformIdTokenClaims: false,
  findAccount: (_ctx, accountId) => ({
    accountId,
    claims: () => ({
      sub: accountId,
      oid: accountId,
      preferred_username: `${accountId}@contoso.example`,
    }),
  }),
  adapter: (model) => new memory.default(model, store),
  // A refresh token is good for one use. A second use revokes all tokens of the grant.
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  ttl: {
    AccessToken: () => lifetime,
    ClientCredentials: 3600,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 86400,
    Session: 86400,
  },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
  },
  enabledJWA: { clientAuthSigningAlgValues: ["HS256"] },
  // The paths of Microsoft's servers.
  routes: {
    authorization: "/contoso/oauth2/v2.0/authorize",
    token: "/contoso/oauth2/v2.0/token",
    device_authorization: "/contoso/oauth2/v2.0/devicecode",
  },
  jwks: { keys: [{ ...signing.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
  cookies: { keys: ["a key for a server without persistent state"] },
});

// The requests to the token endpoint, for the tests.
const requests = [];
// All secrets in them and in their responses, which a test looks for elsewhere.
const secrets = [];
// The lifetime of access tokens in seconds.
let lifetime = 3600;
// What token requests wait for.
let hang = { until: Promise.resolve(), end: () => {} };

provider.use(async (ctx, next) => {
  if (ctx.path === "/approve" && ctx.method === "POST") {
    const parameters = new URL(ctx.href).searchParams;
    ctx.body = await approve(parameters.get("user_code"), parameters.get("login"));
    return;
  }
  if (ctx.path === "/hang" && ctx.method === "POST") {
    hang.end();
    if (new URL(ctx.href).searchParams.get("on") === "true") {
      let end;
      hang = { until: new Promise((resolve) => (end = resolve)), end };
    }
    ctx.body = {};
    return;
  }
  if (ctx.path === "/lifetime" && ctx.method === "POST") {
    lifetime = Number(new URL(ctx.href).searchParams.get("seconds"));
    ctx.body = { lifetime };
    return;
  }
  if (ctx.path === "/secrets") {
    ctx.body = secrets;
    return;
  }
  if (ctx.path === "/requests") {
    ctx.body = requests;
    return;
  }
  // The metadata document of a tenant, as MSAL Python requests it.
  if (ctx.path === "/contoso/v2.0/.well-known/openid-configuration") ctx.path = "/.well-known/openid-configuration";
  const isFirstVersion = /\/oauth2\/(token|devicecode)$/.test(ctx.path);
  if (isFirstVersion) await fromFirstVersion(ctx);
  // Microsoft's servers grant offline_access without the prompt that OpenID Connect asks for.
  if (ctx.path.endsWith("/authorize")) ctx.query = { ...ctx.query, prompt: "consent" };
  if (ctx.path.endsWith("/token")) await hang.until;
  await next();
  if (isFirstVersion && ctx.status === 200) Object.assign(ctx.body, { interval: 1, resource: ctx.resource });
  if (ctx.oidc?.route !== "token") return;
  const { grant_type, client_id } = ctx.oidc.body ?? {};
  requests.push({ grant_type, client_id, status: ctx.status, error: ctx.body?.error });
  const { code, code_verifier, device_code } = ctx.oidc.body ?? {};
  const { access_token, refresh_token, id_token } = ctx.body ?? {};
  const all = [code, code_verifier, device_code, access_token, refresh_token, id_token];
  secrets.push(...all.filter(Boolean));
  const subject = ctx.oidc.entities?.Account?.accountId;
  if (ctx.oidc.body?.client_info && subject && ctx.body?.access_token) {
    const info = JSON.stringify({ uid: subject, utid: "contoso" });
    ctx.body.client_info = Buffer.from(info).toString("base64url");
  }
});

// The requests of ADAL, to version 1 of Microsoft's endpoints: they have a resource and no scopes.
async function fromFirstVersion(ctx) {
  const chunks = await ctx.req.toArray();
  const { resource, code, ...body } = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
  ctx.path = ctx.path.replace("/oauth2/", "/oauth2/v2.0/");
  ctx.resource = resource;
  ctx.req.body = { ...body, scope: `openid profile offline_access ${resource}/.default` };
  if (body.grant_type === "device_code") Object.assign(ctx.req.body, { grant_type: DEVICE_CODE, device_code: code });
}

// Acts as the user of a device code: signs in and consents or, without a login, declines.
async function approve(userCode, login) {
  const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll("-", ""));
  if (!code) return { error: "unknown user code" };
  if (login) {
    const grant = new provider.Grant({ accountId: login, clientId: code.clientId });
    grant.addOIDCScope(code.params.scope);
    Object.assign(code, {
      accountId: login,
      authTime: Math.floor(Date.now() / 1000),
      claims: {},
      grantId: await grant.save(),
      scope: code.params.scope,
      sessionUid: `session of ${login}`,
    });
  } else {
    Object.assign(code, { error: "access_denied", errorDescription: "the user declined" });
  }
  await code.save();
  return { approved: Boolean(login) };
}

server.on("request", provider.callback());
process.stdin.on("end", () => process.exit()).resume();
console.log(issuer);
