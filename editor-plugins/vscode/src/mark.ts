/**
 * The confidence mark behind a suggestion. Pure.
 */
import { percent } from "./status";

export type MarkStyle = "off" | "subtle" | "full";

const CIRCLES = ["○", "◐", "●"] as const;

/** The mark of a confidence in [0, 1]: a circle that is empty, half or full by thirds, and the number if wanted. */
export function markOf(style: MarkStyle, confidence: number): string {
  if (style === "off") {
    return "";
  }
  const third = Math.min(2, Math.max(0, Math.floor(3 * confidence)));
  const circle = CIRCLES[third] ?? CIRCLES[0];
  return style === "subtle" ? circle : `${circle} ${percent(confidence)}`;
}
