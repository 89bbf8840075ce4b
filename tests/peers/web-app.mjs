// Drives the example axum_app as the browsers of its users. Checks that each user sees the own page, that
// no session is lost, that a token is refreshed once, and that no thread of the app is blocked while the
// token server hangs. Prints what it measured, and exits with 1 if something is wrong.

import { spawn } from "node:child_process";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";

const USERS = Number(process.env.MSAL_CACHE_USERS ?? 1000);
const AT_ONCE = 64;
// How much later a task of the app that wakes every 10 ms may be than one of this program, which shows how
// busy the machine is: the 99th percentiles, in milliseconds. A thread that waits for the server is seconds late.
const LATENESS = 50;
const own = monitorEventLoopDelay({ resolution: 10 });
own.enable();

const server = process.env.MSAL_CACHE_OAUTH_SERVER;
const app = spawn(process.argv[2], process.argv.slice(3), { stdio: ["ignore", "pipe", "inherit"] });
const exited = new Promise((resolve) => app.once("exit", (code, signal) => resolve(code ?? signal)));
const lines = createInterface({ input: app.stdout })[Symbol.asyncIterator]();
const address = (await lines.next()).value;
process.once("exit", () => app.kill("SIGKILL"));

function check(holds, what) {
  if (!holds) throw new Error(`web-app: ${what}`);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A browser of one user: it keeps cookies by origin, follows redirects and signs in.
class Browser {
  constructor(name) {
    this.name = name;
    this.cookies = {};
  }

  async fetch(url, options = {}) {
    const jar = (this.cookies[new URL(url).origin] ??= new Map());
    const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
    const response = await fetch(url, { ...options, headers: { cookie }, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [name, value] = set.split(";")[0].split(/=(.*)/);
      value ? jar.set(name, value) : jar.delete(name);
    }
    return response;
  }

  async visit(path, options) {
    let url = new URL(path, address);
    let response = await this.fetch(url, options);
    let redirects = 0;
    for (; redirects < 20; redirects += 1) {
      if (url.origin === server && url.pathname.startsWith("/interaction/")) {
        // The server's pages ask for a login, then for the consent.
        const [, prompt] = (await response.text()).match(/name="prompt" value="(\w+)"/) ?? [];
        const body = new URLSearchParams({ prompt, login: this.name, password: "any" });
        response = await this.fetch(url, { ...options, method: "POST", body });
      }
      const location = response.headers.get("location");
      if (!location) break;
      await response.text();
      url = new URL(location, url);
      response = await this.fetch(url, options);
    }
    const source = response.headers.get("x-token-source");
    return { redirects, status: response.status, source, text: await response.text() };
  }

  // The page that the API knows the user by.
  async me(query = "", options = {}) {
    const page = await this.visit(`/me${query}`, options);
    check(page.redirects === 0, `${this.name} has to sign in again`);
    check(page.status === 200, `${this.name}: status ${page.status}: ${page.text}`);
    const { sub } = JSON.parse(page.text);
    check(sub === this.name, `${this.name} sees the page of ${sub}`);
    return page.source;
  }
}

// Calls a function for all browsers, AT_ONCE at a time. Returns the results and the seconds it took.
async function each(browsers, call) {
  const [results, began] = [[], performance.now()];
  let next = 0;
  const work = async () => {
    while (next < browsers.length) {
      const index = next++;
      results[index] = await call(browsers[index]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { results, seconds: (performance.now() - began) / 1000 };
}

async function post(path) {
  const response = await fetch(server + path, { method: "POST" });
  check(response.ok, `${path}: status ${response.status}`);
  await response.text();
}

// The token requests since the last call.
let known = 0;
async function requests() {
  const all = await (await fetch(`${server}/requests`)).json();
  const since = all.slice(known);
  known = all.length;
  const refused = since.filter((it) => it.status !== 200);
  check(refused.length === 0, `refused: ${JSON.stringify(refused.slice(0, 3))}`);
  return since;
}

async function health() {
  return (await fetch(`${address}/health`)).json();
}

function report(what, { seconds }, more = "") {
  console.log(`${what}: ${seconds.toFixed(1)} s${more}`);
}

const users = Array.from({ length: USERS }, (_, index) => new Browser(`user-${index}`));

// The app asks for a new token five minutes before the old one expires: a second after the sign-in.
await post("/lifetime?seconds=301");
const signedIn = await each(users, (user) => user.visit("/sign-in").then(() => user.me()));
report(`${USERS} users signed in, ${AT_ONCE} at once`, signedIn);
check((await health()).sessions === USERS, "each user has a session");
await post("/lifetime?seconds=3600");
await pause(1500);
await requests();

const refreshed = await each(users, (user) => user.me());
const sent = await requests();
report("each opened a page with an expired token", refreshed, `, ${sent.length} token requests`);
check(sent.length === USERS, "each user's token was refreshed once");

const cached = await each(users, (user) => user.me());
const sources = new Set(cached.results);
report("each opened a page with a cached token", cached, `, ${(await requests()).length} token requests`);
check(sources.size === 1 && sources.has("cache"), `the tokens are from ${[...sources]}`);

// The token server hangs. Each of 64 users has three tabs, and some close one of them.
await post("/hang?on=true");
own.reset();
const waiting = users.slice(0, AT_ONCE);
const closed = [];
const pages = waiting.flatMap((user, index) => {
  const tab = new AbortController();
  const dropped = user.me("?refresh", { signal: tab.signal }).then(
    () => check(false, "the page of a closed tab"),
    (error) => check(error.name === "AbortError", String(error)),
  );
  if (index % 2) closed.push([tab, dropped]);
  const kept = index % 2 ? [] : [dropped];
  kept.forEach(() => tab.abort());
  return [user.me("?refresh"), user.me("?refresh"), ...kept];
});
const settled = Promise.all(pages);
settled.catch(() => {});
await pause(500);
closed.forEach(([tab]) => tab.abort());
await Promise.all(closed.map(([, dropped]) => dropped));
const others = await each(users.slice(AT_ONCE), (user) => user.me());
report(`${USERS - AT_ONCE} users opened a page while the token server hung`, others);
check(others.results.every((it) => it === "cache"), "their tokens are cached");
// The health page knows the last ten seconds.
await pause(Math.max(0, 10500 - others.seconds * 1000));
const { lateness_ms: late } = await health();
console.log(`lateness of a 10 ms tick: p99 ${late.p99.toFixed(1)} ms, at most ${late.max.toFixed(1)} ms`);
const busy = Math.max(0, own.percentile(99) / 1e6 - 10);
check(late.p99 < LATENESS + busy, `a thread of the app was blocked: ${JSON.stringify({ ...late, busy })}`);
await post("/hang?on=false");
await settled;
const afterHang = await requests();
console.log(`${AT_ONCE} users had three tabs each: ${afterHang.length} token requests`);
check(afterHang.length >= AT_ONCE, "each was refreshed");
check(afterHang.length <= 2 * AT_ONCE, "tabs share a refresh");

const again = await each(users, (user) => user.me("?refresh"));
report("each asked for a new token", again, `, ${(await requests()).length} token requests, no session lost`);

const metrics = await (await fetch(`${address}/metrics`)).text();
const granted = metrics.match(/^msal_cache_token_requests_total\{outcome="granted"\} (\d+)$/m);
check(Number(granted?.[1]) >= 2 * USERS, "the metrics count the token requests");
check(!/user-|secret/.test(metrics), "the metrics have no data of users");

// A graceful shutdown finishes the pages that users wait for, and the refresh of a closed tab.
await post("/hang?on=true");
const last = users.slice(0, 8).map((user) => user.me("?refresh"));
const tab = new AbortController();
const gone = users[8].me("?refresh", { signal: tab.signal }).catch((error) => error.name);
await pause(300);
tab.abort();
check((await gone) === "AbortError", "the tab is closed");
app.kill("SIGTERM");
await pause(500);
const refused = await fetch(`${address}/health`).then(() => false, () => true);
check(refused, "the app accepts no more requests");
await post("/hang?on=false");
await Promise.all(last);
const code = await exited;
check(code === 0, `the app exited with ${code}`);
check((await lines.next()).value === "all requests have ended", "the app has waited");
check((await requests()).length === 9, "each refresh has ended");
console.log("the app shut down after the pages that users waited for");
