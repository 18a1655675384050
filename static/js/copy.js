// A button with data-copy="#id" copies the text of that element, and says so.
(() => {
  const SAID_MS = 2000;

  const say = (button, sentence) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = sentence;
    const label = button.lastChild;
    if (button.dataset.label === undefined) button.dataset.label = label.textContent;
    label.textContent = sentence;
    window.setTimeout(() => {
      label.textContent = button.dataset.label;
    }, SAID_MS);
  };

  // Without HTTPS a browser gives scripts no clipboard: then the text is selected, for Ctrl-C.
  const select = (source) => {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("[data-copy]");
    const source = button && document.querySelector(button.dataset.copy);
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.textContent);
      say(button, "Copied");
    } catch {
      select(source);
      say(button, "Press Ctrl-C");
    }
  });
})();
