// The best model, by what it gets right and wrong on the validation classes.

function modelSection(root) {
  const body = el("div", { class: "stack-cards" });
  root.append(body);
  let shown = null, draw = null;
  whenChanged(() => {
    if (!DATA.model) {
      shown = null;
      fill(body, el("div", { class: "card empty" }, el("p", {}, DATA.model_missing || "There is no model to look into.")));
      return;
    }
    const key = `${DATA.model.trial} ${DATA.model.sheet.uri.length}`;
    if (shown !== key) {
      shown = key;
      document.documentElement.style.setProperty("--sheet", `url(${DATA.model.sheet.uri})`);
      draw = fillModel(body);
    }
    draw();
  });
}

function fillModel(body) {
  const map = mapCard();
  const queries = el("div", { class: "card" }), pairsCard = el("div", { class: "card" }), confusions = el("div", { class: "card" }), classes = el("div", { class: "card" });
  const histogram = new Plot("distances", histogramSpec, { height: 220, zoom: false });
  fill(body, agreement(), measuresCard(), map.node, queries, el("div", { class: "two" }, confusions, classes), pairsCard);
  const draw = () => {
    map.draw();
    fill(queries, ...queriesCard());
    fill(confusions, ...confusionsCard());
    fill(classes, ...classesCard());
    fill(pairsCard, ...pairsOf(histogram));
  };
  return draw;
}

function agreement() {
  const best = byNumber(DATA.model.trial);
  const again = (Object.values(DATA.model.protocols)[0] || {}).one_shot_accuracy;
  const is = best && Math.abs(best.one_shot_accuracy - again) < 0.002;
  return el("p", { class: "lede" }, `Trial ${DATA.model.trial}, loaded from its weights and asked the study's frozen episodes again: `, el("b", {}, percent(again, 2)), is ? ", as the leaderboard says." : `, where the leaderboard says ${percent(best ? best.one_shot_accuracy : null, 2)}: another machine or another version may round otherwise.`, " All pictures here are of validation classes; the test classes stay closed.");
}

// The same encoder under other rules: more shots, other ways, ranking, classes that are not enrolled.
function measuresCard() {
  const { protocols, retrieval, open_world: world } = DATA.model;
  const row = (name, value, interval, note) => el("li", {}, el("span", { class: "bar-name", title: name }, name),
    el("span", { class: "bar-track", "aria-hidden": "true" }, el("i", { style: `width:${100 * value}%` }), interval ? el("u", { style: `left:${100 * Math.max(0, interval[0])}%;right:${100 * (1 - Math.min(1, interval[1]))}%` }) : null, note ? el("s", { style: `left:${100 * note}%` }) : null),
    el("span", { class: "bar-value" }, score(value), interval ? el("small", {}, ` ±${((interval[1] - interval[0]) / 2).toFixed(3)}`) : null));
  const few = Object.entries(protocols).map(([name, p]) => row(name, p.one_shot_accuracy, p.interval, p.chance));
  const mean = (name, found) => (found && isNumber(found.mean) ? row(name, found.mean, found.interval) : null);
  const names = { recall_at_1: "recall@1", recall_at_2: "recall@2", recall_at_4: "recall@4", recall_at_8: "recall@8", r_precision: "R-precision", map_at_r: "MAP@R" };
  const ranked = Object.entries(names).map(([key, name]) => mean(name, retrieval[key]));
  const open = Object.entries(world).flatMap(([shot, found]) => [mean(`${shot}: right of ${short(found.classes_in_gallery)} classes`, found.top_1), mean(`${shot}: in the first 3`, found.top_3), found.unknown ? mean(`${shot}: unknown, AUROC`, found.unknown.auroc) : null]);
  const block = (name, text, rows) => (rows.some(Boolean) ? el("div", {}, el("h4", {}, name), el("p", { class: "dim" }, text), el("ul", { class: "bars measures" }, rows.filter(Boolean))) : null);
  return el("div", { class: "card" }, el("div", { class: "card-head" }, el("h3", {}, "By other measures"), el("p", {}, "Each with its 95\u202f% interval; the trials were ranked by the first alone.")),
    el("div", { class: "three" }, block("Few shots", "Over episodes; the mark is chance.", few), block("Retrieval", `Over ${plural(retrieval.num_queries || 0, "query", "queries")}, intervals over classes.`, ranked), block("Open world", "Half of the classes enrolled, the others unknown.", open)));
}

function queriesCard() {
  const kinds = [["mistakes", "surest mistakes"], ["any", "any"]].filter(([kind]) => DATA.model.queries[kind].length);
  const kind = kinds.some(([key]) => key === ui.queries) ? ui.queries : (kinds[0] || ["any"])[0];
  const rows = DATA.model.queries[kind] || [];
  return [el("div", { class: "card-head" }, el("h3", {}, "Queries and their nearest images"), el("p", {}, `Nearest of ${whole(DATA.model.shown_images - 1)} other validation images, all classes at once: harder than an episode.`)),
    el("div", { class: "controls" }, kinds.length > 1 ? segmented("Queries", kinds, kind, (key) => { ui.queries = key; changed(); }) : "", legend([["same class", theme().good, "dot"], ["another class", theme().bad, "cross"]])),
    el("ul", { class: "queries" }, rows.map((query) => el("li", {}, el("figure", { class: "query" }, thumb(query.picture, 60), el("figcaption", {}, className(query.class))),
      el("ol", {}, query.nearest.map((near) => {
        const isSame = near.class === query.class;
        return el("li", { class: isSame ? "right" : "wrong", title: `${className(near.class)}, distance ${near.distance.toFixed(3)}` }, thumb(near.picture, 46, { role: "img", "aria-label": `${isSame ? "same class" : "another class"}: ${className(near.class)}` }), el("small", { "aria-hidden": "true" }, `${isSame ? "✓" : "✕"} ${near.distance.toFixed(2)}`));
      })))))];
}

function confusionsCard() {
  const rows = DATA.model.confusions;
  return [el("div", { class: "card-head" }, el("h3", {}, "Worst confusions"), el("p", {}, "Pairs of classes that are surest to be taken for each other: share of the questions about one, in episodes with both, that were answered with the other.")),
    rows.length ? el("ul", { class: "confusions" }, rows.map((row) => el("li", {},
      el("div", { class: "pair-side" }, row.examples[0].slice(0, 2).map((picture) => thumb(picture, 40)), el("span", {}, className(row.classes[0]))),
      el("b", { class: "share" }, percent(row.confused, 0), el("small", {}, `of ${row.queries}`)),
      el("div", { class: "pair-side" }, row.examples[1].slice(0, 2).map((picture) => thumb(picture, 40)), el("span", {}, className(row.classes[1])))))) : el("p", { class: "dim" }, "No two classes were mixed up.")];
}

function classesCard() {
  const asked = DATA.model.classes.map((c, index) => ({ ...c, index })).filter((c) => c.asked > 0);
  const order = [...asked].sort((a, b) => a.accuracy - b.accuracy);
  const list = ui.classes === "best" ? order.slice(-16).reverse() : ui.classes === "all" ? order : order.slice(0, 16);
  const options = [["worst", "worst"], ["best", "best"], ["all", `all ${asked.length}`]];
  return [el("div", { class: "card-head" }, el("h3", {}, "Accuracy by class"), el("p", {}, "Over the frozen episodes, with the 95\u202f% Wilson interval over a class's own questions.")),
    el("div", { class: "controls" }, asked.length > 16 ? segmented("Classes", options, ui.classes, (key) => { ui.classes = key; changed(); }) : ""),
    el("ul", { class: `bars classes ${ui.classes === "all" ? "scrolls" : ""}`, tabindex: ui.classes === "all" ? "0" : null, "aria-label": "Accuracy by class" }, list.map((c) => {
      const [low, high] = wilson(c.accuracy, c.asked);
      return el("li", {}, thumb(c.picture, 30), el("span", { class: "bar-name" }, className(c.index)), el("span", { class: "bar-track", "aria-hidden": "true" }, el("i", { style: `width:${100 * c.accuracy}%` }), el("u", { style: `left:${100 * low}%;right:${100 * (1 - high)}%` })), el("span", { class: "bar-value" }, percent(c.accuracy, 0)));
    }))];
}

// Wilson 1927: an interval of a share that stays within [0, 1].
function wilson(share, count) {
  const z = 1.959963984540054;
  const middle = (share + (z * z) / (2 * count)) / (1 + (z * z) / count);
  const half = (z / (1 + (z * z) / count)) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

function pairsOf(histogram) {
  const { pairs } = DATA.model;
  const options = [["hard", "hardest"], ["any", "any"]];
  const kind = ui.pairs;
  const row = (name, key) => el("div", {}, el("h4", {}, name), el("ul", { class: "pairs-grid" }, pairs[`${key}_${kind}`].map((pair) => el("li", { title: pair.classes.map(className).join(" / ") }, pair.pictures.map((picture) => thumb(picture, 46)), el("small", {}, pair.distance.toFixed(2))))));
  queueMicrotask(() => histogram.update());
  return [el("div", { class: "card-head" }, el("h3", {}, "Similar and different pairs"), el("p", {}, "Two images of one class should be near, two of different classes far: how far they lie apart, and where that fails.")),
    el("div", { class: "controls" }, segmented("Pairs", options, kind, (key) => { ui.pairs = key; changed(); }), legend([["one class", theme().good, "line"], ["two classes", theme().bad, "line"]])),
    histogram.node, el("div", { class: "two flat" }, row(kind === "hard" ? "One class, far apart" : "One class", "similar"), row(kind === "hard" ? "Two classes, near" : "Two classes", "different"))];
}

function histogramSpec() {
  const { edges, similar, different } = DATA.model.distances;
  const top = Math.max(...similar, ...different, 1e-9);
  const middle = (index) => (edges[index] + edges[index + 1]) / 2;
  const area = (ctx, at, shares, color) => {
    ctx.beginPath(); ctx.moveTo(at.px(edges[0]), at.py(0));
    shares.forEach((share, index) => { ctx.lineTo(at.px(edges[index]), at.py(share)); ctx.lineTo(at.px(edges[index + 1]), at.py(share)); });
    ctx.lineTo(at.px(edges[edges.length - 1]), at.py(0)); ctx.closePath();
    ctx.fillStyle = color; ctx.globalAlpha = 0.25; ctx.fill(); ctx.globalAlpha = 1; ctx.strokeStyle = color; ctx.lineWidth = 1.8; ctx.stroke();
  };
  const make = (shares, name, color) => shares.map((share, index) => ({ x: middle(index), y: share, name, color, shape: "none" }));
  return {
    label: "Distances of pairs of one class and of two classes", x: { kind: "linear", low: edges[0], high: edges[edges.length - 1], tight: true, title: "distance of embeddings" }, y: { kind: "linear", low: 0, high: top, title: "share of pairs", format: (v) => percent(v, 0) },
    points: [...make(similar, "one class", theme().good), ...make(different, "two classes", theme().bad)],
    below(ctx, at) { area(ctx, at, different, theme().bad); area(ctx, at, similar, theme().good); },
    tip: (point) => [el("b", {}, point.name), el("div", { class: "tip-line" }, `${percent(point.y)} of the pairs near ${point.x.toFixed(2)}`)],
  };
}
