/**
 * Which settings go to the language server, and which are ours. Pure.
 */

/** The server's settings that package.json offers. What else stands in the section `vicinal` is not for the server. */
export const SERVER_KEYS = [
  "enabled", "automatic", "languages", "exclude", "debounceMs", "budgetAutomaticMs", "budgetInvokedMs", "maxLines",
  "alternatives", "minConfidence", "feedback", "menu", "hints",
] as const;

/** The settings for the server. We live by its notifications, so `notify` is no choice here. */
export function serverOptions(read: (key: string) => unknown): Record<string, unknown> {
  return { ...Object.fromEntries(SERVER_KEYS.map((key) => [key, read(key)])), notify: true };
}

/** The environment of `vicinal`: ours, the model, and what the user adds. */
export function environmentOf(
  own: Readonly<Record<string, string | undefined>>, model: string, more: Readonly<Record<string, string>>,
): Record<string, string> {
  const inherited = Object.entries(own).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...Object.fromEntries(inherited), ...(model === "" ? {} : { VICINAL_MODEL_NAME: model }), ...more };
}
