// The upload form: a drop zone, a size check before a byte is sent, a progress bar; and on the page that follows, how a
// file is read. Without this file both forms still work.
(() => {
  // The choices come back from the server with every change; what was unfolded stays so.
  document.addEventListener("htmx:configRequest", (event) => {
    const form = event.detail.elt.closest?.("form[data-dialect]");
    if (form?.querySelector("details[data-more]")?.open) event.detail.parameters.more = "1";
  });

  const formOf = (node) => node?.closest?.("form[data-upload]");
  const inputOf = (form) => form.querySelector('input[type="file"]');

  const size = (bytes) => {
    const units = ["bytes", "KB", "MB", "GB", "TB"];
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
  };

  const announce = (text) => {
    const region = document.getElementById("announcer");
    if (region) region.textContent = text;
  };

  // The browser keeps a form with a custom validity message from being sent, and says the message.
  const refuse = (form, message) => {
    const input = inputOf(form);
    input.setCustomValidity(message);
    form.querySelector("[data-client-error], .invalid-feedback")?.remove();
    input.classList.toggle("is-invalid", Boolean(message));
    if (!message) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
      return;
    }
    const note = document.createElement("div");
    note.className = "invalid-feedback d-block";
    note.id = "upload-client-error";
    note.dataset.clientError = "";
    note.setAttribute("role", "alert");
    note.textContent = message;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.after(note);
  };

  const check = (form) => {
    const file = inputOf(form).files[0];
    const tooLarge = file && file.size > Number(form.dataset.maxBytes);
    refuse(form, tooLarge ? form.dataset.tooLarge : "");
  };

  const show = (form, { percent, text }) => {
    const box = form.querySelector("[data-progress]");
    const bar = box.querySelector(".progress-bar");
    box.hidden = false;
    form.querySelector("[data-cancel]").hidden = false;
    bar.classList.toggle("progress-bar-indeterminate", percent === null);
    bar.style.width = percent === null ? "" : `${percent}%`;
    if (percent === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.round(percent)));
    box.querySelector("[data-progress-text]").textContent = text;
  };

  const reset = (form) => {
    delete form.dataset.sent;
    form.querySelector("[data-progress]").hidden = true;
    form.querySelector("[data-cancel]").hidden = true;
  };

  document.addEventListener("change", (event) => {
    const form = formOf(event.target);
    if (form && event.target === inputOf(form)) check(form);
  });

  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      const form = document.querySelector("form[data-upload]");
      if (!form) return;
      // A file dropped beside the zone would otherwise replace the page.
      event.preventDefault();
      const zone = event.target.closest?.("[data-drop-zone]");
      const over = Boolean(zone) && (name === "dragenter" || name === "dragover");
      const box = form.querySelector("[data-drop-zone]");
      box.classList.toggle("is-over", over);
      if (name === "drop" && zone) take(form, event.dataTransfer.files);
    });
  }

  const take = (form, files) => {
    if (files.length === 0) return;
    if (files.length > 1) {
      inputOf(form).value = "";
      refuse(form, "Drop one file at a time.");
      return;
    }
    inputOf(form).files = files;
    check(form);
    announce(`${files[0].name} chosen.`);
  };

  document.addEventListener("click", (event) => {
    const form = event.target.closest?.("[data-cancel]") && formOf(event.target);
    if (form) window.htmx.trigger(form, "htmx:abort");
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = formOf(event.detail.elt);
    if (!form) return;
    form.dataset.sent = "no";
    show(form, { percent: 0, text: "Starting…" });
    announce("The upload has started.");
  });

  document.addEventListener("htmx:xhr:progress", (event) => {
    const form = formOf(event.target);
    const { loaded, total, lengthComputable } = event.detail;
    // The answer on its way back reports progress too; by then everything has been sent.
    if (!form || !lengthComputable || form.dataset.sent !== "no") return;
    if (loaded < total) {
      show(form, { percent: (100 * loaded) / total, text: `${size(loaded)} of ${size(total)} sent` });
      return;
    }
    form.dataset.sent = "yes";
    show(form, { percent: null, text: "Everything is sent. Checking and storing it…" });
    announce("The file has been sent and is being checked.");
  });

  for (const name of ["htmx:sendError", "htmx:sendAbort", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(name, (event) => {
      const form = formOf(event.detail.elt);
      if (!form) return;
      reset(form);
      if (name === "htmx:sendError") {
        refuse(form, "The connection broke off before the file had arrived. Nothing was stored; choose the file again.");
      }
      announce("The upload has ended without a result.");
    });
  }
})();
