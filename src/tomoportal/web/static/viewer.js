// The bar above the viewer: acts on the Neuroglancer instance of the frame, which comes from the same origin.
const frame = document.getElementById("viewer");
const page = document.getElementById("viewer-bar").dataset;
const viewer = () => frame.contentWindow.viewer;
const stateUrl = (tomogram) => `${page.state}?tomogram=${tomogram}`;

// Another tomogram of the run: its own layers, but the place and the zoom that the reader had, in Å.
document.getElementById("tomogram").addEventListener("change", async (event) => {
  const next = await (await fetch(stateUrl(event.target.value))).json();
  const old = viewer().state.toJSON();
  const ratio = old.dimensions.x[0] / next.dimensions.x[0];
  if (old.position) next.position = old.position.map((value) => value * ratio);
  for (const key of ["crossSectionScale", "projectionScale"]) if (old[key]) next[key] = old[key] * ratio;
  for (const key of ["crossSectionOrientation", "projectionOrientation", "layout"]) if (old[key]) next[key] = old[key];
  viewer().state.reset();
  viewer().state.restoreState(next);
  history.replaceState(null, "", `?tomogram=${event.target.value}`);
  hidden = null;
  pressed(true);
});

// The client's own layout is set, not its whole state: a state that is restored over itself swaps the axes.
const layout = document.getElementById("layout");
layout.addEventListener("change", () => viewer().layout.restoreState(layout.value));

// Follow the client, which can be changed from within and starts with the layout of a shared link.
const following = setInterval(() => {
  if (!viewer()) return;
  clearInterval(following);
  const show = () => {
    const shown = viewer().layout.toJSON();
    if ([...layout.options].some((option) => option.value === shown)) layout.value = shown;
  };
  viewer().layout.changed.add(show);
  show();
}, 200);

// Layers that were hidden before stay hidden when the others are shown again.
const annotations = document.getElementById("annotations");
let hidden = null;
const pressed = (shown) => {
  annotations.setAttribute("aria-pressed", String(shown));
  annotations.textContent = shown ? "Hide annotations" : "Show annotations";
};
annotations.addEventListener("click", () => {
  const hide = hidden === null;
  if (hide) hidden = viewer().layerManager.managedLayers.filter((one) => one.visible && one.toJSON().type !== "image");
  for (const layer of hidden) layer.setVisible(!hide);
  if (!hide) hidden = null;
  pressed(!hide);
});

// Share: the state of this moment as a link to this page. The hash carries it, so nothing is stored anywhere.
document.getElementById("share").addEventListener("click", (event) => {
  const state = encodeURIComponent(JSON.stringify(viewer().state.toJSON()));
  event.currentTarget.dataset.copy = `${location.origin}${location.pathname}${location.search}#!${state}`;
}, true);

if (location.hash.startsWith("#!")) frame.src = frame.dataset.client + location.hash;
