// The embedding map of the best model: PCA or t-SNE, a picture under the pointer.

let sheetImage = null;

function thumb(index, size, attributes = {}) {
  const { columns, rows } = DATA.model.sheet;
  const x = index % columns, y = Math.floor(index / columns);
  return el("span", { class: "thumb", ...attributes, style: `--s:${size}px;background-size:${columns * 100}% ${rows * 100}%;background-position:${columns > 1 ? (100 * x) / (columns - 1) : 0}% ${rows > 1 ? (100 * y) / (rows - 1) : 0}%` });
}

function sheet() {
  if (!sheetImage || sheetImage.src !== DATA.model.sheet.uri) {
    sheetImage = new Image();
    sheetImage.onload = () => { for (const plot of plots) plot.request(); };
    sheetImage.src = DATA.model.sheet.uri;
  }
  return sheetImage;
}

function className(index) {
  const found = DATA.model.classes[index];
  return DATA.model.has_groups ? `${words(found.name)} · ${words(found.group)}` : words(found.name);
}

// Groups share a colour where there are some; else each class has one, which comes again.
function mapColor(index) {
  const { classes } = DATA.model;
  if (!DATA.model.has_groups) return category(index);
  const groups = [...new Set(classes.map((c) => c.group))];
  return category(groups.indexOf(classes[index].group));
}

function mapCard() {
  const controls = el("div", { class: "controls" });
  const plot = new Plot("map", mapSpec, { height: 520 });
  const side = el("div", { class: "map-side" });
  const node = card("Map of the embeddings", "Validation images: classes that the model never trained on. Those of one class should lie together. Point at a dot to see its picture; click it to mark its class.", controls, el("div", { class: "map" }, plot.node, side));
  const draw = () => {
    const { views, missing } = DATA.model.map;
    const view = mapView();
    fill(controls, segmented("Projection", views.map((v) => [v.name, v.name]), view.name, (name) => { ui.map = name; delete ui.views.map; draw(); }),
      segmented("Marks", [["dots", "dots"], ["pictures", "pictures"]], ui.mapPictures ? "pictures" : "dots", (key) => { ui.mapPictures = key === "pictures"; draw(); }),
      view.variance !== undefined ? el("span", { class: "dim" }, `the plane holds ${percent(view.variance, 0)} of the variance`) : el("span", { class: "dim" }, "t-SNE keeps neighbours, not distances"),
      missing ? el("span", { class: "dim" }, missing) : "",
      DATA.model.has_groups ? legend([...new Set(DATA.model.classes.map((c) => c.group))].map((group, index) => [words(group), category(index)])) : "");
    plot.update();
    fillSide(side, draw);
  };
  return { node, draw };
}

function mapView() {
  const { views } = DATA.model.map;
  return views.find((view) => view.name === ui.map) || views[0];
}

function fillSide(side, draw) {
  const { classes, map } = DATA.model;
  if (ui.mapClass === null || ui.mapClass >= classes.length) {
    fill(side, el("p", { class: "dim" }, `${plural(map.classes.length, "image")} of ${plural(classes.length, "class", "classes")}${DATA.model.shown_images < DATA.model.images ? `, a sample of ${whole(DATA.model.images)}` : ""}.`), el("p", { class: "dim" }, "No class is marked."));
    return;
  }
  const found = classes[ui.mapClass];
  const own = map.pictures.filter((_, index) => map.classes[index] === ui.mapClass);
  fill(side, el("p", { class: "eyebrow" }, "Marked class"), el("h4", {}, className(ui.mapClass)),
    el("p", {}, found.asked ? [el("b", {}, percent(found.accuracy)), ` of ${plural(found.asked, "question")} right`] : "Not asked in any episode"),
    el("div", { class: "thumbs" }, own.slice(0, 12).map((picture) => thumb(picture, 52))),
    el("button", { type: "button", class: "button", onclick: () => { ui.mapClass = null; draw(); } }, "Unmark"));
}

function mapSpec() {
  const { map } = DATA.model;
  const view = mapView();
  const axes = [0, 1].map((at) => { const [low, high] = extent(view.points.map((point) => point[at])); return { kind: "linear", low, high, hidden: true }; });
  const scale = ui.views.map ? 1 / (ui.views.map.x[1] - ui.views.map.x[0]) : 1;
  const side = clamp(16 * Math.sqrt(scale), 16, 48);
  const { side: pixels, columns } = DATA.model.sheet;
  const image = sheet();
  const points = view.points.map(([x, y], index) => {
    const own = map.classes[index];
    const isFaded = ui.mapClass !== null && own !== ui.mapClass;
    const point = { x, y, index, color: mapColor(own), r: ui.mapClass === own ? 5 : 3.4, alpha: isFaded ? 0.16 : 0.82 };
    if (ui.mapPictures) {
      point.draw = (ctx, px, py) => {
        if (!image.complete) return;
        ctx.globalAlpha = isFaded ? 0.12 : 1;
        const at = map.pictures[index];
        ctx.drawImage(image, (at % columns) * pixels, Math.floor(at / columns) * pixels, pixels, pixels, px - side / 2, py - side / 2, side, side);
        ctx.strokeStyle = point.color; ctx.lineWidth = 1.2; ctx.strokeRect(px - side / 2, py - side / 2, side, side); ctx.globalAlpha = 1;
      };
    }
    return point;
  });
  return {
    label: `${view.name} map of ${plural(points.length, "validation image")}`, x: axes[0], y: axes[1], equal: true, points,
    hover(ctx, at, point) {
      const own = map.classes[point.index];
      view.points.forEach(([x, y], index) => { if (map.classes[index] === own) { ctx.beginPath(); ctx.arc(at.px(x), at.py(y), 6, 0, 7); ctx.lineWidth = 1.6; ctx.strokeStyle = theme().ink; ctx.stroke(); } });
    },
    tip: (point) => [el("div", { class: "tip-picture" }, thumb(map.pictures[point.index], 96)), el("b", {}, className(map.classes[point.index]))],
    pick: (point) => { ui.mapClass = map.classes[point.index]; changed(); },
  };
}
