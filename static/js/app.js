// What every page needs: visible failures, polls that recover, one submit per click, focus on the first bad field.
(() => {
  const RETRY_MS = 5000;
  const LONGEST_RETRY_MS = 60000;
  const RELEASE_MS = 20000;

  // --- Failures are seen ------------------------------------------------------------------------------------
  const region = () => document.getElementById("alerts");
  const isOurs = (xhr) => xhr.getResponseHeader("HX-Retarget") === "#alerts";

  // A form that comes back with its faults: 422 is swapped by htmx's own rules, "too large" and "used already" here.
  const isAnsweredForm = ({ xhr, requestConfig }) =>
    [409, 413].includes(xhr.status) && Boolean(requestConfig?.elt?.matches?.("form[data-comes-back]"));

  // Fragments that load by themselves: nobody has clicked, so the page must not jump to the alert.
  const isPoll = (element) => (element?.getAttribute?.("hx-trigger") || "").includes("load");
  const pollAlertIsShown = () => region()?.dataset.from === "poll" && region().hasChildNodes();

  const reveal = (source) => {
    region().dataset.from = isPoll(source) ? "poll" : "action";
    if (!isPoll(source)) region().scrollIntoView({ block: "nearest" });
  };

  const showAlert = (templateId, source) => {
    const template = document.getElementById(templateId);
    if (!template || !region() || (isPoll(source) && pollAlertIsShown())) return;
    region().replaceChildren(template.content.cloneNode(true));
    reveal(source);
  };

  document.addEventListener("htmx:beforeSwap", (event) => {
    // An error fragment names the alert region itself; every other error leaves the page as it is.
    // A poll that keeps failing says so once, not every few seconds.
    if (!isOurs(event.detail.xhr)) {
      if (isAnsweredForm(event.detail)) {
        event.detail.shouldSwap = true;
        event.detail.isError = false;
      }
      return;
    }
    event.detail.shouldSwap = !(isPoll(event.detail.requestConfig.elt) && pollAlertIsShown());
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt } = event.detail;
    if (isOurs(xhr)) {
      reveal(elt);
    } else {
      showAlert("alert-server", elt);
    }
    if (xhr.status >= 500) retry(elt);
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      showAlert("alert-network", event.detail.elt);
      retry(event.detail.elt);
    });
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && pollAlertIsShown()) region().replaceChildren();
  });

  // A fragment that replaces itself is lost with one failed answer, so it is asked for again, ever more slowly.
  const retry = (element) => {
    if (!isPoll(element) || !element.hasAttribute("hx-get")) return;
    const failures = Number(element.dataset.failures || 0);
    element.dataset.failures = String(failures + 1);
    window.setTimeout(
      () => {
        if (!document.body.contains(element)) return;
        window.htmx.ajax("GET", element.getAttribute("hx-get"), {
          source: element,
          target: element,
          swap: element.getAttribute("hx-swap") || "innerHTML",
        });
      },
      Math.min(RETRY_MS * 2 ** failures, LONGEST_RETRY_MS),
    );
  };

  // --- The first bad field ----------------------------------------------------------------------------------
  const focusFirstInvalid = () => {
    const content = document.getElementById("content");
    const field = content?.querySelector('[aria-invalid="true"], .is-invalid');
    (field || content?.querySelector(".alert-danger[tabindex]"))?.focus();
  };
  document.addEventListener("htmx:afterSettle", (event) => {
    // Somebody who is typing must not be taken elsewhere.
    if (event.detail.elt?.closest?.("[data-keeps-focus]")) return;
    if ([409, 413, 422].includes(event.detail.xhr?.status)) focusFirstInvalid();
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (document.querySelector('#content [aria-invalid="true"]')) focusFirstInvalid();
  });

  // --- The answer to what was asked, above a long form ------------------------------------------------------
  document.addEventListener("htmx:afterSettle", ({ target }) => {
    target.querySelector?.("[data-reveal]")?.scrollIntoView({ block: "start" });
  });

  // --- One submit per click ---------------------------------------------------------------------------------
  const buttonsOf = (form) => form.querySelectorAll("button:not([type=button]):not([type=reset]), input[type=submit]");
  const hold = (form) => {
    form.dataset.sending = "yes";
    for (const button of buttonsOf(form)) {
      if (button.disabled) continue;
      // Not `disabled`: the focus would fall off the button and be lost when the answer replaces it.
      button.setAttribute("aria-disabled", "true");
      button.classList.add("disabled");
      button.dataset.held = "yes";
    }
  };
  const release = (form) => {
    delete form.dataset.sending;
    for (const button of buttonsOf(form)) {
      if (!button.dataset.held) continue;
      button.removeAttribute("aria-disabled");
      button.classList.remove("disabled");
      delete button.dataset.held;
    }
  };
  const isHtmxForm = (form) => form.matches("[hx-post], [data-hx-post]");

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.getAttribute("method")?.toLowerCase() !== "post") return;
      if (form.dataset.sending) {
        event.preventDefault();
        event.stopImmediatePropagation();
      } else if (!isHtmxForm(form)) {
        form.dataset.sending = "yes";
        // Only after the browser has read the form: a disabled button would not be part of it.
        window.setTimeout(() => {
          // Another script has taken over (an upload with its own progress, a question answered with no).
          if (event.defaultPrevented) return release(form);
          hold(form);
          // The person may have stopped the page from loading and wants to try again.
          window.setTimeout(() => release(form), RELEASE_MS);
        }, 0);
      }
    },
    true,
  );
  document.addEventListener("htmx:beforeSend", (event) => {
    const form = event.detail.elt;
    if (form.matches?.("form") && isHtmxForm(form)) hold(form);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.matches?.("form")) release(event.detail.elt);
  });
  // Back from another page: the browser may show the old page as it was, with a form that has been used, or to somebody
  // who has signed out meanwhile.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload();
  });

  // --- Times of the day in the reader's own zone ------------------------------------------------------------
  const setClocks = (root) => {
    for (const clock of root.querySelectorAll?.("time[data-clock]") ?? []) {
      clock.textContent = new Date(clock.dateTime).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    }
  };
  document.addEventListener("DOMContentLoaded", () => setClocks(document));
  document.addEventListener("htmx:load", (event) => setClocks(event.detail.elt));

  // --- What a fragment announces ----------------------------------------------------------------------------
  // A fragment says its state in data-announce; only a new sentence is read out.
  document.addEventListener("htmx:afterSettle", (event) => {
    const announcer = document.getElementById("announcer");
    const root = event.detail.elt;
    const source = root.matches?.("[data-announce]") ? root : root.querySelector?.("[data-announce]");
    const text = source?.dataset.announce;
    if (announcer && text && announcer.textContent !== text) announcer.textContent = text;
  });
})();
