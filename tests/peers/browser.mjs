// Drives headless Chromium as a user who signs in, and as the pages of other sites that the user has open.
// Checks what the programs return, that nothing listens afterwards, and that no secret is in a log, an
// address, a page, a cookie or the list of processes. Exits with 1 if something is wrong.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.MSAL_CACHE_NODE}/package.json`);
const puppeteer = await import(require.resolve("puppeteer-core"));

const [program, example, command, picture] = process.argv.slice(2);
const server = process.env.MSAL_CACHE_OAUTH_SERVER;
const folder = process.env.MSAL_CACHE_FOLDER;

function check(holds, what) {
  if (!holds) throw new Error(`browser: ${what}`);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Everything that must contain no secret, by its name.
const seen = { logs: [], addresses: [], pages: [], processes: [], cookies: [] };

function noteProcesses() {
  for (const id of readdirSync("/proc").filter((it) => /^\d+$/.test(it))) {
    for (const file of ["cmdline", "environ"]) {
      try {
        seen.processes.push(readFileSync(`/proc/${id}/${file}`, "latin1"));
      } catch {
        // It has ended, or belongs to another user.
      }
    }
  }
}

// The browser that the programs start: it writes the address to a file, from which Chromium gets it. It
// runs on for a while, as a browser does, and so is in the list of processes.
const opener = `${folder}/open-browser`;
const opens = (address) => `#!/bin/sh
printf "%s" "${address}" > "$MSAL_CACHE_OPENED.new" && mv "$MSAL_CACHE_OPENED.new" "$MSAL_CACHE_OPENED"
sleep 2
`;
writeFileSync(opener, opens("$1"), { mode: 0o700 });

let started = 0;
const children = new Set();
process.once("exit", () => children.forEach((it) => it.kill("SIGKILL")));

// Starts the program of this folder.
function start(way, client, cache, ...options) {
  const browser = options.find((it) => it.startsWith("browser="))?.slice("browser=".length) ?? opener;
  return run(program, [way, client, `${folder}/${cache}`, ...options], browser);
}

// Starts a program. `line` waits for the next line of JSON that it writes, and `address` for the one that
// it opens.
function run(path, args, browser, more = {}) {
  const opened = `${folder}/opened-${++started}`;
  const env = { ...process.env, BROWSER: browser, MSAL_CACHE_OPENED: opened, NO_PROXY: "*", ...more };
  const child = spawn(path, args, { env });
  children.add(child);
  const exited = new Promise((resolve) => {
    child.once("close", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
  child.stderr.on("data", (data) => seen.logs.push(String(data)));
  const iterator = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value } = await iterator.next();
    check(value !== undefined, `the program ended: ${seen.logs.slice(-3).join("")}`);
    seen.logs.push(value);
    return JSON.parse(value);
  };
  const address = async () => {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      try {
        return readFileSync(opened, "utf8");
      } catch {
        await pause(25);
      }
    }
    throw new Error("browser: the program opened no browser");
  };
  return { line, address, exited };
}

const portOf = (address) => Number(new URL(new URL(address).searchParams.get("redirect_uri")).port);

async function checkClosed(port) {
  for (const host of ["127.0.0.1", "::1"]) {
    const isOpen = await new Promise((resolve) => {
      const socket = connect(port, host, () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    check(!isOpen, `${host}:${port} listens after the sign-in`);
  }
}

const chromium = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  env: { ...process.env, BROWSER: "" },
});

// A user, with cookies of the own.
async function newUser() {
  const context = await chromium.createBrowserContext();
  const open = async () => {
    const page = await context.newPage();
    page.on("request", (request) => seen.addresses.push([request.url(), request.method()]));
    page.on("framenavigated", (frame) => seen.addresses.push([frame.url(), "GET"]));
    return page;
  };
  // Those in which the web app keeps the sign-ins that have begun.
  const signIns = async () => {
    const all = (await context.cookies()).filter((it) => it.name.startsWith("sign_in_"));
    const values = all.map((it) => decodeURIComponent(it.value));
    seen.cookies.push(...values, ...values.map((it) => Buffer.from(it, "base64").toString("latin1")));
    return all;
  };
  return { open, signIns, close: () => context.close() };
}

// Opens an address, signs in and consents, by clicks. `declines` clicks on the link that aborts.
async function signIn(page, address, name, { declines = false } = {}) {
  await page.goto(address, { waitUntil: "load" });
  return answerForms(page, name, declines);
}

async function click(page, selector) {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
}

async function answerForms(page, name, declines = false) {
  for (let form = 0; form < 4 && page.url().startsWith(`${server}/interaction/`); form += 1) {
    const login = await page.$('input[name="login"]');
    if (login) {
      await login.type(name);
      await page.type('input[name="password"]', "any");
    } else if (declines) {
      await click(page, 'a[href$="/abort"]');
      break;
    }
    await click(page, 'button[type="submit"]');
  }
  // The page that posts the code to the app.
  const isLeft = () => !location.pathname.includes("/interaction/") && !location.pathname.includes("/authorize");
  await page.waitForFunction(isLeft, { timeout: 10_000 });
  const text = await page.evaluate(() => document.body.innerText);
  seen.pages.push(await page.content());
  return text;
}

const cases = [];
const test = (name, run) => cases.push([name, run]);

test("a user signs in, and the next run asks nothing", async () => {
  const [user, app] = [await newUser(), start("browser", "desktop-app", "one.json")];
  const address = await app.address();
  const page = await user.open();
  const text = await signIn(page, address, "alice");
  check(text.includes("Signed in"), `the page says ${text}`);
  check(new URL(page.url()).search === "", `the address is ${page.url()}`);
  noteProcesses();
  if (picture) await page.screenshot({ path: picture });
  const result = await app.line();
  check(result.user === "alice@contoso.example", JSON.stringify(result));
  check(result.source === "identity_provider", JSON.stringify(result));
  await app.exited;
  await checkClosed(portOf(address));
  const next = await start("silent", "desktop-app", "one.json").line();
  check(next.user === result.user && next.source === "cache", JSON.stringify(next));
  await user.close();
});

test("a user signs in by an answer in the query", async () => {
  const [user, app] = [await newUser(), start("browser", "desktop-app", "query.json", "mode=query")];
  const address = await app.address();
  check((await signIn(await user.open(), address, "bob")).includes("Signed in"), "the page");
  check((await app.line()).user === "bob@contoso.example", "the user");
  await app.exited;
  await checkClosed(portOf(address));
  await user.close();
});

test("a user declines", async () => {
  const [user, app] = [await newUser(), start("browser", "desktop-app", "declined.json")];
  const address = await app.address();
  const text = await signIn(await user.open(), address, "alice", { declines: true });
  check(text.includes("Sign-in failed"), `the page says ${text}`);
  const result = await app.line();
  check(result.error === "Declined", JSON.stringify(result));
  await app.exited;
  await checkClosed(portOf(address));
  await user.close();
});

test("the server refuses the request", async () => {
  const scopes = "scopes=Not.Registered";
  const [user, app] = [await newUser(), start("browser", "desktop-app", "refused.json", scopes)];
  const address = await app.address();
  const url = new URL(address);
  // The server ignores unknown scopes, and refuses this.
  url.searchParams.set("response_type", "none code");
  const text = await signIn(await user.open(), url.href, "alice");
  check(text.includes("Sign-in failed"), `the page says ${text}`);
  const result = await app.line();
  check(result.error === "Refused", JSON.stringify(result));
  await checkClosed(portOf(address));
  await user.close();
});

test("a user closes the tab", async () => {
  const [user, app] = [await newUser(), start("browser", "desktop-app", "closed.json", "timeout=2")];
  const began = performance.now();
  const address = await app.address();
  const page = await user.open();
  await page.goto(address);
  await page.close();
  const result = await app.line();
  const took = performance.now() - began;
  check(result.error === "TimedOut", JSON.stringify(result));
  check(took < 6000, `the program ended after ${took} ms`);
  await checkClosed(portOf(address));
  await user.close();
});

test("no browser opens", async () => {
  for (const browser of ["false", "/nonexistent/browser"]) {
    const began = performance.now();
    const app = start("browser", "desktop-app", "none.json", `browser=${browser}`);
    const result = await app.line();
    check(result.error === "Browser", JSON.stringify(result));
    check(performance.now() - began < 5000, "it ends at once");
  }
});

// Programs that are found before those of the system.
function withPrograms(name, programs) {
  const place = `${folder}/${name}`;
  mkdirSync(place);
  for (const [program, text] of Object.entries(programs)) {
    writeFileSync(`${place}/${program}`, text, { mode: 0o700 });
  }
  return { PATH: `${place}:${process.env.PATH}` };
}

test("a user signs in by the browser of the system", async () => {
  const programs = { "xdg-open": "#!/bin/sh\nexit 3\n", gio: opens("$2") };
  const args = ["browser", "desktop-app", `${folder}/system.json`];
  const [user, app] = [await newUser(), run(program, args, "", withPrograms("system", programs))];
  await signIn(await user.open(), await app.address(), "grace");
  const result = await app.line();
  check(result.user === "grace@contoso.example", JSON.stringify(result));
  await user.close();
});

// Runs a program as in the Windows Subsystem for Linux: the kernel has its name, and `/` has no file that is
// the mark of a container.
const asInWindows = `set -e
root=$MSAL_CACHE_FOLDER/root
mkdir "$root"
for it in /*; do
  if [ -L "$it" ]; then cp -P "$it" "$root$it"
  elif [ -d "$it" ]; then mkdir "$root$it"; mount --rbind "$it" "$root$it"; fi
done
echo 5.15.90.1-microsoft-standard-WSL2 > "$MSAL_CACHE_FOLDER/kernel"
mount --bind "$MSAL_CACHE_FOLDER/kernel" "$root/proc/sys/kernel/osrelease"
exec chroot "$root" "$@"
`;

test("a user signs in by the browser of Windows, within its Subsystem for Linux", async () => {
  const programs = { "powershell.exe": opens("$OPEN_RS_TARGET"), "xdg-open": opens("another browser") };
  const args = ["-rm", "sh", "-c", asInWindows, "sh", program, "browser", "desktop-app", `${folder}/windows.json`];
  const [user, app] = [await newUser(), run("unshare", args, "", withPrograms("windows", programs))];
  await signIn(await user.open(), await app.address(), "heidi");
  const result = await app.line();
  check(result.user === "heidi@contoso.example", JSON.stringify(result));
  await user.close();
});

test("two sign-ins at once in one browser", async () => {
  const user = await newUser();
  const apps = ["first.json", "second.json"].map((it) => start("browser", "desktop-app", it));
  const addresses = await Promise.all(apps.map((it) => it.address()));
  check(portOf(addresses[0]) !== portOf(addresses[1]), "they have their own ports");
  // The second one ends first. The browser has a session then.
  for (const at of [1, 0]) {
    const text = await signIn(await user.open(), addresses[at], "carol");
    check(text.includes("Signed in"), `the page says ${text}`);
    const result = await apps[at].line();
    check(result.user === "carol@contoso.example", JSON.stringify(result));
  }
  await Promise.all(addresses.map((it) => checkClosed(portOf(it))));
  await user.close();
});

test("pages of other sites send what they like", async () => {
  const [user, app] = [await newUser(), start("browser", "desktop-app", "hostile.json")];
  const address = await app.address();
  const port = portOf(address);
  const evil = http.createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!DOCTYPE html><title>evil</title><body>");
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  const site = await user.open();
  await site.goto(`http://127.0.0.1:${evil.address().port}/`);
  await site.evaluate(async (port) => {
    for (const host of ["localhost", "127.0.0.1", "[::1]"]) {
      const base = `http://${host}:${port}/`;
      const attempts = ["?code=evil&state=evil", "?error=access_denied", "?error=x&state=evil"];
      for (const attempt of attempts) {
        for (const tag of ["img", "script", "iframe"]) {
          const element = document.createElement(tag);
          element.src = base + attempt;
          document.body.append(element);
        }
        await fetch(base + attempt, { mode: "no-cors" }).catch(() => {});
        const body = new URLSearchParams("code=evil&state=evil");
        await fetch(base, { method: "POST", mode: "no-cors", body }).catch(() => {});
      }
      // As a navigation, which looks most like the real answer.
      const form = document.createElement("form");
      Object.assign(form, { action: base, method: "POST", target: "_blank" });
      form.innerHTML = '<input name="code" value="evil"><input name="state" value="evil">';
      document.body.append(form);
      form.submit();
    }
  }, port);
  // Connections that send nothing, and half of a request.
  const idle = Array.from({ length: 40 }, () => connect(port, "127.0.0.1"));
  idle.forEach((it) => it.on("error", () => {}));
  idle[0].write("POST / HTTP/1.1\r\nHost: loc");
  await pause(300);
  const text = await signIn(await user.open(), address, "dave");
  check(text.includes("Signed in"), `the page says ${text}`);
  const result = await app.line();
  check(result.user === "dave@contoso.example", JSON.stringify(result));
  idle.forEach((it) => it.destroy());
  evil.closeAllConnections();
  evil.close();
  await checkClosed(port);
  await user.close();
});

test("a user signs in by the command", async () => {
  const host = new URL(server).host;
  const client = ["--client", "desktop-app", "--tenant", "contoso", "--environment", host, "--json"];
  const endpoint = `${server}/contoso/oauth2/v2.0`;
  const addresses = ["--token-endpoint", `${endpoint}/token`, "--authorization-endpoint", `${endpoint}/authorize`];
  const cache = `${folder}/command.json`;
  const args = ["sign-in", cache, ...client, "--scope", "User.Read", ...addresses];
  const [user, app] = [await newUser(), run(command, args, opener)];
  const address = await app.address();
  check((await signIn(await user.open(), address, "frank")).includes("Signed in"), "the page");
  noteProcesses();
  const result = await app.line();
  check(result.username === "frank@contoso.example", JSON.stringify(result));
  check((await app.exited) === 0, "the exit code");
  await checkClosed(portOf(address));
  await user.close();

  // A user who declines.
  const [other, next] = [await newUser(), run(command, args, opener)];
  await signIn(await other.open(), await next.address(), "mallory", { declines: true });
  check((await next.exited) === 8, "the exit code");
  await other.close();

  // The next tokens: from the cache, and by the refresh token where that has expired.
  const token = async () => {
    const more = ["--account", "frank", "--scope", "User.Read", "--refresh", ...addresses.slice(0, 2)];
    const { stdout, code } = await finished(spawn(command, ["get-token", cache, ...client, ...more]));
    check(code === 0, `get-token ended with ${code}`);
    return JSON.parse(stdout).token;
  };
  const first = await token();
  check((await token()) === first, "a token of the cache");
  const stored = JSON.parse(readFileSync(cache));
  for (const record of Object.values(stored.AccessToken)) record.expires_on = "1";
  writeFileSync(cache, JSON.stringify(stored));
  check((await token()) !== first, "a new token");
});

async function finished(child) {
  let stdout = "";
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => seen.logs.push(String(data)));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { stdout, code };
}

test("a user signs in a device", async () => {
  const [user, app] = [await newUser(), start("device-code", "command-line-app", "device.json")];
  const { code, address } = await app.line();
  const page = await user.open();
  await page.goto(address, { waitUntil: "load" });
  await page.type('input[name="user_code"]', code);
  await click(page, 'button[type="submit"]');
  await confirmDevice(page, "erin");
  noteProcesses();
  const result = await app.line();
  check(result.user === "erin@contoso.example", JSON.stringify(result));
  await app.exited;
  await user.close();
});

test("a user declines to sign in a device, or lets it wait", async () => {
  const [user, app] = [await newUser(), start("device-code", "command-line-app", "device2.json")];
  const { code, address } = await app.line();
  const page = await user.open();
  await page.goto(address, { waitUntil: "load" });
  await page.type('input[name="user_code"]', code);
  await click(page, 'button[type="submit"]');
  await click(page, 'button[name="abort"]');
  const result = await app.line();
  check(result.error === "Declined", JSON.stringify(result));
  const late = start("device-code", "command-line-app", "device3.json", "timeout=1");
  await late.line();
  check((await late.line()).error === "TimedOut", "the timeout");
  await user.close();
});

// The server's pages after a user code: it is confirmed, then the user signs in and consents.
async function confirmDevice(page, name) {
  for (let form = 0; form < 5; form += 1) {
    const login = await page.$('input[name="login"]');
    if (login) {
      await login.type(name);
      await page.type('input[name="password"]', "any");
    }
    const submit = await page.$('button[type="submit"]:not([name="abort"])');
    if (!submit) break;
    await Promise.all([page.waitForNavigation({ waitUntil: "load" }), submit.click()]);
  }
  seen.pages.push(await page.content());
}

test("users sign in to a web app", async () => {
  const env = { ...process.env, PORT: "0" };
  const app = spawn(example, [`${folder}/tokens.db`], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(app);
  const ended = new Promise((resolve) => app.once("close", resolve));
  app.stderr.on("data", (data) => seen.logs.push(String(data)));
  const lines = createInterface({ input: app.stdout })[Symbol.asyncIterator]();
  const address = (await lines.next()).value;

  const alice = await newUser();
  const page = await alice.open();
  const text = await signIn(page, `${address}/sign-in`, "alice");
  check(JSON.parse(text).sub === "alice", `the page says ${text}`);
  check(page.url() === `${address}/me`, `the address is ${page.url()}`);
  const cookies = await page.evaluate(() => document.cookie);
  check(cookies === "", "a script sees no cookie");
  noteProcesses();

  // The answer to the sign-in of one user, in the browser of another one.
  const mallory = await newUser();
  const own = await mallory.open();
  let answer;
  await own.setRequestInterception(true);
  own.on("request", (request) => {
    if (request.url().startsWith(`${address}/sign-in/finish`)) {
      answer = request.url();
      return request.abort();
    }
    return request.continue();
  });
  await signIn(own, `${address}/sign-in`, "mallory").catch(() => {});
  for (let attempt = 0; attempt < 100 && !answer; attempt += 1) await pause(50);
  check(answer, "the server sends the browser back");
  const victim = await alice.open();
  const forged = await victim.goto(answer);
  check(forged.status() === 400, `without a sign-in: status ${forged.status()}`);
  // Also where the user has begun a sign-in.
  await victim.goto(`${address}/sign-in`);
  const mixed = await victim.goto(answer);
  check(mixed.status() === 400, `with another sign-in: status ${mixed.status()}`);
  await page.goto(`${address}/me`);
  const still = JSON.parse(await page.evaluate(() => document.body.innerText));
  check(still.sub === "alice", `alice sees ${still.sub}`);

  // Two tabs of one browser. The first one ends last; the browser has a session then.
  const ivan = await newUser();
  const tabs = [await ivan.open(), await ivan.open()];
  for (const tab of tabs) await tab.goto(`${address}/sign-in`, { waitUntil: "load" });
  const begun = await ivan.signIns();
  check(begun.length === 2, `${begun.length} sign-ins have begun`);
  for (const { httpOnly, sameSite, path, size } of begun) {
    check(httpOnly && sameSite === "Lax" && path === "/sign-in", "the cookie of a sign-in");
    check(size < 2048, `the cookie of a sign-in has ${size} bytes`);
  }
  for (const tab of tabs.toReversed()) {
    await tab.bringToFront();
    const said = await answerForms(tab, "ivan");
    check(JSON.parse(said).sub === "ivan", `the page says ${said}`);
  }
  check((await ivan.signIns()).length === 0, "the cookies of sign-ins that have ended are deleted");
  await ivan.close();

  const eve = await newUser();
  const declined = await eve.open();
  const said = await signIn(declined, `${address}/sign-in`, "eve", { declines: true });
  check(said.includes("declined"), `the page says ${said}`);

  app.kill("SIGTERM");
  await ended;
  children.delete(app);
  await checkClosed(Number(new URL(address).port));
  await Promise.all([alice, mallory, eve].map((it) => it.close()));
});

let failed;
for (const [name, run] of cases) {
  const began = performance.now();
  try {
    await run();
    console.log(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed = error;
    console.error(`${name}: ${error.stack}`);
    break;
  }
}
await chromium.close();
if (failed) process.exit(1);

// No secret is where others read it. A code in a query is one by its nature: it is looked for elsewhere.
const secrets = await (await fetch(`${server}/secrets`)).json();
check(secrets.length > 20, `the server has issued secrets: ${secrets.length}`);
const texts = {
  ...seen,
  addresses: seen.addresses
    .map(([address]) => address)
    .filter((address) => !/[?&]code=/.test(address) || !/localhost|sign-in\/finish/.test(address)),
};
for (const [where, all] of Object.entries(texts)) {
  check(all.length > 3, `there are ${where} to look at`);
  const text = all.join("\n");
  const found = secrets.findIndex((secret) => text.includes(secret));
  check(found === -1, `secret ${found} of ${secrets.length} is in the ${where}`);
}
// The search finds what is there: the codes of the answers in a query.
const addresses = seen.addresses.map(([address]) => address);
const found = secrets.filter((secret) => addresses.some((address) => address.includes(secret)));
check(found.length >= 2, `${found.length} codes are in the answers in a query`);
console.log(`${secrets.length} secrets are in no log, address, page, cookie or process`);
process.exit(0);
