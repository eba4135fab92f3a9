// Fetches the status every two seconds and shows it. The page receives text only, never HTML.
const EVERY_MS = 2000;
const MAX_STEPS = 60;
const history = [];

const at = (id) => document.getElementById(id);

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}

const seconds = (value) => (value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(1)} s`);

class Samples {
  constructor(metrics) { this.metrics = metrics; }

  sum(name, so = () => true) {
    return this.metrics.reduce((sum, [n, labels, value]) => (n === name && so(labels) ? sum + value : sum), 0);
  }

  by(name, label) {
    return new Map(this.metrics.filter(([n]) => n === name).map(([, labels, value]) => [labels[label], value]));
  }
}

function rows(id, lines, empty) {
  const body = at(id).tBodies[0];
  const made = lines.length ? lines : [[empty]];
  body.replaceChildren(...made.map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const td = row.insertCell();
      if (cell instanceof Node) td.append(cell); else td.textContent = cell;
      if (typeof cell === "string" && cell.startsWith("circuit breaker open")) td.className = "bad";
    }
    return row;
  }));
}

function gauge(held, most) {
  const bar = document.createElement("progress");
  bar.max = most || 1;
  bar.value = held;
  return bar;
}

function line(id, values, most) {
  const points = values.map((value, index) => `${(index / (MAX_STEPS - 1)) * 100},${23 - (value / (most || 1)) * 22}`);
  at(id).firstElementChild.setAttribute("points", points.join(" "));
}

function remember(samples) {
  const requests = samples.sum("calotype_requests_total");
  const hits = samples.sum("calotype_requests_total", (labels) => labels.outcome === "hit");
  const failed = samples.sum("calotype_requests_total", (labels) => labels.status.startsWith("5"));
  history.push({ at: performance.now(), requests, hits, failed });
  if (history.length > MAX_STEPS + 1) history.shift();
}

function showFigures(samples) {
  const [first, last] = [history[0], history[history.length - 1]];
  const since = history.length > 1 ? first : { at: 0, requests: 0, hits: 0, failed: 0 };
  const count = last.requests - since.requests;
  const passed = (last.at - since.at) / 1000;
  // Without recent requests, the ratio of all requests since the start.
  const share = count ? (last.hits - since.hits) / count : last.hits / last.requests;
  at("ratio").textContent = last.requests ? `${(share * 100).toFixed(1)} %` : "–";
  at("rate").textContent = history.length > 1 ? (count / passed).toFixed(1) : "–";
  at("errors").textContent = history.length > 1 ? ((last.failed - since.failed) / passed).toFixed(1) : "–";
  at("queue").textContent = samples.sum("calotype_render_queue");
  const busy = samples.sum("calotype_workers", (labels) => labels.state === "busy");
  at("workers").textContent = `${busy} of ${samples.sum("calotype_workers")}`;
  at("clients").textContent = samples.sum("calotype_connections");
  const steps = history.slice(1).map((now, index) => {
    const before = history[index];
    const requests = now.requests - before.requests;
    return { rate: requests / ((now.at - before.at) / 1000), ratio: requests ? (now.hits - before.hits) / requests : 1 };
  });
  line("ratio-line", steps.map((step) => step.ratio), 1);
  line("rate-line", steps.map((step) => step.rate), Math.max(...steps.map((step) => step.rate), 1));
}

function showTables(samples, slowest) {
  const held = samples.by("calotype_tier_bytes", "tier");
  const most = samples.by("calotype_tier_max_bytes", "tier");
  const entries = samples.by("calotype_tier_entries", "tier");
  const breakers = samples.by("calotype_breaker_open", "part");
  const tiers = new Set([...held.keys(), ...most.keys(), ...(breakers.has("cache.bucket") ? ["bucket"] : [])]);
  rows("tiers", [...tiers].map((tier) => [
    tier,
    held.has(tier) ? bytes(held.get(tier)) : "–",
    most.has(tier) ? bytes(most.get(tier)) : "–",
    most.has(tier) && held.has(tier) ? gauge(held.get(tier), most.get(tier)) : "",
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
    return [part, breakers.get(part) ? "circuit breaker open: repeated failures" : "in use", String(fetched(true)), String(fetched(false))];
  }), "nothing fetched yet");

  rows("slowest", slowest.map((slow) => [
    slow.original, slow.source, slow.format, seconds(slow.fetch_s), seconds(slow.render_s),
    new Date(slow.at_s * 1000).toLocaleTimeString(),
  ]), "nothing rendered in the last hour");
}

function age(total) {
  const hours = Math.floor(total / 3600);
  return hours ? `${hours} h ${Math.floor((total % 3600) / 60)} min` : `${Math.floor(total / 60)} min`;
}

async function refresh() {
  try {
    const answer = await fetch("/v1/status");
    if (answer.status === 401) { location.assign("/login"); return; }
    const status = await answer.json();
    const samples = new Samples(status.metrics);
    remember(samples);
    showFigures(samples);
    showTables(samples, status.slowest);
    at("version").textContent = status.version;
    at("state").textContent = status.lacking.length ? `not ready: ${status.lacking.join("; ")}` : `ready, up ${age(status.uptime_s)}`;
    at("state").className = status.lacking.length ? "bad" : "";
  } catch {
    at("state").textContent = "the node does not answer";
    at("state").className = "bad";
  }
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, EVERY_MS);
}

watch();
