"use strict";
// The same sums as ml/twin.py makes, in the same order.
const twin = JSON.parse(document.getElementById("twin").textContent);

function days(text) {
  const part = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?$/.exec(text).slice(1).map((each) => Number(each || 0));
  const seconds = Date.UTC(part[0], part[1] - 1, part[2], part[3], part[4], part[5]) / 1000 + part[6];
  return seconds / 86400;
}

function encode(row) {
  return twin.columns.map(([what, place, text]) => {
    const input = twin.inputs[place];
    const value = row[input.name] ?? null;
    if (what === "is") return value === text ? 1 : 0;
    if (what === "gap") return value === null ? 1 : 0;
    if (value === null) return NaN;
    return input.kind === "date" ? days(value) : Number(value);
  });
}

function leaf(tree, columns) {
  while (Array.isArray(tree)) {
    const value = columns[tree[0]];
    tree = (Number.isNaN(value) ? tree[2] === 1 : value <= tree[1]) ? tree[3] : tree[4];
  }
  return tree;
}

function output(one, columns) {
  if (one.trees) return one.trees.reduce((sum, tree) => sum + leaf(tree, columns), 0);
  return one.weights.reduce((sum, weight, place) => {
    const far = columns[place] - one.centres[place];
    return sum + weight * (Number.isNaN(far) ? 0 : far);
  }, one.intercept);
}

// row: a number, a text, true or false, a date as 2026-03-31, or null by the name of each input.
function answer(row) {
  const columns = encode(row);
  const outputs = twin.outputs.map((one) => output(one, columns));
  if (twin.problem_type === "regression") return { prediction: outputs[0], probabilities: null };
  const odds = outputs.map((value) => 1 / (1 + Math.exp(-value)));
  let shares;
  if (odds.length > 1) {
    const whole = odds.reduce((sum, one) => sum + one, 0);
    shares = odds.map((one) => (whole > 0 ? one / whole : 1 / odds.length));
  } else {
    shares = twin.positive === 1 ? [1 - odds[0], odds[0]] : [odds[0], 1 - odds[0]];
  }
  const place = twin.positive === null
    ? shares.indexOf(Math.max(...shares))
    : shares[twin.positive] > twin.threshold ? twin.positive : 1 - twin.positive;
  const probabilities = {};
  twin.classes.forEach((name, at) => { probabilities[name] = shares[at]; });
  return { prediction: twin.classes[place], probabilities };
}

// From here on the page.

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  });
  made.append(...children);
  return made;
}

function choices(input) {
  const empty = make("option", { value: "" }, input.gaps ? "no value" : "the usual value");
  const texts = input.kind === "boolean" ? [["true", "yes"], ["false", "no"]] : input.values.map((text) => [text, text]);
  const options = texts.map(([value, text]) => make("option", { value, selected: String(input.usual) === value }, text));
  const other = input.kind === "category" ? [make("option", { value: "\u0000other" }, "another value")] : [];
  return [empty, ...options, ...other];
}

function field(input, place) {
  const id = `input-${place}`;
  let control;
  if (input.kind === "boolean" || input.kind === "category") {
    control = make("select", { id }, ...choices(input));
  } else {
    const withTime = input.kind === "date" && String(input.low).length > 10;
    const type = input.kind === "number" ? "number" : withTime ? "datetime-local" : "date";
    const step = input.kind === "number" ? (input.whole ? "1" : "any") : withTime ? "1" : null;
    control = make("input", { id, type, step, value: input.usual });
  }
  const seen = input.low === null || input.low === undefined ? "" : `${input.low} to ${input.high}`;
  return make("div", { class: "field" }, make("label", { for: id }, input.name), control, make("small", {}, seen));
}

// What is left empty is a gap where the training had gaps, else the usual value, as in the app.
function typed(input, text) {
  if (text === "") return input.gaps ? null : input.usual;
  if (input.kind === "number") return Number(text);
  if (input.kind === "boolean") return text === "true";
  return text;
}

function row() {
  const values = {};
  twin.inputs.forEach((input, place) => {
    values[input.name] = typed(input, document.getElementById(`input-${place}`).value);
  });
  return values;
}

function show() {
  const said = answer(row());
  const shown = document.getElementById("answer");
  const text = said.probabilities === null ? String(Number(said.prediction.toPrecision(6))) : said.prediction;
  shown.replaceChildren(make("p", { class: "score", "data-test": "prediction" }, text));
  Object.entries(said.probabilities ?? {}).sort((one, other) => other[1] - one[1]).forEach(([name, share]) => {
    shown.append(make("div", { class: "share" },
      make("span", {}, name),
      make("meter", { min: 0, max: 1, value: share, "aria-label": `Probability of ${name}` }),
      make("span", {}, `${(100 * share).toFixed(1)} %`)));
  });
}

const form = document.getElementById("row");
twin.inputs.forEach((input, place) => form.append(field(input, place)));
form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
show();
