export interface ListedSpace {
  readonly name: string;
  readonly url: string;
  readonly running: boolean;
}

/** What Studio's home page is on AWS: the person's spaces, with links into them. */
export function studioPage(
  domainId: string,
  userProfileName: string,
  spaces: readonly ListedSpace[],
): string {
  const rows = spaces.map(({ name, url, running }) =>
    running
      ? `<li><b>${inHtml(name)}</b> <a href="${url}/jupyterlab/default/lab">JupyterLab</a> <a href="${url}/jupyterlab/default/marimo/">marimo</a></li>`
      : `<li><b>${inHtml(name)}</b> not running</li>`,
  );
  return page(
    "SageMaker Studio, rehearsed on this machine",
    `<p>Domain ${inHtml(domainId)}, user profile ${inHtml(userProfileName)}</p>
<ul>${rows.join("") || "<li>No space has been started yet.</li>"}</ul>`,
  );
}

export const expiredPage = page(
  "This link has expired",
  "<p>A presigned URL works for a few minutes. Ask for a new one with <code>aws sagemaker create-presigned-domain-url</code>.</p>",
);

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body{font:16px system-ui;margin:3rem auto;max-width:40rem}a{margin-left:1rem}li{margin:.5rem 0}</style>
<h1>${title}</h1>${body}</html>`;
}

function inHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
