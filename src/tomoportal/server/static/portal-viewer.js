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

  // The client writes its state to the address at the latest 400 ms after a change, even in the middle of restoring a
  // state: on a slow machine it then meets a layer that has no sources yet, fails, and takes another layer away. So
  // those who listen for changes hear of a restored state when it is whole.
  let client;
  Object.defineProperty(window, "viewer", {
    configurable: true,
    enumerable: true,
    get: () => client,
    set(viewer) {
      client = viewer;
      const { state } = viewer;
      const { changed } = state;
      const restore = state.restoreState;
      const add = changed.add;
      const waiting = new Set();
      let depth = 0;
      state.restoreState = function (value) {
        depth++;
        try {
          return restore.call(this, value);
        } finally {
          if (--depth === 0) {
            const heard = [...waiting];
            waiting.clear();
            for (const handler of heard) handler();
          }
        }
      };
      changed.add = function (handler) {
        return add.call(this, () => void (depth ? waiting.add(handler) : handler()));
      };
    },
  });

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
