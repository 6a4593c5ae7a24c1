/** Wrong options: the message names the option, its value and the rule. */
export class UsageError extends Error {}
