/** Every skip by name, and the line of counts. */
export function printCounts({ passed, failed, skipped }) {
  for (const { what, why } of skipped) console.log(why ? `skipped: ${what} (${why})` : `skipped: ${what}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
}
