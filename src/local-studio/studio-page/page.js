// Names and reasons are untrusted text: the page sets only `textContent`, which its content security policy enforces.

const refreshMilliseconds = 2000;
/** State of each space at the last refresh, to announce changes. */
const states = new Map();
/** Target state of each space that has a pending request. */
const busy = new Map();
let overview;
/** Id of the log to select as soon as it is in the list. */
let logToFollow;

const find = (id) => document.getElementById(id);

/** Calls the API. An error has a `remedy`. */
async function ask(path, body) {
  const post = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(`/studio/api/${path}`, body && post);
  } catch {
    const remedy = "if the rehearsal has ended, start it again with `npm start`";
    throw Object.assign(new Error("The rehearsal does not respond."), { remedy });
  }
  const answer = await response.json();
  if (response.ok) return answer;
  const remedy = response.status === 403 ? "open the link that `npm start` printed" : answer.remedy;
  throw Object.assign(new Error(answer.reason), { remedy });
}

const describeProblem = ({ message, remedy }) => (remedy ? `${message} What to do: ${remedy}.` : message);

function showProblem(error) {
  find("problem").hidden = error === undefined;
  find("problem").querySelector("p").textContent = error === undefined ? "" : describeProblem(error);
}

/** Runs the action of a button and shows its error. */
async function attempt(work) {
  showProblem();
  try {
    await work();
  } catch (error) {
    showProblem(error);
  }
}

// --- rendering

/** Shows one row for each item. Rows are reused so that the keyboard focus is not lost. */
function showRows(list, template, items, update) {
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  for (const [index, item] of items.entries()) {
    const row = rows.get(item.name) ?? find(template).content.firstElementChild.cloneNode(true);
    row.dataset.key = item.name;
    rows.delete(item.name);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    update(row, item);
  }
  for (const row of rows.values()) row.remove();
}

const setText = (parent, selector, text) => {
  const element = parent.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
};
// `disabled` would remove the keyboard focus.
const disable = (button, off) => button.setAttribute("aria-disabled", String(off));
const isDisabled = (button) => button.getAttribute("aria-disabled") === "true";

const tones = {
  ...{ starting: "wait", running: "good", stopping: "wait", deleting: "wait", failed: "bad" },
  ...{ InProgress: "wait", Completed: "good", Stopping: "wait", Failed: "bad" },
};

function showWhat(row, { name, reason }, state, detail) {
  row.dataset.tone = tones[state] ?? "";
  setText(row, ".name", name);
  setText(row, ".state", state);
  setText(row, ".detail", detail);
  setText(row, ".reason", reason ?? "");
  row.querySelector(".do").setAttribute("aria-label", name);
}

const secondsBetween = (start, end = Date.now()) => Math.round((new Date(end) - new Date(start)) / 1000);

function showSpace(row, space) {
  const { name, started, instanceType } = space;
  const state = busy.get(name) ?? space.state;
  const details = { starting: started && `for ${secondsBetween(started)} s`, running: instanceType };
  showWhat(row, space, state, details[state] ?? "");
  const isChanging = busy.has(name) || ["stopping", "deleting"].includes(state);
  for (const button of row.querySelectorAll("[data-open]"))
    disable(button, state !== "running" || isChanging);
  const toggle = row.querySelector("[data-act=start], [data-act=stop]");
  toggle.dataset.act = ["running", "starting"].includes(state) ? "stop" : "start";
  toggle.textContent = toggle.dataset.act === "stop" ? "Stop" : "Start";
  for (const button of row.querySelectorAll("[data-act]")) disable(button, isChanging);
}

function showJob(row, job) {
  const { name, status, started, ended, hasPage } = job;
  showWhat(
    row,
    job,
    status,
    `${new Date(started).toLocaleTimeString()}, ${secondsBetween(started, ended)} s`,
  );
  const link = row.querySelector("a");
  link.hidden = !hasPage;
  link.href = `/studio/api/jobs/${encodeURIComponent(name)}/page`;
}

function announce(spaces) {
  for (const { name, state, reason } of spaces) {
    if (states.has(name) && states.get(name) !== state) {
      find("news").textContent = `Space ${name}: ${state}${reason ? `. ${reason}` : ""}`;
    }
    states.set(name, state);
  }
}

/** Suggests the next free name of the form that `guardRails.maximumSpacesPerUser` requires. */
function suggestName({ userProfileName, spaces }) {
  const input = find("space-name");
  const names = new Set(spaces.map(({ name }) => name.toLowerCase()));
  let number = 1;
  while (names.has(`${userProfileName}-${number}`.toLowerCase())) number += 1;
  const suggestion = `${userProfileName}-${number}`.slice(0, 63);
  if (input.value === (input.dataset.suggestion ?? "")) input.value = suggestion;
  input.dataset.suggestion = suggestion;
}

function showDeployed({ kinds, monthly, usage, prices }) {
  const count = kinds.reduce((sum, kind) => sum + kind.count, 0);
  find("cost").textContent =
    `On AWS: $${monthly.toFixed(2)} per month plus usage (prices in ${prices.region}, ${prices.date}). ` +
    "This rehearsal is free.";
  find("count").textContent = `${count} resources`;
  const rows = kinds.map((kind) => ({ ...kind, name: kind.type }));
  showRows(find("kinds"), "kind-row", rows, (row, kind) => {
    const cells = [kind.type, kind.count, kind.monthly ? kind.monthly.toFixed(2) : ""];
    for (const [index, cell] of cells.entries()) row.children[index].textContent = cell;
  });
  find("usage").replaceChildren(
    ...usage.map((price) => Object.assign(document.createElement("li"), { textContent: price })),
  );
}

function showLogs(logs) {
  const select = find("log-of");
  const ids = JSON.stringify(logs);
  if (select.dataset.ids === ids && logToFollow === undefined) return;
  select.dataset.ids = ids;
  const chosen = logs.find(({ id }) => id === logToFollow)?.id ?? select.value;
  logToFollow = undefined;
  select.replaceChildren(...logs.map(({ id, label }) => new Option(label, id, false, id === chosen)));
}

async function showLog() {
  const log = find("log");
  const id = find("log-of").value;
  const { text } = await ask(`log?id=${encodeURIComponent(id)}`);
  if (id !== find("log-of").value) return;
  // Keeps the position of a user who has scrolled up.
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  if (log.value !== (text || "This log is empty.")) log.value = text || "This log is empty.";
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function show(next) {
  overview = next;
  const { domainId, userProfileName, profiles, spaces, jobs } = next;
  find("domain").textContent = domainId;
  const people = profiles.map((name) => ({ name }));
  showRows(find("profiles"), "profile-row", people, (row, { name }) => {
    setText(row, "button", name);
    row.firstElementChild.setAttribute("aria-current", String(name === userProfileName));
    row.firstElementChild.title = name === userProfileName ? "Signed in" : `Sign in as ${name}`;
  });
  announce(spaces);
  showRows(find("spaces"), "space-row", spaces, showSpace);
  find("no-spaces").hidden = spaces.length > 0;
  suggestName(next);
  showRows(find("jobs"), "job-row", jobs, showJob);
  find("no-jobs").hidden = jobs.length > 0;
  showDeployed(next.deployed);
  showLogs(next.logs);
}

async function refresh() {
  try {
    show(await ask("overview"));
    await showLog();
    find("offline").hidden = true;
  } catch (error) {
    find("offline").textContent = describeProblem(error);
    find("offline").hidden = false;
  }
}

// --- actions

async function act(action, spaceName) {
  busy.set(
    spaceName,
    { create: "starting", start: "starting", stop: "stopping", delete: "deleting" }[action],
  );
  show(overview);
  await attempt(async () => {
    await ask("spaces", { action, spaceName });
    if (action === "create") find("space-name").value = find("space-name").dataset.suggestion;
    if (action === "create" || action === "start") logToFollow = `space/${spaceName}`;
  });
  busy.delete(spaceName);
  await refresh();
  // The focused button was removed with its row.
  if (document.activeElement === document.body) find("space-name").focus();
}

/** Opens the tab before the request, because browsers block a tab that opens later as a pop-up. */
async function openApp(spaceName, app) {
  const tab = window.open("about:blank");
  await attempt(async () => {
    try {
      const { url } = await ask("open", { spaceName, app });
      if (tab === null)
        throw Object.assign(new Error("The browser blocked the new tab."), {
          remedy: "allow pop-ups for this page",
        });
      tab.opener = null;
      tab.location = url;
    } catch (error) {
      tab?.close();
      throw error;
    }
  });
}

find("spaces").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button === null || isDisabled(button)) return;
  const name = button.closest("li").dataset.key;
  const { open, act: action } = button.dataset;
  if (open) return void openApp(name, open);
  if (action !== "delete") return void act(action, name);
  find("doomed").textContent = name;
  find("confirm").returnValue = "";
  find("confirm").showModal();
});

find("confirm").addEventListener("close", () => {
  if (find("confirm").returnValue === "delete") void act("delete", find("doomed").textContent);
});

find("create").addEventListener("submit", (event) => {
  event.preventDefault();
  const button = find("create").querySelector("button");
  if (isDisabled(button)) return;
  disable(button, true);
  const name = find("space-name").value;
  void act("create", name).finally(() => disable(button, false));
});

find("jobs").addEventListener("click", (event) => {
  if (event.target.dataset.log === undefined) return;
  logToFollow = `job/${event.target.closest("li").dataset.key}`;
  find("log").focus();
  void refresh();
});

find("profiles").addEventListener("click", (event) => {
  const name = event.target.closest("li")?.dataset.key;
  if (name === undefined || name === overview.userProfileName) return;
  void attempt(async () => {
    location.href = (await ask("open", { userProfileName: name })).url;
  });
});

find("log-of").addEventListener("change", () => {
  find("log").scrollTop = find("log").scrollHeight;
  void attempt(showLog);
});
find("dismiss").addEventListener("click", () => showProblem());

let timer;
/** Refreshes while the page is visible. */
async function follow() {
  clearTimeout(timer);
  if (document.visibilityState !== "visible") return;
  await refresh();
  clearTimeout(timer);
  timer = setTimeout(follow, refreshMilliseconds);
}
document.addEventListener("visibilitychange", () => void follow());
void follow();
