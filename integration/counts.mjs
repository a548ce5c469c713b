/** Every skip and every failure by name, and the line of counts. */
export function printCounts({ passed, failed, skipped }) {
  for (const one of skipped) print('skipped', one);
  for (const one of failed) print('failed', one);
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
}

function print(how, { what, why }) {
  console.log(why ? `${how}: ${what} (${why})` : `${how}: ${what}`);
}
