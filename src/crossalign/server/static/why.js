// Why: descriptions and regions of one or two classes, each lighting the other up.

import { $, bar, called, fixed, make, name, number, said, signed, signedBar } from "./draw.js";
import { column, contrast, deviation, distinctRegions, largestFirst, leanings, mean, shares, standingOut, sum } from "./evidence.js";
import { clear, covering, frame, lightBox, lightDifference, lightUp, usual, whereabouts } from "./light.js";

const REGIONS = 4;
const WORDS = 6; // shown at once of each class
const WORDS_LIT = 3;
const ALIKE = 0.5; // words whose answers deviate less, measured by the usual, light nothing up

let answer = null;
let shown = []; // the one or two explanations on show
let evidence = null; // what adds how much to the score, or to the difference of two
let regions = []; // crops with a frame
let pinned = null; // lights what stays lit after a click
let focused = null; // lights what the keyboard is at

const box = (crop) => answer.boxes[crop];
const where = (crop) => whereabouts(box(crop), answer.size);

// -------------------------------------------------------------------------------------- lighting

// Lit while pointed at or focused; a click keeps it lit, another click or Escape lets go.
function lights(button, light) {
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
  (pinned ?? focused ?? dark)();
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

export function release() {
  if (!answer) return;
  pinned = null;
  focused = null;
  for (const button of document.querySelectorAll("#why [aria-pressed=true]")) {
    button.setAttribute("aria-pressed", "false");
  }
  dark();
}

function lightWords(explanation, index) {
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

function lightRegion(crop, rank) {
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

function lightTheDifference() {
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
  bare();
  markWhatStandsOut(crops, "This place");
}

// --------------------------------------------------------------------------------------- showing

export function show(given, first, second) {
  answer = given;
  const find = (label) => given.explanations.find((one) => one.label === label);
  shown = [find(first), find(second)].filter(Boolean);
  evidence = shown.length > 1 ? contrast(...shown) : shares(shown[0]);
  regions = given.crops ? distinctRegions(given.boxes, evidence.crops, REGIONS) : [];
  $("why").hidden = false;
  $("hint").hidden = false;
  showLead();
  showRegions();
  showWords();
  release();
}

export function hide() {
  answer = null;
  pinned = null;
  focused = null;
  clear($("light"));
  $("frames").replaceChildren();
  $("why").hidden = true;
  $("hint").hidden = true;
}

function showLead() {
  const [first, second] = shown;
  const { difference, crops } = evidence;
  const spread = spreadOfLead();
  const lead = `${Math.abs(difference).toFixed(3)}${spread === null ? "" : ` ± ${spread.toFixed(3)}`}`;
  const weighing = answer.crop_weights.filter((weight) => weight > 0).length;
  const ahead = crops.filter((value) => value > 0).length;
  const rest = answer.crops - weighing;
  const silent = rest ? `; the other ${rest} weigh nothing` : "";
  const votes = answer.crops ? said` ${ahead} of ${weighing} crops are for ${called(first.label)}${silent}.` : "";
  const text = second
    ? said`${called(first.label)} ${difference >= 0 ? "leads" : "trails"} ${called(second.label)} by ${lead}.${votes}`
    : said`${called(first.label)} has a score of ${fixed(first.score)}.`;
  $("lead").replaceChildren(...text);
  const whole = shown.map((one, side) => said`${side ? ", " : ""}${called(one.label)} ${fixed(one.whole_score)}`);
  $("whole").hidden = !answer.crops;
  $("whole").replaceChildren("Without crops, from the whole photo alone: ", ...whole.flat(), ".");
}

function spreadOfLead() {
  const sure = answer.stability;
  const pair = sure && [sure.label, sure.rival];
  return pair && shown.every((one) => pair.includes(one.label)) && shown.length === 2 ? sure.standard_error : null;
}

function showRegions() {
  $("regions-part").hidden = !answer.crops;
  const to = shown.length > 1 ? "the lead" : "the score";
  $("regions-title").textContent = `Regions that add most to ${to}, and words that stand out there`;
  const items = regions.map((crop, rank) => {
    const added = evidence.crops[crop];
    const side = added >= 0 ? shown[0] : shown[1];
    const [words] = standingOut([side], [crop]);
    const text = words?.text ?? "like the whole photo";
    const button = make(
      "button",
      { type: "button", className: added >= 0 ? "first" : "second" },
      make("span", { className: "mark" }, String(rank + 1)),
      make("span", { className: words ? "name" : "name quiet", dir: "auto" }, text),
      number(signed(added)),
    );
    button.setAttribute("aria-label", `Region ${rank + 1}, ${where(crop)}: ${text}; ${signed(added)} for ${side.label}`);
    return make("li", {}, lights(button, () => lightRegion(crop, rank)));
  });
  const others = answer.crops - regions.length;
  if (others > 0) {
    const rest = sum(evidence.crops) - sum(regions.map((crop) => evidence.crops[crop]));
    const count = `${others} other ${others === 1 ? "crop" : "crops"} together`;
    items.push(make("li", { className: "line quiet" }, make("span"), make("span", {}, count), number(signed(rest))));
  }
  $("regions").replaceChildren(...items);
  $("difference").hidden = shown.length < 2;
}

function showWords() {
  const [first, second] = shown;
  const most = Math.max(...evidence.words.flat().map(Math.abs), 1e-9);
  const note = second
    ? said`Blue, to the right, speaks for ${called(first.label)}; orange, to the left, for ${called(second.label)}. What one class says and the photo does not show speaks for the other. All words together add up to the difference, ${signed(evidence.difference)}.`
    : said`What each description adds to the score; together ${fixed(first.score)}.`;
  $("words-note").replaceChildren(...note);
  const columns = shown.map((one, side) => {
    const added = evidence.words[side];
    const order = largestFirst(added.map(Math.abs));
    const together = (places) => number(value(sum(places.map((index) => added[index]))));
    const lines = (places) => {
      const items = places.map((index) => make("li", {}, line(one, index, added[index], most)));
      return make("ul", { className: "words lines" }, ...items);
    };
    const title = make("h3", { className: "total" }, make("span", {}, ...said`What ${called(one.label)} says`), " ", together(order));
    const section = make("section", {}, title, lines(order.slice(0, WORDS)));
    const rest = order.slice(WORDS);
    if (rest.length) {
      const summary = make("summary", {}, `${rest.length} more, `, together(rest));
      section.append(make("details", {}, summary, lines(rest)));
    }
    return section;
  });
  $("columns").replaceChildren(...columns);
}

const value = (added) => (shown.length > 1 ? signed(added) : fixed(added));

// What a description says and adds; a button where there are regions to light up.
function line(explanation, index, added, most) {
  const drawn = shown.length > 1 ? signedBar(added / most) : bar(added / most);
  const parts = [name(explanation.descriptions[index]), number(value(added)), drawn];
  if (!answer.crops) return make("div", { className: "line" }, ...parts);
  const button = make("button", { type: "button" }, ...parts);
  button.dataset.label = explanation.label;
  button.dataset.index = String(index);
  return lights(button, () => lightWords(explanation, index));
}

lights($("difference"), lightTheDifference);
$("stage").addEventListener("pointerdown", point);
$("stage").addEventListener("pointermove", point);
$("stage").addEventListener("pointerleave", ({ pointerType }) => {
  if (answer && pointerType !== "touch") rest(); // a finger that is lifted has not gone elsewhere
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") release();
});
