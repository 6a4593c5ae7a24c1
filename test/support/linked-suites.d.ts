/** A suite of tests once more, in another shape: the same module under another name, as a module is evaluated once. */
declare module '*?linked';
