// Why: descriptions and regions of one or two classes, and what they add.

import { $, bar, called, fixed, make, name, number, placesFor, said, signed, signedBar } from "./draw.js";
import { contrast, distinctRegions, largestFirst, shares, standingOut, sum } from "./evidence.js";
import { whereabouts } from "./light.js";
import { lightFor, lightRegion, lights, lightsOut, lightTheDifference, lightWords } from "./pointing.js";

const REGIONS = 4;
const WORDS = 6; // shown at once of each class
const NAMED = 3;

let answer = null;
let shown = []; // the one or two explanations on show
let evidence = null; // what adds how much to the score, or to the difference of two
let regions = []; // crops with a frame

export function show(given, first, second) {
  answer = given;
  const find = (label) => given.explanations.find((one) => one.label === label);
  shown = [find(first), find(second)].filter(Boolean);
  evidence = shown.length > 1 ? contrast(...shown) : shares(shown[0]);
  regions = given.crops ? distinctRegions(given.boxes, evidence.crops, REGIONS) : [];
  $("why").hidden = false;
  showLead();
  showRegions();
  showWords();
  showUndescribed();
  lightFor(answer, shown, regions);
}

export function hide() {
  lightsOut();
  $("why").hidden = true;
}

function showLead() {
  const [first, second] = shown;
  const { difference, crops } = evidence;
  const places = placesFor(difference);
  const spread = spreadOfLead();
  const lead = `${fixed(Math.abs(difference), places)}${spread === null ? "" : `\u00a0±\u00a0${fixed(spread, places)}`}`;
  const weighing = answer.crop_weights.filter((weight) => weight > 0).length;
  const ahead = crops.filter((value) => value > 0).length;
  const rest = answer.crops - weighing;
  const silent = rest ? `; the other ${rest} weigh nothing` : "";
  const votes = answer.crops ? said` ${ahead} of ${weighing} ${weighing === 1 ? "crop is" : "crops are"} for ${called(first.label)}${silent}.` : "";
  const text = second
    ? said`${called(first.label)} ${difference >= 0 ? "leads" : "trails"} ${called(second.label)} by ${lead}.${votes}`
    : said`${called(first.label)} has a score of ${fixed(first.score, places)}.`;
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
      number(share(added)),
    );
    button.setAttribute("aria-label", `Region ${rank + 1}, ${whereabouts(answer.boxes[crop], answer.size)}: ${text}; ${share(added)} for ${side.label}`);
    return make("li", {}, lights(button, () => lightRegion(crop, rank)));
  });
  const others = answer.crops - regions.length;
  if (others > 0) {
    const rest = sum(evidence.crops) - sum(regions.map((crop) => evidence.crops[crop]));
    const count = `${others} other ${others === 1 ? "crop" : "crops"} together`;
    items.push(make("li", { className: "line quiet" }, make("span"), make("span", {}, count), number(share(rest))));
  }
  $("regions").replaceChildren(...items);
  $("difference").hidden = shown.length < 2;
}

function showWords() {
  const [first, second] = shown;
  const most = Math.max(...evidence.words.flat().map(Math.abs), 1e-9);
  const note = second
    ? said`Blue, to the right, speaks for ${called(first.label)}; orange, to the left, for ${called(second.label)}. What one class says and the photo does not show speaks for the other. All words together add up to the difference, ${share(evidence.difference)}.`
    : said`What each description adds to the score; together ${share(first.score)}.`;
  $("words-note").replaceChildren(...note);
  const columns = shown.map((one, side) => {
    const added = evidence.words[side];
    const order = largestFirst(added.map(Math.abs));
    const together = (places) => number(share(sum(places.map((index) => added[index]))));
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

// Classes for which neither the question nor the service has descriptions.
function showUndescribed() {
  const named = answer.undescribed.slice(0, NAMED);
  const more = answer.undescribed.length - named.length;
  const list = named.flatMap((label, place) => (place ? [", ", called(label)] : [called(label)]));
  $("undescribed").hidden = !named.length;
  $("undescribed").replaceChildren(
    ...said`Nothing is known of how ${list}${more ? ` and ${more} more` : ""} may look: stock sentences stand in. Better describe them yourself, below their names.`,
  );
}

// A part of what is explained, in figures.
function share(added) {
  const places = placesFor(evidence.difference);
  return shown.length > 1 ? signed(added, places) : fixed(added, places);
}

// What a description says and adds; a button where there are regions to light up.
function line(explanation, index, added, most) {
  const drawn = shown.length > 1 ? signedBar(added / most) : bar(added / most);
  const parts = [name(explanation.descriptions[index]), number(share(added)), drawn];
  if (!answer.crops) return make("div", { className: "line" }, ...parts);
  const button = make("button", { type: "button" }, ...parts);
  button.dataset.label = explanation.label;
  button.dataset.index = String(index);
  return lights(button, () => lightWords(explanation, index));
}

lights($("difference"), lightTheDifference);
