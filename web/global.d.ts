/** Style sheets are imported for the bundler, which puts them into the page's own. */
declare module '*.css';
