// Every trial, ranked: filter, sort, and a row's whole story on a click.

const KNOWN = new Set(["trial", "place", "state", "one_shot_accuracy", "interval", "steps", "seconds", "loss", "miner", "margin", "temperature", "encoder", "embedding_dim",
  "attempts", "device_seconds", "peak_bytes", "checkpoint", "wandb_id", "traceback", "collapsed", "failure", "rank", "ranked", "word", "budget", "learning_rate", "size", "images_per_second", "started", "params", "values", "curve", "last", "note", "searchText"]);

function columns() {
  const trials = DATA.trials;
  const some = (key) => trials.some((t) => t[key] !== null && t[key] !== undefined);
  const varies = (key) => new Set(trials.map((t) => t[key])).size > 1;
  const found = [
    { key: "rank", name: "Rank", right: true, value: (t) => (t.ranked ? t.rank : Infinity), cell: (t) => (t.ranked ? el("b", {}, rankText(t)) : el("span", { class: "dim" }, "–")) },
    { key: "trial", name: "Trial", right: true, cell: (t) => el("button", { type: "button", class: "number", "data-trial": t.trial, "aria-label": `Open trial ${t.trial}`, onclick: () => openTrial(t.trial) }, String(t.trial)) },
    { key: "word", name: "State", cell: (t) => el("span", { class: `state ${t.word}` }, t.word) },
    { key: "one_shot_accuracy", name: "One-shot accuracy", wide: true, value: (t) => (t.ranked ? t.one_shot_accuracy : -1), cell: whisker },
  ];
  found.push({ key: "loss", name: "Loss", cell: (t) => words(t.loss) });
  if (varies("miner")) found.push({ key: "miner", name: "Miner", cell: (t) => (t.miner === "none" ? el("span", { class: "dim" }, "none") : words(t.miner)) });
  if (some("margin")) found.push({ key: "margin", name: "Margin", right: true, cell: (t) => short(t.margin) });
  if (some("temperature")) found.push({ key: "temperature", name: "Temp.", title: "Temperature", right: true, cell: (t) => short(t.temperature) });
  if (varies("encoder")) found.push({ key: "encoder", name: "Encoder", cell: (t) => words(t.encoder) });
  found.push({ key: "embedding_dim", name: "Dim", title: "Embedding size", right: true, cell: (t) => short(t.embedding_dim) });
  found.push({ key: "learning_rate", name: "Rate", title: "Learning rate", right: true, cell: (t) => short(t.learning_rate) });
  found.push({ key: "steps", name: "Steps", right: true, cell: (t) => `${short(t.steps)}` });
  found.push({ key: "seconds", name: "Time", right: true, cell: (t) => duration(t.seconds) });
  // Columns that a later version adds to the leaderboard: shown as they are.
  for (const key of Object.keys(trials[0] || {})) {
    if (KNOWN.has(key) || !trials.some((t) => isNumber(t[key]) || typeof t[key] === "string")) continue;
    found.push({ key, name: capital(words(key)), right: trials.some((t) => isNumber(t[key])), cell: (t) => (isNumber(t[key]) && Math.abs(t[key]) <= 1 && !Number.isInteger(t[key]) ? score(t[key]) : short(t[key])) });
  }
  return found;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Trials that share a rank are told apart from one that stands alone at its place.
function rankText(trial) {
  const shared = DATA.trials.filter((other) => other.ranked && other.rank === trial.rank).length > 1;
  return shared ? `${trial.rank}=` : String(trial.rank);
}

function whisker(trial) {
  if (!trial.ranked) return el("span", { class: "reason" }, trial.note ? trial.note.replace(/^trial \d+ \w+ at step \d+: /, "") : "no report yet");
  const [low, high] = scoreRange();
  const pad = Math.max(0.01, (high - low) * 0.05);
  const at = (value) => `${(100 * clamp((value - low + pad) / (high - low + 2 * pad), 0, 1)).toFixed(2)}%`;
  const [from, to] = trial.interval;
  return el("span", { class: `whisker ${trial.word}` },
    el("span", { class: "whisker-value" }, score(trial.one_shot_accuracy), el("small", {}, plusMinus(trial))),
    el("span", { class: "whisker-track", "aria-hidden": "true" },
      el("i", { class: "whisker-span", style: `left:${at(from)};right:calc(100% - ${at(to)})` }),
      el("i", { class: "whisker-dot", style: `left:${at(trial.one_shot_accuracy)}` })));
}

function leaderboard(root) {
  const search = el("input", { type: "search", id: "filter", placeholder: "Filter: supcon, stopped, miner=semi hard …", autocomplete: "off", spellcheck: "false" });
  const chips = el("div", { class: "chips", role: "group", "aria-label": "States" });
  const count = el("p", { class: "count", role: "status" });
  const table = el("table", { class: "board" });
  const more = el("div", { class: "more" });
  const reasons = el("div", {});
  search.value = ui.text;
  search.addEventListener("input", () => { ui.text = search.value; ui.rows = 50; changed(); });
  root.append(
    el("div", { class: "filters" }, el("label", { class: "field", for: "filter" }, el("span", { class: "hidden" }, "Filter the trials"), search), chips, count),
    el("div", { class: "card table-card" }, el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Leaderboard" }, table), more), reasons);
  whenChanged(() => {
    fill(chips, ...WORDS.filter((word) => DATA.trials.some((t) => t.word === word)).map((word) => {
      const n = DATA.trials.filter((t) => t.word === word).length;
      const flip = () => { if (ui.states.has(word)) ui.states.delete(word); else ui.states.add(word); ui.rows = 50; changed(); };
      return el("button", { type: "button", class: "chip", "data-word": word, "aria-pressed": String(ui.states.has(word)), onclick: flip }, el("span", { class: `state ${word}` }, word), ` ${n}`);
    }));
    fillTable(table, more, count);
    fill(reasons, ...lostTrials());
  });
}

function sortedTrials() {
  const column = columns().find((found) => found.key === ui.sort.key) || columns()[0];
  const value = column.value || ((t) => t[column.key]);
  const sign = ui.sort.down ? -1 : 1;
  const places = new Map(DATA.trials.map((trial, index) => [trial, index]));
  return [...shownTrials()].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const [noX, noY] = [x === null || x === undefined, y === null || y === undefined];
    if (noX || noY) return noX - noY;
    if (x === y) return places.get(a) - places.get(b);
    return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
  });
}

function fillTable(table, more, count) {
  const shown = sortedTrials();
  const found = columns();
  const isFiltered = shown.length !== DATA.trials.length;
  count.textContent = isFiltered ? `${whole(shown.length)} of ${plural(DATA.trials.length, "trial")}, here and in every chart` : plural(DATA.trials.length, "trial");
  const head = el("tr", {}, found.map((column) => {
    const isSorted = ui.sort.key === column.key;
    return el("th", { scope: "col", class: `${column.right ? "right " : ""}${column.wide ? "wide" : ""}`, "aria-sort": isSorted ? (ui.sort.down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", "data-sort": column.key, title: column.title || null, onclick: () => sortBy(column) }, column.name, el("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (ui.sort.down ? "↓" : "↑") : "")));
  }));
  const best = DATA.best;
  const rows = shown.slice(0, ui.rows).map((trial) => el("tr", { class: trial.trial === best ? "best" : null, onclick: (event) => { if (!event.target.closest("button") && !String(getSelection())) openTrial(trial.trial); } },
    found.map((column) => cellOf(column, trial))));
  const base = isFiltered ? [] : DATA.baselines.map((b) => el("tr", { class: "baseline" }, found.map((column) => {
    if (column.key === "one_shot_accuracy") return el("td", { "data-name": column.name }, whisker({ ranked: true, word: "base", one_shot_accuracy: b.value, interval: b.interval }));
    return el("td", { class: `c-${column.key}`, "data-name": column.name }, column.key === "word" ? b.name : "");
  })));
  const empty = shown.length ? [] : [el("tr", {}, el("td", { colspan: found.length, class: "none" }, DATA.trials.length ? "No trial matches. Clear the filter to see them all." : "No trial has begun yet."))];
  fill(table, el("caption", { class: "hidden" }, "Trials ranked by one-shot accuracy"), el("thead", {}, head), el("tbody", {}, rows, empty, base));
  const left = shown.length - Math.min(ui.rows, shown.length);
  fill(more, ...(left ? [el("button", { type: "button", class: "button", onclick: () => { ui.rows += 100; fillTable(table, more, count); } }, `Show ${Math.min(100, left)} more`), el("button", { type: "button", class: "button", onclick: () => { ui.rows = Infinity; fillTable(table, more, count); } }, `Show all ${whole(shown.length)}`)] : []));
}

function cellOf(column, trial) {
  const content = column.cell(trial);
  const isBlank = content === "–" || (content.textContent === "none" && column.key === "miner");
  return el("td", { class: `${column.right ? "right " : ""}c-${column.key}${isBlank ? " blank" : ""}`, "data-name": column.name }, content);
}

function sortBy(column) {
  const isSame = ui.sort.key === column.key;
  const startsDown = ["one_shot_accuracy"].includes(column.key);
  ui.sort = { key: column.key, down: isSame ? !ui.sort.down : startsDown };
  changed();
}

// Trials without a rank, by reason: nothing is swept away.
function lostTrials() {
  const lost = shownTrials().filter((t) => t.note);
  if (!lost.length) return [];
  const groups = new Map();
  for (const t of lost) {
    const reason = t.word === "collapsed" ? "All embeddings in one place" : t.failure || "No reason was recorded";
    groups.set(reason, [...(groups.get(reason) || []), t]);
  }
  return [el("div", { class: "card lost" }, el("div", { class: "card-head" }, el("h3", {}, `Without a rank: ${plural(lost.length, "trial")}`), el("p", {}, "Failed and collapsed trials have no score of a model that can be had. The sampler is told, so that it keeps away.")),
    el("ul", {}, [...groups].map(([reason, trials]) => el("li", {}, el("span", { class: `state ${trials[0].word}` }, trials[0].word), el("span", { class: "lost-reason" }, reason),
      el("span", { class: "lost-trials" }, trials.slice(0, 24).map((t) => el("button", { type: "button", class: "number", "aria-label": `Open trial ${t.trial}`, onclick: () => openTrial(t.trial) }, String(t.trial))), trials.length > 24 ? ` and ${trials.length - 24} more` : null)))))];
}
