// The moving parts of the gallery: measured bytes and times, the candidate that a browser chose, and buttons that copy URLs.
const at = (id) => document.getElementById(id);
const kilobytes = (count) => `${(count / 1000).toFixed(count < 10000 ? 1 : 0)} kB`;

// Originals of the demo that this machine has not got: the picture and what belongs to it are left out.
for (const picture of document.querySelectorAll("img")) {
  picture.addEventListener("error", () => (picture.closest(".three") ?? picture.closest("figure") ?? picture).remove());
  if (picture.complete && !picture.naturalWidth) picture.dispatchEvent(new Event("error"));
}

async function measured(url) {
  const began = performance.now();
  const answer = await fetch(url, { cache: "no-store", headers: { Accept: "image/avif,image/webp,*/*" } });
  const body = await answer.blob();
  return { bytes: body.size, type: body.type.replace("image/", ""), ms: performance.now() - began, status: answer.headers.get("Cache-Status") ?? "" };
}

async function compare() {
  for (const figure of document.querySelectorAll("figure[data-original]")) {
    const facts = figure.querySelector(".facts");
    const [original, first] = [await measured(figure.dataset.original), await measured(figure.dataset.variant)];
    const again = await measured(figure.dataset.variant);
    const share = ((first.bytes / original.bytes) * 100).toFixed(first.bytes * 10 < original.bytes ? 1 : 0);
    facts.textContent = `${original.type} ${kilobytes(original.bytes)} → ${first.type} ${kilobytes(first.bytes)}, ${share} % of it; `
      + `first ${first.ms.toFixed(0)} ms (${first.status.includes("hit") ? "was in the cache" : "rendered"}), again ${again.ms.toFixed(0)} ms`;
  }
}

function watchCandidate() {
  const picture = at("responsive");
  const tell = () => {
    at("chosen").textContent = picture.currentSrc
      ? `${Math.round(picture.clientWidth)} px wide at ${window.devicePixelRatio}×: ${new URL(picture.currentSrc).pathname}` : "";
  };
  picture.addEventListener("load", tell);
  new ResizeObserver(() => {
    // Browsers keep a larger candidate that they have; a new element chooses again.
    picture.sizes = `${Math.max(1, Math.round(picture.clientWidth))}px`;
    tell();
  }).observe(picture);
  tell();
}

for (const button of document.querySelectorAll("button[data-url]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(new URL(button.dataset.url, location.href).href);
    const label = button.textContent;
    button.textContent = "copied";
    setTimeout(() => { button.textContent = label; }, 1200);
  });
}

watchCandidate();
compare();
