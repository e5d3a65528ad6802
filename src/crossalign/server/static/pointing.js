// Light on the photo while words, a region or a place are pointed at, and what is said of it.

import { $, called, fixed, said } from "./draw.js";
import { column, deviation, largestFirst, leanings, mean, standingOut } from "./evidence.js";
import { clear, covering, frame, lightBox, lightDifference, lightUp, usual, whereabouts } from "./light.js";

const WORDS_LIT = 3;
const ALIKE = 0.5; // words whose answers deviate less, measured by the usual, light nothing up

let answer = null;
let shown = []; // the one or two explanations on show
let regions = []; // crops with a frame
let pinned = null; // lights what stays lit after a click
let focused = null; // lights what the keyboard is at

const box = (crop) => answer.boxes[crop];
const where = (crop) => whereabouts(box(crop), answer.size);

// What can be pointed at from now on: an answer, what is shown of it, and crops that get a frame.
export function lightFor(given, explanations, framed) {
  answer = given;
  shown = explanations;
  regions = framed;
  $("hint").hidden = false;
  release();
}

export function lightsOut() {
  answer = null;
  pinned = null;
  focused = null;
  clear($("light"));
  $("frames").replaceChildren();
  $("hint").hidden = true;
}

// Lit while pointed at or focused; a click keeps it lit, another click or Escape lets go.
export function lights(button, light) {
  button.setAttribute("aria-pressed", "false");
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
  if (answer) (pinned ?? focused ?? dark)();
}

function mark(words) {
  for (const button of document.querySelectorAll(".words button")) {
    const { label, index } = button.dataset;
    const on = words.some((one) => one.label === label && String(one.index) === index);
    button.classList.toggle("lit", on);
  }
}

// The photo with its numbered frames, nothing lit.
function bare() {
  clear($("light"));
  $("stage").classList.remove("grey");
  frame($("frames"), regions.map((crop, rank) => ({ box: box(crop), mark: String(rank + 1) })), answer.size);
}

function invitation() {
  if (!answer.crops) return "This method looks at the photo as a whole: there are no regions to light up.";
  const act = matchMedia("(pointer: coarse)").matches ? "Tap" : "Point at";
  if ($("stage").hidden) return `${act} words or a region, and where it is will be said here.`;
  return `${act} words, a region or a place on the photo, and what goes with it lights up.`;
}

function dark() {
  bare();
  mark([]);
  $("hint").textContent = invitation();
}

function release() {
  if (!answer) return;
  pinned = null;
  focused = null;
  for (const button of document.querySelectorAll("#why [aria-pressed=true]")) {
    button.setAttribute("aria-pressed", "false");
  }
  dark();
}

export function lightWords(explanation, index) {
  const values = column(explanation.similarity, index);
  const unit = usual(answer.explanations.flatMap((one) => one.descriptions.map((_, at) => column(one.similarity, at))));
  const best = largestFirst(values)[0];
  const alike = deviation(values) < ALIKE * unit;
  bare();
  mark([]);
  lightUp($("light"), answer.boxes, values, answer.size, unit);
  frame($("frames"), alike ? [] : [{ box: box(best) }], answer.size);
  $("hint").textContent = alike
    ? "Answered much alike everywhere."
    : `Answered best ${where(best)}: cosine ${fixed(values[best])}, ${fixed(mean(values))} on average.`;
}

export function lightRegion(crop, rank) {
  bare();
  lightBox($("light"), box(crop), answer.size);
  frame($("frames"), [{ box: box(crop), mark: String(rank + 1) }], answer.size);
  markWhatStandsOut([crop], `Region ${rank + 1}, ${where(crop)}`);
}

function markWhatStandsOut(crops, place) {
  const words = standingOut(shown, crops).slice(0, WORDS_LIT);
  mark(words);
  $("hint").textContent = words.length
    ? `${place}: ${words[0].text} (cosine ${fixed(words[0].here)}, at least ${words[0].lift.toFixed(3)} above the whole photo’s)`
    : `${place}: like the whole photo, no words stand out.`;
}

export function lightTheDifference() {
  const less = (one, other) => leanings(one, other, answer.crop_weights);
  const [first, second] = shown;
  const best = answer.explanations.find((one) => one.label === answer.label) ?? first;
  const leads = answer.explanations.filter((one) => one !== best).flatMap((one) => less(best, one));
  const unit = Math.sqrt(mean(leads.map((value) => value ** 2))) || 1;
  const values = less(first, second);
  mark([]);
  frame($("frames"), [], answer.size);
  $("stage").classList.add("grey");
  lightDifference($("light"), answer.boxes, values, answer.size, unit);
  const most = largestFirst(values)[0];
  const [ours, theirs] = [called(first.label), called(second.label)];
  const gains = `gains most ${where(most)}`;
  const hint = values.every((value) => value > 0)
    ? said`Blue everywhere: all crops are nearer to ${ours} than to ${theirs}. It ${gains}.`
    : said`Blue is nearer to ${ours}, orange to ${theirs}; ${called(first.label)} ${gains}.`;
  $("hint").replaceChildren(...hint);
}

function point(event) {
  if (!answer?.crops) return;
  const picture = $("picture").getBoundingClientRect();
  const x = ((event.clientX - picture.left) / picture.width) * answer.size[0];
  const y = ((event.clientY - picture.top) / picture.height) * answer.size[1];
  const crops = covering(answer.boxes, x, y);
  if (!crops.length) return;
  const light = () => {
    bare();
    markWhatStandsOut(crops, "This place");
  };
  if (event.pointerType === "touch") {
    release(); // a finger does not stay: what it touched does
    pinned = light;
  }
  light();
}

$("stage").addEventListener("pointerdown", point);
$("stage").addEventListener("pointermove", (event) => {
  if (event.pointerType !== "touch") point(event);
});
$("stage").addEventListener("pointerleave", ({ pointerType }) => {
  if (pointerType !== "touch") rest();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") release();
});
