"use strict";
(() => {
  const root = document.documentElement;
  const slides = [...document.querySelectorAll(".slide")];
  const byId = (id) => document.getElementById(id);
  const place = byId("place");
  const all = byId("all");
  const go = byId("goto");
  let now = 0;

  const show = (wanted) => {
    slides[now].classList.remove("now");
    now = Math.min(Math.max(wanted, 0), slides.length - 1);
    slides[now].classList.add("now");
    root.classList.toggle("begun", now > 0);
    byId("back").disabled = now === 0;
    byId("next").disabled = now === slides.length - 1;
    place.textContent = `${now + 1} of ${slides.length}`;
    const heard = document.createElement("span");
    heard.className = "heard";
    heard.textContent = `: ${slides[now].querySelector("h2").textContent}`;
    place.append(heard);
    go.value = [...go.options].map((one) => one.value).filter((value) => Number(value) <= now + 1).pop();
    if (root.classList.contains("steps")) window.scrollTo(0, 0);
    else slides[now].scrollIntoView();
    try { history.replaceState(null, "", `#${now + 1}`); } catch { /* some browsers refuse it to a file */ }
  };
  const asked = () => (Number(location.hash.slice(1)) || 1) - 1;

  // What is below the fold is read first; only then the same key turns the page.
  const more = () => root.scrollHeight - window.innerHeight - window.scrollY > 4;
  const keys = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    if (event.key === " " && event.target.closest("button")) return;
    if (!root.classList.contains("steps")) return;
    if ((event.key === "PageDown" || (event.key === " " && !event.shiftKey)) && more()) return;
    if (event.key === "Home") show(0);
    else if (event.key === "End") show(slides.length - 1);
    else if (event.key in keys) show(now + (event.shiftKey ? -1 : 1) * keys[event.key]);
    else return;
    event.preventDefault();
  });
  byId("back").addEventListener("click", () => show(now - 1));
  byId("next").addEventListener("click", () => show(now + 1));
  go.addEventListener("change", () => show(Number(go.value) - 1));
  all.addEventListener("click", () => {
    const steps = root.classList.toggle("steps");
    all.setAttribute("aria-pressed", String(!steps));
    show(now);
  });
  window.addEventListener("hashchange", () => show(asked()));

  document.querySelector("nav").hidden = false;
  root.classList.add("steps");
  show(asked());
})();
