// The month's costs: for each person a bar of kinds, beside the same amounts as text.

const find = (id) => document.getElementById(id);
const dollars = (usd) => `$${usd.toFixed(2)}`;
const totalOf = (rows) => rows.reduce((sum, { billed, estimated }) => sum + billed + estimated, 0);

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** A bar whose full width is the highest total. */
function bar(rows, highest) {
  const chart = svg("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const row of rows) {
    const width = (Math.max(0, totalOf([row])) / highest) * 100;
    chart.append(svg("rect", { x, y: 0, width, height: 4, class: `cost-${row.kind}` }));
    x += width;
  }
  return chart;
}

function showCosts({ month, rows }) {
  const people = [...new Set(rows.map(({ person }) => person))];
  const own = people.map((person) => rows.filter((row) => row.person === person));
  const highest = Math.max(...own.map(totalOf), 0.01);
  find("costs-rows").replaceChildren(
    ...own.map((of) => {
      const row = find("cost-row").content.firstElementChild.cloneNode(true);
      const [name, chart, total] = row.children;
      name.textContent = of[0].person ?? "nobody: network, keys, shared spaces";
      chart.prepend(bar(of, highest));
      chart.querySelector("span").textContent = of
        .map((one) => `${one.kind} ${dollars(totalOf([one]))}`)
        .join(", ");
      total.textContent = dollars(totalOf(of));
      return row;
    }),
  );
  find("costs").hidden = rows.length === 0;
  const estimated = rows.reduce((sum, row) => sum + row.estimated, 0);
  find("costs-note").textContent =
    rows.length === 0
      ? `No costs in ${month} yet.`
      : `${month} on AWS: ${dollars(totalOf(rows))}, of it ${dollars(estimated)} estimated. This rehearsal is free.`;
}

find("show-costs").addEventListener("click", async () => {
  find("costs-note").textContent = "Counting…";
  try {
    const response = await fetch("/studio/api/costs");
    const answer = await response.json();
    if (!response.ok) throw new Error(`${answer.reason} What to do: ${answer.remedy}.`);
    showCosts(answer);
  } catch ({ message }) {
    find("costs-note").textContent = message;
  }
});
