// The table of all problems: sort by a column, filter, search, open a row. Without this script it is a plain table.
(() => {
  "use strict";
  const table = document.getElementById("all-problems");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((cell) => cell.textContent);
  const filters = document.querySelector(".filters");
  const inputs = [...filters.querySelectorAll("[data-filter]")];
  const output = filters.querySelector("output");

  const cellText = (row, name) => row.cells[names.indexOf(name)].textContent;

  const matches = (row, input) => {
    const wanted = input.value.trim().toLowerCase();
    if (!wanted) return true;
    const name = input.dataset.filter;
    if (name === "search") return wanted.split(/\s+/).every((word) => row.textContent.toLowerCase().includes(word));
    const text = cellText(row, name).toLowerCase();
    return name === "theme" ? text.split(", ").includes(wanted) : text === wanted;
  };

  const filter = () => {
    let shown = 0;
    for (const row of body.rows) {
      row.hidden = !inputs.every((input) => matches(row, input));
      shown += !row.hidden;
    }
    output.textContent = `${shown} of ${body.rows.length} problems`;
  };

  const key = (text) => {
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };

  const sortBy = (column) => {
    const direction = heads[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const rows = [...body.rows].map((row) => [key(row.cells[column].textContent), row]);
    rows.sort(([a], [b]) => {
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return direction * (a < b ? -1 : a > b ? 1 : 0);
    });
    body.append(...rows.map(([, row]) => row));
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(column));
    head.replaceChildren(button);
  });
  inputs.forEach((input) => input.addEventListener("input", filter));
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    event.target.closest("tr").querySelector("a").click();
  });
  filters.hidden = false;
  filter();
})();
