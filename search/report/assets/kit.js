// Elements, numbers, scales and colours.

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Put these in the place of what a node holds; what is absent leaves no mark.
function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(Boolean));
  return node;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const words = (name) => String(name).replaceAll("_", " ");
const plural = (count, one, many = one + "s") => `${whole(count)} ${count === 1 ? one : many}`;
const extent = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);

function whole(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

function score(value) {
  return isNumber(value) ? value.toFixed(3) : "–";
}

function percent(value, digits = 1) {
  return isNumber(value) ? `${(100 * value).toFixed(digits)}\u202f%` : "–";
}

function plusMinus(trial) {
  if (!isNumber(trial.one_shot_accuracy) || !trial.interval) return "";
  const [low, high] = trial.interval;
  return `±${Math.max(high - trial.one_shot_accuracy, trial.one_shot_accuracy - low).toFixed(3)}`;
}

// A number as short as it can be read: 3 significant digits, powers of ten where they are shorter.
function short(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!isNumber(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return whole(value);
  if (size < 1e-3 || size >= 1e6) {
    const [digits, power] = value.toExponential(1).split("e");
    return `${digits.replace(/\.0$/, "")}e${Number(power)}`;
  }
  return String(Number(value.toPrecision(3)));
}

function bigCount(value) {
  if (!isNumber(value)) return "–";
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e3) return `${Number((value / 1e3).toPrecision(3))}k`;
  return short(value);
}

function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  const total = Math.round(seconds);
  if (seconds < 10) return `${Number(seconds.toPrecision(2))}s`;
  if (total < 60) return `${total}s`;
  if (total < 3600) return `${Math.floor(total / 60)}m\u202f${String(total % 60).padStart(2, "0")}s`;
  return `${Math.floor(total / 3600)}h\u202f${String(Math.floor((total % 3600) / 60)).padStart(2, "0")}m`;
}

// The same pseudo-random number in [0, 1) for the same seed: dots keep their place.
function steady(seed) {
  let x = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  x ^= x >>> 15;
  x = Math.imul(x, 0x85ebca6b) >>> 0;
  x ^= x >>> 13;
  return (x >>> 0) / 4294967296;
}

// ---- colours ------------------------------------------------------------------------------------

const CATEGORIES = {
  light: ["#3b5bdb", "#c2410c", "#0f8a6d", "#a21caf", "#a16207", "#0e7490", "#be123c", "#4d7c0f", "#6d28d9", "#57534e"],
  dark: ["#8ea6ff", "#ff9d5c", "#4fd1a8", "#ee8df5", "#e8c24a", "#5ccfe6", "#ff8096", "#b2d957", "#b69cff", "#c4beb6"],
};
const RAMPS = {
  light: ["#d9d5cb", "#b3cbbd", "#6fb3ab", "#35879b", "#27578f", "#2b2f77"],
  dark: ["#3b3f4a", "#3c5b7d", "#35878f", "#5bb586", "#b9d663", "#fdf08a"],
};

let themeCache = null;

function theme() {
  if (themeCache) return themeCache;
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const isDark = read("--is-dark") === "1";
  themeCache = {
    isDark,
    ink: read("--ink"), soft: read("--soft"), faint: read("--faint"), line: read("--line"),
    surface: read("--surface"), accent: read("--accent"), bad: read("--bad"), warn: read("--warn"), good: read("--good"),
    font: read("--font"),
    categories: isDark ? CATEGORIES.dark : CATEGORIES.light,
    ramp: (isDark ? RAMPS.dark : RAMPS.light).map(rgb),
  };
  return themeCache;
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// Colour of a share in [0, 1] of a scale from low to high.
function ramp(share, alpha = 1) {
  const stops = theme().ramp;
  const at = clamp(isNumber(share) ? share : 0, 0, 1) * (stops.length - 1);
  const below = Math.min(Math.floor(at), stops.length - 2);
  const mix = stops[below].map((c, i) => Math.round(c + (stops[below + 1][i] - c) * (at - below)));
  return `rgba(${mix.join(",")},${alpha})`;
}

function category(index) {
  const colors = theme().categories;
  return colors[index % colors.length];
}

// ---- scales -------------------------------------------------------------------------------------

// An axis is {kind: "linear" | "log" | "choice", low, high} or {kind, choices}. `place` maps a value
// to where zooming is linear; `view` is what is shown of that range.
function place(axis, value) {
  if (axis.kind === "choice") {
    const index = axis.choices.findIndex((choice) => choice === value);
    return index < 0 ? null : index;
  }
  if (!isNumber(value)) return null;
  if (axis.kind === "log") return value > 0 ? Math.log10(value) : null;
  return value;
}

function fullView(axis) {
  if (axis.kind === "choice") return [-0.5, Math.max(0.5, axis.choices.length - 0.5)];
  let [low, high] = [place(axis, axis.low), place(axis, axis.high)];
  if (!isNumber(low) || !isNumber(high)) return [0, 1];
  if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
  const pad = axis.tight ? 0 : (high - low) * 0.04;
  return [low - pad, high + pad];
}

function ticks(axis, view, most) {
  const [low, high] = view;
  const format = axis.format || short;
  if (axis.kind === "choice") {
    const step = Math.max(1, Math.ceil(axis.choices.length / Math.max(1, most)));
    return axis.choices.map((choice, at) => ({ at, text: words(choice) })).filter(({ at }) => at % step === 0 && at >= low && at <= high);
  }
  if (axis.kind === "log" && high - low > 0.7) {
    const found = [];
    const span = high - low;
    const marks = span > most ? [1] : span * 3 > most ? [1] : [1, 2, 5];
    const step = Math.max(1, Math.ceil(span / most));
    for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
      if (((power % step) + step) % step !== 0) continue;
      for (const mark of marks) {
        const at = power + Math.log10(mark);
        if (at >= low && at <= high) found.push({ at, text: format(mark * 10 ** power) });
      }
    }
    if (found.length >= 2) return found;
  }
  const shown = axis.kind === "log" ? [10 ** low, 10 ** high] : view;
  const rough = (shown[1] - shown[0]) / Math.max(1, most);
  const base = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((n) => n * base).find((n) => n >= rough * 0.999);
  if (axis.whole) step = Math.max(1, Math.ceil(step));
  const found = [];
  for (let index = Math.ceil(shown[0] / step - 1e-9); index * step <= shown[1] + step * 1e-9; index += 1) {
    const value = Number((index * step).toPrecision(12));
    found.push({ at: axis.kind === "log" ? Math.log10(value) : value, text: format(value) });
  }
  return found;
}
