// Runs before Neuroglancer's own scripts in /viewer/v/portal/.
"use strict";

(() => {
  // The client is built for a Python server and waits for that server's event stream. Nobody streams here: one
  // message configures the surface, and the state lives in the address (the part after #).
  const surface = {
    showHelpButton: true,
    showSettingsButton: true,
    showEditStateButton: true,
    showScreenshotButton: true,
    showToolPaletteButton: false,
    showLayerListPanelButton: true,
    showSelectionPanelButton: true,
    showLayerSidePanelButton: true,
    showLocation: true,
    showAnnotationToolStatus: false,
    showCopyUrlButton: false,
    showLayerPanel: false, // the list of layers beside the views shows the same, with check boxes
    showLayerHoverValues: true,
    showTopBar: true,
    showUIControls: true,
    showPanelBorders: true,
    showAllDimensionPlotBounds: true,
  };
  window.EventSource = class extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      setTimeout(() => {
        if (this.onopen) this.onopen(new Event("open"));
        if (this.onmessage) this.onmessage({ data: JSON.stringify({ k: "c", s: surface, g: "1" }) });
      }, 0);
    }

    close() {}
  };

  // The client binds its state to the address only if there is one at load; otherwise it would post it to a server.
  if (!location.hash) history.replaceState(null, "", "#!{}");

  // The page around the frame keeps its own address in step: it hears of every change and may set a new state.
  if (window.parent !== window) {
    const replace = history.replaceState.bind(history);
    history.replaceState = (...values) => {
      replace(...values);
      window.parent.postMessage({ type: "synchash", hash: location.hash }, location.origin);
    };
    window.addEventListener("message", (event) => {
      if (event.origin !== location.origin || event.source !== window.parent) return;
      if (event.data && event.data.type === "hashchange") location.hash = event.data.hash;
    });
  }
})();
