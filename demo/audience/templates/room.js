// Puts each part of the page that changed in its place, as the server made it. Without this script, and in a browser that
// knows no event streams, the page loads itself again instead. Plain ECMAScript 5: phones in a room are of every age.
(function () {
  "use strict";
  var line = document.getElementById("line");
  function say(text) { if (line && line.textContent !== text) { line.textContent = text; } }
  function typing() { var at = document.activeElement; return at && at.tagName === "INPUT"; }
  function again(least, most) {
    setTimeout(function () { if (typing()) { again(least, most); } else { location.reload(); } },
      least + Math.random() * (most - least));
  }
  if (!document.getElementById("panels") && !document.getElementById("you")) { return; }
  if (!window.EventSource) { again(5000, 6000); return; }
  var source = new EventSource("/feed?after=" + encodeURIComponent(document.body.getAttribute("data-after") || ""));
  function part(id, added) {
    return function (event) {
      var at = document.getElementById(id);
      if (!at) { return; }
      if (added) { at.insertAdjacentHTML("afterbegin", event.data); } else { at.innerHTML = event.data; }
    };
  }
  ["now", "chain", "panels", "closing", "totals", "you", "short"].forEach(function (id) {
    source.addEventListener(id, part(id, false));
    source.addEventListener("+" + id, part(id, true));
  });
  source.onopen = function () { say(""); };
  source.onerror = function () {
    say("Connection lost. Trying again.");
    if (source.readyState === 2) { again(5000, 15000); }
  };
}());
