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
    if (name === "search") {
      const text = `${row.textContent} ${row.dataset.search}`.toLowerCase();
      return wanted.split(/\s+/).every((word) => text.includes(word));
    }
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

  const key = (cell) => {
    const text = cell.dataset.sort ?? cell.textContent;
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };

  const sortBy = (column, direction) => {
    const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
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

  // What is chosen stands in the address, so that it survives going to a problem and back. mdBook
  // reads "search" there itself.
  const remember = () => {
    const chosen = new URLSearchParams();
    for (const input of inputs) if (input.value) chosen.set(`with-${input.dataset.filter}`, input.value);
    const sorted = heads.find((head) => head.hasAttribute("aria-sort"));
    if (sorted) chosen.set("sort", sorted.textContent);
    if (sorted?.getAttribute("aria-sort") === "descending") chosen.set("down", "");
    history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  };

  const restore = () => {
    const chosen = new URLSearchParams(location.search);
    for (const input of inputs) input.value = chosen.get(`with-${input.dataset.filter}`) ?? "";
    const column = names.indexOf(chosen.get("sort"));
    if (column >= 0) sortBy(column, chosen.has("down") ? -1 : 1);
    filter();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      sortBy(column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      remember();
    });
    head.replaceChildren(button);
    for (const row of body.rows) row.cells[column].dataset.label = names[column]; // for narrow screens
  });
  inputs.forEach((input) =>
    input.addEventListener("input", () => {
      filter();
      remember();
    }),
  );
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    event.target.closest("tr").querySelector("a").click();
  });
  filters.hidden = false;
  window.addEventListener("pageshow", restore); // after the browser has put back what was typed
})();
