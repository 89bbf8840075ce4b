// An OAuth 2.0 and OpenID Connect server on loopback: oidc-provider, a certified one, with the
// clients and scopes that the tests and examples of msal-cache use.
//
// What it does beyond oidc-provider is what Microsoft's servers do (`client_info`), and what a
// person does at the other device (`POST /approve`), so that a test can sign in by itself. Somebody
// at a browser goes to the address that the device flow tells; any name and any password will do.
//
// It prints its address when it listens, and ends when its standard input does, so that it never
// outlives who started it. With a certificate and a key as arguments, it speaks TLS.

import http from "node:http";
import https from "node:https";
import { readFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.MSAL_CACHE_NODE}/package.json`);
// It says that what it runs with here is not fit for production, and it isn't.
console.info = console.warn = () => {};
const { Provider } = await import(require.resolve("oidc-provider"));

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
    app("web-app", {
      grant_types: [DEVICE_CODE, "refresh_token"],
      token_endpoint_auth_method: "client_secret_post",
      client_secret: "the secret of the web app",
    }),
    daemon("daemon", "client_secret_post", secret),
    daemon("daemon: basic", "client_secret_basic", secret),
    daemon("daemon-assertion", "client_secret_jwt", secret),
  ],
  scopes: ["openid", "offline_access", "profile", "User.Read", "Mail.Read", "api://things/.default"],
  claims: { openid: ["sub"], profile: ["preferred_username", "oid"] },
  // Claims go into the ID token, as Microsoft's servers do it, and not to the userinfo endpoint alone.
  conformIdTokenClaims: false,
  findAccount: (_ctx, accountId) => ({
    accountId,
    claims: () => ({
      sub: accountId,
      oid: accountId,
      preferred_username: `${accountId}@contoso.example`,
    }),
  }),
  // A refresh token is good for one use. The second use revokes all that was issued with it.
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  ttl: {
    AccessToken: 3600,
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
  // As Microsoft's servers have them.
  routes: {
    token: "/contoso/oauth2/v2.0/token",
    device_authorization: "/contoso/oauth2/v2.0/devicecode",
  },
  jwks: { keys: [{ ...signing.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
  cookies: { keys: ["of a server that forgets everything when it ends"] },
});

// What came to the token endpoint, for the tests to count.
const requests = [];

provider.use(async (ctx, next) => {
  if (ctx.path === "/approve" && ctx.method === "POST") {
    const parameters = new URL(ctx.href).searchParams;
    ctx.body = await approve(parameters.get("user_code"), parameters.get("login"));
    return;
  }
  if (ctx.path === "/requests") {
    ctx.body = requests;
    return;
  }
  await next();
  if (ctx.oidc?.route !== "token") return;
  const { grant_type, client_id } = ctx.oidc.body ?? {};
  requests.push({ grant_type, client_id, status: ctx.status, error: ctx.body?.error });
  const subject = ctx.oidc.entities?.Account?.accountId;
  if (ctx.oidc.body?.client_info && subject && ctx.body?.access_token) {
    const info = JSON.stringify({ uid: subject, utid: "contoso" });
    ctx.body.client_info = Buffer.from(info).toString("base64url");
  }
});

// The person at the other device: enters the code, signs in and agrees; or, without a login,
// presses "abort".
async function approve(userCode, login) {
  const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll("-", ""));
  if (!code) return { error: "there is no such code" };
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
    Object.assign(code, { error: "access_denied", errorDescription: "the person said no" });
  }
  await code.save();
  return { approved: Boolean(login) };
}

server.on("request", provider.callback());
process.stdin.on("end", () => process.exit()).resume();
console.log(issuer);
