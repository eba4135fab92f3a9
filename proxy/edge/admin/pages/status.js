// Fetches the status every two seconds and shows it. The page receives text only, never HTML.
import { at, bytes, json, may, rows, seconds, write } from "/page.js";

const EVERY_MS = 2000;
const RECENT_POLLS = 60;
const HOUR_S = 3600;
const polls = [];

// The sums of the status document, as the hit ratio of the alerts counts them: hits of hits, misses and requests that waited.
class Samples {
  constructor(metrics) { this.metrics = metrics; }

  sum(name, so = () => true) {
    return this.metrics.reduce((sum, [n, labels, value]) => (n === name && so(labels) ? sum + value : sum), 0);
  }

  by(name, label) {
    const sums = new Map();
    for (const [n, labels, value] of this.metrics) if (n === name) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
    return sums;
  }

  requests(so = () => true) {
    const count = (of) => this.sum("calotype_requests_total", (labels) => so(labels) && of(labels));
    return {
      requests: count(() => true),
      hits: count(({ outcome }) => outcome === "hit"),
      cacheable: count(({ outcome }) => ["hit", "miss", "collapsed"].includes(outcome)),
      refused: count(({ status }) => status.startsWith("4")),
      failed: count(({ status }) => status.startsWith("5")),
    };
  }
}

function gauge(label, held, most) {
  const bar = document.createElement("progress");
  bar.max = most || 1;
  bar.value = held;
  bar.setAttribute("aria-label", label);
  return bar;
}

function button(text, label, click) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", click);
  return made;
}

const percent = (part, whole) => (whole ? `${((part / whole) * 100).toFixed(1)} %` : "–");

// A line of the last hour. `points` are pairs of seconds before now and values.
function line(id, points, most) {
  const shown = points.map(([ago, value]) => `${(100 - (ago / HOUR_S) * 100).toFixed(2)},${(23 - (value / (most || 1)) * 22).toFixed(2)}`);
  at(id).firstElementChild.setAttribute("points", shown.join(" "));
}

function showHour(history) {
  const names = ["at_s", "requests", "hits", "cacheable", "failed", "sent_bytes", "saved_bytes"];
  const totals = history.map((values) => Object.fromEntries(names.map((name, index) => [name, values[index]])));
  const last = totals.at(-1);
  const steps = totals.slice(1).map((now, index) => {
    const before = totals[index];
    const passed = now.at_s - before.at_s || 1;
    const rate = (name) => (now[name] - before[name]) / passed;
    return {
      ago: last.at_s - now.at_s, rate: rate("requests"), failed: rate("failed"), sent: rate("sent_bytes"), saved: rate("saved_bytes"),
      ratio: now.cacheable > before.cacheable ? (now.hits - before.hits) / (now.cacheable - before.cacheable) : 1,
    };
  });
  for (const [id, name, most] of [["ratio-line", "ratio", 1], ["rate-line", "rate"], ["errors-line", "failed"], ["sent-line", "sent"], ["saved-line", "saved"]]) {
    line(id, steps.map((step) => [step.ago, step[name]]), most ?? Math.max(...steps.map((step) => step[name]), 1e-9));
  }
}

function showFigures(samples) {
  polls.push({ at: performance.now(), ...samples.requests() });
  if (polls.length > RECENT_POLLS + 1) polls.shift();
  const [first, last] = [polls[0], polls.at(-1)];
  const passed = (last.at - first.at) / 1000;
  const since = (name) => last[name] - first[name];
  const rate = (name) => (passed ? (since(name) / passed).toFixed(1) : "–");
  // Without recent requests, the ratio of all requests since the start.
  at("ratio").textContent = since("cacheable") ? percent(since("hits"), since("cacheable")) : percent(last.hits, last.cacheable);
  at("rate").textContent = rate("requests");
  at("errors").textContent = rate("failed");
  const [sent, saved] = ["sent", "saved"].map((name) => samples.sum(`calotype_${name}_bytes_total`));
  at("sent").textContent = bytes(sent);
  at("saved").textContent = bytes(saved);
  at("queue").textContent = samples.sum("calotype_render_queue");
  const busy = samples.sum("calotype_workers", (labels) => labels.state === "busy");
  at("workers").textContent = `${busy} of ${samples.sum("calotype_workers")}`;
  at("clients").textContent = samples.sum("calotype_connections");
}

function showTraffic(samples) {
  const [sent, saved] = ["sent", "saved"].map((name) => samples.by(`calotype_${name}_bytes_total`, "mount"));
  const mounts = [...samples.by("calotype_requests_total", "mount")].filter(([name, requests]) => name !== "none" || requests);
  rows("mounts", mounts.map(([mount]) => {
    const of = samples.requests((labels) => labels.mount === mount);
    return [
      mount === "none" ? "no mount" : mount, String(of.requests), percent(of.hits, of.cacheable), bytes(sent.get(mount) ?? 0),
      bytes(saved.get(mount) ?? 0), String(of.refused), String(of.failed),
    ];
  }), "none");
  // Once: the choice in use must not be replaced.
  if (at("purge-mount").length === 1) {
    const names = mounts.map(([name]) => name).filter((name) => name !== "none");
    at("purge-mount").append(...names.map((name) => Object.assign(document.createElement("option"), { value: name, textContent: name })));
  }
  const formats = [...samples.by("calotype_sent_bytes_total", "format")].filter(([, count]) => count).sort((one, other) => other[1] - one[1]);
  const all = formats.reduce((sum, [, count]) => sum + count, 0);
  rows("formats", formats.map(([format, count]) => [
    format === "none" ? "no picture" : format, bytes(count), percent(count, all), gauge(`Share of ${format}`, count, all),
  ]), "nothing sent yet");
}

function showParts(samples) {
  const held = samples.by("calotype_tier_bytes", "tier");
  const most = samples.by("calotype_tier_max_bytes", "tier");
  const entries = samples.by("calotype_tier_entries", "tier");
  const breakers = samples.by("calotype_breaker_open", "part");
  const tiers = new Set([...held.keys(), ...most.keys(), ...(breakers.has("cache.bucket") ? ["bucket"] : [])]);
  rows("tiers", [...tiers].map((tier) => [
    tier,
    held.has(tier) ? bytes(held.get(tier)) : "–",
    most.has(tier) ? bytes(most.get(tier)) : "–",
    most.has(tier) && held.has(tier) ? gauge(`Use of ${tier}`, held.get(tier), most.get(tier)) : "",
    entries.has(tier) ? String(entries.get(tier)) : "–",
    String(samples.sum("calotype_requests_total", (labels) => labels.tier === tier)),
    String(samples.sum("calotype_tier_errors_total", (labels) => labels.tier === tier)),
  ]), "none");

  const sources = new Set(samples.metrics.filter(([n]) => n === "calotype_source_fetches_total").map(([, l]) => l.source));
  const parts = new Set([...breakers.keys(), ...[...sources].map((name) => `sources.${name}`)]);
  rows("parts", [...parts].sort().map((part) => {
    const name = part.replace(/^sources\./, "");
    const fetched = (isOk) => samples.sum("calotype_source_fetches_total",
      (labels) => part.startsWith("sources.") && labels.source === name && (labels.outcome === "ok") === isOk);
    const state = document.createElement("span");
    state.textContent = breakers.get(part) ? "circuit breaker open: repeated failures" : "in use";
    state.className = breakers.get(part) ? "bad" : "";
    return [part, state, String(fetched(true)), String(fetched(false))];
  }), "nothing fetched yet");
}

const timeOfDay = (at_s) => new Date(at_s * 1000).toLocaleTimeString();

function showRecent({ errors, slowest }) {
  rows("failures", errors.map((error) => [
    timeOfDay(error.at_s), `${error.status} ${error.error}`, error.detail, error.target, String(error.count),
  ]), "no request has failed");
  rows("slowest", slowest.map((slow) => [
    slow.original, slow.source, slow.format, seconds(slow.fetch_s), seconds(slow.render_s), timeOfDay(slow.at_s),
  ]), "nothing rendered in the last hour");
}

async function showJobs() {
  const mayCancel = await may("warm");
  const jobs = await json("/v1/warm");
  // A button in use keeps the focus: the table is replaced when something has changed.
  const text = JSON.stringify(jobs);
  if (at("jobs").dataset.shown === text) return;
  at("jobs").dataset.shown = text;
  rows("jobs", jobs.map((job) => [
    job.id, job.state, gauge(`Progress of job ${job.id}`, job.done + job.skipped + job.failed, job.total),
    `${job.done + job.skipped} of ${job.total}`, String(job.failed),
    job.state === "running" && mayCancel ? button("Cancel", `Cancel job ${job.id}`, async () => {
      await write("DELETE", `/v1/warm/${encodeURIComponent(job.id)}`);
      await showJobs();
    }) : "",
  ]), "no job yet");
}

function age(total) {
  const hours = Math.floor(total / 3600);
  return hours ? `${hours} h ${Math.floor((total % 3600) / 60)} min` : `${Math.floor(total / 60)} min`;
}

async function refresh() {
  try {
    const status = await json("/v1/status");
    const samples = new Samples(status.metrics);
    showFigures(samples);
    showHour(status.history);
    showTraffic(samples);
    showParts(samples);
    showRecent(status);
    at("version").textContent = status.version;
    at("state").textContent = status.lacking.length ? `not ready: ${status.lacking.join("; ")}` : `ready, up ${age(status.uptime_s)}`;
    at("state").className = status.lacking.length ? "bad" : "";
    await showJobs();
  } catch (failure) {
    at("state").textContent = failure.message;
    at("state").className = "bad";
  }
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, EVERY_MS);
}

// Shows the outcome of a form: `call` returns text, or throws.
async function outcome(id, call) {
  at(id).className = "";
  at(id).textContent = "…";
  try {
    at(id).textContent = await call();
  } catch (failure) {
    at(id).textContent = failure.message;
    at(id).className = "bad";
  }
}

const asText = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

at("explain").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ url: at("explain-url").value.trim(), accept: at("explain-accept").value.trim() });
  outcome("explained", async () => {
    const found = await json(`/v1/explain?${query}`);
    const width = Math.max(...Object.keys(found).map((name) => name.length));
    return Object.entries(found).map(([name, value]) => `${name.padEnd(width)}  ${asText(value)}`).join("\n");
  });
});

const KINDS = {
  original: (value) => `all variants of ${value}`,
  prefix: (value) => `all variants of originals below ${value}`,
  url: (value) => `the variants of ${value}`,
  preset: (value) => `all variants of the preset ${value}`,
  all: () => "all variants of the mount",
};

function purgeOrder() {
  const kind = at("purge-kind").value;
  const value = kind === "all" ? true : at("purge-value").value.trim();
  return { kind, body: { [kind]: value, ...(at("purge-mount").value ? { mount: at("purge-mount").value } : {}) }, value };
}

at("purge-kind").addEventListener("change", () => {
  at("purge-value").disabled = at("purge-kind").value === "all";
  at("purge-value").required = !at("purge-value").disabled;
});
at("purge").addEventListener("submit", (event) => {
  event.preventDefault();
  const { kind, value, body } = purgeOrder();
  at("sure-text").textContent = `Purge ${KINDS[kind](value)}${body.mount ? ` (mount ${body.mount})` : ""} on every node? They are rendered again when they are requested.`;
  at("sure").returnValue = "";  // Escape leaves it as it is.
  at("sure").showModal();
});
at("sure").addEventListener("close", () => {
  if (at("sure").returnValue !== "purge") return;
  outcome("purged", async () => {
    const { removed, tiers } = await write("POST", "/v1/purge", purgeOrder().body);
    const each = Object.entries(tiers).filter(([, count]) => count).map(([tier, count]) => `${tier} ${count}`).join(", ");
    return `Removed ${removed} entries${each ? ` (${each})` : ""}.`;
  });
});

async function begin() {
  at("purge-box").hidden = !(await may("purge"));
  await watch();
}

begin().catch(watch);
