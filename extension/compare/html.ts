/** The frame of the compare page: everything shown in it comes later, as text, by message. Pure. */

export type Frame = {
  /** Random, new for every page. */
  readonly nonce: string;
  /** The editor's word for the addresses that it serves `script` and `style` from. */
  readonly cspSource: string;
  readonly script: string;
  readonly style: string;
  /** BCP 47. */
  readonly language: string;
};

/**
 * Scripts run by nonce only; bytes are shown through `blob:` addresses that the page makes of what it is sent; nothing is loaded from
 * anywhere else. A picture in an `img` runs no script, whatever it holds (EX12).
 */
export function compareHtml({ nonce, cspSource, script, style, language }: Frame): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource}`,
    "img-src blob:",
    "media-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="${attribute(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(policy)}">
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="${attribute(style)}">
<title>Satchel</title>
</head>
<body>
<script type="module" nonce="${attribute(nonce)}" src="${attribute(script)}"></script>
</body>
</html>`;
}

function attribute(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
