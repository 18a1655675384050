// Draws every <figure data-figure> with Plotly from numbers that the server has computed, in the colours of the page.
// Plotly itself (named by data-plotly of this script) is loaded when the first figure comes near the screen. Without
// this file a figure is the table of its numbers.
(() => {
  const SOURCE = document.currentScript.dataset.plotly;
  const NEAR = "300px";
  const FONT_SIZE = 12;
  const SLANTED_LABEL = 36;

  let loading = null;
  const load = () => {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = SOURCE;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        loading = null;
        reject(new Error("Plotly could not be loaded."));
      };
      document.head.append(script);
    });
    return loading;
  };

  // --- Colours ----------------------------------------------------------------------------------------------
  const isDark = () => document.documentElement.getAttribute("data-bs-theme") === "dark";
  const colours = () =>
    isDark()
      ? {
          text: "#dce1e7", quiet: "#9aa7b5", line: "#2e3a4a", paper: "#182433",
          plain: "#6aa5ff", moderate: "#f2c35c", high: "#ff8a8a",
          scale: [[0, "#ffb070"], [0.25, "#8a5a33"], [0.5, "#1f2d3f"], [0.75, "#2f66b5"], [1, "#8cbcff"]],
        }
      : {
          text: "#1f2937", quiet: "#5c6b7c", line: "#e3e8ee", paper: "#ffffff",
          plain: "#0f5fd6", moderate: "#c98500", high: "#c92a2a",
          scale: [[0, "#b35806"], [0.25, "#f1b677"], [0.5, "#f5f7fa"], [0.75, "#7fb0ee"], [1, "#0b4fa8"]],
        };

  const dressed = (figure, width) => {
    const { data, layout } = structuredClone(figure);
    const colour = colours();
    for (const trace of data) {
      const means = trace.marker?.smartml?.means;
      if (means) trace.marker = { color: means.map((meaning) => colour[meaning]) };
      if (trace.type === "heatmap") {
        trace.colorscale = colour.scale;
        // Slanted labels need room beside each other.
        if (width / trace.x.length < SLANTED_LABEL && !trace.xaxis) layout.xaxis.tickangle = -90;
      }
    }
    const { height } = layout.smartml;
    delete layout.smartml;
    const axis = { gridcolor: colour.line, zerolinecolor: colour.line, linecolor: colour.line, automargin: true };
    const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name));
    return {
      data,
      layout: {
        ...layout,
        height,
        ...Object.fromEntries(axes.map((name) => [name, { ...axis, ...layout[name] }])),
        margin: { l: 8, r: 8, t: 8, b: 8, ...layout.margin },
        font: { family: getComputedStyle(document.body).fontFamily, size: FONT_SIZE, color: colour.text },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        hoverlabel: { bgcolor: colour.paper, bordercolor: colour.line, font: { color: colour.text } },
        dragmode: false,
      },
    };
  };

  // --- Drawing ----------------------------------------------------------------------------------------------
  const drawn = new Map();

  const numbersOf = async (element) => {
    const { figure } = element.dataset;
    if (figure) {
      const response = await fetch(figure, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`The figure's numbers could not be loaded (${response.status}).`);
      return response.json();
    }
    return JSON.parse(element.querySelector('script[type="application/json"]').textContent);
  };

  const place = (element) => element.querySelector("[data-figure-plot]");

  const draw = async (element) => {
    const status = element.querySelector("[data-figure-status]");
    try {
      const [Plotly, figure] = await Promise.all([load(), numbersOf(element)]);
      if (!element.isConnected) return;
      const { data, layout } = dressed(figure, place(element).clientWidth);
      await Plotly.react(place(element), data, layout, { displayModeBar: false, responsive: true });
      drawn.set(element, figure);
      for (const button of element.querySelectorAll("[data-figure-png]")) button.hidden = false;
      if (status) status.hidden = true;
    } catch (error) {
      // The table below says the same.
      if (status) {
        status.textContent = `${error.message} The numbers are in the table below.`;
        status.hidden = false;
      }
    }
  };

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        draw(target);
      }
    },
    { rootMargin: NEAR },
  );
  const watch = (root) => {
    for (const element of root.querySelectorAll("figure[data-figure]:not([data-watched])")) {
      element.dataset.watched = "";
      watcher.observe(element);
    }
  };

  const forget = () => {
    for (const element of drawn.keys()) {
      if (element.isConnected) continue;
      window.Plotly.purge(place(element));
      drawn.delete(element);
    }
  };

  document.addEventListener("DOMContentLoaded", () => watch(document));
  document.addEventListener("htmx:afterSettle", () => {
    forget();
    watch(document);
  });
  new MutationObserver(() => {
    for (const element of drawn.keys()) draw(element);
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });

  // --- A picture of it --------------------------------------------------------------------------------------
  // Plotly's own way goes through a blob: address, which the page's policy does not let an image have.
  const picture = async (element) => {
    const plot = place(element);
    const scale = 2;
    const { width, height } = plot.getBoundingClientRect();
    const image = new Image();
    image.src = await window.Plotly.toImage(plot, { format: "svg", width, height });
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = width * scale;
    canvas.height = height * scale;
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(element.closest(".card") ?? document.body).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-figure-png]");
    const element = button?.closest("figure[data-figure]");
    if (!element || !drawn.has(element)) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await picture(element));
    link.download = `${button.dataset.figurePng || "figure"}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
})();
