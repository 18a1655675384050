// The form of one prediction: a field that holds no number is said before anything is sent, the fault of a value is
// marked at its field while the form stays, and the row as typed can be copied as JSON or as a request with curl.
(() => {
  const NO_VALUE = "This cannot be read; write a number like 1234.5.";
  const form = () => document.getElementById("predict-form");
  const isOurs = (element) => Boolean(element?.closest?.("[data-predict]"));

  // --- What a browser keeps to itself -----------------------------------------------------------------------
  // A field for numbers or dates that holds something else has no value at all: it would count as missing.
  const unreadable = () => [...(form()?.querySelectorAll("input") || [])].filter((field) => field.validity.badInput);

  const mark = (field, message) => {
    const notes = document.getElementById(`${field.id}_notes`);
    field.classList.toggle("is-invalid", Boolean(message));
    if (message) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (!message || !notes) return;
    const line = document.createElement("div");
    line.className = "invalid-feedback d-block";
    line.textContent = field.type === "number" ? message : "This is not a whole date yet.";
    notes.replaceChildren(line);
  };

  const stopUnreadable = (event, isSubmit) => {
    const bad = unreadable();
    if (!bad.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    for (const field of bad) mark(field, NO_VALUE);
    if (isSubmit) bad[0].focus();
  };

  document.addEventListener(
    "submit",
    (event) => {
      if (event.target === form()) stopUnreadable(event, true);
    },
    true,
  );
  document.addEventListener("htmx:confirm", (event) => {
    const asker = event.detail.elt;
    if (asker?.id === "what-if" && form()?.dataset.sending) {
      // The whole form is on its way: its answer is the one that counts.
      event.preventDefault();
    } else if (asker?.closest?.("#what-if")) {
      stopUnreadable(event, asker.id !== "what-if");
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const whatIf = document.getElementById("what-if");
    if (whatIf && event.detail.elt === form()) window.htmx.trigger(whatIf, "htmx:abort");
  });

  // --- Faults and findings that come while the form stays ---------------------------------------------------
  const markFaults = () => {
    for (const field of form()?.querySelectorAll("[data-column]") || []) {
      const notes = document.getElementById(`${field.id}_notes`);
      const wrong = notes?.dataset.wrong === field.id || field.validity.badInput;
      field.classList.toggle("is-invalid", wrong);
      if (wrong) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  };
  document.addEventListener("htmx:afterSettle", ({ target }) => {
    if (target?.closest?.("#what-if")) markFaults();
  });

  // --- The row for a program --------------------------------------------------------------------------------
  const valueOf = (field) => {
    if (field.value === "") return null;
    const kind = field.dataset.kind;
    if (field.tagName === "SELECT" || field.type === "radio") {
      const text = (field.selectedOptions?.[0] || field.labels[0]).textContent.trim();
      if (kind === "boolean" && ["yes", "true"].includes(text.toLowerCase())) return true;
      if (kind === "boolean" && ["no", "false"].includes(text.toLowerCase())) return false;
      return text;
    }
    const number = Number(field.value);
    const isExact = kind === "number" && Number.isFinite(number) && (Number.isSafeInteger(number) || /[.e]/i.test(field.value));
    return isExact ? number : field.value;
  };

  const row = () => {
    const found = {};
    for (const field of form().querySelectorAll("[data-column]:not([type=radio]), [data-column]:checked")) found[field.dataset.column] = valueOf(field);
    const folded = JSON.parse(document.getElementById("predict-folded")?.textContent || "{}");
    for (const [name, value] of Object.entries(folded)) found[name] = value === "" ? null : value;
    return found;
  };

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  const write = () => {
    const box = document.querySelector("[data-row-copy]");
    if (!box || !form()) return;
    box.hidden = false;
    if (!box.open) return;
    const body = { rows: [row()] };
    if (box.dataset.version) body.version = Number(box.dataset.version);
    document.getElementById("row-json").textContent = JSON.stringify(body.rows[0], null, 2);
    document.getElementById("row-curl").textContent = [
      `curl -X POST ${quoted(box.dataset.address)}`,
      "  -H 'Authorization: Bearer TOKEN'",
      "  -H 'Content-Type: application/json'",
      `  --data ${quoted(JSON.stringify(body))}`,
    ].join(" \\\n");
  };

  document.addEventListener("toggle", ({ target }) => target.matches?.("[data-row-copy]") && write(), true);
  document.addEventListener("input", ({ target }) => {
    if (!isOurs(target)) return;
    if (target.classList.contains("is-invalid") && !target.validity.badInput) mark(target, "");
    write();
  });
  document.addEventListener("htmx:afterSettle", write);
  document.addEventListener("DOMContentLoaded", write);
})();
