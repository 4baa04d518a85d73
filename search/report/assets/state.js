// What the page shows, and what the visitor chose; the choices outlive a refresh of the content.

let DATA = JSON.parse(document.getElementById("content").textContent);

const ui = {
  text: "", states: new Set(), sort: { key: "rank", down: false }, rows: 50,
  scope: "", target: null, color: null, contour: [null, null], curveX: "step", curveY: "one_shot_accuracy",
  size: null, collapseY: null, map: null, mapClass: null, mapPictures: false, queries: "mistakes", pairs: "hard",
  classes: "worst", views: {}, allAxes: false,
};

const WORDS = ["done", "running", "stopped", "collapsed", "failed"];
const WORD_TEXT = {
  done: "trained its whole budget", running: "still running", stopped: "stopped early", collapsed: "embeddings in one place", failed: "ended with an error",
};

const listeners = [];
let hovered = null;

function dimension(key) {
  return DATA.dimensions.find((found) => found.key === key);
}

// The value that a trial chose on an axis; undefined where its branch has none.
function valueOf(trial, axis) {
  for (const name of axis.names) if (name in trial.params) return trial.params[name];
  return undefined;
}

function textOf(trial) {
  if (trial.searchText === undefined) {
    const parts = [`#${trial.trial}`, trial.word, trial.loss, trial.miner, trial.encoder, trial.failure || ""];
    for (const [name, value] of Object.entries(trial.params)) parts.push(`${DATA.labels[name] || name}=${typeof value === "string" ? value : short(value)}`);
    trial.searchText = parts.join(" ").toLowerCase().replaceAll("_", " ");
  }
  return trial.searchText;
}

function isShown(trial) {
  if (ui.states.size && !ui.states.has(trial.word)) return false;
  const terms = ui.text.toLowerCase().replaceAll("_", " ").split(/\s+/).filter(Boolean);
  return terms.every((term) => textOf(trial).includes(term));
}

let shownCache = null;

function shownTrials() {
  if (!shownCache) shownCache = DATA.trials.filter(isShown);
  return shownCache;
}

function byNumber(number) {
  return DATA.trials.find((trial) => trial.trial === number);
}

// Draw again what depends on the filter or the content; who is on a control stays there.
function changed() {
  const mark = markOf(document.activeElement);
  shownCache = null;
  for (const listener of listeners) listener();
  const again = mark && document.querySelector(mark);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
}

// A selector by which a control is found when it was made anew; null for what stays.
function markOf(node) {
  if (!node || node === document.body) return null;
  if (node.id) return `#${CSS.escape(node.id)}`;
  for (const name of ["data-sort", "data-word", "data-key", "data-trial"]) {
    if (!node.hasAttribute(name)) continue;
    const group = node.closest("[role=group][aria-label]");
    return `${group ? `[aria-label="${group.getAttribute("aria-label")}"] ` : ""}[${name}="${CSS.escape(node.getAttribute(name))}"]`;
  }
  return null;
}

function whenChanged(listener) {
  listeners.push(listener);
  listener();
}

// The axis of the scores: from just below what is shown to just above.
function scoreAxis(values) {
  const found = values.filter(isNumber);
  const [low, high] = found.length ? extent(found) : [0, 1];
  const pad = Math.max(0.01, (high - low) * 0.06);
  return { kind: "linear", low: Math.max(0, low - pad), high: Math.min(1, high + pad), tight: true, title: "one-shot accuracy", format: (v) => String(Number(v.toFixed(3))) };
}

function scoreShare(trial) {
  const [low, high] = scoreRange();
  return high > low ? (trial.one_shot_accuracy - low) / (high - low) : 1;
}

// Whether there is anything to draw: a score, and a report of any kind.
const hasScores = () => DATA.trials.some((t) => isNumber(t.one_shot_accuracy));
const hasRanked = () => DATA.trials.some((t) => t.ranked);

let rangeCache = null;

function scoreRange() {
  if (!rangeCache) {
    const found = DATA.trials.filter((t) => t.ranked).map((t) => t.one_shot_accuracy);
    rangeCache = found.length ? extent(found) : [0, 1];
  }
  return rangeCache;
}

// The choice that divides the trials most visibly: the objective where it is searched.
function colorAxis() {
  const choices = DATA.dimensions.filter((axis) => axis.kind === "choice");
  return choices.find((axis) => axis.key === ui.color) || choices.find((axis) => axis.key === "objective") || choices[0] || null;
}

function colorOf(trial, axis) {
  if (!axis) return theme().accent;
  const index = axis.choices.indexOf(valueOf(trial, axis));
  return index < 0 ? theme().faint : category(index);
}

function axisOf(dim) {
  return { kind: dim.kind, low: dim.low, high: dim.high, choices: dim.choices, whole: dim.whole, title: dim.label };
}
