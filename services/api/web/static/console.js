// What htmx leaves to be done: copying, saying what has changed, and telling that the line is lost. Without it all pages work.
"use strict";

const said = document.getElementById("said");
const lost = document.getElementById("lost");

function say(words) {
  if (said.textContent !== words) said.textContent = words;
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

async function copy(source) {
  const text = source.textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    // Over plain HTTP browsers lend no clipboard: what is selected can be copied by hand.
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    say("Selected: copy it with your keyboard");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(document.getElementById(button.dataset.copy));
});

// What has no zone is UTC.
const moment = (text) => Date.parse(/(z|[+-]\d\d:?\d\d)$/i.test(text.trim()) ? text : `${text.trim()}Z`);

// A slider writes its moment into the field beside it, and goes to where that field is. Its ends are exact, what is between is whole seconds.
for (const slider of document.querySelectorAll("[data-moment]")) {
  const field = document.getElementById(slider.dataset.moment);
  const { earliest, latest } = slider.dataset;
  const chosen = () => {
    if (slider.value === slider.min) return earliest;
    if (slider.value === slider.max) return latest;
    return new Date(moment(earliest) + 1000 * Number(slider.value)).toISOString();
  };
  const told = () => slider.setAttribute("aria-valuetext", field.value || "as the backup has it");
  const follow = () => {
    const at = (moment(field.value) - moment(earliest)) / 1000;
    if (Number.isFinite(at)) slider.value = String(Math.round(at));
    told();
  };
  slider.addEventListener("input", () => { field.value = chosen(); told(); });
  field.addEventListener("change", follow);
  slider.hidden = false;
  follow();
}

// A live part says in one sentence what it shows: only that is read out, and only when it is another one.
let last = "";
document.addEventListener("htmx:load", (event) => {
  showCopyButtons(event.detail.elt);
  const arrived = event.detail.elt;
  const told = arrived.matches("[data-say]") ? arrived : arrived.querySelector("[data-say]");
  if (!told || told.dataset.say === last) return;
  if (last) say(told.dataset.say);
  last = told.dataset.say;
});

// Which details are open stays so when their part of the page comes anew.
document.addEventListener("htmx:beforeSwap", (event) => {
  const open = [...event.detail.target.querySelectorAll("details[id][open]")].map((one) => one.id);
  if (open.length) requestAnimationFrame(() => open.forEach((id) => document.getElementById(id)?.setAttribute("open", "")));
});

const broken = () => { lost.hidden = false; };
const mended = () => { lost.hidden = true; };
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:sseError"]) document.addEventListener(name, broken);
document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status >= 500) broken(); });
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) mended(); });
for (const name of ["htmx:sseOpen", "htmx:sseClose"]) document.addEventListener(name, mended);

// What is followed would fill the memory: the oldest pieces go. Who looks at the end goes on looking at the end.
let atEnd = true;
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const list = event.target;
  if (list.dataset.most) atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
});
document.addEventListener("htmx:sseMessage", (event) => {
  const list = event.target;
  if (!list.dataset.most) return;
  while (list.childElementCount > Number(list.dataset.most)) (list.dataset.newest ? list.lastElementChild : list.firstElementChild).remove();
  if (!list.dataset.newest && atEnd) list.scrollTop = list.scrollHeight;
});
