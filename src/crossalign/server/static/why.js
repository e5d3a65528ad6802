// Why: descriptions and regions of one or two classes, each lighting the other up.

import { clear, covering, frameOne, lightDifference, lightUp, whereabouts } from "./light.js";

const REGIONS = 6;
const WORDS_LIT = 3;
const $ = (id) => document.getElementById(id);

let answer = null;
let shown = []; // the one or two explanations on show
let pinned = null; // lights what stays lit after a click
let focused = null; // lights what the keyboard is at

const sum = (values) => values.reduce((total, value) => total + value, 0);
const column = (explanation, index) => explanation.terms.map((row) => row[index]);
const order = (values) => [...values.keys()].sort((a, b) => values[b] - values[a]);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function bar(share) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const rect = document.createElementNS(namespace, "rect");
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 100 6");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  rect.setAttribute("width", String(Math.max(0.5, Math.min(100, 100 * share))));
  rect.setAttribute("height", "6");
  svg.append(rect);
  return svg;
}

// Lit while pointed at or focused; a click keeps it lit, another click or Escape lets go.
function lights(button, light) {
  button.addEventListener("pointerenter", light);
  button.addEventListener("pointerleave", rest);
  button.addEventListener("focus", () => {
    focused = light;
    light();
  });
  button.addEventListener("blur", () => {
    focused = null;
    rest();
  });
  button.addEventListener("click", () => {
    const again = button.getAttribute("aria-pressed") === "true";
    release();
    if (again) return;
    pinned = light;
    button.setAttribute("aria-pressed", "true");
    light();
  });
  return button;
}

function rest() {
  (pinned ?? focused ?? dark)();
}

function dark() {
  clear($("light"));
  document.querySelectorAll(".words .lit").forEach((button) => button.classList.remove("lit"));
  $("hint").textContent = "Point at a description, or move to it with Tab, to light the region that answers it.";
}

export function release() {
  pinned = null;
  focused = null;
  document
    .querySelectorAll("#why [aria-pressed=true], #regions [aria-pressed=true]")
    .forEach((button) => button.setAttribute("aria-pressed", "false"));
  dark();
}

export function show(given, first, second) {
  answer = given;
  const find = (label) => given.explanations.find((one) => one.label === label);
  shown = [find(first), find(second)].filter(Boolean);
  $("why").hidden = false;
  $("regions-part").hidden = given.crops === 0;
  showColumns();
  showRegions();
  showDifference();
  release();
}

export function hide() {
  answer = null;
  shown = [];
  pinned = null;
  focused = null;
  clear($("light"));
  $("why").hidden = true;
  $("regions-part").hidden = true;
}

function showColumns() {
  const totals = shown.map((one) => one.descriptions.map((_, index) => sum(column(one, index))));
  const most = Math.max(...totals.flat(), 1e-9);
  const columns = shown.map((explanation, side) => {
    const list = make("ul", { className: "words" });
    for (const index of order(totals[side])) {
      list.append(make("li", {}, wordsButton(explanation, index, totals[side][index], most)));
    }
    const title = make("h3", { dir: "auto" }, `${explanation.label}, score ${explanation.score.toFixed(4)}`);
    return make("section", { className: side ? "second" : "first" }, title, list);
  });
  $("columns").replaceChildren(...columns);
}

function wordsButton(explanation, index, total, most) {
  const button = make(
    "button",
    { type: "button" },
    make("span", { className: "name", dir: "auto" }, explanation.descriptions[index]),
    make("span", { className: "number" }, total.toFixed(4)),
    bar(total / most),
  );
  button.setAttribute("aria-pressed", "false");
  button.dataset.label = explanation.label;
  button.dataset.index = String(index);
  return lights(button, () => {
    // What a crop adds, freed of its weight: how well it answers, not how typical it is.
    const values = column(explanation, index).map((term, crop) => term / answer.crop_weights[crop]);
    lightUp($("light"), answer.boxes, values, answer.size);
    const best = order(values)[0];
    $("hint").textContent = `Answered best ${whereabouts(answer.boxes[best], answer.size)}.`;
  });
}

function showRegions() {
  const heaviest = order(answer.crop_weights).slice(0, REGIONS);
  const items = heaviest.map((crop, rank) => {
    const weight = answer.crop_weights[crop];
    const button = make("button", { type: "button" }, `${rank + 1}: ${weight.toFixed(3)}`);
    button.setAttribute("aria-pressed", "false");
    button.setAttribute(
      "aria-label",
      `Region ${rank + 1}, ${whereabouts(answer.boxes[crop], answer.size)}, weight ${weight.toFixed(3)}`,
    );
    lights(button, () => {
      frameOne($("light"), answer.boxes[crop], answer.size);
      lightWords([crop], `Region ${rank + 1}`);
    });
    return make("li", {}, button);
  });
  $("regions").replaceChildren(...items);
}

// The words that some crops answer more than the whole photo does.
function lightWords(crops, where) {
  document.querySelectorAll(".words .lit").forEach((button) => button.classList.remove("lit"));
  const lifts = shown.flatMap((one) =>
    one.descriptions.map((text, index) => {
      const terms = column(one, index);
      const here = sum(crops.map((crop) => terms[crop] / answer.crop_weights[crop])) / crops.length;
      return { label: one.label, index, text, lift: here - sum(terms) };
    }),
  );
  lifts.sort((a, b) => b.lift - a.lift);
  const lit = lifts.slice(0, WORDS_LIT).filter(({ lift }) => lift > 0);
  for (const button of document.querySelectorAll(".words button")) {
    const { label, index } = button.dataset;
    const on = lit.some((one) => one.label === label && String(one.index) === index);
    button.classList.toggle("lit", on);
  }
  $("hint").textContent = lit.length
    ? `${where} answers more than the rest: ${lit.map(({ text }) => text).join(" ")}`
    : `${where} answers nothing more than the rest.`;
}

function showDifference() {
  const button = $("difference");
  button.hidden = shown.length < 2 || answer.crops === 0;
  if (button.hidden) return;
  button.textContent = `Where ${shown[0].label} (blue) and ${shown[1].label} (orange) gain`;
}

function lightTheDifference() {
  if (shown.length < 2) return;
  const values = answer.boxes.map(
    (_, crop) => (sum(shown[0].terms[crop]) - sum(shown[1].terms[crop])) / answer.crop_weights[crop],
  );
  lightDifference($("light"), answer.boxes, values, answer.size);
  const [first, second] = shown;
  const lead = first.score - second.score;
  $("hint").textContent = `${first.label} leads ${second.label} by ${lead.toFixed(4)}; ${values.filter((value) => value > 0).length} of ${values.length} crops are for it.`;
}

function point(event) {
  if (!answer || answer.crops === 0) return;
  const picture = $("picture").getBoundingClientRect();
  const x = ((event.clientX - picture.left) / picture.width) * answer.size[0];
  const y = ((event.clientY - picture.top) / picture.height) * answer.size[1];
  const crops = covering(answer.boxes, x, y);
  if (!crops.length) return;
  clear($("light"));
  lightWords(crops, "This place");
}

lights($("difference"), lightTheDifference);
$("stage").addEventListener("pointermove", point);
$("stage").addEventListener("pointerleave", () => answer && rest());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && answer) release();
});
