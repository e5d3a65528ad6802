// The page: a photo, a question, and what came back.

import { explain } from "./api.js";
import { $, amount, bar, called, fixed, gap, make, name, number, said } from "./draw.js";
import { showPhoto, takePhotos } from "./photo.js";
import { accept, askWhatThereIs, checkSize, describe, fold, hasClasses, onSettings, readQuestion, refuse, summarise } from "./question.js";
import { askForToken, onToken } from "./token.js";
import { hide, show } from "./why.js";

const SHOWN = 5;
const RANKED = 100;
const COSTS = 6;
const STEADY = 0.95;
const KNOWN = 0.02; // seconds; classes that the service remembers take next to none

let photo = null;
let answer = null;
let tried = false; // somebody has asked about this photo: new settings ask again
let pair = null; // the classes that somebody chose to compare
let compared = []; // those that are shown
let turn = 0; // what comes back for an earlier photo or question is not shown

// --------------------------------------------------------------------------------- the question

async function usePhoto(file, classes = null) {
  photo = file;
  pair = null;
  tried = false;
  const mine = abandon();
  fail(null);
  accept();
  showPhoto(file);
  $("costs").replaceChildren();
  $("cost-part").hidden = true;
  say("Photo chosen. Write classes, then label it.");
  if (classes) await describe(classes);
  if (mine === turn && hasClasses()) label({ settle: true });
}

// What is still under way is not waited for.
function abandon() {
  turn += 1;
  $("go").disabled = false;
  forget();
  return turn;
}

function forget() {
  document.body.classList.remove("busy");
  answer = null;
  hide();
  $("verdict").hidden = true;
  $("sure").hidden = true;
  $("more-ranked").hidden = true;
  $("ranked").replaceChildren();
}

// Ask for the label. Settle where the eye should move to the answer: not while settings are tried.
async function label({ settle = false } = {}) {
  if (!photo) {
    fail(new Error("Choose a photo first: drop one, paste one, or take an example."));
    return;
  }
  fail(null);
  accept();
  let asked;
  try {
    asked = readQuestion();
  } catch (error) {
    refuse(error, () => label({ settle: true }), settle);
    abandon();
    say("No label yet: the classes need a change.");
    return;
  }
  tried = true;
  const inForm = $("classes-part").contains(document.activeElement);
  const got = await ask(asked);
  if (!got) return;
  answer = got;
  showCost();
  await showChoice(pair);
  if (settle) settleDown(inForm);
}

// Send a question about the photo; nothing where another took its place or it failed.
async function ask(asked) {
  turn += 1;
  const mine = turn;
  $("go").disabled = true;
  document.body.classList.add("busy");
  say("Looking …");
  try {
    checkSize(photo);
    const got = await explain(photo, asked, (seconds) =>
      say(`The service is busy; asking again in ${seconds} s …`),
    );
    return mine === turn ? { ...got, asked } : null;
  } catch (error) {
    if (error.name === "AbortError" || mine !== turn) return null;
    forget();
    say("");
    fail(error);
    return null;
  } finally {
    if (mine === turn) {
      $("go").disabled = false;
      document.body.classList.remove("busy");
    }
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  label({ settle: true });
});
onSettings(() => tried && label());

// Bring the answer into sight, and the keyboard to it if it was where the form is now folded.
function settleDown(inForm) {
  summarise();
  fold();
  if (inForm) $("results").focus({ preventScroll: true });
  const { top, bottom } = $("verdict").getBoundingClientRect();
  const covered = $("look").getBoundingClientRect().bottom;
  if (top < covered || bottom > innerHeight) $("results").scrollIntoView({ block: "start" });
}

// ----------------------------------------------------------------------------------- the answer

const explained = (label) => answer.explanations.some((one) => one.label === label);

// Show one or two classes: those chosen, or the best two. What was not explained is asked for,
// with the same crops, so it stands beside what is known.
async function showChoice(chosen) {
  const ranked = answer.ranked.map((one) => one.label);
  const known = chosen?.filter((label) => ranked.includes(label)) ?? [];
  const labels = known.length ? known : ranked.slice(0, 2);
  const missing = labels.filter((label) => !explained(label));
  if (missing.length) {
    const before = answer;
    const { best, ...asked } = before.asked;
    const more = await ask({ ...asked, labels: missing });
    if (!more) return;
    answer = { ...before, explanations: [...before.explanations, ...more.explanations] };
  }
  showAnswer(labels);
}

function showAnswer([first, second]) {
  compared = [first, second];
  const [best, next] = answer.ranked;
  const { views, seconds } = answer.cost;
  const lead = next
    ? said`${called(best.label)} leads ${called(next.label)} by ${gap(best, next)}.`
    : ["The only class: it wins whatever the photo shows."];
  say(...lead, ` ${views} ${views === 1 ? "view" : "views"} in ${time(seconds)}.`);
  $("verdict").replaceChildren(name(best.label), " ", number(fixed(best.score)), ...steadiness());
  $("verdict").hidden = false;
  showSure();
  showRanked(first, second);
  showSelects(first, second);
  show(answer, first, second);
}

const time = (seconds) => (seconds < 1 ? amount(Math.round(1000 * seconds), "ms") : amount(seconds.toFixed(1), "s"));

// Never all or nothing where it is not.
function percent(share) {
  if (share === 0 || share === 1) return amount(100 * share, "%");
  return amount(Math.min(99, Math.max(1, Math.round(100 * share))), "%");
}

function steadiness() {
  const sure = answer.stability;
  if (!sure || answer.crops < 2) return [];
  const steady = sure.agreement >= STEADY;
  return [" ", make("span", { className: steady ? "tag" : "tag shaky" }, steady ? "steady" : "close call")];
}

function showSure() {
  const sure = answer.stability;
  $("sure").hidden = !sure;
  if (!sure) return;
  if (answer.crops < 2) {
    $("sure").textContent = "A single crop does not tell how sure this is.";
    return;
  }
  const flip = sure.flip
    ? said`It takes leaving out ${sure.flip.crops.length} of ${answer.crops} crops to get ${called(sure.flip.becomes)}.`
    : `No choice among these ${answer.crops} crops gives another label.`;
  const text = said`How sure: with other crops it stays ${called(sure.label)} in ${percent(sure.agreement)} of draws. ${flip}`;
  $("sure").replaceChildren(...text);
}

function showRanked(first, second) {
  const most = Math.max(...answer.ranked.map((one) => one.score), 1e-9);
  const sides = new Map([[second, "second"], [first, "first"]]);
  const item = ({ label, score }) =>
    make("li", { className: sides.get(label) ?? "", title: label }, name(label), number(fixed(score)), bar(score / most));
  // The best, and the two that are compared wherever they stand.
  const leading = answer.ranked.filter(({ label }, place) => place < SHOWN || sides.has(label));
  const below = answer.ranked.filter((one) => !leading.includes(one));
  $("ranked").replaceChildren(...leading.map(item));
  $("ranked-below").replaceChildren(...below.slice(0, RANKED).map(item));
  $("more-ranked").hidden = !below.length;
  const named = Math.min(below.length, RANKED);
  $("more-ranked-title").textContent =
    named < below.length ? `The next ${named} of ${below.length} more classes` : `${named} more ${named === 1 ? "class" : "classes"}`;
}

function showCost() {
  const [best, next] = answer.ranked;
  const cells = [
    answer.method,
    answer.crops || "none",
    time(answer.cost.seconds),
    answer.cost.class_seconds < KNOWN ? "known" : time(answer.cost.class_seconds),
    [make("bdi", {}, best.label), next ? ` +${gap(best, next)}` : ""],
  ];
  $("costs").prepend(make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat()))));
  while ($("costs").children.length > COSTS) $("costs").lastChild.remove();
  $("cost-part").hidden = false;
}

function showSelects(first, second) {
  const names = answer.ranked.map((one) => one.label);
  const options = (left) => names.filter((one) => one !== left).map((one) => new Option(one, one));
  $("first").replaceChildren(...options());
  $("second").replaceChildren(new Option("nothing else", ""), ...options(first));
  $("first").value = first;
  $("second").value = second ?? "";
}

for (const id of ["first", "second"]) {
  $(id).addEventListener("change", () => {
    const [first, second] = [$("first").value, $("second").value];
    pair = (first === second ? [first, compared[0]] : [first, second]).filter(Boolean); // they change places
    showChoice(pair);
  });
}

// -------------------------------------------------------------------------------- what goes wrong

function say(...parts) {
  $("status").replaceChildren(...parts);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function fail(error) {
  if (error?.code === "token") {
    say("This service asks for a token before it labels.");
    askForToken();
    return;
  }
  $("error").hidden = error === null;
  $("error").textContent = error === null ? "" : sentence(error.message);
  if (error) $("error").scrollIntoView({ block: "nearest" });
}

// ------------------------------------------------------------------------------------ the start

onToken(start, fail, () => {
  say(photo ? "The token is right. Label the photo." : "The token is right. Choose a photo and classes.");
  $("classes").focus();
  if (photo && hasClasses()) label({ settle: true });
});

async function start() {
  try {
    await askWhatThereIs();
    return true;
  } catch (error) {
    fail(error);
    return false;
  }
}

takePhotos(usePhoto, fail);
start();
