// Puts the sections together, and keeps them new where the page is served.

const SECTIONS = [
  ["overview", null, null, overview],
  ["leaderboard", "Leaderboard", "Every trial, scored on the same frozen episodes.", leaderboard],
  ["search", "What mattered", "Which choices made a good model.", parametersSection, hasRanked],
  ["curves", "Curves", "How they learned, and where the search let go.", curvesSection, hasScores],
  ["cost", "Cost", "What a better score costs.", tradeoffsSection, hasRanked],
  ["collapse", "Collapse", "Where training falls into one point.", collapseSection, hasScores],
  ["model", "Best model", "What it sees in classes that it never trained on.", modelSection],
  ["about", "About", "So that someone else can check it.", aboutSection],
];

function build() {
  const main = document.getElementById("main"), nav = document.getElementById("nav");
  const later = [];
  for (const [id, name, text, draw, hasContent] of SECTIONS) {
    const section = el("section", { id, "aria-labelledby": name ? `${id}-title` : null, "aria-label": name ? null : "Overview" }, name ? el("header", { class: "section-head" }, el("h2", { id: `${id}-title` }, name), el("p", {}, text)) : null);
    const body = el("div", { class: "section-body" });
    section.append(body);
    main.append(section);
    const link = el("a", { href: `#${id}` }, name || "Overview");
    nav.append(link);
    // A section without anything to draw comes when there is something.
    if (hasContent) whenChanged(() => { section.hidden = link.hidden = !hasContent(); });
    // The first screen at once, the rest when the browser has time, one after another.
    if (id === "overview" || id === "leaderboard") draw(body);
    else later.push(() => draw(body));
  }
  const step = () => {
    const next = later.shift();
    if (!next) { document.documentElement.dataset.ready = "true"; return; }
    next();
    (window.requestIdleCallback || ((run) => setTimeout(run, 16)))(step, { timeout: 250 });
  };
  requestAnimationFrame(() => setTimeout(step));
  new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => { if (isIntersecting) mark(target.id); }), { rootMargin: "-30% 0px -65% 0px" }).observeAll(main.children);
}

IntersectionObserver.prototype.observeAll = function observeAll(nodes) { for (const node of nodes) this.observe(node); };

function mark(id) {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.hash === `#${id}`) {
      link.setAttribute("aria-current", "true");
      const { parentNode } = link;
      parentNode.scrollLeft = link.offsetLeft - parentNode.clientWidth / 2 + link.clientWidth / 2;
    } else link.removeAttribute("aria-current");
  }
}

// ---- light and dark -----------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try { if (name === "auto") localStorage.removeItem("tripletune-theme"); else localStorage.setItem("tripletune-theme", name); } catch (error) { /* files may have no storage */ }
  document.getElementById("theme").setAttribute("aria-label", `Colours: ${name === "auto" ? "as the system" : name}`);
  themeCache = null;
  changed();
}

document.getElementById("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || "auto";
  const isDark = theme().isDark;
  // From the system's colours the first click goes to the other ones.
  setTheme(now === "auto" ? (isDark ? "light" : "dark") : now === "light" ? "dark" : "light");
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { themeCache = null; changed(); });
addEventListener("scroll", () => {
  // Who steps by keyboard keeps the note beside the point; under a pointer another one may lie now.
  const stepped = [...plots].find((plot) => plot.focus >= 0 && plot.spots && plot.spots[plot.focus]);
  if (stepped) stepped.point(stepped.focus);
  else hideTip();
}, { passive: true });

// ---- live ---------------------------------------------------------------------------------------

const EVERY_MS = 3000;
let tag = null;

async function refresh() {
  const live = document.getElementById("live");
  try {
    const answer = await fetch("content.json", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      const next = await answer.json();
      // An open drawer and a moving pointer keep what they are about.
      DATA = next; rangeCache = null;
      changed();
    }
    live.textContent = "live"; live.classList.remove("lost");
  } catch (error) {
    live.textContent = "not connected"; live.classList.add("lost");
  }
  setTimeout(refresh, EVERY_MS);
}

build();
if (TRIPLETUNE_LIVE) {
  document.getElementById("live").hidden = false;
  setTimeout(refresh, EVERY_MS);
}
