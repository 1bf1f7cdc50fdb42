// What the pages can do beyond reading: filter, search and sort problems, play animations, follow the lineage.
// Without this script they are plain tables, lists and drawings.
"use strict";

// Filters above a list or table: [data-of] names what holds the items, whose data-* the inputs are matched with.
// What is chosen stands in the address, so that it survives going to a problem and back. mdBook reads "search" there itself.
const filterable = (filters, changed) => {
  const items = () => [...document.querySelector(filters.dataset.of).children];
  const inputs = [...filters.querySelectorAll("[data-filter]")];
  const output = filters.querySelector("output");

  const matches = (item, input) => {
    const wanted = input.value.trim().toLowerCase();
    if (!wanted) return true;
    if (input.dataset.filter === "search") {
      const text = `${item.textContent} ${item.dataset.search} ${item.dataset.theme}`.toLowerCase();
      return wanted.split(/\s+/).every((word) => text.includes(word));
    }
    return item.dataset[input.dataset.filter].toLowerCase().split("|").includes(wanted);
  };

  const filter = () => {
    const all = items();
    for (const item of all) item.hidden = !inputs.every((input) => matches(item, input));
    output.textContent = `${all.filter((item) => !item.hidden).length} of ${all.length} problems`;
  };

  inputs.forEach((input) =>
    input.addEventListener("input", () => {
      filter();
      changed();
    }),
  );
  filters.hidden = false;
  return {
    remember: (chosen) => {
      for (const input of inputs) if (input.value) chosen.set(`with-${input.dataset.filter}`, input.value);
    },
    restore: (chosen) => {
      for (const input of inputs) input.value = chosen.get(`with-${input.dataset.filter}`) ?? "";
      filter();
    },
  };
};

// The table of all problems: a click on a head sorts, a click on a row opens it.
const sortable = (table, changed) => {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((cell) => cell.textContent);

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

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      sortBy(column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
      changed();
    });
    head.replaceChildren(button);
    for (const row of body.rows) row.cells[column].dataset.label = names[column]; // for narrow screens
  });
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    event.target.closest("tr").querySelector("a").click();
  });
  return {
    remember: (chosen) => {
      const sorted = heads.find((head) => head.hasAttribute("aria-sort"));
      if (sorted) chosen.set("sort", sorted.textContent);
      if (sorted?.getAttribute("aria-sort") === "descending") chosen.set("down", "");
    },
    restore: (chosen) => {
      const column = names.indexOf(chosen.get("sort"));
      if (column >= 0) sortBy(column, chosen.has("down") ? -1 : 1);
    },
  };
};

// A still becomes its animation while the pointer is on it, or from one press of its button to the next.
const playable = (poster) => {
  const image = poster.querySelector("img");
  const button = poster.querySelector("button");
  const still = image.getAttribute("src");
  const show = (playing) => {
    image.src = playing ? image.dataset.gif : still;
    button.setAttribute("aria-pressed", playing);
  };
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  poster.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && !calm.matches && show(true));
  poster.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(false));
  button.addEventListener("click", () => show(image.getAttribute("src") === still));
  button.hidden = false;
};

// The lineage: what is pointed at keeps its ancestors and descendants in sight.
const traceable = (drawing) => {
  const steps = [...drawing.querySelectorAll(".step")];
  const reached = (start, from, to) => {
    const found = new Set([start]);
    for (const slug of found) for (const step of steps) if (step.dataset[from] === slug) found.add(step.dataset[to]);
    return found;
  };
  const trace = (slug) => {
    drawing.classList.toggle("traced", Boolean(slug));
    const before = slug ? reached(slug, "to", "from") : new Set();
    const after = slug ? reached(slug, "from", "to") : new Set();
    for (const box of drawing.querySelectorAll("a"))
      box.classList.toggle("on", before.has(box.dataset.slug) || after.has(box.dataset.slug));
    for (const { classList, dataset } of steps)
      classList.toggle("on", before.has(dataset.to) || after.has(dataset.from));
  };
  for (const box of drawing.querySelectorAll("a")) {
    for (const name of ["pointerenter", "focus"]) box.addEventListener(name, () => trace(box.dataset.slug));
    for (const name of ["pointerleave", "blur"]) box.addEventListener(name, () => trace(null));
  }
};

(() => {
  const parts = [];
  const remember = () => {
    const chosen = new URLSearchParams();
    for (const part of parts) part.remember(chosen);
    history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  };
  const table = document.getElementById("all-problems");
  if (table) parts.push(sortable(table, remember));
  for (const filters of document.querySelectorAll(".filters")) parts.push(filterable(filters, remember));
  const restore = () => {
    const chosen = new URLSearchParams(location.search);
    for (const part of parts) part.restore(chosen);
  };
  if (parts.length) window.addEventListener("pageshow", restore); // after the browser has put back what was typed
  for (const wide of document.querySelectorAll(".table-wrapper, .formula, pre > code"))
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0; // so that the keyboard can scroll it
  document.querySelectorAll(".poster").forEach(playable);
  document.querySelectorAll(".lineage").forEach(traceable);
})();
