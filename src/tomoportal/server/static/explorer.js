// The explorer of /graphql: send a query, show the answer, keep both in the address. No library.
"use strict";

const field = (id) => document.getElementById(id);
const SEARCH = `{
  search(text: "ribosome", first: 10) {
    totalCount
    nodes {
      __typename
      ... on Dataset { id title }
      ... on Run { id name }
      ... on Annotation { id objectName }
    }
  }
}
`;
const START = `{
  datasets(orderBy: [{ releaseDate: desc }], limitOffset: { limit: 5 }) {
    id
    title
    organismName
    runs(first: 3) {
      edges { node { id name } }
    }
  }
}
`;

async function ask(query, variables) {
  const answer = await fetch(field("extended").checked ? "/graphql?extended" : "/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const text = await answer.text();
  return { ok: answer.ok, status: answer.status, text };
}

async function run() {
  const query = field("query").value;
  const written = field("variables").value.trim();
  let variables = null;
  try {
    if (written) variables = JSON.parse(written);
  } catch (error) {
    field("status").textContent = `The variables are not JSON: ${error.message}`;
    return;
  }
  const address = new URLSearchParams({ query });
  if (written) address.set("variables", written);
  if (field("extended").checked) address.set("extended", "true");
  history.replaceState(null, "", `?${address}`);
  field("status").textContent = "Asking …";
  const begin = performance.now();
  try {
    const answer = await ask(query, variables);
    const time = Math.round(performance.now() - begin);
    let shown = answer.text;
    let failed = !answer.ok;
    if (answer.ok) {
      const value = JSON.parse(answer.text);
      failed = Boolean(value.errors);
      shown = JSON.stringify(value, null, 2);
    }
    field("answer").textContent = shown;
    field("status").textContent = `${failed ? "Failed" : "Answered"} in ${time} ms, ${answer.text.length} characters`;
  } catch (error) {
    field("status").textContent = `No answer: ${error.message}`;
  }
}

const unwrapped = (type) => (type.ofType ? unwrapped(type.ofType) : type);

async function listRoots() {
  const asked = `{ __schema { queryType { fields { name type { kind name ofType { kind name ofType { kind name ofType
    { kind name } } } } } } types { name fields { name type { kind ofType { kind } } } } } }`;
  const answer = await ask(asked, null);
  if (!answer.ok) return;
  const schema = JSON.parse(answer.text).data.__schema;
  const types = new Map(schema.types.map((type) => [type.name, type]));
  const isPlain = (type) => ["SCALAR", "ENUM"].includes(type.kind === "NON_NULL" ? type.ofType.kind : type.kind);
  const menu = field("roots");
  menu.length = 1;
  for (const root of schema.queryType.fields) {
    if (root.name.endsWith("Aggregate")) continue;
    if (root.name === "search") {
      const option = new Option(root.name, root.name);
      option.dataset.query = SEARCH;
      menu.append(option);
      continue;
    }
    const target = types.get(unwrapped(root.type).name);
    const plain = ((target && target.fields) || []).filter((member) => isPlain(member.type)).map((member) => member.name);
    if (!plain.length) continue;
    const option = new Option(root.name, root.name);
    option.dataset.query = `{\n  ${root.name}(limitOffset: { limit: 10 }) {\n    ${plain.join("\n    ")}\n  }\n}\n`;
    menu.append(option);
  }
}

const given = new URLSearchParams(location.search);
field("query").value = given.get("query") || START;
field("variables").value = given.get("variables") || "";
field("extended").checked = ["", "1", "true"].includes(given.get("extended"));
field("extended").addEventListener("change", () => listRoots().catch(() => {}));
field("question").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
field("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
field("roots").addEventListener("change", (event) => {
  const chosen = event.target.selectedOptions[0];
  if (chosen.dataset.query) field("query").value = chosen.dataset.query;
});
if (given.get("query")) run();
listRoots().catch(() => {});
