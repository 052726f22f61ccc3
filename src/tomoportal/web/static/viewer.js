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
});

document.getElementById("layout").addEventListener("change", (event) => {
  viewer().state.restoreState({ ...viewer().state.toJSON(), layout: event.target.value });
});

document.getElementById("annotations").addEventListener("click", (event) => {
  const layers = viewer().layerManager.managedLayers.filter((layer) => layer.toJSON().type !== "image");
  const show = event.currentTarget.getAttribute("aria-pressed") !== "true";
  for (const layer of layers) layer.setVisible(show);
  event.currentTarget.setAttribute("aria-pressed", String(show));
  event.currentTarget.textContent = show ? "Hide annotations" : "Show annotations";
});

// Share: the state of this moment as a link to this page. The hash carries it, so nothing is stored anywhere.
document.getElementById("share").addEventListener("click", (event) => {
  const state = encodeURIComponent(JSON.stringify(viewer().state.toJSON()));
  event.currentTarget.dataset.copy = `${location.origin}${location.pathname}${location.search}#!${state}`;
}, true);

if (location.hash.startsWith("#!")) frame.src = frame.dataset.client + location.hash;
