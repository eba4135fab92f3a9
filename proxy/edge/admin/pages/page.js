// What the pages of the admin listener share: elements, figures as text, and calls with the session's rights.
export const at = (id) => document.getElementById(id);

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}

export const seconds = (value) => (value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(1)} s`);

// The JSON of an answer. Throws an Error with the detail of a problem. A session that has ended leads to the login.
export async function json(target, options) {
  const answer = await fetch(target, options).catch(() => { throw new Error("the node does not answer"); });
  const text = await answer.text();
  const value = text ? JSON.parse(text) : null;
  if (answer.status === 401 && !options) { location.assign("/login"); }
  if (!answer.ok) throw new Error(value?.detail ?? `the node answers ${answer.status}`);
  return value;
}

let session = null;
const ofSession = async () => (session ??= await json("/session.json"));

// Whether this session may do what a scope allows.
export const may = async (scope) => (await ofSession()).scopes.includes(scope);

// A call that changes something. `body` is an object, a file, or undefined.
export async function write(method, target, body) {
  const { csrf } = await ofSession();
  const isFile = body instanceof Blob;
  const headers = { "X-CSRF-Token": csrf, "Content-Type": isFile ? "application/octet-stream" : "application/json" };
  return json(target, { method, headers, body: isFile || body === undefined ? body : JSON.stringify(body) });
}

// Replaces the rows of a table. A cell is text or an element; `empty` stands for no rows.
export function rows(id, lines, empty) {
  const body = at(id).tBodies[0];
  const width = at(id).tHead.rows[0].cells.length;
  body.replaceChildren(...(lines.length ? lines : [[empty]]).map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const td = row.insertCell();
      if (cell instanceof Node) td.append(cell); else td.textContent = cell;
    }
    if (!lines.length) row.cells[0].colSpan = width;
    return row;
  }));
}
