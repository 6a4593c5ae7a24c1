// The programs of a benchmark: started one by one, stopped in reverse, also when it fails.

/** Runs `use` with `keep`, which takes a program that has a `stop`, and gives it back. */
export async function withPrograms(use) {
  const started = [];
  const keep = (program) => {
    started.unshift(program);
    return program;
  };
  try {
    return await use(keep);
  } finally {
    for (const program of started) await program.stop();
  }
}
