/** The command line makes no sense. */
export class BadUsage extends Error {}
