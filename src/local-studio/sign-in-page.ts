/** Page of a space or of Studio for a browser without a session. `studio` is the URL of the Studio page. */
export const signInPage = (studio: string) =>
  page(
    "You are not signed in",
    `<p>This browser has no session, or the session has expired.</p>
<p>Open the space from <a href="${studio}">Studio</a>, or open a link that <code>npm start</code> printed.</p>`,
  );

export const expiredPage = page(
  "This link has expired",
  "<p>A presigned URL is valid for a few minutes. Create a new one with <code>aws sagemaker create-presigned-domain-url</code>.</p>",
);

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>${title}</title>
<style>:root{color-scheme:light dark}body{font:16px system-ui;margin:3rem auto;max-width:40rem;padding:0 1rem}</style>
<h1>${title}</h1>${body}</html>`;
}
