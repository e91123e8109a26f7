/** The agent's page, for its owner: what it is doing, and three buttons. */

import type { Shopper } from "./shopper";

type Status = Awaited<ReturnType<Shopper["status"]>>;

const PHASES: Record<Status["phase"], string> = {
  new: "It was never started.",
  asking: "It waits for a human's consent.",
  working: "It works, and sleeps until its alarm.",
  done: "It did what it was asked for, and handed its authority back.",
  stopped: "It is stopped.",
  over: "Its authority is over. It does not log in again by itself.",
  failed: "It gave up.",
};

export function page(status: Status): string {
  const facts: [string, string][] = [
    ["task", status.task],
    ["shop", status.shop],
    ["decided by", status.decides === "script" ? "a script, no model" : status.decides],
    ["consents given", String(status.logins)],
    ["brought into memory", `${status.starts === 1 ? "once" : `${status.starts} times`}; now ${status.process}`],
    ["next alarm", status.due ?? "none"],
  ];
  const bought = status.purchases.map((one) => [
    one.n,
    one.status,
    one.order_id ?? "",
    one.attempts,
    one.rule || one.reason,
    one.says,
  ]);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>An agent on Cloudflare</title>
<style>body{font:1.1rem/1.5 system-ui;max-width:52rem;margin:2rem auto;padding:0 1rem}td,th{text-align:left;padding:.2rem .8rem .2rem 0;
vertical-align:top}form{display:inline}button{font:inherit;padding:.4rem 1rem}</style>
<h1>${text(PHASES[status.phase])}</h1><p>${text(status.why)}</p>
${status.authorize === null ? "" : `<p><a href="${text(status.authorize)}">Decide what it may do</a></p>`}
<p>${button("start", "Start")} ${button("now", "Buy now")} ${button("stop", "Stop, and hand its authority back")}</p>
<table>${facts.map(([name, value]) => `<tr><th>${text(name)}</th><td>${text(value)}</td></tr>`).join("")}</table>
<h2>Purchases</h2><table><tr><th>#</th><th></th><th>order</th><th>attempts</th><th>why</th><th>it said</th></tr>
${bought.map((row) => `<tr>${row.map((cell) => `<td>${text(String(cell))}</td>`).join("")}</tr>`).join("")}</table>`;
}

function button(path: string, label: string): string {
  return `<form method="post" action="/${path}"><button>${label}</button></form>`;
}

function text(value: string): string {
  const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return value.replace(/[&<>"']/g, (character) => escapes[character]!);
}
