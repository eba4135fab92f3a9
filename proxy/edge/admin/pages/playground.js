// Makes a URL from the controls, shows its picture, and what it costs in each format. The controls are those that the node's
// parser knows. Text only is put into the page, never HTML.
import { at, bytes, json, may, write } from "/page.js";
import { NAMES } from "/parameter_names.js";

const WAIT_MS = 350;
const FORMATS = ["avif", "webp", "jpg", "png"];
const FILE_NAMES = ["dl", "fn"];
const WIDTHS = [320, 640, 960, 1280, 1920];
const ACCEPT = { Accept: "image/avif,image/webp,*/*" };

const inputs = new Map();
let data, maySign = false, running = new AbortController(), timer, info = null, drag = null;

const encodedKey = (key) => /^https?:\/\//i.test(key) ? encodeURIComponent(key) : key.split("/").map(encodeURIComponent).join("/");
// File names are decoded twice: once as a path, once as a value.
const encodedValue = (name, value) => FILE_NAMES.includes(name)
  ? encodeURIComponent(value.replace(/[%,~]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)) : encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%3B", ";").replaceAll("%2B", "+");
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const mount = () => data.mounts.find((each) => each.name === at("mount").value) ?? data.mounts[0];
const path = (tokens) => `${mount().prefix.replace(/\/$/, "")}/${tokens || "f_auto"}/${encodedKey(at("original").value)}`;
const absolute = (target) => `${data.public}${target}`;
const signatures = new Map();

// The targets with signatures where these are wanted. Each is signed once.
async function signed(targets) {
  if (!at("sign").checked || at("sign").disabled) return targets;
  const missing = targets.filter((target) => !signatures.has(target));
  if (missing.length) {
    const { urls } = await write("POST", "/v1/sign", { urls: missing });
    missing.forEach((target, index) => signatures.set(target, urls[index]));
  }
  return targets.map((target) => signatures.get(target));
}

function tokens(replaced = {}) {
  const values = new Map([...inputs].map(([name, input]) => [name, input.value.trim()]));
  for (const [name, value] of Object.entries(replaced)) values.set(name, value);
  return [...values].filter(([, value]) => value)
    .flatMap(([name, value]) => (name === "e" ? value.split(/[ ,]+/) : [value]).map((each) => `${name}_${encodedValue(name, each)}`)).join(",");
}

// The tokens of this variant at another width: in the same shape, and of a crop the same part.
function sized(width) {
  const [w, h] = ["w", "h"].map((name) => Number(inputs.get(name).value));
  if (inputs.get("c").value.trim() === "crop") return `${tokens()}~w_${width}`;
  return tokens({ w: width, ...(w && h ? { h: Math.max(1, Math.round((width * h) / w)) } : {}) });
}

function addControls() {
  for (const [name, meaning, examples] of data.parameters) {
    const label = document.createElement("label");
    const title = document.createElement("span");
    const token = document.createElement("b");
    token.textContent = name;
    title.append(token, ` ${meaning}`);
    const input = document.createElement("input");
    input.name = name;
    input.autocomplete = "off";
    input.spellcheck = false;
    label.append(title, input);
    if (examples.length) {
      const list = document.createElement("datalist");
      list.id = `examples-${name}`;
      list.append(...examples.map((value) => Object.assign(document.createElement("option"), { value })));
      input.setAttribute("list", list.id);
      label.append(list);
    }
    inputs.set(name, input);
    at("controls").append(label);
  }
}

function addTexts(place, texts) {
  const made = Object.entries(texts).map(([title, text]) => {
    const label = document.createElement("label");
    const area = document.createElement("textarea");
    area.readOnly = true;
    area.rows = Math.min(8, Math.ceil(text.length / 90) + text.split("\n").length - 1);
    area.value = text;
    const copy = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
    copy.setAttribute("aria-label", `Copy: ${title}`);
    copy.addEventListener("click", async () => { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; });
    label.append(title, area);
    const group = document.createElement("div");
    group.append(label, copy);
    return group;
  });
  place.replaceChildren(...made);
}

async function measured(target, signal) {
  const began = performance.now();
  const answer = await fetch(absolute((await signed([target]))[0]), { headers: ACCEPT, signal });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  const body = await answer.blob();
  return { body, ms: performance.now() - began, status: answer.headers.get("Cache-Status") ?? "" };
}

async function texts(target) {
  const kinds = ["avif", "webp", "jpg"];
  const targets = [target, ...kinds.map((kind) => path(tokens({ f: kind }))), ...WIDTHS.map((width) => path(sized(width)))];
  const [url, avif, webp, jpg, ...set] = (await signed(targets)).map(absolute);
  const srcset = set.map((each, index) => `${each} ${WIDTHS[index]}w`).join(",\n  ");
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const named = tokens().split(",").filter(Boolean).map((token) => [token.split("_")[0], token.slice(token.indexOf("_") + 1)]);
  const width = named.find(([name]) => name === "w")?.[1];
  return {
    "URL": url,
    "<img> with srcset": `<img src="${escaped(url)}"\n  srcset="${escaped(srcset)}"\n  sizes="100vw" alt="" loading="lazy">`,
    "<picture>, for CDNs that ignore Vary": `<picture>\n  <source type="image/avif" srcset="${escaped(avif)}">\n  <source type="image/webp" srcset="${escaped(webp)}">\n  <img src="${escaped(jpg)}" alt="">\n</picture>`,
    "Next.js loader": `import { loader } from "calotype-urls/next-loader";\nexport default loader({ base: "${data.public}" });\n// <Image src="/${at("original").value}" width={${width || 640}} … />`,
    "Django template": `{% load calotype %}\n{% calotype_picture "${at("original").value}" alt="" ${named.map(([name, value]) => `${NAMES[name]}="${decodeURIComponent(value)}"`).join(" ")} %}`,
    "Command line": `calotype url ${quoted(at("original").value)} ${quoted(tokens() || "f_auto")} --mount ${quoted(mount().name)}${at("sign").checked ? " --sign" : ""}`,
  };
}

// The same picture in the URLs of other vendors, signed where a mount of this node has their keys.
async function showVendorUrls(target) {
  const found = await json(`/vendor_urls.json?${new URLSearchParams({ mount: mount().name, target })}`);
  const signable = found.filter((each) => each.target && each.can_sign).map((each) => each.target);
  const urls = new Map((await signed(signable)).map((url, index) => [signable[index], url]));
  const texts = {};
  for (const { dialect, target: written, is_served: isServed } of found.filter((each) => each.target)) {
    const url = urls.get(written) ?? written;
    texts[isServed ? dialect : `${dialect}, below a mount with dialect = "${dialect}"`] = isServed ? absolute(url) : url;
  }
  addTexts(at("vendors"), texts);
  const without = found.filter((each) => !each.target).map(({ dialect }) => dialect);
  at("without").textContent = without.length ? `No URL for exactly this picture: ${without.join(", ")}.` : "";
}

function remember() {
  const state = new URLSearchParams({ mount: at("mount").value, original: at("original").value, transform: tokens() });
  history.replaceState(null, "", `#${state}`);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  if (data.mounts.some((each) => each.name === state.get("mount"))) at("mount").value = state.get("mount");
  at("original").value = state.get("original") ?? data.originals.find(([name]) => name === at("mount").value)?.[1] ?? "";
  for (const input of inputs.values()) input.value = "";
  for (const token of (state.get("transform") ?? "w_640,f_auto").split(",").filter(Boolean)) {
    const input = inputs.get(token.slice(0, token.indexOf("_")));
    if (input) input.value = [input.value, token.slice(token.indexOf("_") + 1)].filter(Boolean).join(" ");
  }
}

async function show() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  remember();
  const target = path(tokens());
  at("problem").textContent = "";
  const rows = at("formats").tBodies[0];
  try {
    addTexts(at("texts"), await texts(target));
    await showVendorUrls(target);
    const shown = await measured(target, signal);
    URL.revokeObjectURL(at("picture").src);
    at("picture").src = URL.createObjectURL(shown.body);
    await at("picture").decode().catch(() => {});
    at("facts").textContent = `${at("picture").naturalWidth} × ${at("picture").naturalHeight}, ${shown.body.type}, ${bytes(shown.body.size)}, `
      + `${shown.ms.toFixed(0)} ms, ${shown.status}`;
    rows.replaceChildren();
    for (const kind of FORMATS) {
      const found = await measured(path(tokens({ f: kind })), signal);
      const row = rows.insertRow();
      for (const text of [kind, bytes(found.body.size), `${found.ms.toFixed(0)} ms`, found.status]) row.insertCell().textContent = text;
    }
  } catch (failure) {
    if (failure.name === "AbortError") return;
    at("picture").removeAttribute("src");
    at("facts").textContent = "";
    rows.replaceChildren();
    at("problem").textContent = failure.message;
  }
}

function changed() {
  clearTimeout(timer);
  timer = setTimeout(show, WAIT_MS);
}

async function chosen() {
  info = null;
  at("sign").disabled = mount().signing === "off" || !maySign;
  at("sign").checked = mount().signing === "required" && !at("sign").disabled;
  const [small] = await signed([path("w_320,f_auto")]);
  at("source").src = absolute(small);
  at("originals").replaceChildren(...data.originals.filter(([name]) => name === at("mount").value)
    .map(([, value]) => Object.assign(document.createElement("option"), { value })));
  changed();
  const [target] = await signed([`${mount().prefix.replace(/\/$/, "")}/info/${encodedKey(at("original").value)}`]);
  const answer = await fetch(absolute(target)).catch(() => null);
  if (answer?.ok) info = await answer.json();
}

function spot(event) {
  const box = at("source").getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, value));
  return { x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height) };
}

function mark(one, other) {
  const [left, top] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  Object.assign(at("mark").style, {
    left: `${left * 100}%`, top: `${top * 100}%`,
    width: `${Math.abs(one.x - other.x) * 100}%`, height: `${Math.abs(one.y - other.y) * 100}%`,
  });
  at("mark").hidden = false;
}

function released(event) {
  if (drag === null) return;
  const [one, other] = [drag, spot(event)];
  drag = null;
  at("mark").hidden = true;
  const set = (values) => { for (const [name, value] of Object.entries(values)) inputs.get(name).value = value; };
  if (info && Math.abs(one.x - other.x) > 0.03 && Math.abs(one.y - other.y) > 0.03) {
    const side = (share, most) => Math.max(1, Math.round(share * most));
    set({
      c: "crop", g: "", x: Math.round(Math.min(one.x, other.x) * info.width), y: Math.round(Math.min(one.y, other.y) * info.height),
      w: side(Math.abs(one.x - other.x), info.width), h: side(Math.abs(one.y - other.y), info.height),
    });
  } else {
    set({ g: `${other.x.toFixed(2)}:${other.y.toFixed(2)}`, c: "fill", x: "", y: "", w: inputs.get("w").value || "400", h: inputs.get("h").value || "400" });
  }
  changed();
}

async function uploaded() {
  const [file] = at("file").files;
  if (!file) return;
  at("problem").textContent = "";
  try {
    const query = new URLSearchParams({ name: file.name, mount: at("mount").value });
    const { key } = await write("POST", `/v1/originals?${query}`, file);
    data.originals.unshift([at("mount").value, key]);
    at("original").value = key;
    await chosen();
  } catch (failure) {
    at("problem").textContent = failure.message;
  }
  at("file").value = "";
}

async function begin() {
  data = await json("/playground.json");
  maySign = await may("sign");
  at("upload").hidden = !(await may("upload"));
  at("mount").append(...data.mounts.map(({ name }) => Object.assign(document.createElement("option"), { value: name, textContent: name })));
  if (!data.mounts.length) { at("problem").textContent = "No mount answers native URLs."; return; }
  addControls();
  restore();
  at("controls").addEventListener("input", changed);
  at("original").addEventListener("change", chosen);
  at("mount").addEventListener("change", () => { at("original").value = data.originals.find(([name]) => name === at("mount").value)?.[1] ?? ""; chosen(); });
  at("sign").addEventListener("change", changed);
  at("file").addEventListener("change", uploaded);
  at("reset").addEventListener("click", () => { for (const input of inputs.values()) input.value = ""; inputs.get("w").value = "640"; inputs.get("f").value = "auto"; changed(); });
  at("form").addEventListener("submit", (event) => event.preventDefault());
  at("source").addEventListener("pointerdown", (event) => { drag = spot(event); at("source").setPointerCapture(event.pointerId); });
  at("source").addEventListener("pointermove", (event) => { if (drag !== null) mark(drag, spot(event)); });
  at("source").addEventListener("pointerup", released);
  addEventListener("hashchange", () => { restore(); chosen(); });
  await chosen();
}

begin();
